// The stream's short way to the socket.
#include "serve/http/direct_lane.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace hadal::serve::http {
namespace {

struct Noted : Receipt {
  explicit Noted(std::vector<std::string>& log) : log_(log) {}
  void leaving(int, size_t bytes) override { log_.push_back("leaving " + std::to_string(bytes)); }
  void left() override { log_.push_back("left"); }
  std::vector<std::string>& log_;
};

class DirectLaneTest : public testing::Test {
 protected:
  DirectLaneTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ours_ = pair[0];
    theirs_ = pair[1];
  }
  ~DirectLaneTest() override {
    ::close(ours_);
    if (theirs_ >= 0) ::close(theirs_);
  }

  std::string received() {
    std::string all;
    char buffer[65536];
    for (ssize_t n = 0; (n = ::recv(theirs_, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }

  DirectLane::Result write(uint64_t serial, std::string_view piece) {
    std::shared_ptr<Receipt> none;
    return lane_.write(serial, piece, none);
  }

  using Result = DirectLane::Result;
  DirectLane lane_;
  int ours_ = -1, theirs_ = -1;
};

TEST_F(DirectLaneTest, WritesOnlyForTheAnswerItIsOpenFor) {
  EXPECT_EQ(write(7, "one"), Result::kRefused);
  lane_.open(ours_, 7, true, false);
  EXPECT_EQ(write(6, "one"), Result::kRefused);
  EXPECT_EQ(write(7, "one"), Result::kSent);
  EXPECT_EQ(received(), "3\r\none\r\n");
  EXPECT_TRUE(lane_.close().bytes.empty());
  EXPECT_EQ(write(7, "two"), Result::kRefused);
  lane_.open(ours_, 8, false, false);
  EXPECT_EQ(write(8, "raw"), Result::kSent);
  EXPECT_EQ(received(), "raw");
}

TEST_F(DirectLaneTest, LeavesAnAnswersFirstReceiptToTheStrand) {
  std::vector<std::string> log;
  std::shared_ptr<Receipt> receipt = std::make_shared<Noted>(log);
  lane_.open(ours_, 7, true, false);
  EXPECT_EQ(lane_.write(7, "one", receipt), Result::kRefused);
  ASSERT_NE(receipt, nullptr);
  EXPECT_TRUE(log.empty());
  lane_.open(ours_, 7, true, true);
  EXPECT_EQ(lane_.write(7, "one", receipt), Result::kSent);
  EXPECT_EQ(receipt, nullptr);
  EXPECT_EQ(log, (std::vector<std::string>{"leaving 8", "left"}));
}

// Byte for byte what was said, though the socket takes a part of a piece; and the writer never waits.
TEST_F(DirectLaneTest, GivesTheRestOfAPieceToTheStrand) {
  lane_.open(ours_, 7, true, true);
  std::string said;
  std::vector<std::string> log;
  std::shared_ptr<Receipt> receipt;
  Result result = Result::kSent;
  for (int i = 0; result == Result::kSent && i < 10'000; ++i) {
    const std::string piece(10'000, static_cast<char>('a' + i % 26));
    receipt = std::make_shared<Noted>(log);
    do {
      result = lane_.write(7, piece, receipt);
      if (result == Result::kRefused) ::usleep(1000);  // this thread's share is spent
    } while (result == Result::kRefused);
    said += encode_chunk(piece);
  }
  ASSERT_EQ(result, Result::kRest);
  EXPECT_EQ(write(7, "behind it"), Result::kRefused);
  DirectLane::Rest rest = lane_.close();
  EXPECT_EQ(rest.piece_bytes, 10'000u);
  ASSERT_NE(rest.receipt, nullptr);
  EXPECT_TRUE(log.back().starts_with("leaving"));
  EXPECT_EQ(received() + rest.bytes, said);
  EXPECT_TRUE(lane_.close().bytes.empty());
}

TEST_F(DirectLaneTest, TellsWhenTheClientIsGone) {
  lane_.open(ours_, 7, true, false);
  ::close(theirs_);
  theirs_ = -1;
  EXPECT_EQ(write(7, "for nobody"), Result::kBroken);
  EXPECT_EQ(lane_.close().piece_bytes, 10u);  // to be subtracted from what is held
}

TEST(SendAllowanceTest, IsAShareOfTheThreadsTime) {
  using namespace std::chrono_literals;
  SendAllowance allowance;
  auto now = SendAllowance::Clock::now();
  int writes = 0;
  for (; allowance.is_left(now) && writes < 1000; ++writes) allowance.spend(10us);
  EXPECT_EQ(writes, 200);  // 2 ms
  // 1 s, in which it could write all the time.
  writes = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += 10us;
    if (!allowance.is_left(now)) continue;
    allowance.spend(10us);
    ++writes;
  }
  EXPECT_GE(writes, 6'240);
  EXPECT_LE(writes, 6'260);
  // However long it waited.
  now += 1h;
  writes = 0;
  for (; allowance.is_left(now) && writes < 1000; ++writes) allowance.spend(10us);
  EXPECT_EQ(writes, 200);
  // One that took long, because the processor was taken away, does not use up the others'.
  now += 1h;
  ASSERT_TRUE(allowance.is_left(now));
  allowance.spend(1s);
  EXPECT_TRUE(allowance.is_left(now));
}

}  // namespace
}  // namespace hadal::serve::http
