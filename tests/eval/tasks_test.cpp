// What holds for every kind of task at every level: the same bits for the same seed, right answers that are
// accepted, wrong ones that are not, and a held-out side that no training problem reaches.
#include <gtest/gtest.h>

#include <set>
#include <unordered_set>

#include "base/error.h"
#include "eval/tasks/prompt_template.h"
#include "eval/tasks/task.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

struct Case {
  std::string spec;
  const TaskKind* kind;
};

std::vector<Case> all_levels() {
  std::vector<Case> out;
  for (const TaskKind& kind : task_kinds())
    for (size_t level = 1; level <= kind.levels.size(); ++level)
      out.push_back({std::string(kind.name) + ":" + std::to_string(level), &kind});
  return out;
}

class EveryTask : public testing::TestWithParam<Case> {};

TEST_P(EveryTask, GivesTheSameProblemForTheSameSeedAndIndex) {
  const auto a = open_task(GetParam().spec);
  const auto b = open_task(GetParam().spec);
  std::set<std::string> other;
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(to_json(a->problem(Split::kTrain, 7, i)), to_json(b->problem(Split::kTrain, 7, i)));
    for (const uint64_t seed : {7, 8}) other.insert(a->problem(Split::kTrain, seed, i).key);
  }
  EXPECT_GT(other.size(), 20u) << "indices and seeds lead to different problems";
}

TEST_P(EveryTask, AcceptsItsOwnAnswerAndNoOther) {
  const auto task = open_task(GetParam().spec);
  const Problem before = task->problem(Split::kHeldOut, 1, 1'000'000);
  for (uint64_t i = 0; i < 200; ++i) {
    const Problem p = task->problem(i % 2 == 0 ? Split::kTrain : Split::kHeldOut, 3, i);
    EXPECT_TRUE(is_correct(p, p.answer)) << to_json(p);
    EXPECT_TRUE(is_correct(p, "  " + p.answer + "\n")) << to_json(p);
    EXPECT_FALSE(is_correct(p, "")) << to_json(p);
    EXPECT_FALSE(is_correct(p, p.answer + "1")) << to_json(p);
    EXPECT_FALSE(is_correct(p, p.question)) << to_json(p);
    EXPECT_FALSE(is_correct(p, "I do not know")) << to_json(p);
    // The verifier does not look at the generator's answer.
    Problem blind = p;
    blind.answer = "nothing";
    EXPECT_TRUE(is_correct(blind, p.answer)) << to_json(p);
    EXPECT_EQ(p.task, GetParam().spec);
    EXPECT_FALSE(p.steps.empty());
    EXPECT_LE(p.brief.size(), p.question.size());
  }
  EXPECT_EQ(to_json(before), to_json(task->problem(Split::kHeldOut, 1, 1'000'000)));
}

TEST_P(EveryTask, TakesAnyBytesAsAnAnswer) {
  const auto task = open_task(GetParam().spec);
  const Problem p = task->problem(Split::kAll, 0, 0);
  base::Random random(9);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = i % 2 == 0 ? p.answer : "";
    for (uint64_t n = random.below(12); n > 0; --n)
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(random.below(bytes.size() + 1)),
                   static_cast<char>(random.below(256)));
    is_correct(p, bytes);
  }
}

// Whatever the seed: no problem is on both sides, and both sides have some.
TEST_P(EveryTask, KeepsTheHeldOutSideApart) {
  const auto task = open_task(GetParam().spec);
  std::unordered_set<std::string> train, held;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    for (uint64_t i = 0; i < 300; ++i) {
      const Problem t = task->problem(Split::kTrain, seed, i);
      const Problem h = task->problem(Split::kHeldOut, seed, i);
      EXPECT_FALSE(held_out(t.key));
      EXPECT_TRUE(held_out(h.key));
      train.insert(t.key);
      held.insert(h.key);
    }
  }
  EXPECT_GE(held.size(), 2u);
  for (const auto& key : held) EXPECT_EQ(train.count(key), 0u) << key;
}

// A key names the problem: two problems with one key have the same answers.
TEST_P(EveryTask, KeysTellProblemsApart) {
  const auto task = open_task(GetParam().spec);
  std::map<std::string, Problem> first;
  for (uint64_t i = 0; i < 500; ++i) {
    const Problem p = task->problem(Split::kAll, 2, i);
    const auto [found, fresh] = first.try_emplace(p.key, p);
    if (!fresh) {
      EXPECT_TRUE(is_correct(found->second, p.answer)) << to_json(p) << to_json(found->second);
    }
  }
}

TEST_P(EveryTask, WorkedCompletionsAreRead) {
  const auto task = open_task(GetParam().spec);
  for (const PromptTemplate& form : prompt_templates()) {
    for (uint64_t i = 0; i < 20; ++i) {
      const Problem p = task->problem(Split::kTrain, 5, i);
      const std::string text = worked_completion(form, p);
      const ParsedCompletion parsed = form.parse(text);
      EXPECT_TRUE(parsed.answered && parsed.well_formed) << text;
      EXPECT_TRUE(is_correct(p, parsed.answer)) << text;
      const bool in_words = form.name == "chat" || form.name == "r1";
      EXPECT_NE(form.render(p).find(in_words ? p.question : p.brief), std::string::npos);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, EveryTask, testing::ValuesIn(all_levels()), [](const auto& info) {
  std::string name = info.param.spec;
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
});

TEST(Task, DistinctProblemsAreDistinctAndEndWhenThereAreNoMore) {
  const auto many = distinct_problems(*open_task("sums:4"), Split::kHeldOut, 1, 500);
  std::set<std::string> keys;
  for (const Problem& p : many) keys.insert(p.key);
  EXPECT_EQ(keys.size(), 500u);
  const auto few = distinct_problems(*open_task("sums:1"), Split::kHeldOut, 1, 500);
  EXPECT_GE(few.size(), 3u);
  EXPECT_LE(few.size(), 55u);
  const auto both = distinct_problems(*open_task("sums:1"), Split::kAll, 1, 500);
  EXPECT_EQ(both.size(), 55u);
}

TEST(Task, HeldOutIsAboutOneInEight) {
  int held = 0;
  for (int i = 0; i < 8000; ++i) held += held_out("key " + std::to_string(i)) ? 1 : 0;
  EXPECT_NEAR(held, 1000, 120);
}

TEST(Task, LevelRangesMixLevels) {
  const auto task = open_task("sums:2-4");
  std::set<int> levels;
  for (uint64_t i = 0; i < 100; ++i) levels.insert(task->problem(Split::kTrain, 1, i).level);
  EXPECT_EQ(levels, (std::set<int>{2, 3, 4}));
  EXPECT_EQ(task->name(), "sums:2-4");
  EXPECT_EQ(open_task("sums")->name(), "sums:1");
}

TEST(Task, WrongSpecsSayWhatThereIs) {
  const auto message = [](const std::string& spec) {
    try {
      open_task(spec);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  EXPECT_NE(message("sumz").find("did you mean sums?"), std::string::npos) << message("sumz");
  EXPECT_NE(message("chess").find("countdown"), std::string::npos);
  for (const char* spec : {"sums:0", "sums:99", "sums:x", "sums:2-", "sums:3-2", "sums:", "sums:2.5"})
    EXPECT_NE(message(spec).find("has the levels 1 to"), std::string::npos) << message(spec);
  EXPECT_NE(message("jsonl:/nowhere.jsonl").find("/nowhere.jsonl"), std::string::npos);
}

TEST(Sums, TakeATrueEquationToo) {
  Problem p = open_task("sums:2")->problem(Split::kAll, 0, 0);
  p.facts["expression"] = "12+34";
  for (const char* answer : {"46", "46.0", "12 + 34 = 46.", "34+12=46"})
    EXPECT_TRUE(is_correct(p, answer)) << answer;
  for (const char* answer :
       {"12+34", "12+34=47", "46=47", "47=46", "12+33=46", "=46", "46=", "12+34=46=46", "46 46"})
    EXPECT_FALSE(is_correct(p, answer)) << answer;
}

Problem countdown() {
  Problem p = open_task("countdown:2")->problem(Split::kAll, 0, 0);
  p.facts = {{"numbers", {3, 3, 8}}, {"target", 17}};
  return p;
}

TEST(Countdown, TakesEveryRightExpression) {
  for (const char* answer : {"3*3+8", "8+3*3", "(3*3)+8", "3 * 3 + 8 = 17", "8-3*-3", "8 + 3 × 3"})
    EXPECT_TRUE(is_correct(countdown(), answer)) << answer;
}

TEST(Countdown, RefusesEveryWrongOne) {
  for (const char* answer : {"17", "3+3+8", "3*3+8+0", "8+9", "3*3+8=18", "18=3*3+8", "3*3+8=17=17", "3*3+8)",
                             "33+8", "3*3 8", "=17", "3*3+8="})
    EXPECT_FALSE(is_correct(countdown(), answer)) << answer;
}

}  // namespace
}  // namespace hadal::eval
