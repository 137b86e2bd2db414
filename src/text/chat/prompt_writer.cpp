#include "text/chat/prompt_writer.h"

#include "base/error.h"

namespace hadal::text {

void PromptWriter::push(TokenId id) {
  const auto part = tokenizer_.encode(pending_, /*parse_special=*/false);
  ids_.insert(ids_.end(), part.begin(), part.end());
  pending_.clear();
  if (id >= 0) ids_.push_back(id);
}

void PromptWriter::control(std::string_view marker) {
  const auto id = tokenizer_.find(marker);
  if (!id) {
    throw_error(ErrorCode::kBadInput, "[chat] the vocabulary has no token {}: it cannot hold a conversation",
                marker);
  }
  push(*id);
}

void PromptWriter::control_or_text(std::string_view marker) {
  if (const auto id = tokenizer_.find(marker))
    push(*id);
  else
    text(marker);
}

std::vector<TokenId> PromptWriter::finish() {
  push(-1);
  return std::move(ids_);
}

}  // namespace hadal::text
