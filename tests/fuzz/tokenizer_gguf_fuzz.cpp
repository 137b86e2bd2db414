// Input: lines that describe a GGUF vocabulary. "P" names the patterns, "Y" adds the 256 bytes as tokens, "M"
// is a merge, a digit is a token type with its token, "b" makes the last token the first one of every text.
// What is accepted must encode and go back to GGUF and to tokenizer.json with the same ids.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/byte_alphabet.h"
#include "text/gguf_vocabulary.h"

using namespace hadal;

namespace {

text::GgufVocabulary read(std::string_view lines) {
  text::GgufVocabulary vocabulary;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    if (line.empty()) continue;
    const std::string rest(line.substr(1));
    if (line[0] == 'P') vocabulary.pre = rest;
    if (line[0] == 'M') vocabulary.merges.push_back(rest);
    if (line[0] == 'b') {
      vocabulary.add_bos = true;
      vocabulary.bos_id = static_cast<text::TokenId>(vocabulary.tokens.size()) - 1;
    }
    if (line[0] == 'Y') {
      for (const std::string& character : text::byte_characters()) {
        vocabulary.tokens.push_back(character);
        vocabulary.token_types.push_back(1);
      }
    }
    if (line[0] >= '0' && line[0] <= '9') {
      vocabulary.tokens.push_back(rest);
      vocabulary.token_types.push_back(line[0] - '0');
    }
  }
  return vocabulary;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto tokenizer =
        text::tokenizer_from_gguf(read({reinterpret_cast<const char*>(data), size}), "fuzz.gguf");
    const std::string_view sample = "The deep  sea 123 \xE6\xB7\xB1 e\xCC\x81 \xFF <x>\n";
    const auto ids = tokenizer->encode(sample, true);
    const auto back = text::tokenizer_from_gguf(
        text::gguf_vocabulary(*tokenizer, tokenizer->vocab_size() + 3), "again.gguf");
    if (back->encode(sample, true) != ids) std::abort();
    if (text::Tokenizer::parse(tokenizer->to_json(), "fuzz.json")->encode(sample) !=
        tokenizer->encode(sample)) {
      std::abort();
    }
  } catch (const Error&) {  // refused: that is what it should do with most inputs
  }
  return 0;
}
