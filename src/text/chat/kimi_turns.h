// The envelope that Moonlight and Kimi-K2 share:
//   <|im_system|>system<|im_middle|>{system}<|im_end|><|im_user|>user<|im_middle|>{user}<|im_end|>
//   <|im_assistant|>assistant<|im_middle|>{answer}<|im_end|>...    (without the line breaks)
// A conversation that does not begin with a system message gets the default one. Nothing stands before the
// first turn: no [BOS].
#pragma once

#include "text/chat/chat_format.h"

namespace hadal::text {

struct KimiTurns {
  std::string_view default_system;
  std::string_view after_default = {};  // what the template's line break behind the default one leaves
  bool thinks = false;                  // every answer has <think>...</think> before it
};

bool write_kimi_turns(const KimiTurns& turns, PromptWriter& out, std::span<const Message> messages,
                      const ChatOptions& options);

// The last message as the model writes it behind its prompt.
void write_kimi_answer(const KimiTurns& turns, PromptWriter& out, std::span<const Message> messages);

}  // namespace hadal::text
