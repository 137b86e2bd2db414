#include "model/checkpoint_text.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "model/end_tokens.h"
#include "text/gguf_vocabulary.h"
#include "text/tiktoken.h"

namespace hadal::model {

namespace fs = std::filesystem;

namespace {

// The Jinja template of a directory: a file of its own, or tokenizer_config.json's (one, or the default of a
// list of named ones); empty when there is none.
std::string read_chat_template(const std::string& directory) {
  const std::string file = directory + "/chat_template.jinja",
                    config_file = directory + "/tokenizer_config.json";
  if (base::file_exists(file)) return base::read_file(file);
  if (!base::file_exists(config_file)) return {};
  const base::Json config = base::read_json_file(config_file);
  if (!config.is_object() || !config.contains("chat_template")) return {};
  const base::Json& entry = config["chat_template"];
  if (entry.is_string()) return entry.get<std::string>();
  if (!entry.is_array()) return {};
  for (const base::Json& named : entry) {
    if (named.is_object() && named.value("name", base::Json()) == "default" &&
        named.value("template", base::Json()).is_string()) {
      return named["template"].get<std::string>();
    }
  }
  return {};
}

std::string text_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  return value == nullptr ? std::string() : std::string(value->text());
}

std::vector<std::string> texts_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  if (value == nullptr) return {};
  const auto views = value->texts();
  return {views.begin(), views.end()};
}

// An id that does not fit is one that no vocabulary has.
std::optional<text::TokenId> token_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  if (value == nullptr) return std::nullopt;
  return static_cast<text::TokenId>(
      std::clamp<int64_t>(value->integer(), -1, std::numeric_limits<text::TokenId>::max()));
}

std::optional<bool> boolean_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  if (value == nullptr) return std::nullopt;
  return value->boolean();
}

text::GgufVocabulary read_vocabulary(const format::GgufFile& file) {
  text::GgufVocabulary v;
  v.model = text_of(file, "tokenizer.ggml.model");
  v.pre = text_of(file, "tokenizer.ggml.pre");
  v.tokens = texts_of(file, "tokenizer.ggml.tokens");
  v.merges = texts_of(file, "tokenizer.ggml.merges");
  if (const auto* types = file.find_value("tokenizer.ggml.token_type")) {
    for (const int64_t type : types->integers()) v.token_types.push_back(static_cast<int32_t>(type));
  }
  v.bos_id = token_of(file, "tokenizer.ggml.bos_token_id");
  v.eos_id = token_of(file, "tokenizer.ggml.eos_token_id");
  v.padding_id = token_of(file, "tokenizer.ggml.padding_token_id");
  v.add_bos = boolean_of(file, "tokenizer.ggml.add_bos_token");
  v.add_eos = boolean_of(file, "tokenizer.ggml.add_eos_token");
  return v;
}

// What ends an answer: the end of text, and of a turn or a message where the file names one.
std::vector<text::TokenId> end_tokens_of(const format::GgufFile& file,
                                         const text::GgufVocabulary& vocabulary) {
  std::vector<text::TokenId> ids;
  for (const char* key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const format::GgufValue* value = file.find_value(key);
    if (value == nullptr) continue;
    const int64_t id = value->integer();
    if (id < 0 || id >= static_cast<int64_t>(vocabulary.tokens.size())) {
      throw_error(ErrorCode::kBadInput, "[gguf] {}: {}: {} is not a token of a vocabulary of {}", file.path(),
                  key, id, vocabulary.tokens.size());
    }
    ids.push_back(static_cast<text::TokenId>(id));
  }
  return ids;
}

}  // namespace

std::string checkpoint_name(const std::string& path) {
  if (path.ends_with(".gguf")) return fs::path(path).stem().string();
  auto normal = fs::path(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();  // "models/nano/"
  if (normal == "." || normal.empty()) normal = fs::absolute(path).lexically_normal().parent_path();
  return normal.filename().string();
}

CheckpointText read_text(const format::GgufFile& file) {
  CheckpointText text;
  text.chat_template = text_of(file, "tokenizer.chat_template");
  const std::string model = text_of(file, "tokenizer.ggml.model");
  if (model.empty() || model == "no_vocab" || model == "none") return text;
  const text::GgufVocabulary vocabulary = read_vocabulary(file);
  text.tokenizer = text::tokenizer_from_gguf(vocabulary, file.path());
  text.end_tokens = end_tokens_of(file, vocabulary);
  return text;
}

CheckpointText read_text(const std::string& directory, int64_t vocab_size) {
  CheckpointText text;
  text.tokenizer = text::load_directory_tokenizer(directory);
  text.end_tokens = read_end_tokens(directory, vocab_size);
  text.chat_template = read_chat_template(directory);
  return text;
}

const text::ChatFormat* chat_format_of(const CheckpointText& text, const std::string& path,
                                       const model::ModelConfig& config) {
  return text::detect_chat_format(*text.tokenizer, {.chat_template = text.chat_template,
                                                    .model_name = checkpoint_name(path),
                                                    .architecture = config.model_type});
}

}  // namespace hadal::model
