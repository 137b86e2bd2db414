// An engine that computes nothing, for measuring what is around it: linked in place of engine/engine.cpp
// behind the real transport and the real API. Its tokens come at fixed times, and each says when it was made.
#pragma once

#include <cstdint>
#include <vector>

namespace hadal::bench {

struct StubOptions {
  double step_seconds = 0.1;  // between the tokens of a stream; 0: an answer's tokens come at once
  // The streams' steps: spread evenly over step_seconds, or together, as an engine that batches makes them.
  bool together = false;
};

void set_stub_options(const StubOptions& options);

// How long each event's handler had the engine's thread, in ns. For when no engine is left.
std::vector<uint32_t>& stub_handler_times();

}  // namespace hadal::bench
