#include "cli/served_models.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "cli/command.h"
#include "cli/sampling_flags.h"

namespace hadal::cli {

namespace {

// The flags of one engine; --model NAME=PATH,FLAG=VALUE takes them too.
void add_model_options(CLI::App& command, engine::EngineOptions& options) {
  add_engine_options(command, options);
  command.add_option("--queue", options.max_queue, "requests running or waiting; more are refused")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-running", options.max_running, "requests that share the model; the others wait")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-itl-ms", options.max_itl_ms,
                  "aim for the time between a stream's tokens while prompts are read; 0: prompts run whole")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

bool is_path(const std::string& text) {
  std::error_code ignored;
  return std::filesystem::exists(text, ignored);
}

// Where ",FLAG=" begins, for a flag that `parser` has.
size_t find_flags(const CLI::App& parser, const std::string& text) {
  for (size_t at = text.find(','); at != std::string::npos; at = text.find(',', at + 1)) {
    const size_t end = text.find('=', at);
    if (end == std::string::npos) break;
    if (parser.get_option_no_throw("--" + text.substr(at + 1, end - at - 1)) != nullptr) return at;
  }
  return text.size();
}

}  // namespace

void add_served_model_flags(CLI::App& command, ServedModelFlags& flags) {
  command
      .add_option("--model", flags.models,
                  "a Hugging Face directory or GGUF file; [NAME=]PATH[,FLAG=VALUE]...; may be given several "
                  "times, the first is the default")
      ->required()
      ->allow_extra_args(false);
  command
      .add_option("--alias", flags.aliases,
                  "NAME=MODEL: another name for a served model (may be given several times)")
      ->allow_extra_args(false);
  add_model_options(command, flags.options);
}

ServedModelSpec parse_served_model(const std::string& text, const engine::EngineOptions& defaults) {
  ServedModelSpec spec{"", text, defaults};
  if (is_path(text)) return spec;
  if (const size_t equals = text.find('='); equals != std::string::npos && is_path(text.substr(equals + 1))) {
    return {text.substr(0, equals), text.substr(equals + 1), defaults};
  }
  CLI::App parser;
  parser.set_help_flag();
  add_model_options(parser, spec.options);
  const size_t flags_at = find_flags(parser, text);
  spec.path = text.substr(0, flags_at);
  if (const size_t equals = spec.path.find('='); equals != std::string::npos && !is_path(spec.path)) {
    spec.name = spec.path.substr(0, equals);
    spec.path.erase(0, equals + 1);
  }
  std::vector<std::string> arguments;
  for (size_t at = flags_at; at < text.size();) {
    const size_t end = std::min(text.find(',', at + 1), text.size());
    arguments.push_back("--" + text.substr(at + 1, end - at - 1));
    at = end;
  }
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    parser.parse(arguments);
  } catch (const CLI::ParseError& e) {
    throw_error(ErrorCode::kBadInput, "[serve] --model {}: {}", text, e.what());
  }
  return spec;
}

serve::api::ModelAlias parse_alias(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw_error(ErrorCode::kBadInput, "[serve] --alias {}: give NAME=MODEL", text);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace hadal::cli
