// Answers as training wants them said: what render_answer writes is what the output parser reads as that
// answer, and a prompt with the answer in its history goes on from there where the format keeps histories.
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/chat/chat_format.h"
#include "text/output_parser.h"
#include "vocabularies.h"

namespace hadal::text {
namespace {

std::shared_ptr<const Tokenizer> tokenizer_of(std::string_view format) {
  const auto family = tokenizer_for(format);
  return family != nullptr ? family : train_sample(600, 1);
}

struct Said {
  std::string reasoning, content;
  std::vector<std::pair<std::string, std::string>> calls;
};

Said parse(std::string_view format, const std::vector<TokenId>& ids, bool in_reasoning, bool tools) {
  OutputOptions options;
  options.starts_in_reasoning = in_reasoning;
  options.tools = tools;
  OutputParser parser(find_chat_format(format), tokenizer_of(format), options);
  std::vector<OutputEvent> events;
  const auto add = [&](std::vector<OutputEvent> more) {
    for (auto& event : more) events.push_back(std::move(event));
  };
  for (const TokenId id : ids) add(parser.push(id));
  add(parser.finish());
  Said said;
  for (const OutputEvent& event : events) {
    if (event.kind == OutputEvent::Kind::kReasoning) said.reasoning += event.text;
    if (event.kind == OutputEvent::Kind::kContent) said.content += event.text;
    if (event.kind == OutputEvent::Kind::kCallBegin) said.calls.push_back({event.text, ""});
    if (event.kind == OutputEvent::Kind::kCallArguments) said.calls.back().second += event.text;
  }
  return said;
}

Message answer(std::string content, std::string reasoning = "") {
  Message message{"assistant", std::move(content)};
  message.reasoning_content = std::move(reasoning);
  return message;
}

class ChatAnswer : public testing::TestWithParam<std::string_view> {
 protected:
  const ChatFormat& format_ = find_chat_format(GetParam());
  const std::shared_ptr<const Tokenizer> tokenizer_ = tokenizer_of(GetParam());

  Prompt prompt(const std::vector<Message>& messages, const ChatOptions& options = {}) const {
    return render_prompt(format_, *tokenizer_, messages, options);
  }
};

TEST_P(ChatAnswer, IsReadAsItself) {
  const std::vector<Message> user = {{"user", "How deep is it?"}};
  for (const bool reasons : {false, true}) {
    ChatOptions options;
    if (format_.thinking_switch) options.thinking = reasons;
    const Prompt before = prompt(user, options);
    std::vector<Message> messages = user;
    messages.push_back(answer("Ten miles.", reasons ? "The sea is deep." : ""));
    const auto ids = render_answer(format_, *tokenizer_, messages, before.starts_in_reasoning);
    const auto ends = end_tokens_of(format_, *tokenizer_);
    ASSERT_FALSE(ids.empty());
    EXPECT_NE(std::find(ends.begin(), ends.end(), ids.back()), ends.end()) << tokenizer_->decode(ids);
    const Said said = parse(GetParam(), ids, before.starts_in_reasoning, false);
    if (format_.reasons) {
      EXPECT_EQ(said.reasoning, reasons ? "The sea is deep." : "") << tokenizer_->decode(ids);
      EXPECT_EQ(said.content, "Ten miles.") << tokenizer_->decode(ids);
    } else {
      const std::string blank = GetParam() == "deepseek-v2" ? " " : "";
      EXPECT_EQ(said.content,
                blank + (reasons ? "<think>\nThe sea is deep.\n</think>\n\n" : "") + "Ten miles.");
    }
  }
}

TEST_P(ChatAnswer, CallsAreReadAsThemselves) {
  if (format_.tools == ToolSyntax::kNone) return;
  std::vector<Message> messages = {{"user", "Look it up."}};
  const std::vector<ToolDefinition> tools = {{"look", "Looks", R"({"type": "object"})"}};
  ChatOptions options;
  options.tools = tools;
  if (format_.thinking_switch) options.thinking = false;
  const Prompt before = prompt(messages, options);
  messages.push_back(answer(""));
  messages.back().tool_calls = {{"a", "look", R"({"word": "deep"})"}, {"b", "look", R"({"word": "sea"})"}};
  if (format_.one_call) messages.back().tool_calls.erase(messages.back().tool_calls.begin());
  const auto ids = render_answer(format_, *tokenizer_, messages, before.starts_in_reasoning);
  const Said said = parse(GetParam(), ids, before.starts_in_reasoning, true);
  ASSERT_EQ(said.calls.size(), format_.one_call ? 1u : 2u) << tokenizer_->decode(ids);
  EXPECT_EQ(said.calls.back().first, "look");
  EXPECT_EQ(said.content, "");
  EXPECT_EQ(base::parse_json(said.calls.back().second, "arguments"), (base::Json{{"word", "sea"}}));
}

// The same text in other tokens than the tokenizer would choose: a letter each.
std::vector<TokenId> letter_by_letter(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::vector<TokenId> spelled;
  for (const TokenId id : ids) {
    const auto bytes = tokenizer.token_bytes(id);
    if (tokenizer.find(bytes) == id && bytes.find_first_of("<[") == 0 && bytes.size() > 1) {
      spelled.push_back(id);
      continue;
    }
    for (const char byte : bytes) {
      for (const TokenId letter : tokenizer.encode(std::string(1, byte), false)) spelled.push_back(letter);
    }
  }
  return spelled;
}

// What a client sends back is what was generated, token for token, where the message has its tokens; and it
// is not without them.
TEST_P(ChatAnswer, ATurnBehindCallsGoesOnFromTheTokensThatWereGenerated) {
  if (format_.tools == ToolSyntax::kNone) return;
  const std::vector<ToolDefinition> tools = {{"look", "Looks", R"({"type": "object"})"}};
  for (const bool reasons : {false, true}) {
    if (reasons &&
        !(format_.name == "kimi-k2-thinking" || format_.name == "glm-4.7" || format_.name == "qwen3"))
      continue;
    if (!reasons && format_.reasons && !format_.thinking_switch && format_.name != "deepseek-r1-0528")
      continue;
    ChatOptions options;
    options.tools = tools;
    if (format_.thinking_switch) options.thinking = reasons;
    std::vector<Message> messages = {{"user", "Look it up."}};
    const Prompt before = prompt(messages, options);
    // Llama's call is the whole answer.
    messages.push_back(
        answer(format_.name == "llama-3.1" ? "" : "A moment.", reasons ? "What is deep?" : ""));
    messages.back().tool_calls = {{"a", "look", R"({"word":  "deep", "also" :1})"},
                                  {"b", "look", R"({"z":1.50})"}};
    if (format_.one_call) messages.back().tool_calls.pop_back();
    auto said = letter_by_letter(*tokenizer_,
                                 render_answer(format_, *tokenizer_, messages, before.starts_in_reasoning));
    auto whole = before.ids;
    whole.insert(whole.end(), said.begin(), said.end());
    said.pop_back();  // the end

    const auto parted = part_answer(*tokenizer_, said, reasons);
    ASSERT_TRUE(parted);
    EXPECT_EQ(parted->reasoning.empty(), !reasons);
    messages.back().tool_calls[0].arguments = R"({"also":1,"word":"deep"})";  // as JSON comes back
    messages.push_back({"tool", "It is far.", {}, {}, "a"});
    if (!format_.one_call) messages.push_back({"tool", "It is far away.", {}, {}, "b"});
    const auto as_text = prompt(messages, options).ids;
    messages[1].tokens = std::make_shared<const AnswerTokens>(*parted);
    const auto as_tokens = prompt(messages, options).ids;
    ASSERT_GT(as_tokens.size(), whole.size());
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), as_tokens.begin()))
        << tokenizer_->decode(whole) << "\n"
        << tokenizer_->decode(as_tokens);
    EXPECT_FALSE(as_text.size() >= whole.size() && std::equal(whole.begin(), whole.end(), as_text.begin()));
    const std::string rest = tokenizer_->decode(as_tokens).substr(tokenizer_->decode(whole).size());
    EXPECT_TRUE(tokenizer_->decode(as_text).ends_with(rest)) << rest;
  }
}

TEST(PartAnswer, EndsTheReasoningAtItsMark) {
  const auto tokenizer = kimi_tokenizer();
  const auto ids = tokenizer->encode("<think>so</think>then", true);
  const auto parted = part_answer(*tokenizer, ids, true);
  ASSERT_TRUE(parted);
  EXPECT_EQ(tokenizer->decode(parted->reasoning), "<think>so</think>");
  EXPECT_EQ(tokenizer->decode(parted->answer), "then");
  EXPECT_FALSE(part_answer(*tokenizer, tokenizer->encode("<think>so", true), true));
  EXPECT_TRUE(part_answer(*tokenizer, ids, false)->reasoning.empty());
}

TEST_P(ChatAnswer, NeedsAnAnswerAtTheEnd) {
  const std::vector<Message> messages = {{"user", "How deep is it?"}};
  EXPECT_THROW(render_answer(format_, *tokenizer_, messages, false), Error);
  EXPECT_THROW(render_answer(format_, *tokenizer_, {}, false), Error);
}

// Without reasoning the history is what was said, for the formats that say nothing before it.
TEST(ChatAnswer, TheHistoryOfAFormatWithoutReasoningGoesOnFromTheAnswer) {
  for (const std::string_view name :
       {"hadal-nano", "deepseek-v3", "kimi-k2", "moonlight", "deepseek-r1-0528"}) {
    const ChatFormat& format = find_chat_format(name);
    const auto tokenizer = tokenizer_of(name);
    std::vector<Message> messages = {{"user", "How deep is it?"}};
    Prompt before = render_prompt(format, *tokenizer, messages);
    messages.push_back(answer("Ten miles."));
    const auto ids = render_answer(format, *tokenizer, messages, before.starts_in_reasoning);
    before.ids.insert(before.ids.end(), ids.begin(), ids.end());
    messages.push_back({"user", "And now?"});
    const auto after = render_prompt(format, *tokenizer, messages).ids;
    ASSERT_GT(after.size(), before.ids.size()) << name;
    EXPECT_TRUE(std::equal(before.ids.begin(), before.ids.end(), after.begin())) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ChatAnswer, testing::ValuesIn(chat_format_names()), [](const auto& info) {
  std::string name(info.param);
  for (char& c : name) {
    if (c == '-' || c == '.') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace hadal::text
