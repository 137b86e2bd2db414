// What requests mean, and what clients are told about those that mean nothing.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "engine/sampler.h"
#include "serve/api/api_error.h"
#include "serve/api/chat_completions.h"
#include "serve/api/completions.h"
#include "serve/api/responses_request.h"

namespace hadal::serve::api {
namespace {

using base::Json;

ApiError error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ApiError& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return {0, "", ""};
}

Json chat(Json extra = Json::object()) {
  Json body = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  body.update(extra);
  return body;
}

TEST(ChatRequest, ReadsEveryField) {
  const ChatRequest request = read_chat_request(Json::parse(R"({
    "model": "nano", "messages": [
      {"role": "developer", "content": "Be brief.", "name": "x"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "reasoning_content": "ignored"},
      {"role": "user", "content": ""}],
    "temperature": 0, "top_p": 0.5, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1, "seed": 18446744073709551615,
    "stop": ["\n", "END"], "max_tokens": 7, "stream": true, "stream_options": {"include_usage": true},
    "frequency_penalty": -0.5, "presence_penalty": 2, "logit_bias": {"5": 1, "7": -100}, "best_of": 3,
    "thinking": {"type": "disabled"}, "user_id": "user-1_A", "n": 3, "tools": [], "logprobs": true, "top_logprobs": 20,
    "response_format": {"type": "text"}, "something_new": [1, 2]})"));
  ASSERT_EQ(request.messages.size(), 4u);
  EXPECT_EQ(request.messages[0].role, "system");
  EXPECT_EQ(request.messages[1].content, "ab");
  EXPECT_EQ(request.messages[2].content, "");
  const CompletionOptions& options = request.options;
  EXPECT_EQ(options.model, "nano");
  EXPECT_EQ(options.sampling.temperature, 0.0f);
  EXPECT_EQ(options.sampling.top_p, 0.5f);
  EXPECT_EQ(options.sampling.top_k, 40);
  EXPECT_EQ(options.sampling.min_p, 0.05f);
  EXPECT_EQ(options.sampling.repetition_penalty, 1.1f);
  EXPECT_EQ(options.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(options.sampling.stop, (std::vector<std::string>{"\n", "END"}));
  EXPECT_EQ(options.sampling.max_tokens, 7);
  EXPECT_EQ(options.sampling.frequency_penalty, -0.5f);
  EXPECT_EQ(options.sampling.presence_penalty, 2.0f);
  ASSERT_EQ(options.sampling.logit_bias.size(), 2u);
  EXPECT_EQ(options.sampling.logit_bias[0].id, 5);
  EXPECT_EQ(options.sampling.logit_bias[1].bias, -100.0f);
  EXPECT_TRUE(options.sampling.logprobs);
  EXPECT_EQ(options.sampling.top_logprobs, 20);
  EXPECT_EQ(options.choices, 3);
  EXPECT_EQ(options.user_id, "user-1_A");
  EXPECT_EQ(request.thinking, false);
  EXPECT_TRUE(options.stream);
  EXPECT_TRUE(options.include_usage);
}

TEST(ChatRequest, HasDeepSeeksDefaults) {
  const CompletionOptions options = read_chat_request(chat()).options;
  EXPECT_EQ(options.sampling.temperature, 1.0f);
  EXPECT_EQ(options.sampling.top_p, 1.0f);
  EXPECT_EQ(options.sampling.max_tokens, 0);  // decided with the model
  EXPECT_EQ(options.choices, 1);
  EXPECT_EQ(options.sampling.frequency_penalty, 0.0f);
  EXPECT_FALSE(options.sampling.logprobs);
  EXPECT_FALSE(options.sampling.seed);
  EXPECT_FALSE(options.stream);
}

TEST(ChatRequest, TakesVariantsOfOtherClients) {
  EXPECT_EQ(
      read_chat_request(chat({{"max_completion_tokens", 5}, {"max_tokens", 9}})).options.sampling.max_tokens,
      5);
  EXPECT_EQ(read_chat_request(chat({{"max_tokens", 256000}})).options.sampling.max_tokens, 256000);
  EXPECT_EQ(read_chat_request(chat({{"max_tokens", 16.0}})).options.sampling.max_tokens, 16);
  EXPECT_EQ(read_chat_request(chat({{"top_k", -1}})).options.sampling.top_k, 0);
  EXPECT_GT(read_chat_request(chat({{"top_p", 0}})).options.sampling.top_p, 0.0f);
  EXPECT_EQ(read_chat_request(chat({{"seed", -1}})).options.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(read_chat_request(chat({{"stop", "x"}})).options.sampling.stop, std::vector<std::string>{"x"});
  EXPECT_TRUE(read_chat_request(chat({{"stop", ""}})).options.sampling.stop.empty());
  EXPECT_TRUE(read_chat_request(chat({{"stop", nullptr}})).options.sampling.stop.empty());
}

struct BadRequest {
  const char* extra;
  int status;
  const char* param;
};

class BadChatRequest : public testing::TestWithParam<BadRequest> {};

TEST_P(BadChatRequest, NamesTheField) {
  const ApiError e = error_of([] { read_chat_request(chat(Json::parse(GetParam().extra))); });
  EXPECT_EQ(e.status(), GetParam().status) << e.what();
  EXPECT_EQ(e.param(), GetParam().param) << e.what();
  EXPECT_NE(std::string(e.what()).find(GetParam().param), std::string::npos) << e.what();
}

INSTANTIATE_TEST_SUITE_P(
    All, BadChatRequest,
    testing::Values(
        BadRequest{R"({"messages": null})", 400, "messages"},
        BadRequest{R"({"messages": []})", 400, "messages"},
        BadRequest{R"({"messages": "hi"})", 422, "messages"},
        BadRequest{R"({"messages": ["hi"]})", 422, "messages[0]"},
        BadRequest{R"({"messages": [{"content": "x"}]})", 400, "messages[0].role"},
        BadRequest{R"({"messages": [{"role": "user"}]})", 400, "messages[0].content"},
        BadRequest{R"({"messages": [{"role": "user", "content": 5}]})", 422, "messages[0].content"},
        BadRequest{R"({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]})", 400,
                   "messages[0].content[0].type"},
        BadRequest{R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})", 400,
                   "messages[0].content[0].text"},
        BadRequest{R"({"messages": [{"role": "tool", "content": "x"}]})", 400, "messages[0].tool_call_id"},
        BadRequest{R"({"messages": [{"role": "function", "content": "x"}]})", 400, "messages[0].role"},
        BadRequest{
            R"({"messages": [{"role": "assistant", "content": "x", "prefix": true}, {"role": "user", "content": "y"}]})",
            400, "messages[0].prefix"},
        BadRequest{R"({"messages": [{"role": "assistant", "tool_calls": {}}]})", 422,
                   "messages[0].tool_calls"},
        BadRequest{R"({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]})", 400,
                   "messages[0].tool_calls[0].function"},
        BadRequest{R"({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a b"}}]}]})",
                   400, "messages[0].tool_calls[0].function.name"},
        BadRequest{
            R"({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": {}}}]}]})",
            422, "messages[0].tool_calls[0].function.arguments"},
        BadRequest{R"({"model": 5})", 422, "model"},
        BadRequest{R"({"temperature": "hot"})", 422, "temperature"},
        BadRequest{R"({"temperature": 2.5})", 400, "temperature"},
        BadRequest{R"({"temperature": -0.1})", 400, "temperature"},
        BadRequest{R"({"top_p": 1.5})", 400, "top_p"}, BadRequest{R"({"top_k": 1.5})", 422, "top_k"},
        BadRequest{R"({"min_p": 1})", 400, "min_p"},
        BadRequest{R"({"repetition_penalty": 0})", 400, "repetition_penalty"},
        BadRequest{R"({"max_tokens": 0})", 400, "max_tokens"},
        BadRequest{R"({"max_tokens": "9"})", 422, "max_tokens"},
        BadRequest{R"({"max_tokens": 1e300})", 422, "max_tokens"},
        BadRequest{R"({"max_tokens": 18446744073709551615})", 400, "max_tokens"},
        BadRequest{R"({"seed": 1.5})", 422, "seed"}, BadRequest{R"({"stop": 5})", 422, "stop"},
        BadRequest{R"({"stop": ["a", 5]})", 422, "stop[1]"}, BadRequest{R"({"stop": [""]})", 400, "stop[0]"},
        BadRequest{R"({"stop": ["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]})", 400,
                   "stop"},
        BadRequest{R"({"stream": "yes"})", 422, "stream"},
        BadRequest{R"({"stream_options": {"include_usage": true}})", 400, "stream_options"},
        BadRequest{R"({"stream": true, "stream_options": {"include_usage": 1}})", 422,
                   "stream_options.include_usage"},
        BadRequest{R"({"n": 17})", 400, "n"}, BadRequest{R"({"n": 0})", 400, "n"},
        BadRequest{R"({"tools": {}})", 422, "tools"},
        BadRequest{R"({"tools": [{"type": "web_search"}]})", 400, "tools[0].type"},
        BadRequest{R"({"tools": [{"type": "function"}]})", 400, "tools[0].function"},
        BadRequest{R"({"tools": [{"function": {"name": "white space"}}]})", 400, "tools[0].function.name"},
        BadRequest{R"({"tools": [{"function": {"name": "f", "parameters": "x"}}]})", 422,
                   "tools[0].function.parameters"},
        BadRequest{R"({"functions": [{"name": "f"}]})", 400, "functions"},
        BadRequest{R"({"tool_choice": "perhaps"})", 400, "tool_choice"},
        BadRequest{R"({"tool_choice": 5})", 422, "tool_choice"},
        BadRequest{R"({"tool_choice": {"type": "function"}})", 400, "tool_choice.function"},
        BadRequest{R"({"thinking": true})", 422, "thinking"},
        BadRequest{R"({"thinking": {}})", 400, "thinking.type"},
        BadRequest{R"({"thinking": {"type": "sometimes"}})", 400, "thinking.type"},
        BadRequest{R"({"reasoning_effort": "huge"})", 400, "reasoning_effort"},
        BadRequest{R"({"logprobs": 1})", 422, "logprobs"},
        BadRequest{R"({"top_logprobs": 2})", 400, "top_logprobs"},
        BadRequest{R"({"logprobs": true, "top_logprobs": 21})", 400, "top_logprobs"},
        BadRequest{R"({"user_id": "with space"})", 400, "user_id"},
        BadRequest{R"({"user_id": ""})", 400, "user_id"},
        BadRequest{R"({"response_format": {"type": "xml"}})", 400, "response_format.type"},
        BadRequest{R"({"frequency_penalty": 3})", 400, "frequency_penalty"},
        BadRequest{R"({"frequency_penalty": "0"})", 422, "frequency_penalty"},
        BadRequest{R"({"presence_penalty": -2.1})", 400, "presence_penalty"},
        BadRequest{R"({"logit_bias": {"-5": 1}})", 400, "logit_bias"},
        BadRequest{R"({"logit_bias": {"five": 1}})", 400, "logit_bias"},
        BadRequest{R"({"logit_bias": {"5": 101}})", 400, "logit_bias.5"},
        BadRequest{R"({"logit_bias": [5]})", 422, "logit_bias"},
        BadRequest{R"({"max_tokens": 393217})", 400, "max_tokens"},
        BadRequest{R"({"best_of": 2})", 400, "best_of"}));

TEST(ChatRequest, SaysWhatMaxTokensMayBeInDeepSeeksWords) {
  EXPECT_STREQ(error_of([] {
                 read_chat_request(chat({{"max_tokens", 0}}));
               }).what(),
               "Invalid max_tokens value, the valid range of max_tokens is [1, 393216]");
}

TEST(ResponsesRequest, GathersTheItemsOfAnAnswer) {
  const std::string body = R"({"input": [
    {"role": "user", "content": "weather?"},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x",
     "content": [{"type": "reasoning_text", "text": "a tool, "}, {"type": "reasoning_text", "text": "say"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A moment."}]},
    {"type": "function_call", "call_id": "call_00_x", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call", "call_id": "call_01_x", "name": "now", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_00_x", "output": "rain"},
    {"type": "function_call_output", "call_id": "call_01_x", "output": "noon"},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "once more"}]},
    {"type": "function_call", "call_id": "call_00_y", "name": "now", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_00_y", "output": "one"},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "nothing came of it"}]},
    {"role": "user", "content": "so?"}]})";
  const auto messages = read_responses_request(Json::parse(body), body).chat.messages;
  ASSERT_EQ(messages.size(), 7u);
  EXPECT_EQ(messages[1].reasoning_content, "a tool, say");
  EXPECT_EQ(messages[1].content, "A moment.");
  ASSERT_EQ(messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(messages[1].tool_calls[1].id, "call_01_x");
  EXPECT_EQ(messages[4].reasoning_content, "once more");
  EXPECT_EQ(messages[4].tool_calls.size(), 1u);
  EXPECT_EQ(messages[6].role, "user");
  EXPECT_EQ(messages[6].reasoning_content, "");
}

TEST(ResponsesRequest, OffersTheFunctionsOfANamespace) {
  const std::string body = R"({"input": "x", "tools": [
    {"type": "function", "name": "now", "parameters": {"type": "object"}},
    {"type": "namespace", "name": "agents", "description": "d", "tools": [
      {"type": "function", "name": "spawn", "parameters": {"b": 1, "a": 2}}, {"name": "stop"}]}]})";
  const ResponsesRequest request = read_responses_request(Json::parse(body), body);
  ASSERT_EQ(request.chat.tools.size(), 3u);
  EXPECT_EQ(request.chat.tools[1].definition.name, "spawn");
  EXPECT_EQ(request.chat.tools[1].definition.parameters, R"({"b": 1, "a": 2})");
  EXPECT_EQ(request.namespaces,
            (std::map<std::string, std::string>{{"spawn", "agents"}, {"stop", "agents"}}));

  const auto refusal = [](const std::string& tools) {
    const std::string bad = R"({"input": "x", "tools": )" + tools + "}";
    return std::string(error_of([&] { read_responses_request(Json::parse(bad), bad); }).what());
  };
  const std::string inner = R"({"type": "namespace", "name": "a", "tools": [{"name": "f"}]})";
  EXPECT_NE(refusal("[" + inner + ", " + inner + "]").find("another namespace"), std::string::npos);
  EXPECT_NE(refusal(R"([{"type": "namespace", "name": "a", "tools": [)" + inner + "]}]")
                .find("tools[0].tools[0].type"),
            std::string::npos);
  std::string many;
  for (int i = 0; i < 129; ++i) many += (i ? ", " : "") + (R"({"name": "f)" + std::to_string(i)) + "\"}";
  EXPECT_NE(refusal(R"([{"type": "namespace", "name": "a", "tools": [)" + many + "]}]").find("at most 128"),
            std::string::npos);
}

TEST(ResponsesRequest, LeavesOutWhatOpenAIsServersRun) {
  const std::string body = R"({"input": "x", "tools": [{"type": "web_search", "external_web_access": false},
    {"type": "web_search_preview_2025_03_11"}, {"type": "function", "name": "now"}]})";
  const auto tools = read_responses_request(Json::parse(body), body).chat.tools;
  ASSERT_EQ(tools.size(), 1u);
  EXPECT_EQ(tools[0].definition.name, "now");
  const std::string shell = R"({"input": "x", "tools": [{"type": "custom", "name": "patch"}]})";
  EXPECT_NE(std::string(error_of([&] { read_responses_request(Json::parse(shell), shell); }).what())
                .find("\"custom\" is not supported"),
            std::string::npos);
}

TEST(ChatRequest, ReadsToolsCallsAndResults) {
  const ChatRequest request = read_chat_request(Json::parse(R"({
    "messages": [
      {"role": "user", "content": "weather?"},
      {"role": "assistant", "content": null, "reasoning_content": "a tool", "tool_calls": [
        {"index": 0, "id": "call_00_x", "type": "function", "function": {"name": "get_weather", "arguments": "{ \"city\": \"Oslo\"}"}},
        {"id": "call_01_x", "function": {"name": "now", "arguments": ""}}]},
      {"role": "tool", "tool_call_id": "call_00_x", "content": [{"type": "text", "text": "rain"}]},
      {"role": "tool", "tool_call_id": "call_01_x", "content": "noon"}],
    "tools": [{"type": "function", "function": {"name": "get_weather", "description": "of a city", "strict": false,
      "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}},
      {"type": "function", "function": {"name": "now"}}],
    "tool_choice": {"type": "function", "function": {"name": "now"}}})"));
  ASSERT_EQ(request.messages[1].tool_calls.size(), 2u);
  EXPECT_EQ(request.messages[1].tool_calls[0].id, "call_00_x");
  EXPECT_EQ(request.messages[1].tool_calls[0].arguments, "{ \"city\": \"Oslo\"}");  // byte for byte
  EXPECT_EQ(request.messages[1].tool_calls[1].arguments, "{}");
  EXPECT_EQ(request.messages[2].content, "rain");
  EXPECT_EQ(request.messages[3].tool_call_id, "call_01_x");
  ASSERT_EQ(request.tools.size(), 2u);
  EXPECT_EQ(request.tools[0].definition.description, "of a city");
  EXPECT_EQ(Json::parse(request.tools[0].definition.parameters)["type"], "object");
  EXPECT_EQ(request.tools[1].definition.parameters, "");
  EXPECT_EQ(request.tool_choice.kind, ToolChoice::Kind::kNamed);
  EXPECT_EQ(request.tool_choice.name, "now");
}

TEST(ChatRequest, ReadsThinkingInEveryWay) {
  const auto thinking = [](const Json& extra) { return read_chat_request(chat(extra)).thinking; };
  EXPECT_EQ(thinking(Json::object()), std::nullopt);
  EXPECT_EQ(thinking({{"thinking", {{"type", "enabled"}}}}), true);
  EXPECT_EQ(thinking({{"reasoning_effort", "low"}}), true);
  EXPECT_EQ(thinking({{"reasoning_effort", "none"}}), false);
  EXPECT_EQ(thinking({{"reasoning_effort", "max"}, {"thinking", {{"type", "disabled"}}}}), false);
  EXPECT_EQ(thinking({{"thinking", nullptr}}), std::nullopt);
}

TEST(ChatRequest, BoundsStopStringsAsTheEngineDoes) {
  const auto with = [](size_t bytes) { return chat({{"stop", std::string(bytes, 'x')}}); };
  const engine::SamplingOptions longest = read_chat_request(with(engine::kMaxStopBytes)).options.sampling;
  EXPECT_NO_THROW(engine::check_sampling(longest));
  const ApiError e = error_of([&] { read_chat_request(with(engine::kMaxStopBytes + 1)); });
  EXPECT_EQ(e.status(), 400);
  EXPECT_EQ(e.param(), "stop");
  engine::SamplingOptions longer = longest;
  longer.stop[0] += 'x';
  EXPECT_THROW(engine::check_sampling(longer), Error);
}

TEST(TextRequest, TakesTextAndTokenIds) {
  EXPECT_EQ(read_text_request({{"prompt", "abc"}}).prompt, "abc");
  EXPECT_EQ(read_text_request({{"prompt", {"abc"}}}).prompt, "abc");
  EXPECT_EQ(read_text_request({{"prompt", {5, 6}}}).tokens, (std::vector<text::TokenId>{5, 6}));
  EXPECT_TRUE(read_text_request({{"prompt", "abc"}, {"echo", true}}).echo);
  EXPECT_EQ(read_text_request({{"prompt", "abc"}, {"suffix", "xyz"}}).suffix, "xyz");
  const auto sampling = read_text_request({{"prompt", "abc"}, {"logprobs", 0}}).options.sampling;
  EXPECT_TRUE(sampling.logprobs);
  EXPECT_EQ(sampling.top_logprobs, 0);
  EXPECT_FALSE(read_text_request({{"prompt", "abc"}, {"logprobs", nullptr}}).options.sampling.logprobs);
}

TEST(TextRequest, NamesTheField) {
  const auto param = [](const Json& body) { return error_of([&] { read_text_request(body); }).param(); };
  EXPECT_EQ(param(Json::object()), "prompt");
  EXPECT_EQ(param({{"prompt", 5}}), "prompt");
  EXPECT_EQ(param({{"prompt", Json::array()}}), "prompt");
  EXPECT_EQ(param({{"prompt", {"a", "b"}}}), "prompt[0]");
  EXPECT_EQ(param({{"prompt", {5, -1}}}), "prompt[1]");
  EXPECT_EQ(param({{"prompt", {5, 4294967296}}}), "prompt[1]");
  EXPECT_EQ(param({{"prompt", {5, 6}}, {"suffix", "b"}}), "suffix");
  EXPECT_EQ(param({{"prompt", "a"}, {"suffix", "b"}, {"echo", true}}), "echo");
  EXPECT_EQ(param({{"prompt", "a"}, {"logprobs", 3}, {"echo", true}}), "echo");
  EXPECT_EQ(param({{"prompt", "a"}, {"logprobs", 21}}), "logprobs");
  EXPECT_EQ(param({{"prompt", "a"}, {"logprobs", true}}), "logprobs");
  EXPECT_EQ(param({{"prompt", "a"}, {"best_of", 3}}), "best_of");
}

TEST(TextRequest, SaysWhichNumberIsNoTokenId) {
  for (const std::string id : {"-1", "2147483648", "9223372036854775808", "18446744073709551615"}) {
    const ApiError e = error_of([&] { read_text_request(parse_body("{\"prompt\": [5, " + id + "]}")); });
    EXPECT_EQ(e.status(), 400);
    EXPECT_STREQ(e.what(), ("prompt[1]: " + id + " is not a token id").c_str());
  }
  const auto request = read_text_request(parse_body(R"({"prompt": [2147483647]})"));
  EXPECT_EQ(request.tokens, std::vector<text::TokenId>{2147483647});
}

TEST(Body, MustBeAnObjectOfJson) {
  for (const char* body :
       {"", "{", "not json", "{\"a\": 1e999}", "\"\xff\"", "{} {}", "{\"a\": \"\xc3\x28\"}"}) {
    EXPECT_EQ(error_of([&] { parse_body(body); }).status(), 400) << body;
  }
  for (const char* body : {"[]", "5", "null", "\"text\""}) {
    EXPECT_EQ(error_of([&] { parse_body(body); }).status(), 422) << body;
  }
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const ApiError e = error_of([&] { parse_body("{\"a\": " + deep + "}"); });
  EXPECT_EQ(e.status(), 400);
  EXPECT_NE(std::string(e.what()).find("deeper than 64"), std::string::npos);
}

TEST(ErrorBody, HasOpenAisShape) {
  const http::Response response = error_response(bad_value("temperature", "too hot"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(Json::parse(response.body), Json::parse(R"({"error": {"message": "temperature: too hot",
    "type": "invalid_request_error", "param": "temperature", "code": "invalid_request_error"}})"));
  EXPECT_TRUE(Json::parse(error_response({500, "server_error", "x"}).body)["error"]["param"].is_null());
}

TEST(ErrorBody, HasDeepSeeksTypes) {
  const auto type = [](int status) {
    return Json::parse(error_response({status, "c", "m"}).body)["error"]["type"];
  };
  EXPECT_EQ(type(401), "authentication_error");
  EXPECT_EQ(type(402), "unknown_error");
  EXPECT_EQ(type(404), "invalid_request_error");
  EXPECT_EQ(type(422), "invalid_request_error");
  EXPECT_EQ(type(500), "server_error");
  const auto header = [](int status) { return error_response({status, "c", "m"}).headers; };
  ASSERT_EQ(header(503).size(), 1u);
  EXPECT_EQ(header(503)[0].name, "Retry-After");
  EXPECT_EQ(header(429)[0].name, "Retry-After");
  EXPECT_TRUE(header(400).empty());
}

TEST(ErrorBody, HidesWhatIsNotForCallers) {
  const auto translated = [](auto error) {
    try {
      throw error;
    } catch (...) {
      return current_api_error();
    }
  };
  EXPECT_EQ(translated(Error(ErrorCode::kBadInput, "[engine] prompt: too long")).status(), 400);
  EXPECT_STREQ(translated(Error(ErrorCode::kBadInput, "[engine] prompt: too long")).what(),
               "prompt: too long");
  EXPECT_EQ(translated(Error(ErrorCode::kResource, "[engine] the queue is full")).status(), 503);
  const ApiError internal = translated(std::runtime_error("/secret/path"));
  EXPECT_EQ(internal.status(), 500);
  EXPECT_EQ(std::string(internal.what()).find("secret"), std::string::npos);
}

}  // namespace
}  // namespace hadal::serve::api
