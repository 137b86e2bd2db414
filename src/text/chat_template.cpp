#include "text/chat_template.h"

#include "text/chat/chat_format.h"

namespace hadal::text {

std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                                 bool add_generation_prompt) {
  ChatOptions options;
  options.add_generation_prompt = add_generation_prompt;
  return render_prompt(find_chat_format("deepseek-v3"), tokenizer, messages, options).ids;
}

}  // namespace hadal::text
