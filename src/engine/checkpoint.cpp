#include "engine/checkpoint.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "format/gguf.h"
#include "model/gguf_config.h"

namespace hadal::engine {

namespace fs = std::filesystem;

namespace {

// Of weights that are in memory: in Hugging Face's order, whatever file they were read from.
model::ModelConfig config_in_memory(const std::string& path, const format::GgufFile* file) {
  if (file == nullptr) return model::load_config(path);
  model::ModelConfig config = model::parse_config(model::config_from_gguf(*file), path);
  config.rope_interleave = config.is_mla();
  return config;
}

}  // namespace

Checkpoint open_checkpoint(const std::string& path, const std::string& chat_format,
                           const std::string& adapter, std::unique_ptr<const format::TensorSource> weights) {
  Checkpoint checkpoint;
  checkpoint.name = model::checkpoint_name(path);
  const auto file = fs::is_directory(path) ? nullptr : std::make_shared<const format::GgufFile>(path);
  CheckpointText text = file ? read_text(*file) : read_text(path, model::load_config(path).vocab_size);
  if (!text.tokenizer) {
    throw_error(ErrorCode::kBadInput, "[engine] {}: {}: text cannot become tokens", path,
                file ? "the file holds no tokenizer (tokenizer.ggml.*)"
                     : "tokenizer.json is not there, nor tiktoken.model");
  }
  checkpoint.model = weights ? LoadedModel::load(config_in_memory(path, file.get()), std::move(weights))
                     : file  ? LoadedModel::load(file, adapter)
                             : LoadedModel::load(path, adapter);
  const model::ModelConfig& config = checkpoint.model->config();
  if (text.tokenizer->vocab_size() > config.vocab_size) {
    throw_error(ErrorCode::kBadInput,
                "[engine] {}: the tokenizer has ids up to {}, the model a vocab_size of {}", path,
                text.tokenizer->vocab_size() - 1, config.vocab_size);
  }
  checkpoint.chat_format =
      chat_format.empty() ? chat_format_of(text, path, config) : &text::find_chat_format(chat_format);
  if (!chat_format.empty()) {
    try {
      const text::Message probe{"user", "hello"};
      text::render_prompt(*checkpoint.chat_format, *text.tokenizer, {&probe, 1});
    } catch (const Error& e) {
      throw_error(e.code(), "[engine] {}: --chat-format {} does not fit: {}", path, chat_format, e.what());
    }
  }
  // What ends an answer in this format ends it here too: GGUF files of Kimi-K2 name only [EOS]. A checkpoint
  // that names nothing wants answers without an end.
  if (checkpoint.chat_format != nullptr && !text.end_tokens.empty()) {
    for (const text::TokenId id : text::end_tokens_of(*checkpoint.chat_format, *text.tokenizer)) {
      if (std::find(text.end_tokens.begin(), text.end_tokens.end(), id) == text.end_tokens.end())
        text.end_tokens.push_back(id);
    }
  }
  checkpoint.tokenizer = std::move(text.tokenizer);
  checkpoint.end_tokens = std::move(text.end_tokens);
  return checkpoint;
}

}  // namespace hadal::engine
