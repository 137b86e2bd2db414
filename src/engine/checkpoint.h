// What a path holds: the weights, the tokenizer, the tokens that end an answer and the chat format.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "model/checkpoint_text.h"
#include "text/chat/chat_format.h"
#include "text/tokenizer.h"

namespace hadal::engine {

using model::chat_format_of;
using model::CheckpointText;
using model::read_text;

struct Checkpoint {
  std::string name;  // the directory's last part, or the file's without ".gguf"
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::vector<text::TokenId> end_tokens;
  const text::ChatFormat* chat_format = nullptr;  // null: a model without turns
};

// Opens a Hugging Face directory or a GGUF file. `chat_format` overrides what the checkpoint says, by name;
// empty: detect it. `adapter`: a PEFT directory, or empty. `weights`: where to take them from instead of the
// directory's files; may be null. Throws Error naming the file and what is wrong: no tokenizer, ids outside
// the model's vocabulary.
Checkpoint open_checkpoint(const std::string& path, const std::string& chat_format,
                           const std::string& adapter = "",
                           std::unique_ptr<const format::TensorSource> weights = nullptr);

}  // namespace hadal::engine
