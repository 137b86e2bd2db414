#include "text/pre_tokenizer.h"

#include "base/error.h"
#include "text/unicode_versions.h"

namespace hadal::text {

using base::Json;

namespace {

constexpr size_t kMaxStages = 64;

// ByteLevel's own pattern (GPT-2), where use_regex is true.
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool flag(const Json& config, const char* key, bool fallback, const std::string& name) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return fallback;
  if (!found->is_boolean())
    throw_error(ErrorCode::kBadInput, "[tokenizer] {}: {} is not true or false", name, key);
  return found->get<bool>();
}

std::string text_field(const Json& config, const char* key, const std::string& name) {
  const auto found = config.find(key);
  if (found == config.end() || !found->is_string()) {
    throw_error(ErrorCode::kBadInput, "[tokenizer] {}: pre_tokenizer has no text \"{}\"", name, key);
  }
  return found->get<std::string>();
}

Regex split_pattern(const Json& config, const std::string& name) {
  const auto pattern = config.find("pattern");
  if (pattern != config.end() && pattern->is_object()) {
    if (pattern->contains("Regex")) return Regex(text_field(*pattern, "Regex", name));
    if (pattern->contains("String")) return Regex::literal(text_field(*pattern, "String", name));
  }
  throw_error(ErrorCode::kBadInput, "[tokenizer] {}: a Split has no pattern Regex or String", name);
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& config, const std::string& name) : config_(config) {
  if (!config.is_null()) add(config, name);
  if (!byte_level_) {
    throw_error(ErrorCode::kUnsupported,
                "[tokenizer] {}: pre_tokenizer has no ByteLevel: only byte-level BPE is "
                "supported",
                name);
  }
}

PreTokenizer::~PreTokenizer() = default;

void PreTokenizer::add(const Json& config, const std::string& name) {
  if (!config.is_object())
    throw_error(ErrorCode::kBadInput, "[tokenizer] {}: pre_tokenizer is not an object", name);
  const std::string type = text_field(config, "type", name);
  // Each stage compiles a pattern and adds a level to run(); real files have up to eight.
  if (stages_.size() >= kMaxStages) {
    throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: more than {} pre_tokenizer stages", name,
                kMaxStages);
  }
  if (byte_level_) {
    throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: pre_tokenizer {} after ByteLevel is not supported",
                name, type);
  }
  if (type == "Sequence") {
    const auto parts = config.find("pretokenizers");
    if (parts == config.end() || !parts->is_array()) {
      throw_error(ErrorCode::kBadInput, "[tokenizer] {}: a Sequence has no list \"pretokenizers\"", name);
    }
    for (const Json& part : *parts) add(part, name);
  } else if (type == "Split") {
    const std::string behavior = text_field(config, "behavior", name);
    const bool invert = flag(config, "invert", false, name);
    if (behavior != "Isolated" && behavior != "Removed") {
      throw_error(ErrorCode::kUnsupported,
                  "[tokenizer] {}: Split behavior {} is not supported (Isolated and Removed "
                  "are)",
                  name, behavior);
    }
    const bool removed = behavior == "Removed";
    stages_.push_back({split_pattern(config, name), !(removed && !invert), !(removed && invert)});
  } else if (type == "Digits") {
    stages_.push_back({Regex(flag(config, "individual_digits", false, name) ? R"(\p{N})" : R"(\p{N}+)")});
  } else if (type == "ByteLevel") {
    if (flag(config, "add_prefix_space", true, name)) {
      throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: ByteLevel add_prefix_space is not supported",
                  name);
    }
    if (flag(config, "use_regex", true, name)) stages_.push_back({Regex(kGpt2Pattern)});
    byte_level_ = true;
  } else {
    throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: pre_tokenizer {} is not supported", name, type);
  }
}

void PreTokenizer::run(std::vector<Regex::Searcher*>& searchers, size_t stage, std::string_view text,
                       std::vector<std::string_view>& pieces) const {
  if (text.empty()) return;
  if (stage == stages_.size()) {
    pieces.push_back(text);
    return;
  }
  size_t done = 0;
  Match match{};
  while (searchers[stage]->next(text, done, &match)) {
    if (stages_[stage].keep_gaps) run(searchers, stage + 1, text.substr(done, match.begin - done), pieces);
    if (stages_[stage].keep_matches) {
      run(searchers, stage + 1, text.substr(match.begin, match.end - match.begin), pieces);
    }
    done = match.end;
  }
  if (stages_[stage].keep_gaps) run(searchers, stage + 1, text.substr(done), pieces);
}

void PreTokenizer::split(std::string_view text, std::vector<std::string_view>& pieces) const {
  std::vector<std::unique_ptr<Regex::Searcher>> owners;
  std::vector<Regex::Searcher*> searchers;
  const bool young = has_young_characters(text);
  for (const Stage& stage : stages_) {
    owners.push_back(std::make_unique<Regex::Searcher>(stage.regex, young));
    searchers.push_back(owners.back().get());
  }
  run(searchers, 0, text, pieces);
}

}  // namespace hadal::text
