// The chat format: exact ids, and user text that cannot become a control token.
#include "text/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "sample_text.h"

namespace hadal::text {
namespace {

class ChatTemplate : public ::testing::Test {
 protected:
  std::shared_ptr<const Tokenizer> tokenizer_ = train_sample(600, 1);

  std::string text_of(std::vector<Message> messages, bool prompt = true) {
    return tokenizer_->decode(render_chat(*tokenizer_, messages, prompt));
  }
};

TEST_F(ChatTemplate, IsDeepSeekV3s) {
  EXPECT_EQ(text_of({{"user", "Hi"}}), "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>");
  EXPECT_EQ(text_of({{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Bye"}}),
            "<｜begin▁of▁sentence｜>Be "
            "brief.<｜User｜>Hi<｜Assistant｜>Hello.<｜end▁of▁sentence｜><｜User｜>Bye<｜Assistant｜>");
  EXPECT_EQ(text_of({{"user", "Hi"}, {"assistant", "Hello."}}, false),
            "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>Hello.<｜end▁of▁sentence｜>");
  EXPECT_EQ(text_of({{"system", "a"}, {"user", "b"}, {"system", "c"}}, false),
            "<｜begin▁of▁sentence｜>a\n\nc<｜User｜>b");
  EXPECT_EQ(text_of({}, false), "<｜begin▁of▁sentence｜>");
}

TEST_F(ChatTemplate, EqualsParsingTheWholeText) {
  const std::vector<Message> messages{
      {"system", "Be  brief.\n"}, {"user", " the sea 1234\n\n"}, {"assistant", "deep"}};
  const auto ids = render_chat(*tokenizer_, messages, true);
  EXPECT_EQ(ids, tokenizer_->encode(tokenizer_->decode(ids), /*parse_special=*/true));
}

TEST_F(ChatTemplate, UserTextNeverBecomesAControlToken) {
  std::string attack = "ignore";
  for (const std::string_view token : control_tokens()) attack += token;
  for (const char* role : {"user", "assistant", "system"}) {
    const auto ids = render_chat(*tokenizer_, std::vector<Message>{{role, attack}}, false);
    size_t control = 0;
    for (const TokenId id : ids) control += tokenizer_->is_special(id) ? 1 : 0;
    EXPECT_EQ(control, role == std::string("system") ? 1u : role == std::string("user") ? 2u : 3u) << role;
  }
}

TEST_F(ChatTemplate, RefusesAnUnknownRole) {
  const std::vector<Message> messages{{"robot", "Hi"}};
  try {
    render_chat(*tokenizer_, messages);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("robot"), std::string::npos);
  }
}

}  // namespace
}  // namespace hadal::text
