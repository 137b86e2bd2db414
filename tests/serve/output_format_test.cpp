// What is read of schemas and tools keeps the client's own text, and what tool calls look like as a grammar.
#include "serve/api/output_format.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "base/raw_json.h"
#include "serve/api/chat_completions.h"
#include "serve/api/responses_request.h"
#include "support/temporary_folder.h"
#include "text/chat/markers.h"
#include "tiny_model.h"

namespace hadal::serve::api {
namespace {

using base::Json;

TEST(RawJson, FindsMembersAsTheyWereWritten) {
  const std::string_view json =
      R"( { "a" : {"z": 1, "b":[2 , "}]\""]} ,"c":-1.5e3,"d" :"x\\" , "a\u0062": null} )";
  EXPECT_EQ(base::raw_member(json, "a"), R"({"z": 1, "b":[2 , "}]\""]})");
  EXPECT_EQ(base::raw_member(json, "c"), "-1.5e3");
  EXPECT_EQ(base::raw_member(json, "d"), R"("x\\")");
  EXPECT_EQ(base::raw_member(json, "ab"), "null");
  EXPECT_EQ(base::raw_member(json, "e"), "");
  EXPECT_EQ(base::raw_member(R"({"a": 1, "a": 2})", "a"), "2");  // the last one, as the parser has it
  EXPECT_EQ(base::raw_member("{}", "a"), "");
  EXPECT_EQ(base::raw_member("[1]", "a"), "");
  EXPECT_EQ(base::raw_member("", "a"), "");
  EXPECT_EQ(base::raw_member("\xEF\xBB\xBF{\"a\": 1}", "a"), "1");
}

TEST(RawJson, FindsElements) {
  const auto elements = base::raw_elements(R"([ 1, "a,b" , {"x": [1, 2]},[], true ])");
  EXPECT_EQ(elements, (std::vector<std::string_view>{"1", "\"a,b\"", R"({"x": [1, 2]})", "[]", "true"}));
  EXPECT_TRUE(base::raw_elements("[ ]").empty());
  EXPECT_TRUE(base::raw_elements("{}").empty());
}

TEST(OutputFormat, KeepsTheOrderOfKeys) {
  const std::string body = R"({"messages": [{"role": "user", "content": "x"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"zebra": 1, "ant": 2}}},
    "tools": [{"function": {"name": "f", "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}}}]})";
  const ChatRequest request = read_chat_request(Json::parse(body), body);
  EXPECT_EQ(request.format.kind, OutputFormat::Kind::kJsonSchema);
  EXPECT_EQ(request.format.source, R"({"zebra": 1, "ant": 2})");
  EXPECT_EQ(request.tools.at(0).definition.parameters,
            R"({"type": "object", "properties": {"z": {}, "a": {}}})");
  // Without the text the keys are in order of the alphabet.
  EXPECT_EQ(read_chat_request(Json::parse(body)).format.source, R"({"ant":2,"zebra":1})");
}

TEST(OutputFormat, OfResponsesStandsBesideItsType) {
  const std::string body =
      R"({"input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema": {"b": 1, "a": 2}}}})";
  EXPECT_EQ(read_responses_request(Json::parse(body), body).chat.format.source, R"({"b": 1, "a": 2})");
}

TEST(OutputFormat, BoundsTheKeysOfASchema) {
  Json schema = {{"type", "object"}, {"properties", Json::object()}};
  for (int i = 0; i < 1001; ++i) schema["properties"]["p" + std::to_string(i)] = Json::object();
  const Json body = {{"messages", {{{"role", "user"}, {"content", "x"}}}},
                     {"tools", {{{"function", {{"name", "f"}, {"parameters", schema}}}}}}};
  try {
    read_chat_request(body);
    FAIL() << "no error";
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status(), 400);
    EXPECT_EQ(e.param(), "tools[0].function.parameters");
  }
}

TEST(OutputFormat, NamesWhatIsMissing) {
  const auto param = [](const char* format) {
    try {
      read_output_format(Json::parse(format), format, "response_format");
    } catch (const ApiError& e) {
      return e.param();
    }
    return std::string("no error");
  };
  EXPECT_EQ(param(R"({"type": "xml"})"), "response_format.type");
  EXPECT_EQ(param(R"({"type": "json_schema"})"), "response_format.schema");
  EXPECT_EQ(param(R"({"type": "json_schema", "json_schema": {}})"), "response_format.json_schema.schema");
  EXPECT_EQ(param(R"({"type": "json_schema", "json_schema": {"schema": 5}})"),
            "response_format.json_schema.schema");
  EXPECT_EQ(param(R"({"type": "grammar"})"), "response_format.grammar");
  EXPECT_EQ(param(R"({"type": "json_object"})"), "no error");
}

// A random model whose tokenizer has Qwen's markers in the places of DeepSeek's: what it says behind
// <tool_call> is a call that holds to the tool's schema, one or several, and then it ends.
TEST(OutputFormat, QwensCallsAreHeldToTheirSchema) {
  const test::TemporaryFolder folder;
  test::make_tiny_model(folder.path());
  std::string tokenizer = test::slurp(folder / "tokenizer.json");
  for (const auto& [from, to] : {std::pair{text::kToolCallsBegin, text::kTaggedCallBegin},
                                 {text::kToolCallsEnd, text::kTaggedCallEnd},
                                 {text::kUser, text::kImStart},
                                 {text::kAssistant, text::kImEnd}}) {
    for (size_t at = 0; (at = tokenizer.find(from, at)) != std::string::npos; at += to.size())
      tokenizer.replace(at, from.size(), to);
  }
  test::spill(folder / "tokenizer.json", tokenizer);
  engine::EngineOptions options;
  options.chat_format = "qwen2.5";
  options.threads = 1;
  options.context_tokens = 2048;
  const auto engine = engine::Engine::open(folder.path(), options);
  std::vector<Tool> tools(2);
  tools[0].definition = {"other", "", ""};
  tools[1].definition = {
      "add", "",
      R"({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false})"};
  tools[1].strict = true;
  const text::Message message{"user", "Hi"};
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    engine::Request request = engine::chat_request(*engine, {&message, 1});
    request.tools = true;
    request.sampling.seed = seed;
    request.sampling.max_tokens = 200;
    request.guidance = guide_calls(*engine, tools, {ToolChoice::Kind::kNamed, "add"});
    ASSERT_NE(request.guidance.grammar, nullptr);
    ASSERT_EQ(request.guidance.after, engine->tokenizer()->find(text::kTaggedCallBegin));
    request.prompt.push_back(*request.guidance.after);
    request.forced_tokens = 1;
    std::mutex mutex;
    std::condition_variable done;
    std::string called, arguments;
    std::optional<engine::Finish> finish;
    engine->submit(std::move(request), [&](const engine::Event& event) {
      const std::lock_guard lock(mutex);
      for (const text::OutputEvent& part : event.tool_calls) {
        if (part.kind == text::OutputEvent::Kind::kCallBegin) called += part.text + ";";
        if (part.kind == text::OutputEvent::Kind::kCallArguments) arguments += part.text;
      }
      finish = event.finish;
      if (finish) done.notify_all();
    });
    std::unique_lock lock(mutex);
    ASSERT_TRUE(done.wait_for(lock, std::chrono::seconds(120), [&] { return finish.has_value(); }));
    EXPECT_EQ(finish, engine::Finish::kStop);
    EXPECT_EQ(called, "add;");
    const Json json = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
    EXPECT_TRUE(json.is_object() && json.size() == 1 && json["ok"].is_boolean()) << arguments;
  }
}

}  // namespace
}  // namespace hadal::serve::api
