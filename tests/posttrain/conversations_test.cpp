// Conversations as JSONL: what is read, and every way in which a line can be wrong.
#include "posttrain/conversations.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temporary_folder.h"

namespace hadal::posttrain {
namespace {

std::string reason(const std::string& line) {
  try {
    parse_conversation(line);
    return "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
}

std::string talk(const std::string& messages) { return R"({"messages": [)" + messages + "]}"; }
const std::string kUser = R"({"role": "user", "content": "hi"})";
const std::string kAnswer = R"({"role": "assistant", "content": "hello"})";
const std::string kCall =
    R"({"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}}]})";
const std::string kResult = R"({"role": "tool", "tool_call_id": "1", "content": "42"})";

TEST(Conversations, AllFieldsAreRead) {
  const auto c = parse_conversation(
      R"({"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]}, )" +
      kUser + ", " + kCall + ", " + kResult +
      R"(, {"role": "assistant", "content": "42.", "reasoning_content": "f says so"}, )" + kUser +
      R"(, {"role": "assistant", "content": "no", "weight": 0}],
         "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]})");
  ASSERT_EQ(c.messages.size(), 7u);
  EXPECT_EQ(c.messages[0].role, "system");
  EXPECT_EQ(c.messages[0].content, "Be brief.");
  ASSERT_EQ(c.messages[2].tool_calls.size(), 1u);
  EXPECT_EQ(c.messages[2].tool_calls[0].arguments, "{\"a\": 1}");
  EXPECT_EQ(c.messages[3].tool_call_id, "1");
  EXPECT_EQ(c.messages[4].reasoning_content, "f says so");
  EXPECT_EQ(c.learn, (std::vector<bool>{false, false, true, false, true, false, false}));
  ASSERT_EQ(c.tools.size(), 1u);
  EXPECT_EQ(c.tools[0].parameters, R"({"type": "object"})");
}

TEST(Conversations, ArgumentsMayBeAnObject) {
  const auto c = parse_conversation(
      talk(kUser +
           R"(, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]})"));
  EXPECT_EQ(c.messages[1].tool_calls[0].arguments, R"({"a": 1})");
}

TEST(Conversations, KeysKeepTheirOrder) {
  const auto c = parse_conversation(
      R"({"tools": [{"function": {"parameters": {"z":1}, "name": "f", "parameters": {"z":{"y":1,"b":2},"a":3}}}], "messages": [)" +
      kUser +
      R"(, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"z":[1,{"y":2,"b":"}"}],"a":1}}}]}]})");
  EXPECT_EQ(c.tools[0].parameters, R"({"z":{"y":1,"b":2},"a":3})");
  EXPECT_EQ(c.messages[1].tool_calls[0].arguments, R"({"z": [1, {"y": 2, "b": "}"}], "a": 1})");
  EXPECT_EQ(parse_conversation("\xEF\xBB\xBF" + talk(kUser + "," + kAnswer)).messages.size(), 2u);
  std::string many = "{";
  for (int i = 0; i < 1001; ++i) many += fmt::format("{}\"{}\": 0", i == 0 ? "" : ", ", i);
  EXPECT_NE(reason(talk(kUser +
                        R"(, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": )" +
                        many + "}}}]}"))
                .find("has over 1000 keys"),
            std::string::npos);
}

TEST(Conversations, WhatIsWrongIsSaid) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"messages": [)", "[json] byte"},
      {"[1]", "no JSON object"},
      {"{}", "messages is no list"},
      {talk(""), "messages is no list"},
      {talk("7"), "messages[0]: no JSON object"},
      {talk(R"({"content": "x"})"), "messages[0]: role is missing"},
      {talk(R"({"role": "robot", "content": "x"})"), "role \"robot\" is not"},
      {talk(R"({"role": "user", "content": 5})"), "content is neither a string"},
      {talk(R"({"role": "user", "content": [{"type": "image_url"}]})"), "not of the type \"text\""},
      {talk(kUser), "no assistant turn to learn from"},
      {talk(kUser + R"(, {"role": "assistant", "content": "x", "weight": 0})"), "no assistant turn to learn"},
      {talk(kUser + R"(, {"role": "assistant", "content": "x", "weight": 0.5})"), "weight is 0.5"},
      {talk(kAnswer), "messages[0]: assistant comes first"},
      {talk(kUser + "," + kAnswer + "," + kAnswer), "messages[2]: assistant follows assistant"},
      {talk(kUser + "," + kUser + "," + kAnswer), "messages[1]: user follows user"},
      {talk(kUser + "," + kAnswer + "," + kUser), "the last message is user's"},
      {talk(kUser + R"(, {"role": "system", "content": "x"}, )" + kAnswer), "a system message in the middle"},
      {talk(kUser + R"(, {"role": "assistant", "content": ""})"), "assistant says nothing"},
      {talk(kUser + "," + kResult + "," + kAnswer), "messages[1]: a tool result without a call"},
      {talk(kUser + "," + kCall + "," + kUser + "," + kAnswer), "1 of the calls before it has no result"},
      {talk(kUser + "," + kCall + "," + kResult + "," + kResult),
       "messages[3]: a tool result without a call"},
      {talk(kUser +
            R"(, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]})"),
       "arguments are no JSON object"},
      {talk(kUser + R"(, {"role": "assistant", "tool_calls": [{}]})"), "tool_calls[0]: function is missing"},
      {talk(
           R"({"role": "user", "content": "x", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})"),
       "a user message has tool_calls"},
      {R"({"messages": [)" + kUser + "," + kAnswer + R"(], "tools": {}})", "tools is no list"},
      {R"({"messages": [)" + kUser + "," + kAnswer + R"(], "tools": [{"function": {}}]})",
       "tools[0]: name is missing"},
      {talk("{\"role\": \"user\", \"content\": \"\xff\"}"), "[json]"},
  };
  for (const auto& [line, says] : cases) {
    EXPECT_NE(reason(line).find(says), std::string::npos) << line << "\n  -> " << reason(line);
  }
}

TEST(Conversations, AFileNamesItsLine) {
  const test::TemporaryFolder folder;
  const std::string good = talk(kUser + "," + kAnswer);
  const std::string path = folder.write("talks.jsonl", "\xEF\xBB\xBF" + good + "\r\n\n" + talk(kAnswer) +
                                                           "\n" + good + "\n{\"messages\"\n" + good);
  try {
    read_conversations(path, false);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "[sft] " + path + ":3: messages[0]: assistant comes first (--skip-bad leaves such lines out)");
  }
  const auto file = read_conversations(path, true);
  ASSERT_EQ(file.conversations.size(), 3u);
  EXPECT_EQ(file.conversations[1].line, 4);
  EXPECT_EQ(file.conversations[0].hash, file.conversations[2].hash);
  ASSERT_EQ(file.skipped.size(), 2u);
  EXPECT_EQ(file.skipped[1].line, 5);
}

TEST(Conversations, ALineOfTooManyBytesIsRefused) {
  const test::TemporaryFolder folder;
  const std::string path = folder.write(
      "talks.jsonl",
      talk(R"({"role": "user", "content": ")" + std::string(kMostLineBytes, 'x') + "\"}," + kAnswer));
  EXPECT_THROW(read_conversations(path, false), Error);
  EXPECT_EQ(read_conversations(path, true).skipped.size(), 1u);
}

}  // namespace
}  // namespace hadal::posttrain
