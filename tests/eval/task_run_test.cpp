// A real engine with random weights on questions whose answers are made to fit what it says.
#include "eval/task_run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "../engine/tiny_model.h"
#include "base/error.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

class TaskRunTest : public testing::Test {
 protected:
  TaskRunTest() {
    engine::EngineOptions options;
    options.threads = 1;
    options.max_running = 16;
    options.max_queue = 40;  // fewer than the largest in_flight below
    options.context_tokens = 128;
    engine_ = engine::Engine::open(model_.directory(), options);
  }
  static TaskRunOptions options(int samples, float temperature) {
    TaskRunOptions out;
    out.split = Split::kAll;
    out.problems = 12;
    out.samples = samples;
    out.prompt_template = "direct";
    out.sampling.temperature = temperature;
    out.sampling.max_tokens = 6;
    out.ks = {1};
    return out;
  }
  static std::string question(int i) { return "the sea " + std::to_string(i); }
  // 12 questions; the answer of each is `answer(i)`.
  std::unique_ptr<Task> task(const std::function<std::string(int)>& answer) {
    std::string lines;
    for (int i = 0; i < 12; ++i)
      lines += base::dump_json({{"question", question(i)}, {"answer", answer(i)}, {"check", "exact"}}) + "\n";
    return open_task("jsonl:" + folder_.write("q" + std::to_string(files_++) + ".jsonl", lines));
  }
  std::map<std::string, std::vector<Sample>> sample(const Task& of, TaskRunOptions o,
                                                    TaskRunResult* result = nullptr) {
    std::map<std::string, std::vector<Sample>> out;
    o.on_sample = [&](const Problem& p, const Sample& s) { out[p.question].push_back(s); };
    const TaskRunResult r = run_task(*engine_, of, o);
    if (result != nullptr) *result = r;
    return out;
  }

  engine::TinyModel model_;
  test::TemporaryFolder folder_;
  std::unique_ptr<engine::Engine> engine_;
  int files_ = 0;
};

// What the model says to seven questions becomes their answer: it is right there and nowhere else.
TEST_F(TaskRunTest, CountsWhatIsRight) {
  const auto said = sample(*task([](int) { return "x"; }), options(1, 0));
  ASSERT_EQ(said.size(), 12u);
  std::set<std::string> right;
  const auto answers = task([&](int i) {
    const Sample& s = said.at(question(i)).at(0);
    if (i >= 7 || !s.answered || normalised(s.answer).empty()) return std::string("nothing that it says");
    right.insert(question(i));
    return s.answer;
  });
  ASSERT_GE(right.size(), 3u) << "random weights, but not silent";
  TaskRunResult result;
  const auto again = sample(*answers, options(1, 0), &result);
  for (const auto& [question, samples] : again) {
    EXPECT_EQ(samples[0].text, said.at(question)[0].text) << "greedy: the same bits";
    EXPECT_EQ(samples[0].correct, right.count(question) == 1);
  }
  EXPECT_EQ(result.problems, 12u);
  EXPECT_DOUBLE_EQ(result.pass_at_1.value, static_cast<double>(right.size()) / 12);
  EXPECT_EQ(result.pass_at.at(1).value, result.pass_at_1.value);
  EXPECT_FALSE(result.stopped);
  EXPECT_GT(result.tokens, 0);
  EXPECT_EQ(result.shown.size(), 12u);
}

TEST_F(TaskRunTest, TheSameSeedGivesTheSameBitsHoweverManyAreInFlight) {
  const auto of = task([](int) { return "x"; });
  std::vector<std::vector<std::string>> texts;
  for (const size_t in_flight : {1, 7, 64}) {
    TaskRunOptions o = options(4, 1.5f);
    o.in_flight = in_flight;
    o.seed = 3;
    texts.emplace_back();
    o.on_sample = [&](const Problem& p, const Sample& s) {
      texts.back().push_back(p.question + "\n" + s.text);
    };
    run_task(*engine_, *of, o);
  }
  EXPECT_EQ(texts[0].size(), 48u);
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
  TaskRunOptions other = options(4, 1.5f);
  other.seed = 4;
  std::set<std::string> distinct;
  for (const auto& [question, samples] : sample(*of, other)) distinct.insert(samples[0].text);
  EXPECT_GT(distinct.size(), 6u);
}

TEST_F(TaskRunTest, PassAtKAndMajorityFollowFromTheSamples) {
  const auto first = sample(*task([](int) { return "x"; }), options(1, 0));
  const auto of = task([&](int i) {
    const auto& s = first.at(question(i))[0];
    return s.answered ? s.answer : std::string("nothing");
  });
  TaskRunOptions o = options(8, 0.7f);
  o.ks = {1, 2, 8};
  TaskRunResult result;
  const auto all = sample(*of, o, &result);
  double pass2 = 0, any = 0;
  for (const auto& [question, samples] : all) {
    ASSERT_EQ(samples.size(), 8u);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(samples[static_cast<size_t>(i)].number, i);
    const auto right =
        std::count_if(samples.begin(), samples.end(), [](const Sample& s) { return s.correct; });
    pass2 += pass_at_k(8, right, 2) / 12;
    any += right > 0 ? 1.0 / 12 : 0;
  }
  EXPECT_NEAR(result.pass_at.at(2).value, pass2, 1e-12);
  EXPECT_NEAR(result.pass_at.at(8).value, any, 1e-12);
  EXPECT_LE(result.pass_at_1.value, result.pass_at.at(8).value);
  EXPECT_EQ(to_json(result).at("pass_at").size(), 3u);
}

TEST_F(TaskRunTest, StoppingKeepsWhatIsComplete) {
  const auto of = task([](int) { return "x"; });
  TaskRunOptions o = options(2, 1);
  o.in_flight = 3;
  std::atomic<int64_t> done = 0;
  o.progress = [&](int64_t d, int64_t total) {
    done = d;
    EXPECT_EQ(total, 24);
  };
  o.stopped = [&] { return done >= 6; };
  TaskRunResult result;
  const auto some = sample(*of, o, &result);
  EXPECT_TRUE(result.stopped);
  EXPECT_GE(result.problems, 1u);
  EXPECT_LT(result.problems, 12u);
  EXPECT_EQ(some.size(), result.problems);
  for (const auto& [question, samples] : some) EXPECT_EQ(samples.size(), 2u);
  // The engine is free again.
  EXPECT_EQ(sample(*of, options(1, 0)).size(), 12u);
}

TEST_F(TaskRunTest, RefusesWhatMakesNoSense) {
  const auto of = task([](int) { return "x"; });
  const auto refused = [&](const TaskRunOptions& o, const std::string& part) {
    try {
      run_task(*engine_, *of, o);
      ADD_FAILURE() << "not refused: " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused(options(4, 0), "the same answer 4 times");
  TaskRunOptions o = options(4, 1);
  o.ks = {8};
  refused(o, "pass@8 needs 8 samples");
  o = options(0, 1);
  refused(o, "at least one");
  o = options(1, 1);
  o.sampling.max_tokens = 0;
  refused(o, "max_tokens");
  o = options(1, 1);
  o.prompt_template = "haiku";
  refused(o, "no prompt template 'haiku'; there are r1, short");
  o = options(1, 1);
  o.prompt_template = "r1";  // longer than the context
  refused(o, "context");
}

}  // namespace
}  // namespace hadal::eval
