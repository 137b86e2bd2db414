// A line of a conversation file: an Error, or samples in each chat format, whose learned tokens are never the
// first. What people write never becomes a token that ends an answer.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "posttrain/samples.h"
#include "text/bpe_trainer.h"

using namespace hadal;

namespace {

const text::Tokenizer& tokenizer() {
  static const auto trained = [] {
    constexpr std::string_view kText = "the deep sea and the deeper sea\nfunction {\"a\": 1} ```json";
    return text::train_bpe({&kText, 1}, {.vocab_size = 310});
  }();
  return *trained;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  posttrain::Conversation conversation;
  try {
    conversation = posttrain::parse_conversation(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error&) {
    return 0;
  }
  if (conversation.learn.size() != conversation.messages.size()) std::abort();
  for (const char* name : {"hadal-nano", "deepseek-r1", "deepseek-v3.1", "deepseek-v2"}) {
    try {
      const auto& format = text::find_chat_format(name);
      for (const auto& sample : posttrain::render_samples(conversation, format, tokenizer())) {
        if (sample.learn.size() != sample.tokens.size() || sample.learn.front()) std::abort();
        if (sample.learned_tokens() == 0) std::abort();
      }
    } catch (const Error&) {
    }
  }
  return 0;
}
