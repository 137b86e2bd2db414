#include "engine/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "engine/end_tokens.h"
#include "format/gguf.h"
#include "text/gguf_vocabulary.h"

namespace hadal::engine {

namespace {

namespace fs = std::filesystem;

std::string last_part(const std::string& path) {
  auto normal = fs::path(path).lexically_normal();
  if (!normal.has_filename()) normal = normal.parent_path();  // "models/nano/"
  if (normal == "." || normal.empty()) normal = fs::absolute(path).lexically_normal().parent_path();
  return normal.filename().string();
}

}  // namespace

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

namespace {

Checkpoint open_directory(const std::string& path, std::string& chat_template) {
  const std::string tokenizer_path = path + "/tokenizer.json";
  if (!base::file_exists(tokenizer_path)) {
    throw_error(ErrorCode::kBadInput, "[engine] {}: tokenizer.json is not there: text cannot become tokens",
                path);
  }
  Checkpoint checkpoint;
  checkpoint.name = last_part(path);
  checkpoint.model = LoadedModel::load(path);
  checkpoint.tokenizer = text::Tokenizer::load(tokenizer_path);
  checkpoint.end_tokens = read_end_tokens(path, checkpoint.model->config().vocab_size);
  chat_template = read_chat_template(path);
  return checkpoint;
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

template <typename Out>
std::optional<Out> number_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  if (value == nullptr) return std::nullopt;
  return static_cast<Out>(std::clamp<int64_t>(value->integer(), -1, std::numeric_limits<Out>::max()));
}

std::optional<bool> boolean_of(const format::GgufFile& file, std::string_view key) {
  const format::GgufValue* value = file.find_value(key);
  if (value == nullptr) return std::nullopt;
  return value->boolean();
}

text::GgufVocabulary read_vocabulary(const format::GgufFile& file) {
  text::GgufVocabulary v;
  v.model = text_of(file, "tokenizer.ggml.model");
  if (v.model.empty() || v.model == "no_vocab") {
    throw_error(ErrorCode::kBadInput,
                "[engine] {}: the file holds no tokenizer (tokenizer.ggml.*): text cannot become tokens",
                file.path());
  }
  v.pre = text_of(file, "tokenizer.ggml.pre");
  v.tokens = texts_of(file, "tokenizer.ggml.tokens");
  v.merges = texts_of(file, "tokenizer.ggml.merges");
  if (const auto* types = file.find_value("tokenizer.ggml.token_type")) {
    for (const int64_t type : types->integers()) v.token_types.push_back(static_cast<int32_t>(type));
  }
  v.bos_id = number_of<text::TokenId>(file, "tokenizer.ggml.bos_token_id");
  v.eos_id = number_of<text::TokenId>(file, "tokenizer.ggml.eos_token_id");
  v.padding_id = number_of<text::TokenId>(file, "tokenizer.ggml.padding_token_id");
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

Checkpoint open_gguf(const std::string& path, std::string& chat_template) {
  auto file = std::make_shared<const format::GgufFile>(path);
  const text::GgufVocabulary vocabulary = read_vocabulary(*file);
  Checkpoint checkpoint;
  checkpoint.name = fs::path(path).stem().string();
  checkpoint.tokenizer = text::tokenizer_from_gguf(vocabulary, path);
  checkpoint.end_tokens = end_tokens_of(*file, vocabulary);
  chat_template = text_of(*file, "tokenizer.chat_template");
  checkpoint.model = LoadedModel::load(std::move(file));
  return checkpoint;
}

}  // namespace

Checkpoint open_checkpoint(const std::string& path, const std::string& chat_format) {
  std::string chat_template;
  const bool gguf = !fs::is_directory(path) && format::is_gguf(path);
  Checkpoint checkpoint = gguf ? open_gguf(path, chat_template) : open_directory(path, chat_template);
  const model::ModelConfig& config = checkpoint.model->config();
  if (checkpoint.tokenizer->vocab_size() > config.vocab_size) {
    throw_error(ErrorCode::kBadInput,
                "[engine] {}: the tokenizer has ids up to {}, the model a vocab_size of {}", path,
                checkpoint.tokenizer->vocab_size() - 1, config.vocab_size);
  }
  if (!chat_format.empty()) {
    checkpoint.chat_format = &text::find_chat_format(chat_format);
  } else {
    checkpoint.chat_format = text::detect_chat_format(
        *checkpoint.tokenizer,
        {.chat_template = chat_template, .model_name = checkpoint.name, .architecture = config.model_type});
  }
  if (!chat_format.empty()) {
    try {
      const text::Message probe{"user", "hello"};
      text::render_prompt(*checkpoint.chat_format, *checkpoint.tokenizer, {&probe, 1});
    } catch (const Error& e) {
      throw_error(e.code(), "[engine] {}: --chat-format {} does not fit: {}", path, chat_format, e.what());
    }
  }
  return checkpoint;
}

}  // namespace hadal::engine
