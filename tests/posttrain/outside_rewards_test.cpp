// Rewards that look beyond the answer: scripts of the reasoning, a scorer over HTTP, programs in the sandbox.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "../loadgen/scripted_server.h"
#include "base/clock.h"
#include "base/error.h"
#include "posttrain/rewards/reward_sum.h"
#include "posttrain/sample.h"
#include "support/namespaces.h"

namespace hadal::posttrain {
namespace {

using Sample = test::RewardSample;
using test::ScriptedServer;

double language(const std::string& reasoning, const base::Json& options = {}) {
  const Sample sample("<think>" + reasoning + "</think><answer>46</answer>");
  return make_reward("language", options)->score(sample.view);
}

TEST(LanguageReward, IsTheShareOfWordsInTheScript) {
  EXPECT_EQ(language("so we add two and four"), 1);
  EXPECT_EQ(language("so we 加 two"), 0.75);
  EXPECT_EQ(language("так мы add two"), 0.5);
  EXPECT_EQ(language("我们先算"), 0);
  EXPECT_EQ(language("我们先算", {{"script", "han"}}), 1);
  EXPECT_EQ(language("これは46です", {{"script", "kana"}}), 1);
  EXPECT_EQ(language("これは答えです", {{"script", "kana"}}), 6.0 / 7);
  EXPECT_EQ(language("これは答えです", {{"script", "han+kana"}}), 1);
  EXPECT_EQ(language("naïve Ärger", {{"script", "latin"}}), 1);
  EXPECT_EQ(language("wоrd two"), 0.5) << "the o is Cyrillic: a word of two scripts is in neither";
  EXPECT_EQ(language("2+4=6 1+3=4"), 1) << "no words";
  EXPECT_EQ(language(""), 1);
  EXPECT_EQ(language("ok \xff\xfe ok \xe4\xb8"), 1) << "what is no UTF-8 is no word";
}

TEST(LanguageReward, OfTheWholeTextIfAsked) {
  const Sample sample("<think>fine</think><answer>сорок</answer>");
  EXPECT_EQ(make_reward("language", {})->score(sample.view), 1);
  EXPECT_LT(make_reward("language", {{"whole", true}})->score(sample.view), 1);
  EXPECT_THROW(make_reward("language", {{"script", "klingon"}}), Error);
  EXPECT_THROW(make_reward("language", {{"script", ""}}), Error);
}

std::unique_ptr<Reward> http(const ScriptedServer& server, double seconds = 5) {
  return make_reward("http", {{"url", server.url() + "/score"}, {"seconds", seconds}});
}

TEST(HttpReward, PostsWhatItSeesAndTakesTheScore) {
  base::Json seen;
  {
    ScriptedServer server([&](const ScriptedServer::Request& request, const ScriptedServer::Reply& reply) {
      seen = request.json();
      reply.whole(200, "application/json", R"({"score": 0.75, "why": "nice"})");
    });
    const Sample sample("<think>2+4</think><answer>46</answer>", 12, false);
    EXPECT_EQ(http(server)->score(sample.view), 0.75);
  }
  EXPECT_EQ(seen["reference"], "46");
  EXPECT_EQ(seen["answer"], "46");
  EXPECT_EQ(seen["reasoning"], "2+4");
  EXPECT_EQ(seen["tokens"], 12);
  EXPECT_EQ(seen["finished"], false);
  EXPECT_EQ(seen["task"], "sums:2");
}

TEST(HttpReward, EveryWrongAnswerIsAFailureThatIsCounted) {
  ScriptedServer server([](const ScriptedServer::Request& request, const ScriptedServer::Reply& reply) {
    switch (request.number) {
      case 0:
        return reply.whole(500, "text/plain", "no");
      case 1:
        return reply.whole(200, "application/json", "{}");
      case 2:
        return reply.whole(200, "application/json", R"({"score": "1"})");
      case 3:
        return reply.whole(200, "application/json", "not json");
      case 4:
        return reply.whole(200, "application/json", R"({"score": 2})");
      case 5:
        return reply.whole(200, "application/json",
                           "{\"score\": 1, \"x\": \"" + std::string(100'000, 'x') + "\"}");
      case 6:
        return reply.send("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{");  // and hangs up
      case 7:
        return reply.whole(302, "text/plain", "");
      default:
        return reply.whole(200, "application/json", R"({"score": 1})");
    }
  });
  RewardSum sum({{"http", 1, {}}}, {std::shared_ptr<const Reward>(http(server))}, {.threads = 1});
  const Sample sample("<answer>46</answer>");
  const auto values = sum.score(std::vector<Completion>(10, sample.view));
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(values[i].total, i >= 8 ? 1 : 0) << i;
  EXPECT_EQ(sum.report()[0].failures, (std::array<int64_t, 3>{7, 0, 1}));
}

TEST(HttpReward, ASilentServerIsLeft) {
  ScriptedServer server([](const ScriptedServer::Request&, const ScriptedServer::Reply& reply) {
    reply.begin_stream("application/json");
    for (int i = 0; i < 20; ++i) {  // says something now and then, but never ends
      reply.send(" ");
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  const double began = base::monotonic_seconds();
  const Sample sample("<answer>46</answer>");
  EXPECT_THROW(http(server, 0.2)->score(sample.view), Error);
  EXPECT_LT(base::monotonic_seconds() - began, 0.9);
  EXPECT_THROW(make_reward("http", {{"url", "http://127.0.0.1:1/x"}})->score(sample.view),
               Error);  // nobody there
  EXPECT_THROW(make_reward("http", {{"url", "file:///etc/passwd"}}), Error);
  EXPECT_THROW(make_reward("http", {}), Error);
}

TEST(ProgramReward, RunsTheTestsOfTheProblem) {
  HADAL_NEEDS_NAMESPACES();
  RewardSum sum(parse_reward_parts(R"(program{"seconds":2,"memory_mib":128},program{"partial":true}=0.5)"));
  const auto score = [&](const std::string& answer, const base::Json& tests) {
    Sample sample("<think>x</think><answer>" + answer + "</answer>");
    sample.problem.facts = {{"tests", tests}};
    return sum.score(std::vector{sample.view})[0].parts;
  };
  const base::Json cases = {{{"input", "1 2"}, {"output", "3"}}, {{"input", "5 6"}, {"output", "11"}}};
  using Parts = std::vector<double>;
  EXPECT_EQ(score("```python\nprint(sum(map(int, input().split())))\n```", cases), (Parts{1, 1}));
  EXPECT_EQ(score("print(3)", cases), (Parts{0, 0.5}));
  EXPECT_EQ(score("import os\nwhile True: os.fork()", cases), (Parts{0, 0}));
  EXPECT_EQ(score("x = bytearray(1 << 30)", cases), (Parts{0, 0}));
  EXPECT_EQ(score("open('/usr/x', 'w')", cases), (Parts{0, 0}));
  const auto report = sum.report();
  EXPECT_EQ(report[0].failures, (std::array<int64_t, 3>{}));
  EXPECT_EQ(report[0].events.at("wrong output"), 1);
  EXPECT_GE(report[1].events.at("exit status 1"), 4);
  int64_t limits = 0;  // the fork bomb: until its time is over, or it is told that there is no more
  for (const auto& [what, count] : report[1].events) limits += what == "wrong output" ? 0 : count;
  EXPECT_EQ(limits, 6);
  // A problem without tests: the wrong reward, which is said and counted.
  const Sample sample("<answer>46</answer>");
  EXPECT_EQ(sum.score(std::vector{sample.view})[0].failed, 2);
}

TEST(SlowRewards, MayTakeWhatTheirOptionsSay) {
  EXPECT_GT(make_reward("http", {{"url", "http://127.0.0.1:1/"}, {"seconds", 90}})->most_seconds(), 90);
  EXPECT_EQ(make_reward("correct", base::Json::object())->most_seconds(), 0);
}

}  // namespace
}  // namespace hadal::posttrain
