#include "text/chat/prompt_writer.h"

#include <algorithm>

#include "base/error.h"
#include "text/chat/markers.h"

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

void PromptWriter::own_words(std::string_view words) {
  while (!words.empty()) {
    const size_t open = std::min(words.find('<'), words.size());
    text(words.substr(0, open));
    words.remove_prefix(open);
    const size_t close = words.find('>');
    const size_t length = close == std::string_view::npos ? words.size() : close + 1;
    control_or_text(words.substr(0, length));
    words.remove_prefix(length);
  }
}

void PromptWriter::reasoning_as_text(std::string_view reasoning) {
  if (reasoning.empty()) return;
  control_or_text(kThinkBegin);
  text("\n");
  text(reasoning);
  text("\n");
  control_or_text(kThinkEnd);
  text("\n\n");
}

void PromptWriter::tokens(std::span<const TokenId> ids) {
  push(-1);
  ids_.insert(ids_.end(), ids.begin(), ids.end());
}

std::vector<TokenId> PromptWriter::finish() {
  push(-1);
  return std::move(ids_);
}

}  // namespace hadal::text
