// What a checkpoint says of text, apart from its weights: the tokenizer, the tokens that end an answer and
// the chat format.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "format/gguf.h"
#include "model/config.h"
#include "text/chat/chat_format.h"
#include "text/tokenizer.h"

namespace hadal::model {

// The directory's last part, or the file's name without ".gguf".
std::string checkpoint_name(const std::string& path);

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
                                       const ModelConfig& config);

}  // namespace hadal::model
