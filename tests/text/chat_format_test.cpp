// Every chat format against the strings of docs/formats/chat.md, and what a conversation may not be.
#include "text/chat/chat_format.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "vocabularies.h"

namespace hadal::text {
namespace {

#define BOS "<｜begin▁of▁sentence｜>"
#define EOS "<｜end▁of▁sentence｜>"

const std::shared_ptr<const Tokenizer>& tokenizer() {
  static const auto trained = train_sample(600, 1);
  return trained;
}

Prompt prompt_of(std::string_view format, const std::vector<Message>& messages,
                 const ChatOptions& options = {}) {
  return render_prompt(find_chat_format(format), *tokenizer(), messages, options);
}

std::string text_of(std::string_view format, const std::vector<Message>& messages,
                    const ChatOptions& options = {}) {
  return tokenizer()->decode(prompt_of(format, messages, options).ids);
}

std::string error_of(std::string_view format, const std::vector<Message>& messages,
                     const ChatOptions& options = {}) {
  try {
    prompt_of(format, messages, options);
    return "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
}

#define EXPECT_SAYS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

Message user(std::string text) { return {"user", std::move(text)}; }
Message answer(std::string text) { return {"assistant", std::move(text)}; }
Message calls(std::string text, std::vector<ToolCall> tool_calls) {
  Message message{"assistant", std::move(text)};
  message.tool_calls = std::move(tool_calls);
  return message;
}
Message result(std::string text, std::string id = "") {
  Message message{"tool", std::move(text)};
  message.tool_call_id = std::move(id);
  return message;
}

const std::vector<Message>& turns() {
  static const std::vector<Message> messages{
      {"system", "Be brief."}, user("Hi"), answer("<think>\nhm\n</think>\n\nHello."), user("Bye")};
  return messages;
}

TEST(ChatFormat, V2) {
  EXPECT_EQ(text_of("deepseek-v2", {{"system", "Be brief."}, user("Hi"), answer("Hello."), user("Bye")}),
            BOS "Be brief.\n\nUser: Hi\n\nAssistant: Hello." EOS "User: Bye\n\nAssistant:");
  EXPECT_EQ(text_of("deepseek-v2", {user("Hi")}), BOS "User: Hi\n\nAssistant:");
}

TEST(ChatFormat, V3) {
  EXPECT_EQ(
      text_of("deepseek-v3", {{"system", "a"}, user("Hi"), answer("Hello."), {"system", "b"}, user("Bye")}),
      BOS "a\n\nb<｜User｜>Hi<｜Assistant｜>Hello." EOS "<｜User｜>Bye<｜Assistant｜>");
  EXPECT_FALSE(prompt_of("deepseek-v3", {user("Hi")}).starts_in_reasoning);
}

TEST(ChatFormat, NanoIsV3WithPlainTools) {
  EXPECT_EQ(text_of("hadal-nano", {user("Hi")}), text_of("deepseek-v3", {user("Hi")}));
  const std::vector<ToolDefinition> tools{{"f", "Does.", R"({"type": "object"})"}, {"g", "", ""}};
  const std::vector<Message> messages{
      {"system", "Be brief."}, user("Hi"), calls("", {{"1", "f", "{}"}}), result("done", "1")};
  EXPECT_EQ(text_of("hadal-nano", messages, {.tools = tools}), BOS
            "Be brief.\n\nYou can call these functions:\n"
            "{\"type\": \"function\", \"function\": {\"name\": \"f\", \"description\": \"Does.\", "
            "\"parameters\": {\"type\": \"object\"}}}\n"
            "{\"type\": \"function\", \"function\": {\"name\": \"g\"}}"
            "<｜User｜>Hi<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}"
            "<｜tool▁call▁end｜><｜tool▁calls▁end｜>" EOS "<｜tool▁output▁begin｜>done<｜tool▁output▁end｜>");
}

TEST(ChatFormat, AFormatWithoutToolsSaysSo) {
  EXPECT_SAYS(error_of("deepseek-v2", {user("Hi"), calls("", {{"1", "f", "{}"}})}), "has no tools");
}

TEST(ChatFormat, R1) {
  for (const std::string_view format : {"deepseek-r1", "deepseek-r1-distill"}) {
    EXPECT_EQ(text_of(format, turns()), BOS "Be brief.<｜User｜>Hi<｜Assistant｜>\n\nHello." EOS
                                            "<｜User｜>Bye<｜Assistant｜><think>\n");
    EXPECT_TRUE(prompt_of(format, turns()).starts_in_reasoning);
    EXPECT_EQ(text_of(format, {{"system", "a"}, {"system", "b"}, user("Hi")}),
              BOS "b<｜User｜>Hi<｜Assistant｜><think>\n");  // the last one counts
    EXPECT_SAYS(error_of(format, turns(), {.thinking = false}), "always thinks");
  }
}

TEST(ChatFormat, R1_0528) {
  EXPECT_EQ(text_of("deepseek-r1-0528", turns()),
            BOS "Be brief.<｜User｜>Hi<｜Assistant｜>\n\nHello." EOS "<｜User｜>Bye<｜Assistant｜>");
  EXPECT_FALSE(prompt_of("deepseek-r1-0528", turns()).starts_in_reasoning);  // the model opens it
  EXPECT_EQ(text_of("deepseek-r1-0528", {{"system", "a"}, {"system", "b"}, user("Hi")}),
            BOS "a\n\nb<｜User｜>Hi<｜Assistant｜>");
}

TEST(ChatFormat, V31ThinkingAndNot) {
  const std::string history =
      BOS "Be brief.<｜User｜>Hi<｜Assistant｜></think>\n\nHello." EOS "<｜User｜>Bye";
  EXPECT_EQ(text_of("deepseek-v3.1", turns()), history + "<｜Assistant｜></think>");
  EXPECT_EQ(text_of("deepseek-v3.1", turns(), {.thinking = false}), history + "<｜Assistant｜></think>");
  EXPECT_EQ(text_of("deepseek-v3.1", turns(), {.thinking = true}), history + "<｜Assistant｜><think>");
  EXPECT_FALSE(prompt_of("deepseek-v3.1", turns()).starts_in_reasoning);
  EXPECT_TRUE(prompt_of("deepseek-v3.1", turns(), {.thinking = true}).starts_in_reasoning);
  EXPECT_EQ(text_of("deepseek-v3.1", {user("Hi")}, {.add_generation_prompt = false}), BOS "<｜User｜>Hi");
}

TEST(ChatFormat, ToolCallsInJsonBlocks) {
  const std::vector<Message> messages{
      user("Weather?"), calls("", {{"1", "get", "{\"c\":\"Rome\"}"}, {"2", "get", "{\"c\":\"Oslo\"}"}}),
      result("sun", "1"), result("rain", "2")};
  const std::string round = BOS
      "<｜User｜>Weather?<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
      "get\n```json\n"
      "{\"c\":\"Rome\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n"
      "{\"c\":\"Oslo\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>" EOS
      "<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>sun<｜tool▁output▁end｜>\n<｜tool▁output▁begin｜>rain"
      "<｜tool▁output▁end｜><｜tool▁outputs▁end｜>";
  for (const std::string_view format :
       {"deepseek-v3", "deepseek-r1", "deepseek-r1-0528", "deepseek-r1-distill"}) {
    EXPECT_EQ(text_of(format, messages), round) << format;  // no header: the model goes on right there
    EXPECT_FALSE(prompt_of(format, messages).starts_in_reasoning);
  }
  std::vector<Message> more = messages;
  more.push_back(answer("Sun and rain."));
  more.push_back(user("Thanks"));
  EXPECT_EQ(text_of("deepseek-v3", more), round + "Sun and rain." EOS "<｜User｜>Thanks<｜Assistant｜>");
}

TEST(ChatFormat, ToolCallsOfV31) {
  std::vector<Message> messages{user("Weather?"),
                                calls("Let me see.", {{"1", "get", "{}"}, {"2", "put", "{\"a\":1}"}}),
                                result("rain", "2"), result("sun", "1")};  // put in the order of the calls
  const std::string round = BOS
      "<｜User｜>Weather?<｜Assistant｜></think>Let me "
      "see.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{}"
      "<｜tool▁call▁end｜><｜tool▁call▁begin｜>put<｜tool▁sep｜>{\"a\":1}<｜tool▁call▁end｜><"
      "｜tool▁calls▁end｜>" EOS
      "<｜tool▁output▁begin｜>sun<｜tool▁output▁end｜><｜tool▁output▁begin｜>rain<｜tool▁output▁end｜>";
  EXPECT_EQ(text_of("deepseek-v3.1", messages), round);
  messages.push_back(calls("", {{"3", "end", "{}"}}));  // a second round right behind the results
  EXPECT_EQ(text_of("deepseek-v3.1", messages, {.add_generation_prompt = false}),
            round +
                "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>end<｜tool▁sep｜>{}<｜tool▁call▁end｜><"
                "｜tool▁calls▁end｜>" EOS);
}

TEST(ChatFormat, ToolDefinitions) {
  const std::vector<ToolDefinition> tools{
      {"get", "Gets \"it\".",
       R"({"type":"object","properties":{"z":{"type":"string"},"a":{"enum":["é",1.5]}}})"}};
  const std::vector<Message> messages{{"system", "Be brief."}, user("Hi")};
  EXPECT_EQ(text_of("deepseek-v3.1", messages, {.tools = tools}), BOS
            "Be brief.\n\n## Tools\nYou have access to the following tools:\n\n### get\nDescription: Gets "
            "\"it\".\n\n"
            "Parameters: {\"type\": \"object\", \"properties\": {\"z\": {\"type\": \"string\"}, \"a\": "
            "{\"enum\": [\"é\", "
            "1.5]}}}\n\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n"
            "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<"
            "｜tool▁call▁end｜>"
            "{additional_tool_calls}<｜tool▁calls▁end｜>\n\nWhere:\n- `tool_call_name` must be an exact "
            "match to one of the "
            "available tools\n- `tool_call_arguments` must be valid JSON that strictly follows the tool's "
            "Parameters "
            "Schema\n- For multiple tool calls, chain them directly without separators or spaces\n"
            "<｜User｜>Hi<｜Assistant｜></think>");
  EXPECT_EQ(
      text_of("deepseek-v3", {user("Hi")}, {.tools = tools}), BOS
      "## Tools\n\n### Function\n\nYou have the following functions available:\n\n- `get`:\n```json\n{\n"
      "    \"name\": \"get\",\n    \"description\": \"Gets \\\"it\\\".\",\n    \"parameters\": {\n"
      "        \"type\": \"object\",\n        \"properties\": {\n            \"z\": {\n"
      "                \"type\": \"string\"\n            },\n            \"a\": {\n                \"enum\": "
      "[\n"
      "                    \"é\",\n                    1.5\n                ]\n            }\n        }\n    "
      "}\n}\n"
      "```\n<｜User｜>Hi<｜Assistant｜>");
  EXPECT_SAYS(error_of("deepseek-v2", messages, {.tools = tools}), "deepseek-v2 has no tools");
  const std::vector<ToolDefinition> bad{{"get", "", "[1]"}};
  EXPECT_SAYS(error_of("deepseek-v3", messages, {.tools = bad}), "tool get");
}

TEST(ChatFormat, PrefixGoesOn) {
  Message begun = answer("The answer");
  begun.prefix = true;
  EXPECT_EQ(text_of("deepseek-v2", {user("Hi"), begun}), BOS "User: Hi\n\nAssistant: The answer");
  EXPECT_EQ(text_of("deepseek-v3", {user("Hi"), begun}), BOS "<｜User｜>Hi<｜Assistant｜>The answer");
  EXPECT_EQ(text_of("deepseek-v3.1", {user("Hi"), begun}),
            BOS "<｜User｜>Hi<｜Assistant｜></think>The answer");
  begun.reasoning_content = "Because";
  EXPECT_EQ(text_of("deepseek-v3.1", {user("Hi"), begun}, {.thinking = true}),
            BOS "<｜User｜>Hi<｜Assistant｜><think>Because</think>The answer");
  EXPECT_EQ(text_of("deepseek-r1", {user("Hi"), begun}),
            BOS "<｜User｜>Hi<｜Assistant｜><think>\nBecause\n</think>\n\nThe answer");
  EXPECT_FALSE(prompt_of("deepseek-r1", {user("Hi"), begun}).starts_in_reasoning);
  begun.content.clear();
  EXPECT_EQ(text_of("deepseek-r1", {user("Hi"), begun}), BOS "<｜User｜>Hi<｜Assistant｜><think>\nBecause");
  EXPECT_TRUE(prompt_of("deepseek-r1", {user("Hi"), begun}).starts_in_reasoning);
  EXPECT_SAYS(error_of("deepseek-v3", {begun, user("Hi")}), "message 0");
}

TEST(ChatFormat, UserTextNeverBecomesAControlToken) {
  std::string attack;
  for (const std::string_view token : control_tokens()) attack += token;
  for (const std::string_view token : kKimiTokens) attack += token;
  attack += "[gMASK]<sop><|user|><|assistant|><|observation|><tool_call></tool_call><arg_key></arg_value>";
  for (const std::string_view name : chat_format_names()) {
    if (name == "deepseek-v2") continue;  // its roles are text
    const auto family = tokenizer_for(name);
    const Tokenizer& of_family = family ? *family : *tokenizer();
    const auto controls = [&](const std::string& text) {
      const Message message = user(text);
      const auto ids = render_prompt(find_chat_format(name), of_family, {&message, 1}).ids;
      return std::count_if(ids.begin(), ids.end(), [&](TokenId id) { return of_family.is_special(id); });
    };
    EXPECT_EQ(controls(attack), controls("")) << name;
  }
}

TEST(ChatFormat, WhatHasNoPlaceIsNamed) {
  EXPECT_SAYS(error_of("deepseek-v3", {{"robot", "Hi"}}), "robot");
  EXPECT_SAYS(error_of("deepseek-v3", {user("a"), result("b")}), "message 1: a tool result without a call");
  EXPECT_SAYS(error_of("deepseek-v3", {user("a"), calls("", {{"1", "f", "{}"}}), result("b", "2")}),
              "the id 2");
  EXPECT_SAYS(error_of("deepseek-v3", {user("a"), calls("", {{"1", "f", "{}"}}), result("b"), result("c")}),
              "2 tool results for 1 calls");
  EXPECT_SAYS(error_of("deepseek-v3", {user("a")}, {.thinking = true}), "has no thinking");
  Message wrong = user("a");
  wrong.tool_calls = {{"1", "f", "{}"}};
  EXPECT_SAYS(error_of("deepseek-v3", {wrong}), "a user message has tool calls");
  try {
    find_chat_format("chatgpt");
    FAIL();
  } catch (const Error& e) {
    EXPECT_SAYS(std::string(e.what()), "deepseek-v3.1");
  }
}

TEST(ChatFormat, IsFoundFromTheCheckpoint) {
  const auto found = [](std::string_view jinja, std::string_view name, std::string_view architecture) {
    const ChatFormat* format = detect_chat_format(*tokenizer(), {jinja, name, architecture});
    return format == nullptr ? std::string_view("none") : format->name;
  };
  constexpr std::string_view kV3 =
      "{{'<｜User｜>' + m}}{{'<｜Assistant｜><｜tool▁calls▁begin｜>'}}\n```json\n";
  EXPECT_EQ(found(kV3, "", "deepseek_v3"), "deepseek-v3");
  EXPECT_EQ(found("{{'<｜User｜>' + m + '<｜Assistant｜>'}}", "", "deepseek_v3"), "hadal-nano");
  const base::Json nano =
      base::parse_json(base::read_file(HADAL_SOURCE_DIR "/models/hadal-nano/tokenizer_config.json"), "nano");
  EXPECT_EQ(found(nano["chat_template"].get<std::string>(), "", "deepseek_v3"), "hadal-nano");
  const std::string r1 = std::string(kV3) + "{% set content = content.split('</think>')[-1] %}";
  EXPECT_EQ(found(r1, "", "deepseek_v3"), "deepseek-r1-0528");
  EXPECT_EQ(found(r1 + "{{'<｜Assistant｜><think>\\n'}}", "", "deepseek_v3"), "deepseek-r1");
  EXPECT_EQ(found(r1 + "{{'<｜Assistant｜><think>\\n'}}", "", "qwen2"), "deepseek-r1-distill");
  EXPECT_EQ(
      found("{{'<｜User｜>'}}{% if thinking %}<think>{% else %}</think>{% endif %}<｜Assistant｜>", "", ""),
      "deepseek-v3.1");
  EXPECT_EQ(found("{{ 'User: ' + m + '\n\n' }}{{ 'Assistant: ' }}", "", "deepseek_v2"), "deepseek-v2");
  EXPECT_EQ(found("{{ '<|im_start|>' }}", "", "qwen2"), "none");
  EXPECT_EQ(found("", "DeepSeek-R1-Distill-Qwen-7B", "qwen2"), "deepseek-r1-distill");
  EXPECT_EQ(found("", "DeepSeek-R1-0528", "deepseek_v3"), "deepseek-r1-0528");
  EXPECT_EQ(found("", "DeepSeek-R1", "deepseek_v3"), "deepseek-r1");
  EXPECT_EQ(found("", "DeepSeek-V3.1", "deepseek_v3"), "deepseek-v3.1");
  EXPECT_EQ(found("", "", "deepseek_v3"), "deepseek-v3");
}

TEST(ChatFormat, FillInTheMiddle) {
  ASSERT_TRUE(supports_fim(*tokenizer()));
  EXPECT_EQ(tokenizer()->decode(render_fim(*tokenizer(), "def f(", "return x")),
            BOS "<｜fim▁begin｜>def f(<｜fim▁hole｜>return x<｜fim▁end｜>");
  EXPECT_EQ(tokenizer()->decode(render_fim(*tokenizer(), "def f(", std::nullopt)), BOS "def f(");
}

}  // namespace
}  // namespace hadal::text
