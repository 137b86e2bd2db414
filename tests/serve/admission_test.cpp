// What stands between a caller and the work of a request, and what is charged when the caller leaves: real
// sockets, a real engine, a real ledger.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <thread>
#include <tuple>

#include "base/files.h"
#include "base/json.h"
#include "ledger/secrets.h"
#include "serve/live_api.h"
#include "serve/raw_client.h"
#include "serve/tiny_model.h"

namespace hadal::serve::api {
namespace {

using base::Json;
using ledger::Nanos;
using test::eventually;
using test::RawClient;

// Of a million tokens: a prompt token costs a thousand nano-units, one of an answer ten thousand.
constexpr const char* kPrices =
    "currency = \"USD\"\n[[model]]\nname = \"*\"\nhit = \"1\"\nmiss = \"1\"\noutput = \"10\"\n";
constexpr Nanos kPromptToken = 1000, kAnswerToken = 10'000;

class Admission : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = testing::TempDir() + "hadal-admission-" + std::to_string(::getpid());
    test::make_tiny_model(directory_ + "/tiny", 128, 4096);
    base::write_file_atomic(directory_ + "/prices.toml", kPrices);
    ledger::LedgerOptions keys;
    keys.database = directory_ + "/keys.db";
    keys.prices = directory_ + "/prices.toml";
    keys.poll_seconds = 0.02;
    ledger_ = ledger::Ledger::open(keys).release();
    engine::EngineOptions engine_options = one_thread();
    engine_options.max_itl_ms = 1;  // prompts in small pieces: a client can leave between two
    api_ = new test::LiveApi(directory_ + "/tiny", {}, engine_options, ledger_);
  }

  static void TearDownTestSuite() {
    delete api_;
    delete ledger_;
    std::filesystem::remove_all(directory_);
  }

  static engine::EngineOptions one_thread() {
    engine::EngineOptions options;
    options.threads = 1;
    return options;
  }

  struct Key {
    std::string id, secret;
  };

  // One that the server knows when this returns.
  static Key make_key(const std::string& name, Nanos balance, const ledger::KeySettings& settings = {}) {
    ledger::Key key;
    key.id = ledger::make_key_id();
    key.settings = settings;
    key.settings.name = name;
    const std::string secret = ledger::renew_secret(key, 0);
    ledger::Store::open(directory_ + "/keys.db")->add_key(key, balance);
    EXPECT_TRUE(eventually([&] { return ledger_->authenticate(secret).has_value(); }));
    return {key.id, secret};
  }

  static std::string request(const Key& key, const std::string& path, const std::string& body,
                             const std::string& header = {}) {
    std::string bytes = test::post(path, body);
    const std::string line = "Authorization: Bearer " + key.secret + "\r\n" + header;
    return bytes.insert(bytes.find("\r\n") + 2, line);
  }

  static std::pair<int, Json> call(const Key& key, const std::string& path, const std::string& body,
                                   const std::string& header = {}) {
    RawClient client(api_->server().port());
    EXPECT_TRUE(client.send(request(key, path, body, header)));
    const std::string response = client.read_response();
    const size_t end = response.find("\r\n\r\n");
    return {std::atoi(response.c_str() + 9), Json::parse(response.substr(end + 4), nullptr, false)};
  }
  static std::string code(const Json& body) { return body["error"]["code"].get<std::string>(); }

  static Json chat(int max_tokens, Json extra = Json::object()) {
    Json body = {{"messages", {{{"role", "user"}, {"content", "What is the hadal zone?"}}}},
                 {"max_tokens", max_tokens}};
    body.update(extra);
    return body;
  }

  // Some 1.5 KB a token: of a thousand, more than sockets hold.
  static Json long_answer(int tokens) { return chat(tokens, {{"logprobs", true}, {"top_logprobs", 20}}); }

  // Prompt tokens that the model was run on for somebody; finished conversations are prepared besides.
  static uint64_t computed_tokens() {
    const auto metrics = api_->engine().metrics();
    return metrics.prefilled_tokens_total - metrics.kept_tokens_total;
  }

  // The key's only record, once it is there and nothing runs any more.
  static ledger::UsageRecord record_of(const Key& key) {
    std::vector<ledger::UsageRecord> records;
    EXPECT_TRUE(eventually([&] {
      records = ledger::Store::open(directory_ + "/keys.db")->records({0, INT64_MAX, key.id, ""}, 10);
      return !records.empty() && api_->engine().metrics().running + api_->engine().metrics().waiting == 0;
    }));
    EXPECT_EQ(records.size(), 1u);
    return records.empty() ? ledger::UsageRecord{} : records[0];
  }
  static void expect_settled(const Key& key, Nanos balance) {
    EXPECT_TRUE(eventually([&] { return ledger_->state().open_requests == 0; }));
    const auto store = ledger::Store::open(directory_ + "/keys.db");
    Nanos spent = 0;
    for (const auto& record : store->records({0, INT64_MAX, key.id, ""}, 1000)) spent += record.cost;
    EXPECT_EQ(store->find_key(key.id)->balance(), balance - spent);
    const auto standing = ledger_->standing(key.id);
    EXPECT_EQ(standing->topped_up, balance - spent);
    EXPECT_EQ(standing->running, 0);
    EXPECT_TRUE(store->disagreements().empty());
  }

  static inline std::string directory_;
  static inline ledger::Ledger* ledger_ = nullptr;
  static inline test::LiveApi* api_ = nullptr;
};

const std::vector<std::string> kGenerating = {"/v1/chat/completions", "/v1/completions", "/v1/messages",
                                              "/v1/responses"};
const std::vector<std::string> kCounting = {"/v1/tokenize", "/v1/detokenize", "/v1/messages/count_tokens"};

std::vector<std::string> all_paths() {
  std::vector<std::string> paths = kGenerating;
  paths.insert(paths.end(), kCounting.begin(), kCounting.end());
  return paths;
}

// A body that is not even JSON is refused for the balance, not for what it is: nobody has looked at it.
TEST_F(Admission, WhoHasNoMoneyMakesNoWork) {
  const Key poor = make_key("poor", 0);
  const Key rich = make_key("rich", ledger::kNanosPerUnit);
  for (const std::string& path : all_paths()) {
    EXPECT_EQ(call(poor, path, "no JSON").first, 402) << path;
    EXPECT_EQ(call(rich, path, "no JSON").first, 400) << path;
  }
}

TEST_F(Admission, WhoIsOverALimitMakesNoWork) {
  ledger::KeySettings settings;
  settings.limits.concurrency = 1;
  const Key one = make_key("one", ledger::kNanosPerUnit, settings);
  RawClient stream(api_->server().port());
  ASSERT_TRUE(stream.send(request(one, "/v1/chat/completions", chat(3000, {{"stream", true}}).dump())));
  stream.read_until("data: ");
  for (const std::string& path : all_paths()) {
    const auto [status, body] = call(one, path, "no JSON");
    EXPECT_EQ(status, 429) << path << " " << body.dump();
  }
  EXPECT_EQ(code(call(one, "/v1/tokenize", "no JSON").second), "concurrency_limit");
  stream.close();
  // What was refused has let go of its place too.
  EXPECT_TRUE(eventually([&] { return call(one, "/v1/tokenize", "no JSON").first == 400; }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(call(one, "/v1/tokenize", R"({"text": "the deep sea"})").first, 200);
    EXPECT_EQ(call(one, "/v1/chat/completions", chat(1).dump()).first, 200);
  }

  settings.limits = {};
  settings.limits.daily_tokens = 5;
  const Key daily = make_key("daily", ledger::kNanosPerUnit, settings);
  EXPECT_EQ(call(daily, "/v1/completions", R"({"prompt": "sea", "max_tokens": 5})").first, 200);
  EXPECT_EQ(code(call(daily, "/v1/completions", "no JSON").second), "daily_tokens_limit");
}

TEST_F(Admission, AModelIsAllowedBeforeItsGrammarIsMade) {
  ledger::KeySettings settings;
  settings.models = {"another"};
  const Key narrow = make_key("narrow", ledger::kNanosPerUnit, settings);
  const Key wide = make_key("wide", ledger::kNanosPerUnit);
  const Json schema = {{"type", "json_schema"},
                       {"json_schema", {{"name", "x"}, {"schema", {{"type", "no such type"}}}}}};
  const std::string body = chat(5, {{"response_format", schema}}).dump();
  EXPECT_EQ(call(wide, "/v1/chat/completions", body).first, 400);
  EXPECT_EQ(call(narrow, "/v1/chat/completions", body).first, 403);
  const std::vector<std::pair<const char*, std::string>> counted = {
      {"/v1/tokenize", R"({"text": "sea"})"},
      {"/v1/detokenize", R"({"tokens": [300]})"},
      {"/v1/messages/count_tokens",
       R"({"model": "tiny", "messages": [{"role": "user", "content": "sea"}]})"}};
  for (const auto& [path, text] : counted) {
    EXPECT_EQ(call(wide, path, text).first, 200) << path;
    EXPECT_EQ(call(narrow, path, text).first, 403) << path;
  }
}

TEST_F(Admission, CountingTokensHasAMinuteOfItsOwn) {
  ledger::KeySettings settings;
  settings.limits.tokens_per_minute = 60;
  const Key key = make_key("counter", ledger::kNanosPerUnit, settings);
  std::string text = "sea";
  for (int i = 0; i < 80; ++i) text += " sea";
  const Json body = {{"text", text}};
  const auto [status, first] = call(key, "/v1/tokenize", body.dump());
  EXPECT_EQ(status, 200);  // what passes the limit is answered,
  ASSERT_GT(first["count"], 60);
  const auto [refused, error] = call(key, "/v1/detokenize", R"({"tokens": [300]})");  // the next is not
  EXPECT_EQ(refused, 429);
  EXPECT_EQ(code(error), "rate_limit_exceeded");
  EXPECT_EQ(call(key, "/v1/completions", R"({"prompt": "sea", "max_tokens": 5})").first, 200);
}

// A prompt longer than the context is refused with 400, until a million tokens were.
TEST_F(Admission, PromptsThatAreRefusedForAnythingAreBounded) {
  std::string text;
  for (int i = 0; i < 15'000; ++i) text += " sea";
  const std::vector<std::pair<std::string, Json>> refused = {
      {"/v1/completions", {{"prompt", text}}},
      {"/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", text}}}}}},
      {"/v1/tokenize", {{"text", text}, {"with_pieces", 1}}}};
  for (const auto& [path, body] : refused) {
    const Key key = make_key("refused " + path, ledger::kNanosPerUnit);
    const std::string bytes = body.dump();
    int status = 0, times = 0;
    for (; status != 429 && times < 400; ++times) {
      Json answer;
      std::tie(status, answer) = call(key, path, bytes);
      ASSERT_GE(status, 400) << path;
      if (status == 429) {
        EXPECT_EQ(code(answer), "rate_limit_exceeded");
      }
    }
    EXPECT_GT(times, 5) << path;
    EXPECT_LT(times, 400) << path;
  }
}

TEST_F(Admission, ATimeLimitIsReadBeforeThePromptIsMade) {
  const Key key = make_key("late", ledger::kNanosPerUnit);
  for (const std::string& path : kGenerating) {
    const Json body = {{"prompt", ""},
                       {"input", Json::array({{{"role", "user"}, {"content", std::string(200'000, 'x')}}})},
                       {"max_tokens", 5},
                       {"model", "tiny"},
                       {"messages", {{{"role", "user"}, {"content", std::string(200'000, 'x')}}}}};
    const auto [status, answer] = call(key, path, body.dump(), "X-Request-Timeout-Ms: soon\r\n");
    EXPECT_EQ(status, 400);
    EXPECT_NE(answer.dump().find("milliseconds"), std::string::npos) << answer;
  }
}

TEST_F(Admission, ABurstIsBoundedByWhatItMayCost) {
  // A prompt of some 20 tokens and 300 of an answer: the balance pays for four, and the last may overdraw it.
  constexpr int kClients = 16;
  constexpr int64_t kAnswer = 300;
  const Json body = chat(kAnswer);
  const Key measured = make_key("measured", ledger::kNanosPerUnit);
  const Json usage = call(measured, "/v1/chat/completions", body.dump()).second["usage"];
  const Nanos worst = usage["prompt_tokens"].get<int64_t>() * kPromptToken + kAnswer * kAnswerToken;
  const Nanos balance = 4 * worst - worst / 2;
  const Key key = make_key("burst", balance);
  std::vector<std::thread> clients;
  std::mutex mutex;
  int answered = 0, refused = 0;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      const auto [status, answer] = call(key, "/v1/chat/completions", body.dump());
      const std::lock_guard lock(mutex);
      if (status == 200) {
        ++answered;
      } else if (status == 429) {
        EXPECT_EQ(code(answer), "balance_reserved");
        ++refused;
      } else {
        EXPECT_EQ(status, 402);  // those before have spent it all
        ++refused;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 4);
  EXPECT_EQ(refused, kClients - 4);
  expect_settled(key, balance);
  EXPECT_GE(ledger_->standing(key.id)->topped_up, -worst);  // one request's cost
  EXPECT_EQ(call(key, "/v1/chat/completions", body.dump()).first, 402);
}

TEST_F(Admission, WhoLeavesAWholeAnswerPaysForWhatWasMade) {
  const Key key = make_key("leaver", ledger::kNanosPerUnit);
  const auto before = api_->engine().metrics();
  {
    RawClient client(api_->server().port());
    ASSERT_TRUE(client.send(request(key, "/v1/chat/completions", chat(2000, {{"n", 2}}).dump())));
    ASSERT_TRUE(eventually([&] {
      return api_->engine().metrics().generated_tokens_total >= before.generated_tokens_total + 20;
    }));
  }
  const auto record = record_of(key);
  const auto after = api_->engine().metrics();
  EXPECT_EQ(record.status, "cancelled");
  EXPECT_EQ(record.tokens.completion,
            static_cast<int64_t>(after.generated_tokens_total - before.generated_tokens_total));  // of both
  EXPECT_GT(record.tokens.prompt, 10);
  EXPECT_EQ(record.cost, record.tokens.prompt * kPromptToken + record.tokens.completion * kAnswerToken);
  expect_settled(key, ledger::kNanosPerUnit);
}

// Cut just before the end: all of it was made, and none of it, or not all, was taken.
TEST_F(Admission, WhoDoesNotTakeAWholeAnswerPaysForIt) {
  constexpr int kTokens = 1000;
  const Key key = make_key("deaf", ledger::kNanosPerUnit);
  const auto before = api_->engine().metrics().length_total;
  {
    RawClient client(api_->server().port());
    ASSERT_TRUE(client.send(request(key, "/v1/chat/completions", long_answer(kTokens).dump())));
    ASSERT_TRUE(eventually([&] { return api_->engine().metrics().length_total > before; }));
    ASSERT_TRUE(eventually([&] { return ledger_->standing(key.id)->running == 0; }));  // it is on its way
  }
  const auto record = record_of(key);
  EXPECT_EQ(record.status, "cancelled");
  EXPECT_EQ(record.tokens.completion, kTokens);
  EXPECT_EQ(record.cost, record.tokens.prompt * kPromptToken + kTokens * kAnswerToken);
  expect_settled(key, ledger::kNanosPerUnit);
}

// In the middle of it, and when all of it was made and not all of it taken.
TEST_F(Admission, AStoppingServerChargesNothingForAWholeAnswerThatItCuts) {
  http::ServerOptions options;
  options.drain_timeout = 0.01;
  for (const bool made : {false, true}) {
    const Key key = make_key(made ? "cut late" : "cut early", ledger::kNanosPerUnit);
    {
      test::LiveApi api(directory_ + "/tiny", options, one_thread(), ledger_);
      RawClient client(api.server().port());
      const Json body = made ? long_answer(1000) : chat(4000, {{"n", 16}});
      ASSERT_TRUE(client.send(request(key, "/v1/chat/completions", body.dump())));
      ASSERT_TRUE(eventually([&] {
        return made ? api.engine().metrics().length_total == 1 && ledger_->standing(key.id)->running == 0
                    : api.engine().metrics().generated_tokens_total > 20;
      }));
      api.server().stop();
      EXPECT_TRUE(eventually([&] { return ledger_->standing(key.id)->running == 0; }));
      EXPECT_EQ(api.engine().metrics().length_total, made ? 1u : 0u);
    }
    const auto record = record_of(key);
    EXPECT_EQ(record.status, "cancelled");
    EXPECT_EQ(record.cost, 0);
    EXPECT_EQ(record.tokens.prompt + record.tokens.completion, 0);
    expect_settled(key, ledger::kNanosPerUnit);
  }
}

// The second time the client is told to wait before there is an answer: its connection ends then.
TEST_F(Admission, AnAnswerThatTheServerHasNoRoomForCostsNothing) {
  http::ServerOptions options;
  options.max_held_bytes = 100'000;
  for (const bool held : {false, true}) {
    options.stream_idle_seconds = held ? 0.01 : 30;
    test::LiveApi api(directory_ + "/tiny", options, one_thread(), ledger_);
    const Key key = make_key(held ? "no room, held" : "no room", ledger::kNanosPerUnit);
    RawClient client(api.server().port());
    ASSERT_TRUE(client.send(request(key, "/v1/chat/completions", long_answer(1000).dump())));
    const std::string response = held ? client.read_all() : client.read_response();
    EXPECT_EQ(std::atoi(response.c_str() + 9), held ? 200 : 503);
    EXPECT_EQ(response.find("choices"), std::string::npos);
    const auto record = record_of(key);
    EXPECT_EQ(record.status, "failed");
    EXPECT_EQ(record.cost, 0);
    expect_settled(key, ledger::kNanosPerUnit);
  }
}

TEST_F(Admission, WhoLeavesAPromptPaysForWhatWasComputedOfIt) {
  bool before_the_first_token = false;
  for (int attempt = 0; attempt < 20 && !before_the_first_token; ++attempt) {
    const Key key = make_key(fmt::format("prompt {}", attempt), ledger::kNanosPerUnit);
    std::string text = fmt::format("attempt {}:", attempt);  // nothing of it is in the cache
    for (int i = 0; i < 3000; ++i) text += " sea";
    const uint64_t before = computed_tokens();
    {
      RawClient client(api_->server().port());
      const Json body = {{"prompt", text}, {"max_tokens", 100}, {"stream", true}};
      ASSERT_TRUE(client.send(request(key, "/v1/completions", body.dump())));
      ASSERT_TRUE(eventually([&] { return computed_tokens() > before; }));
    }
    const auto record = record_of(key);
    EXPECT_EQ(record.tokens.prompt - record.tokens.cached, static_cast<int64_t>(computed_tokens() - before));
    EXPECT_GT(record.tokens.prompt, 0);
    EXPECT_EQ(record.cost, record.tokens.prompt * kPromptToken + record.tokens.completion * kAnswerToken);
    EXPECT_EQ(record.status, "cancelled");
    expect_settled(key, ledger::kNanosPerUnit);
    before_the_first_token = record.tokens.completion == 0 && record.tokens.prompt < 3000;
  }
  EXPECT_TRUE(before_the_first_token);
}

TEST_F(Admission, ATimeLimitOfTheClientsOwnIsItsLeaving) {
  bool cut_in_the_prompt = false;
  for (int attempt = 0; attempt < 30 && !cut_in_the_prompt; ++attempt) {
    const Key key = make_key(fmt::format("hasty {}", attempt), ledger::kNanosPerUnit);
    std::string text = fmt::format("hurry {}:", attempt);
    for (int i = 0; i < 3500; ++i) text += " sea";
    const uint64_t before = computed_tokens();
    const Json body = {{"prompt", text}, {"max_tokens", 100}};
    const int milliseconds = 5 + 5 * (attempt % 10);  // whatever this machine takes
    const auto [status, answer] =
        call(key, "/v1/completions", body.dump(), fmt::format("X-Request-Timeout-Ms: {}\r\n", milliseconds));
    const auto record = record_of(key);
    EXPECT_EQ(record.tokens.prompt - record.tokens.cached, static_cast<int64_t>(computed_tokens() - before));
    EXPECT_EQ(record.cost, record.tokens.prompt * kPromptToken + record.tokens.completion * kAnswerToken);
    if (status == 503) {
      EXPECT_EQ(record.status, "cancelled");
    }
    expect_settled(key, ledger::kNanosPerUnit);
    cut_in_the_prompt = status == 503 && record.tokens.prompt > 0;
  }
  EXPECT_TRUE(cut_in_the_prompt);
}

// Arguments of long blanks, kept once and sent back as "{}" many times over: what they come to is known, and
// refused, before any of it is written.
TEST_F(Admission, ACallThatIsSentBackOftenIsOneAnswer) {
  const Key key = make_key("echo", ledger::kNanosPerUnit);
  text::Message kept{"assistant", "", "", {{"call_blanks", "look", "{" + std::string(5000, ' ') + "}"}}};
  kept.tokens = std::make_shared<const text::AnswerTokens>(
      text::AnswerTokens{{}, std::vector<text::TokenId>(5000, 300)});
  api_->service().calls->remember({key.id + "\n", api_->service().models[0].id}, std::move(kept));
  Json body = chat(5);
  const Json again = {{"role", "assistant"},
                      {"content", nullptr},
                      {"tool_calls",
                       {{{"id", "call_blanks"},
                         {"type", "function"},
                         {"function", {{"name", "look"}, {"arguments", "{}"}}}}}}};
  for (int i = 0; i < 30'000; ++i) body["messages"].push_back(again);
  const auto [status, answer] = call(key, "/v1/chat/completions", body.dump());
  EXPECT_EQ(status, 400);
  EXPECT_EQ(code(answer), "context_length_exceeded");
  EXPECT_NE(answer["error"]["message"].get<std::string>().find("requested 5000 tokens"), std::string::npos)
      << answer;
}

TEST_F(Admission, LogprobsOfWholeAnswersHaveOneRoom) {
  const Key key = make_key("curious", 100 * ledger::kNanosPerUnit);
  // 16 x 2800 x 21: nearly as many as one answer may have, and two of these fit a key's room.
  const std::string large = chat(2800, {{"n", 16}, {"logprobs", true}, {"top_logprobs", 20}}).dump();
  {
    RawClient first(api_->server().port()), second(api_->server().port());
    for (RawClient* client : {&first, &second})
      ASSERT_TRUE(client->send(request(key, "/v1/chat/completions", large)));
    ASSERT_TRUE(eventually([&] { return ledger_->state().open_requests == 2; }));
    const auto [status, body] = call(key, "/v1/chat/completions", large);
    EXPECT_EQ(status, 429);
    EXPECT_EQ(code(body), "logprobs_limit");
  }
  // Both have left: there is room again. An answer that is written gives its room back, too.
  ASSERT_TRUE(eventually([&] { return ledger_->state().open_requests == 0; }));
  for (int i = 0; i < 3; ++i) {
    const auto [small, answer] = call(
        key, "/v1/chat/completions",
        chat(4000, {{"n", 11}, {"logprobs", true}, {"top_logprobs", 20}, {"stop", {" ", "e", "a"}}}).dump());
    EXPECT_EQ(small, 200);
    EXPECT_EQ(answer["choices"].size(), 11u);
    EXPECT_TRUE(answer["choices"][10]["logprobs"]["content"].is_array());
  }
  RawClient again(api_->server().port());
  ASSERT_TRUE(again.send(request(key, "/v1/chat/completions", large)));
  EXPECT_TRUE(eventually([&] { return ledger_->state().open_requests == 1; }));
}

TEST(LargeAnswers, AllCallersShareOneRoom) {
  LargeAnswers answers;
  std::vector<std::shared_ptr<void>> rooms;
  for (const char* caller : {"a", "a", "b", "b"}) rooms.push_back(answers.take(caller, kMaxLogprobEntries));
  const auto status = [&](const char* caller, int64_t entries) {
    try {
      answers.take(caller, entries);
      return 200;
    } catch (const ApiError& error) {
      return error.status();
    }
  };
  EXPECT_EQ(status("a", 1), 429);
  EXPECT_EQ(status("c", 1), 503);
  EXPECT_EQ(status("", 1), 503);
  rooms.pop_back();
  EXPECT_EQ(status("a", 1), 429);
  EXPECT_EQ(status("c", kMaxLogprobEntries), 200);
  EXPECT_EQ(status("", kMaxLogprobEntries), 200);  // and is given back at once
  EXPECT_EQ(status("b", kMaxLogprobEntries), 200);
}

}  // namespace
}  // namespace hadal::serve::api
