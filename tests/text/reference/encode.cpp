// What compare.mjs drives: encodes texts, or trains a tokenizer, with Hadal's own code.
//   text_reference encode TOKENIZER TEXTS OUT     (control tokens in the texts are recognised)
//   text_reference train TEXT.txt VOCAB_SIZE OUT.json
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "text/bpe_trainer.h"

namespace {

using namespace hadal;

// TEXTS: [u32 bytes][bytes] a text. OUT: [u32 count][i32 ids] a text, with what the post_processor puts
// around them.
void encode(const std::string& tokenizer_path, const std::string& texts_path, const std::string& out) {
  const auto tokenizer = text::Tokenizer::load(tokenizer_path);
  const std::string texts = base::read_file(texts_path);
  std::string answer;
  const auto append = [&](const void* data, size_t bytes) {
    answer.append(static_cast<const char*>(data), bytes);
  };
  for (size_t at = 0; at + 4 <= texts.size();) {
    uint32_t length = 0;
    std::memcpy(&length, texts.data() + at, 4);
    const auto ids =
        tokenizer->encode(std::string_view(texts).substr(at + 4, length), /*parse_special=*/true);
    const auto prefix = tokenizer->template_prefix();
    const auto suffix = tokenizer->template_suffix();
    const auto count = static_cast<uint32_t>(prefix.size() + ids.size() + suffix.size());
    append(&count, 4);
    append(prefix.data(), prefix.size_bytes());
    append(ids.data(), ids.size() * sizeof ids[0]);
    append(suffix.data(), suffix.size_bytes());
    at += 4 + length;
  }
  base::write_file_atomic(out, answer);
}

void train(const std::string& text_path, int32_t vocab_size, const std::string& out) {
  const std::string text = base::read_file(text_path);
  const std::string_view chunk = text;
  text::TrainOptions options;
  options.vocab_size = vocab_size;
  options.threads = 2;
  options.min_pair_count = 1;
  text::train_bpe({&chunk, 1}, options)->save(out);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    if (std::string_view(argv[1]) == "encode")
      encode(argv[2], argv[3], argv[4]);
    else
      train(argv[2], std::stoi(argv[3]), argv[4]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
