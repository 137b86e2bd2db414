// The floor under serve_load.py's ages: the same stub engine, whose thread writes each event to the socket
// itself, as bytes that were made before. No HTTP is parsed, no JSON made, nothing queued. What is left is
// the kernel's loopback and the client's own wake-up, which are in every other figure as well.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace hadal::bench {

// Listens on a free port of 127.0.0.1, tells it to `listening`, and serves until SIGTERM or SIGINT. Each
// connection gets `tokens` tokens once anything was received on it, each in as many bytes as chat's.
void run_bare_server(const std::string& tokenizer, int tokens,
                     const std::function<void(uint16_t)>& listening);

}  // namespace hadal::bench
