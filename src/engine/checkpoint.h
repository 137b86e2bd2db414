// What a path holds: the weights, the tokenizer, the tokens that end an answer and the chat format.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "text/chat/chat_format.h"
#include "text/tokenizer.h"

namespace hadal::engine {

// What a checkpoint says of text, apart from its weights.
struct CheckpointText {
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null: it has none
  std::vector<text::TokenId> end_tokens;
  std::string chat_template;  // Jinja; empty: none
};
CheckpointText read_text(const format::GgufFile& file);
CheckpointText read_text(const std::string& directory, int64_t vocab_size);
// The chat format that the text, the name of `path` or the vocabulary suggests; null: none. Needs a
// tokenizer.
const text::ChatFormat* chat_format_of(const CheckpointText& text, const std::string& path,
                                       const model::ModelConfig& config);

struct Checkpoint {
  std::string name;  // the directory's last part, or the file's without ".gguf"
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<text::TokenId> end_tokens;
  const text::ChatFormat* chat_format = nullptr;  // null: a model without turns
};

// Opens a Hugging Face directory or a GGUF file. `chat_format` overrides what the checkpoint says, by name;
// empty: detect it. Throws Error naming the file and what is wrong: no tokenizer, ids outside the model's
// vocabulary.
Checkpoint open_checkpoint(const std::string& path, const std::string& chat_format);

}  // namespace hadal::engine
