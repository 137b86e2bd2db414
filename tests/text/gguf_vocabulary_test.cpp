// The same tokenizer by way of GGUF's metadata, and what is wrong there. Real vocabularies:
// tests/text/reference.
#include "text/gguf_vocabulary.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "sample_text.h"
#include "text/chat_template.h"

namespace hadal::text {
namespace {

const std::shared_ptr<const Tokenizer>& trained() {
  static const auto tokenizer = train_sample(600, 1);
  return tokenizer;
}

std::string error_of(const std::function<void(GgufVocabulary&)>& change) {
  GgufVocabulary vocabulary = gguf_vocabulary(*trained(), 600);
  change(vocabulary);
  try {
    tokenizer_from_gguf(vocabulary, "some.gguf");
    return "no error";
  } catch (const Error& e) {
    return e.what();
  }
}

#define EXPECT_SAYS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

void expect_equal(const Tokenizer& a, const Tokenizer& b) {
  base::Random random(6);
  std::string text = sample_text();
  for (const std::string_view token : control_tokens()) text += token;
  for (int i = 0; i < 500; ++i) text += random_unicode(random, 20);
  EXPECT_EQ(a.encode(text), b.encode(text));
  EXPECT_EQ(a.encode(text, true), b.encode(text, true));
  EXPECT_EQ(a.decode(a.encode(text, true)), b.decode(b.encode(text, true)));
}

TEST(GgufVocabulary, ThereAndBack) {
  const GgufVocabulary vocabulary = gguf_vocabulary(*trained(), 640);  // an embedding with 40 unused rows
  EXPECT_EQ(vocabulary.pre, "deepseek-v3");
  EXPECT_EQ(vocabulary.tokens.size(), 640u);
  EXPECT_EQ(vocabulary.token_types[639], static_cast<int32_t>(GgufTokenType::kUnused));
  EXPECT_EQ(vocabulary.tokens[639], "[PAD639]");
  EXPECT_EQ(vocabulary.token_types[3], static_cast<int32_t>(GgufTokenType::kControl));      // <｜User｜>
  EXPECT_EQ(vocabulary.token_types[5], static_cast<int32_t>(GgufTokenType::kUserDefined));  // <think>
  const auto again = tokenizer_from_gguf(vocabulary, "some.gguf");
  EXPECT_EQ(again->vocab_size(), 640);
  EXPECT_EQ(again->find(kAssistant), trained()->find(kAssistant));
  EXPECT_EQ(again->token_bytes(639), "");
  expect_equal(*again, *trained());
}

TEST(GgufVocabulary, BecomesATokenizerJson) {
  GgufVocabulary vocabulary = gguf_vocabulary(*trained(), 600);
  vocabulary.bos_id = 0;
  vocabulary.add_bos = true;
  const auto from_gguf = tokenizer_from_gguf(vocabulary, "some.gguf");
  ASSERT_EQ(from_gguf->template_prefix().size(), 1u);
  const auto from_json = Tokenizer::parse(from_gguf->to_json(), "written.json");
  EXPECT_EQ(from_json->vocab_size(), 600);
  ASSERT_EQ(from_json->template_prefix().size(), 1u);
  EXPECT_EQ(from_json->template_prefix()[0], 0);
  expect_equal(*from_json, *trained());
}

TEST(GgufVocabulary, EveryNameOfPatterns) {
  for (const std::string_view pre : gguf_pre_names()) {
    GgufVocabulary vocabulary = gguf_vocabulary(*trained(), 600);
    vocabulary.pre = pre;
    const auto tokenizer = tokenizer_from_gguf(vocabulary, "some.gguf");
    const GgufVocabulary back = gguf_vocabulary(*tokenizer, 600);
    vocabulary.pre = back.pre;  // the row's first name
    EXPECT_EQ(tokenizer_from_gguf(vocabulary, "some.gguf")->encode("It's 1234 中文 x\n"),
              tokenizer->encode("It's 1234 中文 x\n"))
        << pre;
    expect_equal(*Tokenizer::parse(tokenizer->to_json(), "written.json"), *tokenizer);
  }
}

TEST(GgufVocabulary, WhatIsWrongIsNamed) {
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.pre = "falcon"; }),
              "\"falcon\" is not known; known are deepseek-v3");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.model = "llama"; }), "\"llama\" is not supported");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.token_types.pop_back(); }),
              "600 tokens and 599 token types");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.token_types[40] = 6; }), "token 40");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.token_types[40] = 5; }), "has no token");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.tokens[500] = v.tokens[501]; }), "stands twice");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.tokens[2].clear(); }), "token 2 is empty");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.merges[0] = "ab"; }), "\"ab\" is not two tokens");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.merges[0] = "qqqq z"; }), "merge 0");
  EXPECT_SAYS(error_of([](GgufVocabulary& v) { v.bos_id = 600; }), "bos_token_id 600");
  EXPECT_THROW(gguf_vocabulary(*trained(), 599), Error);
  // Patterns that GGUF has no name for.
  base::Json json = base::parse_json(trained()->to_json(), "trained");
  json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "x+";
  const auto own = Tokenizer::parse(base::dump_json(json), "own.json");
  EXPECT_THROW(gguf_vocabulary(*own, 600), Error);
}

}  // namespace
}  // namespace hadal::text
