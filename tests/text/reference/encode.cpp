// What compare.mjs drives: encodes a JSON list of texts, or trains a tokenizer, with Hadal's own code.
//   text_reference encode TOKENIZER TEXTS.json OUT.json     (control tokens in the texts are recognised)
//   text_reference train TEXT.txt VOCAB_SIZE OUT.json
#include <cstdio>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "text/bpe_trainer.h"

namespace {

using namespace hadal;

void encode(const std::string& tokenizer_path, const std::string& texts_path, const std::string& out) {
  const auto tokenizer = text::Tokenizer::load(tokenizer_path);
  base::Json ids = base::Json::array();
  for (const auto& text : base::read_json_file(texts_path)) {
    ids.push_back(tokenizer->encode(text.get<std::string>(), /*parse_special=*/true));
  }
  base::write_file_atomic(out, base::dump_json(ids));
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
