// The models of `hadal serve`: --model, --alias, and the flags that a model may have of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "serve/api/service.h"

namespace hadal::cli {

struct ServedModelSpec {
  std::string name;  // empty: the checkpoint's own
  std::string path;
  engine::EngineOptions options;
};

struct ServedModelFlags {
  std::vector<std::string> models;   // as given
  std::vector<std::string> aliases;  // "NAME=MODEL"
  engine::EngineOptions options;     // of each model, where it says nothing else
};

// --model, --alias, --threads, --context and the other flags of one engine.
void add_served_model_flags(CLI::App& command, ServedModelFlags& flags);

// "[NAME=]PATH[,FLAG=VALUE]...", flags without their dashes: "r1=/models/r1.gguf,context=16384,threads=2". A
// text that is a path as it stands is one. Throws Error{kBadInput} naming what is wrong.
ServedModelSpec parse_served_model(const std::string& text, const engine::EngineOptions& defaults);

serve::api::ModelAlias parse_alias(const std::string& text);

}  // namespace hadal::cli
