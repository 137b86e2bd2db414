// Files of questions as tasks, good and bad.
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "eval/tasks/jsonl.h"
#include "support/temporary_folder.h"

namespace hadal::eval {
namespace {

class JsonlTaskTest : public testing::Test {
 protected:
  std::unique_ptr<Task> open(const std::string& text, bool skip = false) {
    return open_task("jsonl:" + folder_.write("q.jsonl", text), {.skip_bad_lines = skip});
  }
  std::string error(const std::string& text) {
    try {
      open(text);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      return e.what();
    }
    return "nothing thrown";
  }
  test::TemporaryFolder folder_;
};

std::string questions(int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += "{\"question\": \"q" + std::to_string(i) + "\", \"answer\": " + std::to_string(i) + "}\n";
  return out;
}

TEST_F(JsonlTaskTest, GivesEachQuestionOnceAPassAndEachPassInAnotherOrder) {
  const auto task = open(questions(100));
  const uint64_t train = *task->size(Split::kTrain), held = *task->size(Split::kHeldOut);
  EXPECT_EQ(train + held, 100u);
  EXPECT_GE(held, 3u);
  for (const Split split : {Split::kTrain, Split::kHeldOut, Split::kAll}) {
    const uint64_t n = *task->size(split);
    std::vector<std::string> passes[2];
    for (uint64_t i = 0; i < 2 * n; ++i) {
      const Problem p = task->problem(split, 4, i);
      if (split != Split::kAll) {
        EXPECT_EQ(held_out(p.key), split == Split::kHeldOut);
      }
      EXPECT_TRUE(is_correct(p, p.answer));
      EXPECT_FALSE(is_correct(p, p.answer + "0.5"));
      passes[i / n].push_back(p.question);
    }
    for (const auto& pass : passes) EXPECT_EQ(std::set<std::string>(pass.begin(), pass.end()).size(), n);
    if (n > 10) {
      EXPECT_NE(passes[0], passes[1]);
    }
  }
}

TEST_F(JsonlTaskTest, ChecksAsTheLineSays) {
  const auto one = [&](const std::string& line) { return open(line)->problem(Split::kAll, 0, 0); };
  const Problem text = one(R"({"question": "capital?", "answer": "New York"})");
  EXPECT_TRUE(is_correct(text, "new york."));
  EXPECT_FALSE(is_correct(text, "york"));
  const Problem exact = one(R"({"question": "q", "answer": "0.5", "check": "exact"})");
  EXPECT_FALSE(is_correct(exact, "1/2"));
  EXPECT_TRUE(is_correct(exact, "0.5"));
  const Problem number =
      one(R"({"question": "q", "answer": "1,000", "check": "numeric", "id": 7, "source": "x"})");
  EXPECT_TRUE(is_correct(number, "1000"));
  EXPECT_FALSE(is_correct(number, "thousand"));
}

TEST_F(JsonlTaskTest, BadLinesAreNamedWithFileLineAndReason) {
  const std::string good = R"({"question": "a", "answer": "b"})";
  const auto second = [&](const std::string& line) { return error(good + "\n" + line + "\n"); };
  const std::pair<std::string, std::string> cases[] = {
      {"{", "byte"},
      {"[]", "no JSON object"},
      {R"({"answer": "b"})", "no \"question\""},
      {R"({"question": "c"})", "no \"answer\""},
      {R"({"question": 3, "answer": "b"})", "\"question\" is no string"},
      {R"({"question": "c", "answer": ["b"]})", "\"answer\" is no string"},
      {R"({"question": " ", "answer": "b"})", "\"question\" is empty"},
      {R"({"question": "c", "answer": ""})", "\"answer\" is empty"},
      {R"({"question": "c", "answer": "four", "check": "numeric"})", "is no number"},
      {R"({"question": "c", "answer": "four", "check": "guess"})", "there are auto, exact and numeric"},
      {R"({"question": "a", "answer": "other"})", "another answer"},
      {R"({"question": ")" + std::string(kMaxQuestionLineBytes, 'x') + R"(", "answer": "b"})",
       "a line has at most"},
      {std::string(2000, '['), "nest"},
  };
  for (const auto& [line, reason] : cases) {
    const std::string message = second(line);
    EXPECT_NE(message.find("q.jsonl:2: "), std::string::npos) << message.substr(0, 300);
    EXPECT_NE(message.find(reason), std::string::npos) << message.substr(0, 300);
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  EXPECT_NE(error("\n \n").find("no question in it"), std::string::npos);
}

TEST_F(JsonlTaskTest, BadLinesAreSkippedAndCountedOnlyWhenAsked) {
  const auto task = open(questions(20) + "{\n[]\n" + questions(1), true);
  EXPECT_EQ(task->size(Split::kAll), 20u);
  EXPECT_NE(task->about().find("2 bad lines skipped"), std::string::npos) << task->about();
  EXPECT_NE(task->about().find("1 repeated"), std::string::npos) << task->about();
}

TEST_F(JsonlTaskTest, TheChecksumIsOfWhatIsAskedAndHowItIsChecked) {
  const uint64_t plain = open(questions(5))->checksum();
  EXPECT_NE(plain, 0u);
  EXPECT_EQ(open(questions(5) + "\n{broken\n" + questions(2), true)->checksum(), plain);  // no other question
  EXPECT_EQ(open(questions(5) + "{broken\n", true)->skipped(), 1);
  EXPECT_NE(open(questions(6))->checksum(), plain);
  EXPECT_NE(open("{\"question\": \"q0\", \"answer\": \"0\", \"check\": \"exact\"}\n")->checksum(),
            open(questions(1))->checksum());
  EXPECT_EQ(open_task("sums:2")->checksum(), 0u);
}

TEST_F(JsonlTaskTest, AnEmptySideSaysWhatToDo) {
  const auto task = open(R"({"question": "a", "answer": "b"})");
  const Split empty = held_out("a") ? Split::kTrain : Split::kHeldOut;
  EXPECT_EQ(task->size(empty), 0u);
  EXPECT_TRUE(distinct_problems(*task, empty, 0, 5).empty());
  EXPECT_THROW(task->problem(empty, 0, 0), Error);
}

}  // namespace
}  // namespace hadal::eval
