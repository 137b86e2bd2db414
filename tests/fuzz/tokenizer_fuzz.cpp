// Input: the first byte chooses. Even: the rest is a tokenizer.json. Odd: the rest is text for a fixed
// tokenizer, which must come back the same, whole and as a stream.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/bpe_trainer.h"

using namespace hadal;

namespace {

void parse_and_use(std::string_view json) {
  try {
    const auto tokenizer = text::Tokenizer::parse(json, "fuzz");
    const auto ids = tokenizer->encode("The deep sea 123 \xE6\xB7\xB1 <think>\n", true);
    for (const text::TokenId id : ids) {
      if (id < 0 || id >= tokenizer->vocab_size()) std::abort();
    }
    (void)tokenizer->decode(ids, true);
  } catch (const Error&) {  // refused: that is what it should do with most inputs
  }
}

void round_trip(std::string_view bytes) {
  static const auto tokenizer = [] {
    constexpr std::string_view kText =
        "the deep sea and the deeper sea under the sea; 100 200 300\n<think> \xE6\xB7\xB1";
    return text::train_bpe({&kText, 1}, {.vocab_size = 320});
  }();
  const auto plain = tokenizer->encode(bytes);
  if (tokenizer->decode(plain) != bytes) std::abort();
  for (const text::TokenId id : plain) {
    if (tokenizer->is_special(id)) std::abort();
  }
  const auto parsed = tokenizer->encode(bytes, true);
  if (tokenizer->decode(parsed) != bytes) std::abort();
  text::StreamDecoder stream(tokenizer);
  for (const text::TokenId id : parsed) (void)stream.push(id);
  (void)stream.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0)
    parse_and_use(rest);
  else
    round_trip(rest);
  return 0;
}
