#include "text/chat_template.h"

#include "base/error.h"

namespace hadal::text {

namespace {

TokenId control_token(const Tokenizer& tokenizer, std::string_view content) {
  const auto id = tokenizer.find(content);
  if (!id) {
    throw_error(ErrorCode::kBadInput, "[chat] the vocabulary has no token {}: it cannot hold a conversation",
                content);
  }
  return *id;
}

}  // namespace

std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                                 bool add_generation_prompt) {
  const TokenId user = control_token(tokenizer, kUser);
  const TokenId assistant = control_token(tokenizer, kAssistant);
  const TokenId eos = control_token(tokenizer, kEos);

  // As in DeepSeek's template, system text comes first wherever it stands in the list.
  std::string system;
  bool has_system = false;
  for (const Message& message : messages) {
    if (message.role == "system") {
      if (has_system) system += "\n\n";
      system += message.content;
      has_system = true;
    } else if (message.role != "user" && message.role != "assistant") {
      throw_error(ErrorCode::kBadInput, "[chat] role \"{}\" is not system, user or assistant", message.role);
    }
  }

  std::vector<TokenId> ids{control_token(tokenizer, kBos)};
  const auto append_text = [&](const std::string& text) {
    const auto part = tokenizer.encode(text, /*parse_special=*/false);
    ids.insert(ids.end(), part.begin(), part.end());
  };
  append_text(system);
  for (const Message& message : messages) {
    if (message.role == "user") {
      ids.push_back(user);
      append_text(message.content);
    } else if (message.role == "assistant") {
      ids.push_back(assistant);
      append_text(message.content);
      ids.push_back(eos);
    }
  }
  if (add_generation_prompt) ids.push_back(assistant);
  return ids;
}

}  // namespace hadal::text
