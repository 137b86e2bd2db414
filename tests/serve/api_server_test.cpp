// The API over real sockets, a real engine and a real (random) model.
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "base/json.h"
#include "serve/live_api.h"
#include "serve/raw_client.h"
#include "serve/tiny_model.h"

namespace hadal::serve::api {
namespace {

using base::Json;
using test::eventually;
using test::RawClient;

class ApiServer : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = testing::TempDir() + "hadal-api-" + std::to_string(::getpid());
    test::make_tiny_model(directory_ + "/tiny", 128, 4096);
    http::ServerOptions options;
    options.max_body_bytes = 1'000'000;
    engine::EngineOptions engine_options;
    engine_options.threads = 1;
    engine_options.max_queue = 8;
    api_ = new test::LiveApi(directory_ + "/tiny", options, engine_options);
  }

  static void TearDownTestSuite() {
    delete api_;
    std::filesystem::remove_all(directory_);
  }

  static std::pair<std::string, Json> call(const std::string& bytes) {
    RawClient client(api_->server().port());
    EXPECT_TRUE(client.send(bytes));
    const std::string response = client.read_response();
    const size_t end = response.find("\r\n\r\n");
    return {response.substr(0, end), Json::parse(response.substr(end + 4), nullptr, false)};
  }

  static int status(const std::string& head) { return std::atoi(head.c_str() + 9); }

  static std::vector<std::string> events(const std::string& stream) {
    std::vector<std::string> all;
    for (size_t at = stream.find("data: "); at != std::string::npos; at = stream.find("data: ", at)) {
      const size_t end = stream.find("\n\n", at);
      all.push_back(stream.substr(at + 6, end - at - 6));
      at = end;
    }
    return all;
  }

  static std::string stream(const std::string& path, const Json& body) {
    RawClient client(api_->server().port());
    EXPECT_TRUE(client.send(test::post(path, body.dump())));
    return client.read_until("0\r\n\r\n");
  }

  static inline std::string directory_;
  static inline test::LiveApi* api_ = nullptr;
};

Json hello(Json extra = Json::object()) {
  Json body = {
      {"messages", {{{"role", "user"}, {"content", "hello"}}}}, {"max_tokens", 12}, {"temperature", 0}};
  body.update(extra);
  return body;
}

TEST_F(ApiServer, AnswersAChat) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions", "/beta/chat/completions"}) {
    const auto [head, json] = call(test::post(path, hello().dump()));
    EXPECT_EQ(status(head), 200);
    EXPECT_NE(head.find("\r\nx-request-id: "), std::string::npos);
    EXPECT_EQ(json["object"], "chat.completion");
    EXPECT_EQ(json["model"], "tiny");
    EXPECT_EQ(json["id"].get<std::string>().size(), 36u);  // a UUID
    EXPECT_EQ(json["choices"].size(), 1u);
    EXPECT_EQ(json["choices"][0]["message"]["role"], "assistant");
    EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
    EXPECT_EQ(json["usage"]["completion_tokens"], 12);
    EXPECT_EQ(json["usage"]["total_tokens"], json["usage"]["prompt_tokens"].get<int>() + 12);
    EXPECT_EQ(json["usage"]["prompt_cache_miss_tokens"], json["usage"]["prompt_tokens"]);
  }
}

TEST_F(ApiServer, StreamsTheSameText) {
  const std::string whole =
      call(test::post("/v1/chat/completions", hello().dump())).second["choices"][0]["message"]["content"];
  const auto all = events(stream("/v1/chat/completions",
                                 hello({{"stream", true}, {"stream_options", {{"include_usage", true}}}})));
  ASSERT_GE(all.size(), 4u);
  EXPECT_EQ(all.back(), "[DONE]");
  const Json first = Json::parse(all.front());
  EXPECT_EQ(first["object"], "chat.completion.chunk");
  EXPECT_EQ(first["choices"][0]["delta"]["role"], "assistant");
  EXPECT_TRUE(first["usage"].is_null());
  std::string text;
  for (size_t i = 0; i + 2 < all.size(); ++i) {
    const Json chunk = Json::parse(all[i]);
    EXPECT_EQ(chunk["id"], first["id"]);
    EXPECT_EQ(chunk["created"], first["created"]);
    text += chunk["choices"][0]["delta"]["content"].get<std::string>();
    const bool last = i + 3 == all.size();
    EXPECT_EQ(chunk["choices"][0]["finish_reason"], last ? Json("length") : Json(nullptr));
  }
  EXPECT_EQ(text, whole);
  const Json usage = Json::parse(all[all.size() - 2]);
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_EQ(usage["usage"]["completion_tokens"], 12);
}

TEST_F(ApiServer, GivesTheSameLogprobsWholeAndStreamed) {
  const Json chat = hello({{"logprobs", true}, {"top_logprobs", 3}, {"n", 2}});
  const Json whole = call(test::post("/v1/chat/completions", chat.dump())).second;
  ASSERT_EQ(whole["choices"].size(), 2u);
  Json streamed = chat;
  streamed["stream"] = true;
  std::vector<Json> joined(2, Json::array());
  for (const std::string& event : events(stream("/v1/chat/completions", streamed))) {
    if (event == "[DONE]") break;
    const Json chunk = Json::parse(event);
    for (const Json& choice : chunk["choices"]) {
      if (choice["logprobs"].is_null()) continue;
      for (const Json& entry : choice["logprobs"]["content"]) joined[choice["index"]].push_back(entry);
    }
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(joined[i].size(), 12u);
    EXPECT_EQ(whole["choices"][i]["logprobs"]["content"], joined[i]);
  }
  EXPECT_TRUE(
      call(test::post("/v1/chat/completions", hello().dump())).second["choices"][0]["logprobs"].is_null());
  const Json text = {{"prompt", "The deep sea"}, {"max_tokens", 5}, {"logprobs", 2}};
  const Json lists = call(test::post("/v1/completions", text.dump())).second["choices"][0]["logprobs"];
  for (const char* name : {"tokens", "token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(lists[name].size(), 5u) << name;
  }
}

TEST_F(ApiServer, BoundsTheLogprobsOfOneWholeAnswer) {
  const Json body = hello({{"logprobs", true}, {"top_logprobs", 20}, {"n", 16}, {"max_tokens", 3900}});
  const auto [head, json] = call(test::post("/v1/chat/completions", body.dump()));
  EXPECT_EQ(status(head), 400);
  EXPECT_EQ(json["error"]["param"], "logprobs");
  EXPECT_NE(json["error"]["message"].get<std::string>().find("1310400"), std::string::npos);
}

TEST_F(ApiServer, CompletesText) {
  const Json body = {{"prompt", "The deep sea"}, {"max_tokens", 5}, {"seed", 7}, {"echo", true}};
  const auto [head, json] = call(test::post("/v1/completions", body.dump()));
  EXPECT_EQ(status(head), 200);
  EXPECT_EQ(json["object"], "text_completion");
  const std::string text = json["choices"][0]["text"];
  EXPECT_TRUE(text.starts_with("The deep sea"));
  Json streamed = body;
  streamed["stream"] = true;
  std::string joined;
  auto all = events(stream("/v1/completions", streamed));
  all.pop_back();
  for (const std::string& event : all) joined += Json::parse(event)["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(joined, text);  // the seed makes the draws the same
}

TEST_F(ApiServer, StopsAtStopStrings) {
  const Json body = {{"prompt", "a"}, {"max_tokens", 200}, {"temperature", 1}, {"seed", 3}};
  const std::string text = call(test::post("/v1/completions", body.dump())).second["choices"][0]["text"];
  ASSERT_GT(text.size(), 20u);
  // A stop string from the middle of what it says, cut where characters begin.
  size_t from = text.size() / 2;
  while ((text[from] & 0xC0) == 0x80) ++from;
  size_t to = from + 1;
  while (to < text.size() && (text[to] & 0xC0) == 0x80) ++to;
  const std::string stop = text.substr(from, to - from);
  Json stopped = body;
  stopped["stop"] = {"never said, surely", stop};
  const Json json = call(test::post("/v1/completions", stopped.dump())).second;
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(json["choices"][0]["text"], text.substr(0, text.find(stop)));
}

TEST_F(ApiServer, ListsItsModelAndHealth) {
  for (const char* path : {"/v1/models", "/models"}) {
    const Json json = call(test::get(path)).second;
    EXPECT_EQ(json["object"], "list");
    ASSERT_EQ(json["data"].size(), 2u);
    EXPECT_EQ(json["data"][0]["id"], "tiny");
    EXPECT_EQ(json["data"][1]["id"], "deepseek-chat");
    EXPECT_EQ(json["data"][0]["object"], "model");
    EXPECT_EQ(json["data"][0]["context_length"], 4096);
  }
  EXPECT_EQ(call(test::get("/v1/models/tiny")).second["id"], "tiny");
  EXPECT_EQ(call(test::get("/v1/models/other")).second["error"]["code"], "model_not_found");
  const Json health = call(test::get("/health")).second;
  EXPECT_EQ(health["status"], "ok");
  EXPECT_EQ(health["model"], "tiny");
}

// What a proxy keeps inside by its path must not be there under another one.
TEST_F(ApiServer, KeepsMetricsAndHealthAtOnePath) {
  for (const char* path : {"/health", "/metrics"}) {
    EXPECT_EQ(status(call(test::get(path)).first), 200) << path;
  }
  for (const std::string base : {"/v1", "/beta", "/beta/v1", "/anthropic", "/anthropic/v1"}) {
    for (const char* path : {"/health", "/metrics", "/admin/keys", "/console"}) {
      EXPECT_EQ(status(call(test::get(base + path)).first), 404) << base << path;
    }
    EXPECT_EQ(status(call(test::get(base + "/models")).first), 200) << base;
  }
}

TEST_F(ApiServer, RefusesInTheDialectOfThePath) {
  const std::string rest = " HTTP/1.1\r\nHost: t\r\nContent-Length: 2000000\r\n\r\n";
  for (const char* path : {"/v1/messages", "/anthropic/v1/messages", "/v1/chat/completions"}) {
    const auto [head, json] = call("POST " + std::string(path) + rest);
    EXPECT_EQ(status(head), 413);
    EXPECT_NE(head.find("\r\nrequest-id: "), std::string::npos);
    EXPECT_NE(head.find("\r\nx-request-id: "), std::string::npos);
    EXPECT_EQ(json.value("type", "") == "error", std::string_view(path).ends_with("messages")) << path;
  }
}

TEST_F(ApiServer, SaysWhatIsWrong) {
  struct Case {
    std::string bytes;
    int status;
    std::string code;
  };
  const std::string chat = "/v1/chat/completions";
  const std::string deep = "{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}";
  std::string long_prompt;
  for (int i = 0; i < 3000; ++i) long_prompt += "deep sea ";
  for (const Case& c : {
           Case{test::post(chat, "not json"), 400, "invalid_request_error"},
           Case{test::post(chat, ""), 400, "invalid_request_error"},
           Case{test::post(chat, deep), 400, "invalid_request_error"},
           Case{test::post(chat, R"({"messages":[{"role":"user","content":"x"}],"temperature":"hot"})"), 422,
                "invalid_request_error"},
           Case{test::post(chat, hello({{"model", "gpt-4"}}).dump()), 400, "invalid_request_error"},
           Case{test::post("/v1/completions", Json{{"prompt", long_prompt}}.dump()), 400,
                "context_length_exceeded"},
           Case{test::post("/v1/completions", Json{{"prompt", std::string(900'000, 'x')}}.dump()), 400,
                "context_length_exceeded"},
           Case{test::post("/v1/completions", R"({"prompt": [100000]})"), 400, "invalid_request_error"},
           Case{test::post("/v1/embeddings", "{}"), 404, "unknown_url"},
           Case{test::get("/v1/"), 404, "unknown_url"},
           Case{test::get("/../../etc/passwd"), 404, "unknown_url"},
           Case{test::get(chat), 405, "method_not_allowed"},
           Case{test::post("/v1/models", "{}"), 405, "method_not_allowed"},
       }) {
    const auto [head, json] = call(c.bytes);
    EXPECT_EQ(status(head), c.status) << c.bytes.substr(0, 200) << json;
    ASSERT_TRUE(json.contains("error")) << head;
    EXPECT_EQ(json["error"]["code"], c.code) << json;
    EXPECT_TRUE(json["error"]["message"].is_string());
  }
  RawClient client(api_->server().port());
  client.send(test::post(chat, std::string(1'500'000, ' ')));
  const std::string answer = client.read_response();
  EXPECT_EQ(status(answer), 413);
  EXPECT_NE(answer.find("request_too_large"), std::string::npos);
  EXPECT_EQ(status(call(test::post(chat, hello().dump())).first), 200);
}

TEST_F(ApiServer, LetsLocalPagesIn) {
  const auto head_for = [&](const std::string& origin) {
    return call("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: t\r\nOrigin: " + origin +
                "\r\nAccess-Control-Request-Headers: x-stainless-os\r\n\r\n")
        .first;
  };
  const std::string local = head_for("http://localhost:5173");
  EXPECT_EQ(status(local), 204);
  EXPECT_NE(local.find("Access-Control-Allow-Origin: http://localhost:5173"), std::string::npos);
  EXPECT_NE(local.find("Access-Control-Allow-Headers: x-stainless-os"), std::string::npos);
  for (const char* origin : {"https://example.org", "http://localhost.example.org", "null"}) {
    EXPECT_EQ(head_for(origin).find("Access-Control-Allow-Origin"), std::string::npos) << origin;
  }
  const auto head = call("GET /health HTTP/1.1\r\nHost: t\r\nOrigin: http://127.0.0.1:3000\r\n\r\n").first;
  EXPECT_NE(head.find("Access-Control-Allow-Origin: http://127.0.0.1:3000"), std::string::npos);
}

TEST_F(ApiServer, StopsGeneratingForClientsThatLeave) {
  for (const bool streaming : {true, false}) {
    const auto before = api_->engine().metrics();
    {
      RawClient client(api_->server().port());
      ASSERT_TRUE(client.send(test::post(
          "/v1/completions", Json{{"prompt", "x"}, {"max_tokens", 2000}, {"stream", streaming}}.dump())));
      ASSERT_TRUE(eventually(
          [&] { return api_->engine().metrics().generated_tokens_total > before.generated_tokens_total; }));
    }
    ASSERT_TRUE(eventually([] { return api_->engine().metrics().running == 0; }));
    EXPECT_LT(api_->engine().metrics().generated_tokens_total - before.generated_tokens_total, 2000u)
        << streaming;
  }
}

TEST_F(ApiServer, RefusesMoreThanTheQueueHolds) {
  std::vector<std::unique_ptr<RawClient>> clients;
  // Of different users: one alone does not get all of the queue.
  const auto request = [](int i) {
    const Json body = {{"prompt", "x"}, {"max_tokens", 2000}, {"user_id", "user-" + std::to_string(i)}};
    return test::post("/v1/completions", body.dump());
  };
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>(api_->server().port()));
    ASSERT_TRUE(clients.back()->send(request(i)));
  }
  ASSERT_TRUE(
      eventually([] { return api_->engine().metrics().running + api_->engine().metrics().waiting == 8; }));
  const auto [head, json] = call(request(8));
  EXPECT_EQ(status(head), 503);
  EXPECT_NE(head.find("Retry-After"), std::string::npos);
  EXPECT_EQ(json["error"]["code"], "server_overloaded");
  clients.clear();
  ASSERT_TRUE(
      eventually([] { return api_->engine().metrics().running + api_->engine().metrics().waiting == 0; }));
}

TEST_F(ApiServer, AnswersManyAtOnce) {
  const std::string expected =
      call(test::post("/v1/chat/completions", hello().dump())).second["choices"][0]["message"]["content"];
  std::vector<std::thread> threads;
  std::atomic<int> equal{0};
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      if (t % 2 == 0) {
        const Json json = call(test::post("/v1/chat/completions", hello().dump())).second;
        if (json["choices"][0]["message"]["content"] == expected) ++equal;
      } else {
        std::string text;
        auto all = events(stream("/v1/chat/completions", hello({{"stream", true}})));
        all.pop_back();
        for (const auto& event : all)
          text += Json::parse(event)["choices"][0]["delta"]["content"].get<std::string>();
        if (text == expected) ++equal;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 6);
}

}  // namespace
}  // namespace hadal::serve::api
