// The formats of Moonlight, Kimi-K2 and GLM-4.7 against the strings of docs/formats/chat.md;
// tests/text/reference/chat.mjs compares them with the models' own templates.
#include <gtest/gtest.h>

#include "conversation.h"

namespace hadal::text {
namespace {

bool starts_in_reasoning(std::string_view format, const std::vector<Message>& messages,
                         const ChatOptions& options = {}) {
  const auto tokenizer = tokenizer_for(format);
  return render_prompt(find_chat_format(format), *tokenizer, messages, options).starts_in_reasoning;
}

#define SYSTEM(text) "<|im_system|>system<|im_middle|>" text "<|im_end|>"
#define USER(text) "<|im_user|>user<|im_middle|>" text "<|im_end|>"
#define ASSISTANT "<|im_assistant|>assistant<|im_middle|>"
#define KIMI SYSTEM("You are Kimi, an AI assistant created by Moonshot AI.")

const std::vector<ToolDefinition>& weather() {
  static const std::vector<ToolDefinition> tools{
      {"get_weather", "Gets \"it\", é.",
       R"({"type":"object","required":["city"],"properties":{"city":{"type":"string"},"days":{"type":"integer"}}})"}};
  return tools;
}

TEST(ChatFormatKimi, Moonlight) {
  EXPECT_EQ(text_of("moonlight", {{"system", "Be brief."}, user("Hi"), answer("Hello."), user("Bye")}),
            SYSTEM("Be brief.") USER("Hi") ASSISTANT "Hello.<|im_end|>" USER("Bye") ASSISTANT);
  EXPECT_EQ(text_of("moonlight", {user("Hi")}, {.add_generation_prompt = false}),
            SYSTEM("You are a helpful assistant") USER("Hi"));
  EXPECT_EQ(text_of("moonlight", {{"system", ""}, user("Hi"), prefix("The")}),
            SYSTEM("") USER("Hi") ASSISTANT "The");
  EXPECT_SAYS(error_of("moonlight", {user("Hi")}, {.tools = weather()}), "has no tools");
}

TEST(ChatFormatKimi, K2) {
  EXPECT_EQ(text_of("kimi-k2", {{"system", "Be brief."}, user("Hi"), answer("Hello."), user("Bye")}),
            SYSTEM("Be brief.") USER("Hi") ASSISTANT "Hello.<|im_end|>" USER("Bye") ASSISTANT);
  EXPECT_EQ(text_of("kimi-k2", {user("Hi")}), KIMI "\n" USER("Hi") ASSISTANT);
  EXPECT_SAYS(error_of("kimi-k2", {user("Hi")}, {.thinking = true}), "has no thinking");
}

TEST(ChatFormatKimi, K2DeclaresToolsWithSortedKeys) {
  EXPECT_EQ(text_of("kimi-k2", {{"system", "s"}, user("Hi")}, {.tools = weather()}),
            "<|im_system|>tool_declare<|im_middle|>"
            "[{\"function\":{\"description\":\"Gets \\\"it\\\", é.\",\"name\":\"get_weather\",\"parameters\":"
            "{\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"}},"
            "\"required\":[\"city\"],\"type\":\"object\"}},\"type\":\"function\"}]<|im_end|>" SYSTEM("s")
                USER("Hi") ASSISTANT);
  const std::vector<ToolDefinition> bare{{"f", "", ""}};
  EXPECT_SAYS(text_of("kimi-k2", {user("Hi")}, {.tools = bare}),
              R"([{"function":{"name":"f"},"type":"function"}])");
}

TEST(ChatFormatKimi, K2CallsAreNumberedThroughTheConversation) {
  const std::string round = SYSTEM("s") USER("?") ASSISTANT
      "Let me see.<|tool_calls_section_begin|>"
      "<|tool_call_begin|>functions.get:0<|tool_call_argument_begin|>{\"c\": 1}<|tool_call_end|>"
      "<|tool_call_begin|>functions.put:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
      "<|tool_calls_section_end|><|im_end|>"
      "<|im_system|>tool<|im_middle|>## Return of functions.get:0\nsun<|im_end|>"
      "<|im_system|>tool<|im_middle|>## Return of functions.put:1\nrain<|im_end|>";
  std::vector<Message> messages{{"system", "s"},
                                user("?"),
                                calls("Let me see.", {{"x", "get", "{\"c\": 1}"}, {"y", "put", "{}"}}),
                                result("rain", "y"),
                                result("sun", "x")};
  EXPECT_EQ(text_of("kimi-k2", messages), round + ASSISTANT);
  messages.push_back(calls("", {{"z", "get", "{}"}}));
  messages.push_back(result("1"));
  EXPECT_EQ(text_of("kimi-k2", messages),
            round + ASSISTANT
                "<|tool_calls_section_begin|><|tool_call_begin|>functions.get:2<|tool_call_argument_begin|>{}"
                "<|tool_call_end|><|tool_calls_section_end|><|im_end|>"
                "<|im_system|>tool<|im_middle|>## Return of functions.get:2\n1<|im_end|>" ASSISTANT);
}

TEST(ChatFormatKimi, K2KeepsIdsOfItsOwnFormAndFindsTheCallOfAResult) {
  const std::string text =
      text_of("kimi-k2", {{"system", "s"},
                          user("?"),
                          calls("", {{"functions.get:7", "get", "{}"}, {"functions.get:x", "get", "{}"}}),
                          result("only the second", "functions.get:x")});
  EXPECT_SAYS(text, "<|tool_call_begin|>functions.get:7<|tool_call_argument_begin|>");
  EXPECT_SAYS(text, "<|tool_call_begin|>functions.get:1<|tool_call_argument_begin|>");
  EXPECT_SAYS(text, "## Return of functions.get:1\nonly the second<|im_end|>");
}

TEST(ChatFormatKimi, K2Thinking) {
  EXPECT_EQ(text_of("kimi-k2-thinking", {user("Hi"), answer("Hello.", "hm"), user("Bye")}),
            KIMI USER("Hi") ASSISTANT "<think></think>Hello.<|im_end|>" USER("Bye") ASSISTANT);
  EXPECT_EQ(
      text_of("kimi-k2-thinking", {user("?"), calls("", {{"x", "get", "{}"}}, "I must look."), result("1")}),
      KIMI USER("?") ASSISTANT
      "<think>I must look.</think><|tool_calls_section_begin|><|tool_call_begin|>functions.get:0"
      "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|><|im_end|>"
      "<|im_system|>tool<|im_middle|>## Return of functions.get:0\n1<|im_end|>" ASSISTANT);
  EXPECT_FALSE(starts_in_reasoning("kimi-k2-thinking", {user("Hi")}));  // the model opens it
  EXPECT_EQ(text_of("kimi-k2-thinking", {user("Hi"), prefix("", "Because")}),
            KIMI USER("Hi") ASSISTANT "<think>Because");
  EXPECT_TRUE(starts_in_reasoning("kimi-k2-thinking", {user("Hi"), prefix("", "Because")}));
  EXPECT_EQ(text_of("kimi-k2-thinking", {user("Hi"), prefix("The", "Because")}),
            KIMI USER("Hi") ASSISTANT "<think>Because</think>The");
  EXPECT_SAYS(error_of("kimi-k2-thinking", {user("Hi")}, {.thinking = false}), "always thinks");
}

TEST(ChatFormatGlm, ThinkingAndNot) {
  const std::vector<Message> messages{
      {"system", "Be brief."}, user("Hi"), answer(" Hello.\n", "hm"), user("Bye")};
  const std::string history =
      "[gMASK]<sop><|system|>Be brief.<|user|>Hi<|assistant|></think>Hello.<|user|>Bye<|assistant|>";
  EXPECT_EQ(text_of("glm-4.7", messages), history + "<think>");
  EXPECT_TRUE(starts_in_reasoning("glm-4.7", messages));
  EXPECT_EQ(text_of("glm-4.7", messages, {.thinking = false}), history + "</think>");
  EXPECT_FALSE(starts_in_reasoning("glm-4.7", messages, {.thinking = false}));
  EXPECT_EQ(text_of("glm-4.7", {user("Hi"), answer("<think>\nhm\n</think>\n\nHello."), user("Bye")}),
            "[gMASK]<sop><|user|>Hi<|assistant|></think>Hello.<|user|>Bye<|assistant|><think>");
  EXPECT_EQ(text_of("glm-4.7", {user("Hi")}, {.add_generation_prompt = false}), "[gMASK]<sop><|user|>Hi");
}

TEST(ChatFormatGlm, Tools) {
  // As in Ollama's test of its renderer for this model, and in the template.
  const std::vector<ToolDefinition> tools{
      {"get_weather", "Get weather",
       R"({"type": "object", "required": ["location"], "properties": {"location": {"type": "string"}}})"}};
  const std::vector<Message> messages{
      user("Weather?"),
      calls("", {{"1", "get_weather", R"({"location": "Tokyo", "days": 2, "a": {"b": [1, "é"]}})"}}, "hm"),
      result(R"({"temperature":22})"), result("x")};
  // `calls` has one call: a second result has no place.
  EXPECT_SAYS(error_of("glm-4.7", messages), "2 tool results for 1 calls");
  EXPECT_EQ(
      text_of("glm-4.7", {messages.begin(), messages.end() - 1}, {.tools = tools}),
      "[gMASK]<sop><|system|>\n# Tools\n\nYou may call one or more functions to assist with the user "
      "query.\n\n"
      "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n"
      "{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": \"Get weather\", "
      "\"parameters\": {\"type\": \"object\", \"required\": [\"location\"], \"properties\": {\"location\": "
      "{\"type\": \"string\"}}}}}\n"
      "</tools>\n\nFor each function call, output the function name and arguments within the following XML "
      "format:\n"
      "<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value><arg_key>"
      "{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call>"
      "<|user|>Weather?<|assistant|><think>hm</think><tool_call>get_weather<arg_key>location</arg_key>"
      "<arg_value>Tokyo</arg_value><arg_key>days</arg_key><arg_value>2</arg_value><arg_key>a</arg_key>"
      "<arg_value>{\"b\": [1, \"é\"]}</arg_value></tool_call><|observation|>"
      "<tool_response>{\"temperature\":22}</tool_response><|assistant|><think>");
  EXPECT_SAYS(error_of("glm-4.7", {user("a"), calls("", {{"1", "f", "[1]"}})}), "call of f: its arguments");
  EXPECT_SAYS(error_of("glm-4.7", {user("a"), calls("", {{"1", "f", "{"}})}), "arguments of f");
}

TEST(ChatFormatGlm, TwoResultsShareOneRole) {
  EXPECT_EQ(text_of("glm-4.7", {user("?"), calls("Let me see.", {{"1", "f", "{}"}, {"2", "g", ""}}),
                                result("b", "2"), result("a", "1")}),
            "[gMASK]<sop><|user|>?<|assistant|></think>Let me "
            "see.<tool_call>f</tool_call><tool_call>g</tool_call>"
            "<|observation|><tool_response>a</tool_response><tool_response>b</tool_response><|assistant|>"
            "<think>");
}

TEST(ChatFormatGlm, PrefixGoesOn) {
  EXPECT_EQ(text_of("glm-4.7", {user("Hi"), prefix("The")}),
            "[gMASK]<sop><|user|>Hi<|assistant|></think>The");
  EXPECT_EQ(text_of("glm-4.7", {user("Hi"), prefix("The", "hm")}),
            "[gMASK]<sop><|user|>Hi<|assistant|><think>hm</think>The");
  EXPECT_TRUE(starts_in_reasoning("glm-4.7", {user("Hi"), prefix("", "hm")}));
}

TEST(ChatFormatKimi, EndTokensAreTheFormats) {
  EXPECT_EQ(end_tokens_of(find_chat_format("kimi-k2"), *kimi_tokenizer()), (std::vector<TokenId>{266, 265}));
  const auto glm = end_tokens_of(find_chat_format("glm-4.7"), *glm_tokenizer());
  ASSERT_EQ(glm.size(), 3u);
  EXPECT_EQ(glm_tokenizer()->token_bytes(glm[1]), "<|user|>");
}

TEST(ChatFormatKimi, IsFoundFromTheCheckpoint) {
  const auto found = [](const Tokenizer& tokenizer, std::string_view jinja, std::string_view name,
                        std::string_view architecture) {
    const ChatFormat* format = detect_chat_format(tokenizer, {jinja, name, architecture});
    return format == nullptr ? std::string_view("none") : format->name;
  };
  const Tokenizer& kimi = *kimi_tokenizer();
  const std::string roles = "<|im_user|>user<|im_middle|><|im_assistant|>assistant<|im_middle|>";
  EXPECT_EQ(found(kimi, roles, "", "deepseek_v3"), "moonlight");
  EXPECT_EQ(found(kimi, roles + "tool_declare", "", "kimi_k2"), "kimi-k2");
  EXPECT_EQ(found(kimi, roles + "tool_declare<think></think>", "", "kimi_k2"), "kimi-k2-thinking");
  EXPECT_EQ(found(kimi, "", "Moonlight-16B-A3B-Instruct", "deepseek_v3"), "moonlight");
  EXPECT_EQ(found(kimi, "", "some", "kimi_k2"), "kimi-k2");
  EXPECT_EQ(found(kimi, "", "Kimi-K2-Thinking-Q4_K_M", "deepseek2"), "kimi-k2-thinking");
  EXPECT_EQ(found(kimi, "", "Kimi-K2-Instruct-0905", "deepseek2"), "kimi-k2");
  const std::string glm = "[gMASK]<sop>{% if tools %}<arg_key>{% endif %}<|user|>{{ m }}<|assistant|>";
  EXPECT_EQ(found(*glm_tokenizer(), glm, "", "glm4_moe_lite"), "glm-4.7");
  EXPECT_EQ(found(*glm_tokenizer(), "[gMASK]<sop><arg_key><|user|>\n", "", "glm4_moe"), "none");  // 4.6
}

}  // namespace
}  // namespace hadal::text
