// The sampling flags that `generate` and `chat` share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace hadal::cli {

// What the flags were set to; must live as long as the command.
struct SamplingFlags {
  engine::SamplingOptions options;
  uint64_t seed = 0;
  CLI::Option* seed_option = nullptr;

  // The options, with the seed where one was given.
  engine::SamplingOptions get() const;
};

// --max-tokens --temperature --top-k --top-p --min-p --repetition-penalty --stop --seed
void add_sampling_flags(CLI::App& command, SamplingFlags& flags);

// --model, --threads and --context, as EngineOptions.
struct EngineFlags {
  std::string model;
  engine::EngineOptions options;
};
void add_engine_flags(CLI::App& command, EngineFlags& flags);
// The same without --model.
void add_engine_options(CLI::App& command, engine::EngineOptions& options);

}  // namespace hadal::cli
