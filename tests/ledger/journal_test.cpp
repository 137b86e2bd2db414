#include "ledger/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace hadal::ledger {
namespace {

class JournalTest : public testing::Test {
 protected:
  JournalTest() : directory_(fmt::format("{}hadal-journal-{}", testing::TempDir(), ::getpid())) {
    std::filesystem::remove_all(directory_);
  }
  ~JournalTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Journal> open() { return Journal::open(directory_, "keys.db"); }
  static std::vector<LeftOpen> recover(Journal& journal) {
    std::vector<LeftOpen> all;
    journal.recover(
        [&](const std::vector<LeftOpen>& left) { all.insert(all.end(), left.begin(), left.end()); });
    return all;
  }
  static OpenRequest request(const std::string& id) { return {id, "key", "model", "chat", 7, {1, 2, 3}}; }

  // Runs `work` with a journal in a process that is killed in the middle of it.
  template <typename Work>
  void in_killed_process(const Work& work) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto journal = open();
      recover(*journal);
      work(*journal);
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }

  std::string directory_;
};

TEST_F(JournalTest, LeavesWhatWasSentByAKilledServer) {
  in_killed_process([&](Journal& journal) {
    const size_t a = *journal.begin(request("a"));
    journal.sending(a, {10, 4, 1, 0}, 0, 5);
    journal.sent(a);
    journal.sending(a, {10, 4, 2, 1}, 5, 5);
    journal.sent(a);
    const size_t b = *journal.begin(request("b"));
    journal.sending(b, {20, 0, 1, 0}, 0, 5);
    journal.sent(b);
    journal.sending(b, {20, 0, 2, 0}, 5, 5);  // killed before it was known to have left
    const size_t c = *journal.begin(request("c"));
    journal.end(c);  // settled
    journal.begin(request("d"));
  });
  const auto journal = open();
  auto left = recover(*journal);
  std::ranges::sort(left, {}, [](const LeftOpen& l) { return l.request.request_id; });
  ASSERT_EQ(left.size(), 3u);
  EXPECT_EQ(left[0].request.request_id, "a");
  EXPECT_EQ(left[0].request.key_id, "key");
  EXPECT_EQ(left[0].request.model, "model");
  EXPECT_EQ(left[0].request.started, 7);
  EXPECT_EQ(left[0].request.price.output, 3);
  EXPECT_EQ(left[0].sent.completion, 2);
  EXPECT_EQ(left[0].sent.reasoning, 1);
  EXPECT_EQ(left[0].sent.cached, 4);
  EXPECT_FALSE(left[0].in_doubt);
  EXPECT_EQ(left[1].sent.completion, 2);
  EXPECT_TRUE(left[1].in_doubt);
  EXPECT_EQ(left[2].request.request_id, "d");
  EXPECT_EQ(left[2].sent.prompt, 0);
  EXPECT_TRUE(recover(*journal).empty());  // once
}

TEST_F(JournalTest, AWitnessResolvesWhatIsPending) {
  for (const bool left_it : {true, false}) {
    in_killed_process([&](Journal& journal) {
      const size_t slot = *journal.begin(request("a"));
      journal.sending(slot, {10, 0, 1, 0}, 100, 50);
      journal.sent(slot);
      journal.sending(slot, {10, 0, 2, 0}, 150, 60);
    });
    {
      const int file = ::open((directory_ + "/keys.db.open-0").c_str(), O_RDWR);
      const auto attached = Journal::attach(file);
      size_t slot = 1;
      while (!attached->pending(slot)) ++slot;
      EXPECT_EQ(attached->pending(slot)->before, 150u);
      EXPECT_EQ(attached->pending(slot)->size, 60u);
      attached->resolve(slot, left_it);
      EXPECT_FALSE(attached->pending(slot).has_value());
    }
    const auto journal = open();
    const auto left = recover(*journal);
    ASSERT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].sent.completion, left_it ? 2 : 1);
    EXPECT_FALSE(left[0].in_doubt);
  }
}

TEST_F(JournalTest, ServersSideBySideHaveOneEach) {
  const auto first = open();
  recover(*first);
  const size_t slot = *first->begin(request("alive"));
  in_killed_process([&](Journal& journal) { journal.begin(request("dead")); });
  const auto second = open();
  EXPECT_NE(first->path(), second->path());
  const auto left = recover(*second);  // of the dead one, not of the living
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].request.request_id, "dead");
  first->end(slot);
  const auto third = open();
  EXPECT_TRUE(recover(*third).empty());
}

TEST_F(JournalTest, IsBoundedAndSurvivesDamage) {
  const auto journal = open();
  recover(*journal);
  EXPECT_FALSE(journal->begin({std::string(64, 'x'), "key", "model", "chat", 0, {}}).has_value());
  EXPECT_FALSE(journal->begin({"a", "key", std::string(300, 'm'), "chat", 0, {}}).has_value());
  EXPECT_EQ(journal->open_count(), 0u);
  size_t taken = 0;
  while (journal->begin(request(fmt::format("{}", taken)))) ++taken;
  EXPECT_EQ(taken, Journal::kSlots - 1);
  EXPECT_EQ(journal->open_count(), taken);
  journal->end(5);
  EXPECT_EQ(journal->begin(request("again")), 5u);
}

TEST_F(JournalTest, DropsDamagedEntries) {
  in_killed_process([&](Journal& journal) {
    for (int i = 0; i < 8; ++i) journal.begin(request(fmt::format("request-{}", i)));
  });
  const std::string path = directory_ + "/keys.db.open-0";
  std::string bytes = base::read_file(path);
  bytes[bytes.find("request-3")] = 'R';
  base::write_file_atomic(path, bytes);
  EXPECT_EQ(recover(*open()).size(), 7u);
  base::write_file_atomic(path, "short");
  EXPECT_TRUE(recover(*open()).empty());
  base::write_file_atomic(path, std::string(Journal::kSlots * 512, '\xFF'));
  EXPECT_TRUE(recover(*open()).empty());
  EXPECT_THROW(Journal::open("/proc/nowhere", "x"), Error);
}

}  // namespace
}  // namespace hadal::ledger
