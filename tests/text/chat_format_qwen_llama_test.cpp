// The formats of Qwen and Llama 3 against the strings of docs/formats/chat.md, and their calls as they are
// read; tests/text/reference/chat.mjs compares the prompts with the models' own templates.
#include <gtest/gtest.h>

#include "conversation.h"
#include "text/output_parser.h"

namespace hadal::text {
namespace {

#define TURN(role, text) "<|im_start|>" role "\n" text "<|im_end|>\n"
#define ANSWER "<|im_start|>assistant\n"
#define TOOLS                                                                                              \
  "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with " \
  "function signatures within <tools></tools> XML tags:\n<tools>\n"                                        \
  "{\"type\": \"function\", \"function\": {\"name\": \"look\", \"description\": \"Looks é.\"}}\n"         \
  "</tools>\n\nFor each function call, return a json object with function name and arguments within "      \
  "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "            \
  "<args-json-object>}\n</tool_call>"

const std::vector<ToolDefinition>& look() {
  static const std::vector<ToolDefinition> tools{{"look", "Looks é.", ""}};
  return tools;
}

TEST(ChatFormatQwen, SystemMessages) {
  const std::vector<Message> bare{user("Hi"), answer("Hello."), user("Bye")};
  const std::string turns = TURN("user", "Hi") ANSWER "Hello.<|im_end|>\n" TURN("user", "Bye") ANSWER;
  EXPECT_EQ(text_of("chatml", bare), turns);
  EXPECT_EQ(text_of("qwen3-instruct", bare), turns);
  EXPECT_EQ(text_of("qwen2", bare), TURN("system", "You are a helpful assistant.") + turns);
  EXPECT_EQ(text_of("qwen2.5", bare),
            TURN("system", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.") + turns);
  for (const char* format : {"chatml", "qwen2", "qwen2.5", "qwen3", "qwen3-instruct"})
    EXPECT_EQ(text_of(format, {{"system", " s "}, user("Hi")}),
              TURN("system", " s ") TURN("user", "Hi") ANSWER);
  EXPECT_SAYS(error_of("qwen2", {user("Hi")}, {.tools = look()}), "has no tools");
}

TEST(ChatFormatQwen, ToolsCallsAndResults) {
  const std::vector<Message> messages{{"system", "s"},
                                      user("?"),
                                      calls("I look.", {{"1", "look", "{\"a\": 1}"}, {"2", "look", ""}}),
                                      result("x"),
                                      result("y")};
  const std::string round = ANSWER
      "I look.\n<tool_call>\n{\"name\": \"look\", \"arguments\": {\"a\": 1}}\n</tool_call>\n<tool_call>\n"
      "{\"name\": \"look\", \"arguments\": {}}\n</tool_call><|im_end|>\n"
      "<|im_start|>user\n<tool_response>\nx\n</tool_response>\n<tool_response>\ny\n</"
      "tool_response><|im_end|>\n" ANSWER;
  for (const char* format : {"qwen2.5", "qwen3", "qwen3-instruct"}) {
    EXPECT_EQ(text_of(format, messages, {.tools = look()}),
              TURN("system", "s\n\n" TOOLS) TURN("user", "?") + round)
        << format;
  }
  EXPECT_EQ(text_of("qwen3", {user("?")}, {.tools = look()}), TURN("system", TOOLS) TURN("user", "?") ANSWER);
  EXPECT_EQ(text_of("qwq", {user("?")}, {.tools = look()}),
            TURN("system", "\n\n" TOOLS) TURN("user", "?") ANSWER "<think>\n");
}

TEST(ChatFormatQwen, Thinking) {
  const std::vector<Message> messages{user("Hi"), answer("Hello.", "hm"), user("Bye")};
  const std::string history = TURN("user", "Hi") ANSWER "Hello.<|im_end|>\n" TURN("user", "Bye") ANSWER;
  const auto starts = [](std::string_view format, const std::vector<Message>& m,
                         const ChatOptions& options = {}) {
    return render_prompt(find_chat_format(format), *qwen_tokenizer(), m, options).starts_in_reasoning;
  };
  EXPECT_EQ(text_of("qwen3", messages), history);  // the model opens it
  EXPECT_FALSE(starts("qwen3", messages));
  EXPECT_EQ(text_of("qwen3", messages, {.thinking = false}), history + "<think>\n\n</think>\n\n");
  EXPECT_EQ(text_of("qwen3-thinking", messages), history + "<think>\n");
  EXPECT_TRUE(starts("qwen3-thinking", messages));
  EXPECT_SAYS(error_of("qwen3-thinking", messages, {.thinking = false}), "always thinks");
  EXPECT_EQ(text_of("qwq", messages), history + "<think>\n");
  EXPECT_SAYS(error_of("qwen3-instruct", messages, {.thinking = true}), "has no thinking");
  // Between the calls of one answer the reasoning stays.
  EXPECT_EQ(
      text_of("qwen3", {user("?"), calls("", {{"1", "f", "{}"}}, "I must look."), result("1")}),
      TURN("user", "?") ANSWER
      "<think>\nI must look.\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>"
      "<|im_end|>\n<|im_start|>user\n<tool_response>\n1\n</tool_response><|im_end|>\n" ANSWER);
  EXPECT_EQ(text_of("qwen3", {user("Hi"), prefix("", "Because")}),
            TURN("user", "Hi") ANSWER "<think>\nBecause");
  EXPECT_TRUE(starts("qwen3", {user("Hi"), prefix("", "Because")}));
  EXPECT_EQ(text_of("qwen3", {user("Hi"), prefix("The", "Because")}),
            TURN("user", "Hi") ANSWER "<think>\nBecause\n</think>\n\nThe");
  EXPECT_EQ(text_of("qwen3", {user("Hi"), prefix("The")}),
            TURN("user", "Hi") ANSWER "<think>\n\n</think>\n\nThe");
  EXPECT_EQ(text_of("qwen2.5", {{"system", "s"}, user("Hi"), prefix("The")}),
            TURN("system", "s") TURN("user", "Hi") ANSWER "The");
}

#define HEADER(role) "<|start_header_id|>" role "<|end_header_id|>\n\n"
#define DATES "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

TEST(ChatFormatLlama, TurnsAreStripped) {
  const std::vector<Message> messages{{"system", "s\n"}, user(" Hi"), answer("Hello. "), user("Bye")};
  const std::string turns = HEADER("user") "Hi<|eot_id|>" HEADER("assistant") "Hello.<|eot_id|>" HEADER(
      "user") "Bye<|eot_id|>" HEADER("assistant");
  EXPECT_EQ(text_of("llama-3", messages), "<|begin_of_text|>" HEADER("system") "s<|eot_id|>" + turns);
  EXPECT_EQ(text_of("llama-3.1", messages), "<|begin_of_text|>" HEADER("system") DATES "s<|eot_id|>" + turns);
  EXPECT_EQ(text_of("llama-3", {user("Hi")}, {.add_generation_prompt = false}),
            "<|begin_of_text|>" HEADER("user") "Hi<|eot_id|>");
  EXPECT_EQ(text_of("llama-3.1", {user("Hi"), prefix(" The")}), "<|begin_of_text|>" HEADER("system") DATES
            "<|eot_id|>" HEADER("user") "Hi<|eot_id|>" HEADER("assistant") " The");
  EXPECT_SAYS(error_of("llama-3", {user("Hi")}, {.tools = look()}), "has no tools");
}

TEST(ChatFormatLlama, Tools) {
  const std::vector<Message> messages{
      {"system", "s"}, user("?"), calls("", {{"1", "look", "{\"a\": 1}"}}), result("say \"é\"")};
  EXPECT_EQ(text_of("llama-3.1", messages, {.tools = look()}),
            "<|begin_of_text|>" HEADER("system") "Environment: ipython\n" DATES "s<|eot_id|>" HEADER("user")
            "Given the following functions, please respond with a JSON for a function call with its proper "
            "arguments that best answers the given prompt.\n\nRespond in the format {\"name\": function name, "
            "\"parameters\": dictionary of argument name and its value}.Do not use variables.\n\n"
            "{\n    \"type\": \"function\",\n    \"function\": {\n        \"name\": \"look\",\n        "
            "\"description\": \"Looks é.\"\n    }\n}\n\n?<|eot_id|>" HEADER("assistant")
            "{\"name\": \"look\", \"parameters\": {\"a\": 1}}<|eot_id|>" HEADER("ipython")
            "\"say \\\"é\\\"\"<|eot_id|>" HEADER("assistant"));
  EXPECT_SAYS(error_of("llama-3.1", {user("?"), calls("", {{"1", "f", ""}, {"2", "g", ""}})}),
              "message 1: 2 calls");
  EXPECT_SAYS(error_of("llama-3.1", {{"system", "s"}, answer("a")}, {.tools = look()}),
              "message 1: tools stand");
  EXPECT_SAYS(error_of("llama-3.1", {}, {.tools = look()}), "message 0: tools stand");
  // Text beside a call: dropped of the history, refused where it would be learned.
  const std::vector<Message> beside{user("?"), calls("I look.", {{"1", "look", "{}"}})};
  EXPECT_EQ(text_of("llama-3.1", beside),
            text_of("llama-3.1", {user("?"), calls("", {{"1", "look", "{}"}})}));
  const auto learn = [&](const Message& said) {
    const auto tokenizer = tokenizer_for("llama-3.1");
    return tokenizer->decode(render_answer(find_chat_format("llama-3.1"), *tokenizer,
                                           std::vector<Message>{user("?"), said}, false));
  };
  EXPECT_THROW(learn(beside[1]), Error);
  EXPECT_THROW(learn(calls("", {{"1", "look", "{}"}}, "Hm.")), Error);
  EXPECT_EQ(learn(calls("\n", {{"1", "look", "{}"}})), "{\"name\": \"look\", \"parameters\": {}}<|eot_id|>");
}

TEST(ChatFormatQwen, IsFoundFromTheCheckpoint) {
  const auto found = [](const Tokenizer& tokenizer, std::string_view jinja, std::string_view name,
                        std::string_view architecture) {
    const ChatFormat* format = detect_chat_format(tokenizer, {jinja, name, architecture});
    return format == nullptr ? std::string_view("none") : format->name;
  };
  // Without DeepSeek's markers, unlike the sample's.
  static constexpr std::string_view kTokens[] = {"<|im_start|>", "<|im_end|>", "<think>"};
  const auto plain = tokenizer_from_tiktoken(tiktoken_model({}), "tiktoken.model",
                                             tiktoken_config(256, kTokens), "tokenizer_config.json");
  const Tokenizer& qwen = *plain;
  const std::string roles = "{{ '<|im_start|>' + message.role }}{{ '<|im_end|>\\n' }}";
  const std::string tools =
      roles + "<tool_call>{\"name\": <function-name>, \"arguments\": <args-json-object>}";
  EXPECT_EQ(found(qwen, roles, "", "qwen2"), "chatml");
  EXPECT_EQ(found(qwen, roles + "You are a helpful assistant.<|im_end|>", "", "qwen2"), "qwen2");
  EXPECT_EQ(found(qwen, roles + "You are a helpful assistant<|im_end|>", "", "qwen2"), "none");  // Qwen1.5
  // `chatml` writes no first token: a template that does is something else.
  EXPECT_EQ(found(qwen, "{{ bos_token }}" + roles, "", "mistral"), "none");
  EXPECT_EQ(found(qwen, "{{ '<s>' }}" + roles, "", "mistral"), "none");
  EXPECT_EQ(found(qwen, tools + "messages[0]['role'] You are Qwen, created by", "", "qwen2"), "qwen2.5");
  EXPECT_EQ(found(qwen, tools + "messages[0].role{% if enable_thinking %}<think>", "", "qwen3"), "qwen3");
  EXPECT_EQ(found(qwen, tools + "messages[0].role", "", "qwen3"), "qwen3-instruct");
  EXPECT_EQ(found(qwen, tools + "messages[0].role{{ '<|im_start|>assistant\\n<think>\\n' }}", "", "qwen3"),
            "qwen3-thinking");
  const std::string qwq = tools + "messages[0]['role']{{ '<|im_start|>assistant\\n<think>\\n' }}";
  EXPECT_EQ(found(qwen, qwq, "", "qwen2"), "qwq");
  EXPECT_EQ(found(qwen, qwq + "{%- if not enable_thinking -%}", "", "qwen2"), "qwq");
  EXPECT_EQ(found(qwen, "", "QwQ-32B-Q4_K_M", "qwen2"), "qwq");
  // Qwen2.5-Math, Qwen3-Coder and Phi-4 are something else.
  EXPECT_EQ(found(qwen, tools + "Please reason step by step", "", "qwen2"), "none");
  EXPECT_EQ(found(qwen, roles + "<tool_call>\n<function=", "", "qwen3"), "none");
  EXPECT_EQ(found(qwen, roles + "<|im_sep|>", "", "phi3"), "none");
  EXPECT_EQ(found(qwen, "", "Qwen2.5-0.5B-Instruct-Q8_0", "qwen2"), "qwen2.5");
  EXPECT_EQ(found(qwen, "", "Qwen2-7B-Instruct", "qwen2"), "qwen2");
  EXPECT_EQ(found(qwen, "", "Qwen3-4B-Instruct-2507", "qwen3"), "qwen3-instruct");
  EXPECT_EQ(found(qwen, "", "Qwen2.5-0.5B", "qwen2"), "none");  // a base model
  EXPECT_EQ(found(qwen, "", "Qwen3-0.6B", "qwen3"), "qwen3");
  EXPECT_EQ(found(qwen, "", "Qwen3-0.6B-Base", "qwen3"), "none");
  const Tokenizer& llama = *plain;
  const std::string headers = "<|start_header_id|>' + role + '<|end_header_id|>{{ c }}<|eot_id|>";
  EXPECT_EQ(found(llama, headers, "", "llama"), "llama-3");
  EXPECT_EQ(found(llama, headers + "Cutting Knowledge Date: {% if tools %}", "", "llama"), "llama-3.1");
  EXPECT_EQ(found(llama, headers + "functools[", "", "llama"), "none");
  EXPECT_EQ(found(llama, "", "Llama-3.2-1B-Instruct", "llama"), "llama-3.1");
  EXPECT_EQ(found(llama, "", "Meta-Llama-3-8B-Instruct", "llama"), "llama-3");
  EXPECT_EQ(found(llama, "", "Llama-3.1-8B", "llama"), "none");
}

using Kind = OutputEvent::Kind;

std::string told(std::string_view format, const std::string& output,
                 OutputOptions options = {.tools = true}) {
  const auto tokenizer = tokenizer_for(format);
  OutputParser parser(find_chat_format(format), tokenizer, options);
  std::string out;
  Kind last = Kind::kCallEnd;
  const auto add = [&](const std::vector<OutputEvent>& events) {
    for (const OutputEvent& event : events) {
      const bool joins = event.kind == last && event.kind != Kind::kCallBegin && event.kind != Kind::kCallEnd;
      static constexpr std::string_view kNames[] = {"r", "c", "call", "args", "end"};
      if (joins) {
        out.insert(out.size() - 1, event.text);
      } else {
        out += (out.empty() ? "" : " ") + std::string(kNames[static_cast<int>(event.kind)]);
        out += event.kind == Kind::kCallEnd ? (event.complete ? "" : "!") : "(" + event.text + ")";
      }
      last = event.kind;
    }
  };
  for (const TokenId id : tokenizer->encode(output, true)) add(parser.push(id));
  add(parser.finish());
  return out;
}

#define CALL(json) "<tool_call>\n" json "\n</tool_call>"

TEST(OutputParserQwen, Calls) {
  const std::string two = "I look.\n" CALL("{\"name\": \"a\", \"arguments\": {\"x\": \"}\\\"{\"}}") "\n" CALL(
      "{\"name\": \"b\", \"arguments\": {}}") "<|im_end|>";
  const std::string heard = "c(I look.) call(a) args({\"x\": \"}\\\"{\"}) end call(b) args({}) end";
  for (const bool stream : {false, true}) {
    EXPECT_EQ(told("qwen2.5", two, {.tools = true, .stream_arguments = stream}), heard) << stream;
    EXPECT_EQ(told("qwen3", "<think>\nhm\n</think>\n\n" CALL("{\"name\": \"a\", \"arguments\": {}}"),
                   {.tools = true, .stream_arguments = stream}),
              "r(hm) call(a) args({}) end");
    // Keys in another order, and arguments as a string, are understood once the call is whole.
    EXPECT_EQ(told("qwen2.5", CALL("{\"arguments\": {\"x\": [1]}, \"name\": \"a\"}"),
                   {.tools = true, .stream_arguments = stream}),
              "call(a) args({\"x\":[1]}) end");
    EXPECT_EQ(told("qwen2.5", CALL("{\"name\": \"a\", \"arguments\": \"{\\\"x\\\": 1}\"}"),
                   {.tools = true, .stream_arguments = stream}),
              "call(a) args({\"x\": 1}) end");
  }
}

TEST(OutputParserQwen, WhatIsNoCallIsContent) {
  for (const std::string output : {CALL("not json"), CALL("{\"name\": \"\", \"arguments\": {}}"),
                                   CALL("{\"name\": \"a\", \"arguments\": [1]}"), CALL("{\"name\": 1}"),
                                   "so\n" CALL("[]"), "a\nb\n\nc\n"}) {
    EXPECT_EQ(told("qwen2.5", output), "c(" + output + ")");
  }
  EXPECT_EQ(told("qwen2.5", CALL("{\"name\": \"a\", \"arguments\": {}}"), {}),
            "c(" CALL("{\"name\": \"a\", \"arguments\": {}}") ")");  // nothing was offered
  const std::string cut = "<tool_call>\n{\"name\": \"a\", \"arguments\": {\"x\": ";
  EXPECT_EQ(told("qwen2.5", cut), "c(" + cut + ")");
  EXPECT_EQ(told("qwen2.5", cut, {.tools = true, .stream_arguments = true}), "call(a) args({\"x\":) end!");
}

// Nothing of an answer is lost, and no call is complete that its object does not close.
TEST(OutputParserQwen, WhatFollowsTheObjectIsKept) {
  const OutputOptions streamed{.tools = true, .stream_arguments = true};
  const std::string a = "{\"name\": \"a\", \"arguments\": {\"x\": 1}}";
  const std::string b = "{\"name\": \"b\", \"arguments\": {}}";
  const auto in_call = [](const std::string& text) { return "<tool_call>\n" + text + "\n</tool_call>"; };
  EXPECT_EQ(told("qwen2.5", in_call(a + "\n" + b)), "c(" + in_call(a + "\n" + b) + ")");
  EXPECT_EQ(told("qwen2.5", in_call(a + "\n" + b), streamed), "call(a) args({\"x\": 1}) end c(" + b + ")");
  // No end: what stands there is said, and the call is cut.
  EXPECT_EQ(told("qwen2.5", "<tool_call>\n" + a + "\nand so", streamed),
            "call(a) args({\"x\": 1}) end! c(and so)");
  const std::string open = in_call("{\"name\": \"a\", \"arguments\": {\"x\": 1}");
  EXPECT_EQ(told("qwen2.5", open), "c(" + open + ")");
  EXPECT_EQ(told("qwen2.5", open, streamed), "call(a) args({\"x\": 1}) end!");
  // More members than a call needs are no harm; what is no member is.
  const std::string more = "{\"name\": \"a\", \"arguments\": {\"x\": 1}, \"id\": 7}";
  for (const bool stream : {false, true}) {
    const OutputOptions options{.tools = true, .stream_arguments = stream};
    EXPECT_EQ(told("qwen2.5", in_call(more), options).substr(0, 12), "call(a) args") << stream;
    EXPECT_TRUE(told("qwen2.5", in_call(more), options).ends_with(" end")) << stream;
  }
  EXPECT_EQ(told("qwen2.5", in_call("{\"name\": \"a\", \"arguments\": {\"x\": 1} oh}"), streamed),
            "call(a) args({\"x\": 1}) end! c(oh})");
}

TEST(OutputParserLlama, ACallIsTheWholeAnswer) {
  const std::string call = "{\"name\": \"look\", \"parameters\": {\"a\": {\"b\": 1}}}";
  for (const bool stream : {false, true}) {
    const OutputOptions options{.tools = true, .stream_arguments = stream};
    const std::string heard = "call(look) args({\"a\": {\"b\": 1}}) end";
    EXPECT_EQ(told("llama-3.1", call + "<|eot_id|>", options), heard);
    EXPECT_EQ(told("llama-3.1", "\n" + call + "\n<|eom_id|>", options), heard);
    EXPECT_EQ(told("llama-3.1", "<|python_tag|>" + call + "<|eom_id|>", options), heard);
    EXPECT_EQ(told("llama-3.1", "{\"type\": \"function\", " + call.substr(1), options), heard);
    for (const std::string& output : std::vector<std::string>{"{\"answer\": 42}", "I call " + call, "{", "{}",
                                                              "{ name", "[1]", "{\"name\": \"look\"}"}) {
      EXPECT_EQ(told("llama-3.1", output, options), "c(" + output + ")") << stream;
    }
  }
  EXPECT_EQ(told("llama-3.1", call + " and more"), "call(look) args({\"a\": {\"b\": 1}}) end c( and more)");
  EXPECT_EQ(told("llama-3.1", call, {}), "c(" + call + ")");
  EXPECT_EQ(told("llama-3", call), "c(" + call + ")");
  // What is wrong behind the arguments is no call, unless it was told already.
  const std::string wrong = "{\"name\": \"look\", \"parameters\": {}, \"x\": 1}";
  EXPECT_EQ(told("llama-3.1", wrong), "c(" + wrong + ")");
}

}  // namespace
}  // namespace hadal::text
