// What requests mean, and what clients are told about those that mean nothing.
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "engine/sampler.h"
#include "serve/api/api_error.h"
#include "serve/api/chat_completions.h"
#include "serve/api/completions.h"

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
    "frequency_penalty": 0, "presence_penalty": null, "logit_bias": {}, "best_of": 1, "thinking": {"type": "disabled"}, "user_id": "u", "n": 1,
    "tools": [], "logprobs": false, "response_format": {"type": "text"}, "something_new": [1, 2]})"));
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
  EXPECT_TRUE(options.stream);
  EXPECT_TRUE(options.include_usage);
}

TEST(ChatRequest, HasDeepSeeksDefaults) {
  const CompletionOptions options = read_chat_request(chat()).options;
  EXPECT_EQ(options.sampling.temperature, 1.0f);
  EXPECT_EQ(options.sampling.top_p, 1.0f);
  EXPECT_EQ(options.sampling.max_tokens, kDefaultMaxTokens);
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
        BadRequest{R"({"messages": [{"role": "tool", "content": "x"}]})", 400, "messages[0].role"},
        BadRequest{R"({"messages": [{"role": "assistant", "content": "x", "prefix": true}]})", 400,
                   "messages[0].prefix"},
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
        BadRequest{R"({"n": 2})", 400, "n"}, BadRequest{R"({"tools": [{"type": "function"}]})", 400, "tools"},
        BadRequest{R"({"logprobs": true})", 400, "logprobs"},
        BadRequest{R"({"response_format": {"type": "json_object"}})", 400, "response_format.type"},
        BadRequest{R"({"frequency_penalty": 3})", 400, "frequency_penalty"},
        BadRequest{R"({"frequency_penalty": 0.5})", 400, "frequency_penalty"},
        BadRequest{R"({"frequency_penalty": "0"})", 422, "frequency_penalty"},
        BadRequest{R"({"presence_penalty": -1})", 400, "presence_penalty"},
        BadRequest{R"({"logit_bias": {"5": 1}})", 400, "logit_bias"},
        BadRequest{R"({"logit_bias": [5]})", 422, "logit_bias"},
        BadRequest{R"({"best_of": 2})", 400, "best_of"}));

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
}

TEST(TextRequest, NamesTheField) {
  const auto param = [](const Json& body) { return error_of([&] { read_text_request(body); }).param(); };
  EXPECT_EQ(param(Json::object()), "prompt");
  EXPECT_EQ(param({{"prompt", 5}}), "prompt");
  EXPECT_EQ(param({{"prompt", Json::array()}}), "prompt");
  EXPECT_EQ(param({{"prompt", {"a", "b"}}}), "prompt[0]");
  EXPECT_EQ(param({{"prompt", {5, -1}}}), "prompt[1]");
  EXPECT_EQ(param({{"prompt", {5, 4294967296}}}), "prompt[1]");
  EXPECT_EQ(param({{"prompt", "a"}, {"suffix", "b"}}), "suffix");
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
    "type": "invalid_request_error", "param": "temperature", "code": "invalid_value"}})"));
  EXPECT_TRUE(Json::parse(error_response({500, "server_error", "x"}).body)["error"]["param"].is_null());
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
