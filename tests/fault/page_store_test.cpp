// The page store through kills, full and read-only disks, errors, hangs and a directory that goes away: it
// goes on, it says so, it recovers, and what it gives is right.
#include "engine/kvcache/page_store.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <random>

#include "../engine/kvcache_store_support.h"
#include "../support/temporary_folder.h"
#include "base/clock.h"
#include "child.h"
#include "page_store_faults.h"

namespace hadal::engine {
namespace {

namespace fs = std::filesystem;
using base::monotonic_seconds;
using test::eventually;
using test::Got;
using test::read_page;
using test::test_fingerprint;
using test::test_page;
using test::TestPage;
using test::write_page;

constexpr int64_t kBytes = 600'000;  // three pieces

// Lines of the log, from any thread.
class CapturedLog : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    lines_.emplace_back(message.payload.data(), message.payload.size());
  }
  void flush_() override {}

 private:
  std::vector<std::string> lines_;
};

class PageStoreFault : public testing::Test {
 protected:
  void SetUp() override {
    no_faults();
    before_ = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("captured", log_));
  }
  void TearDown() override {
    no_faults();
    spdlog::set_default_logger(before_);
  }
  static void no_faults() {
    faults().read_error = faults().write_error = faults().sync_error = faults().create_error = 0;
    faults().reads_hang = faults().writes_hang = 0;
    faults().write_bytes_left = INT64_MAX;
    eventually([&] { return faults().hanging == 0; });
  }
  static test::PageFaults& faults() { return *hadal_page_faults(); }

  PageStoreOptions options() const {
    PageStoreOptions o;
    o.directory = folder_ / "kv";
    o.retry_seconds = 0.2;
    o.stall_seconds = 0.3;
    return o;
  }
  std::unique_ptr<PageStore> open() const { return open(options()); }
  static std::unique_ptr<PageStore> open(const PageStoreOptions& o) {
    return std::make_unique<PageStore>(o, test_fingerprint(), kBytes, "test");
  }
  static TestPage page(int number) { return test_page(number, kBytes); }
  std::string path(const TestPage& p) const { return page_path(options().directory, p.key); }

  // Files under temporary names.
  int leftovers() const {
    int found = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator it(options().directory, error), end; !error && it != end;
         it.increment(error))
      found += it->path().string().find(".tmp-") != std::string::npos;
    return found;
  }
  // Lines of the log with this text.
  int logged(const std::string& text) const {
    return static_cast<int>(std::ranges::count_if(
        log_->lines(), [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }
  static void expect_trouble(const PageStore& store, const std::string& text) {
    const PageStoreStatus status = store.status();
    EXPECT_FALSE(status.available);
    EXPECT_NE(status.trouble.find(text), std::string::npos) << status.trouble;
  }
  static void expect_recovery(PageStore& store, int number) {
    EXPECT_TRUE(eventually([&] { return store.status().available; }));
    EXPECT_EQ(store.status().trouble, "");
    EXPECT_TRUE(write_page(store, page(number)));
    EXPECT_EQ(read_page(store, page(number)), Got::kPage);
  }

  test::TemporaryFolder folder_;
  std::shared_ptr<CapturedLog> log_ = std::make_shared<CapturedLog>();
  std::shared_ptr<spdlog::logger> before_;
};

// Writes pages `first`, `first` + 1, ... until it is killed, and says each through the pipe once it is
// written.
[[noreturn]] void write_until_killed(const PageStoreOptions& options, int first, int pipe) {
  PageStore store(options, test_fingerprint(), kBytes, "killed");
  std::deque<TestPage> pages;  // where they are while they are written
  for (int number = first; number < first + 1000; ++number) {
    while (store.status().pending_writes > 8) std::this_thread::yield();
    const TestPage& p = pages.emplace_back(test_page(number, kBytes));
    store.write(p.key, p.parent, p.tokens, p.payload, [number, pipe](bool ok) {
      if (ok && ::write(pipe, &number, sizeof number) != sizeof number) ::_exit(1);
    });
  }
  while (true) ::pause();
}

TEST_F(PageStoreFault, KilledAtRandomInstantsNoPageIsLostOrWrong) {
  std::mt19937 random(std::random_device{}());
  std::vector<int> reported;
  int killed_with_leftovers = 0;
  for (int round = 0; round < 40; ++round) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(options(), 1000 * round, ends[1]);
    }
    ::close(ends[1]);
    int number = 0;
    // After some of its first pages, anywhere in the next ones.
    for (auto wait_for = 1 + random() % 5; wait_for > 0; --wait_for) {
      if (::read(ends[0], &number, sizeof number) == sizeof number) reported.push_back(number);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &number, sizeof number) == sizeof number) reported.push_back(number);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    killed_with_leftovers = leftovers();
  }
  ASSERT_GE(reported.size(), 40u);
  const auto store = open();
  for (const int number : reported) ASSERT_EQ(read_page(*store, page(number)), Got::kPage) << number;
  // What was not reported is there whole, or not at all.
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 30; ++i) ASSERT_NE(read_page(*store, page(1000 * round + i)), Got::kWrongBytes);
  }
  EXPECT_EQ(store->status().bad_pages, 0);
  EXPECT_GT(killed_with_leftovers, 0) << "no kill met a write: nothing was tested";
  RecordProperty("pages_reported", static_cast<int>(reported.size()));
}

TEST_F(PageStoreFault, AFullDiskKeepsGivingPagesAndTakesThemAgainWhenThereIsRoom) {
  const auto store = open();
  ASSERT_TRUE(write_page(*store, page(1)));
  faults().write_bytes_left = kBytes / 2;  // in the middle of a page
  EXPECT_FALSE(write_page(*store, page(2)));
  expect_trouble(*store, "No space left");
  EXPECT_FALSE(fs::exists(path(page(2))));
  EXPECT_EQ(leftovers(), 0);
  EXPECT_FALSE(write_page(*store, page(3))) << "refused without a try";
  EXPECT_EQ(store->status().write_errors, 1);
  EXPECT_EQ(store->status().writes_refused, 1);
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
  test::sleep_ms(700);  // several probes
  expect_trouble(*store, "No space left");
  EXPECT_EQ(logged("No space left"), 1);
  faults().write_bytes_left = INT64_MAX;
  expect_recovery(*store, 2);
  EXPECT_EQ(logged("takes pages again"), 1);
  EXPECT_EQ(leftovers(), 0);
}

TEST_F(PageStoreFault, ARealFullDisk) {
  const std::string disk = options().directory;
  fs::create_directories(disk);
  if (::mount("hadal-test", disk.c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root";
  {
    const auto store = open();
    EXPECT_TRUE(write_page(*store, page(1)));
    EXPECT_FALSE(write_page(*store, page(2)));
    expect_trouble(*store, "No space left");
    EXPECT_EQ(leftovers(), 0);
    EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
    EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);
    expect_recovery(*store, 2);
    EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr), 0);
    EXPECT_FALSE(write_page(*store, page(3)));
    expect_trouble(*store, "Read-only file system");
    EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
    EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);
    expect_recovery(*store, 3);
  }
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST_F(PageStoreFault, AReadOnlyDirectoryStillGivesPages) {
  ASSERT_TRUE(write_page(*open(), page(1)));
  faults().create_error = EROFS;
  const auto store = open();
  EXPECT_TRUE(eventually([&] { return !store->status().trouble.empty(); }));
  expect_trouble(*store, "Read-only file system");
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
  EXPECT_FALSE(write_page(*store, page(2)));
  EXPECT_EQ(store->status().writes_refused, 1);
  EXPECT_EQ(logged("gets no new pages"), 1);
  faults().create_error = 0;
  expect_recovery(*store, 2);
}

TEST_F(PageStoreFault, ASyncThatFailsLeavesNothing) {
  const auto store = open();
  faults().sync_error = EIO;
  EXPECT_FALSE(write_page(*store, page(1)));
  EXPECT_FALSE(fs::exists(path(page(1))));
  EXPECT_EQ(leftovers(), 0);
  expect_trouble(*store, "Input/output error");
  faults().sync_error = 0;
  expect_recovery(*store, 1);
}

TEST_F(PageStoreFault, AReadThatFailsCostsItsPageWhichIsWrittenAgain) {
  const auto store = open();
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(write_page(*store, page(i)));
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(path(page(1)).c_str(), &before), 0);
  for (int i = 0; i < 2; ++i) {
    faults().read_error = EIO;
    EXPECT_EQ(read_page(*store, page(1)), Got::kNothing);
    faults().read_error = 0;
    EXPECT_EQ(read_page(*store, page(2)), Got::kPage) << "the others are still read";
    EXPECT_TRUE(store->status().available);
  }
  EXPECT_EQ(store->status().read_errors, 2);
  EXPECT_GE(logged("Input/output error"), 1);
  EXPECT_TRUE(write_page(*store, page(1)));
  ASSERT_EQ(::stat(path(page(1)).c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino) << "in another place";
  EXPECT_TRUE(write_page(*store, page(1)));
  ASSERT_EQ(::stat(path(page(1)).c_str(), &before), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "once";
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
  EXPECT_EQ(store->status().pages, 3);
  EXPECT_EQ(store->status().pages_written, 4);
}

TEST_F(PageStoreFault, ADirectoryWhoseReadsFailIsLeftAloneForAWhileAndLosesNoPage) {
  const auto store = open();
  ASSERT_TRUE(write_page(*store, page(1)));
  faults().read_error = EIO;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(read_page(*store, page(1)), Got::kNothing);
  expect_trouble(*store, "Input/output error");
  EXPECT_EQ(logged("is not read"), 1);
  EXPECT_EQ(store->status().read_errors, 3);
  EXPECT_EQ(store->status().bad_pages, 0);
  const TestPage asked = page(1);
  const double begun = monotonic_seconds();
  const int64_t tried = faults().reads;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(read_page(*store, asked), Got::kNothing);
  const double allowed = 2 + (monotonic_seconds() - begun) / options().retry_seconds;
  EXPECT_LE(static_cast<double>(faults().reads - tried), allowed)
      << "a directory in trouble is tried now and then, not for every page";
  faults().read_error = 0;
  EXPECT_TRUE(eventually([&] { return store->status().available; }));
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
}

TEST_F(PageStoreFault, AReadThatHangsIsGivenUpAndTouchesNothingWhenItComesBack) {
  const auto store = open();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(write_page(*store, page(i)));
  faults().reads_hang = 1;
  std::vector<test::Answer> answers(20);
  std::vector<std::vector<std::byte>> to(20, std::vector<std::byte>(kBytes));
  for (int i = 0; i < 20; ++i) {
    const TestPage p = page(i);
    store->read(p.key, p.parent, p.tokens, to[static_cast<size_t>(i)],
                answers[static_cast<size_t>(i)].callback());
  }
  for (auto& answer : answers) {
    EXPECT_TRUE(answer.came(30)) << "those that wait behind it are answered, too, while it hangs";
    EXPECT_FALSE(answer.wait(0));
  }
  for (auto& buffer : to) std::ranges::fill(buffer, std::byte{0x5a});  // the caller's again
  expect_trouble(*store, "a read hangs");
  EXPECT_EQ(store->status().pending_reads, 0);
  test::sleep_ms(500);
  expect_trouble(*store, "a read hangs");
  EXPECT_TRUE(write_page(*store, page(30))) << "writes go on";
  EXPECT_EQ(logged("a read hangs"), 1);
  faults().reads_hang = 0;
  EXPECT_TRUE(eventually([&] { return store->status().available; }));
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
  for (const auto& buffer : to)
    EXPECT_TRUE(std::ranges::all_of(buffer, [](std::byte b) { return b == std::byte{0x5a}; }));
  for (const auto& answer : answers) EXPECT_EQ(answer.calls(), 1);
}

TEST_F(PageStoreFault, AWriteThatHangsIsGivenUpAndTheStoreCanEnd) {
  auto store = open();
  ASSERT_TRUE(write_page(*store, page(1)));
  faults().writes_hang = 1;
  test::Answer answer;
  auto hanging = std::make_unique<TestPage>(page(2));
  store->write(hanging->key, hanging->parent, hanging->tokens, hanging->payload, answer.callback());
  ASSERT_TRUE(answer.came(30));
  EXPECT_FALSE(answer.wait(0));
  hanging.reset();  // its thread hangs on, and must not read this any more
  expect_trouble(*store, "hangs");
  EXPECT_EQ(read_page(*store, page(1)), Got::kPage);
  const double begun = monotonic_seconds();
  store.reset();
  EXPECT_LT(monotonic_seconds() - begun, 25.0);  // about 1 s on an idle machine
  faults().writes_hang = 0;
  EXPECT_TRUE(eventually([&] { return faults().hanging == 0 && leftovers() == 0; }));
  EXPECT_FALSE(fs::exists(path(page(2)))) << "a page that was answered with no";
  EXPECT_TRUE(write_page(*open(), page(2)));
}

TEST_F(PageStoreFault, ADirectoryDeletedUnderTheStoreIsMadeAgain) {
  const auto store = open();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(write_page(*store, page(i)));
  fs::remove_all(options().directory);
  EXPECT_EQ(read_page(*store, page(1)), Got::kNothing);
  write_page(*store, page(1));  // finds the directory gone, or made again already
  expect_recovery(*store, 2);
  EXPECT_EQ(logged("the directory is gone"), 1);
  EXPECT_EQ(store->status().bad_pages, 0);
  EXPECT_TRUE(eventually([&] { return store->status().pages <= 2; })) << "counted anew";
  // Also when nobody reads or writes.
  fs::remove_all(options().directory);
  EXPECT_TRUE(eventually([&] { return fs::exists(options().directory); }));
  EXPECT_TRUE(eventually([&] { return store->status().available && store->status().pages == 0; }));
}

TEST_F(PageStoreFault, AStoreWithoutADirectoryStartsAndWaitsForIt) {
  test::spill(options().directory, "a file in its place");
  const auto store = open();
  EXPECT_TRUE(eventually([&] { return !store->status().trouble.empty(); }));
  EXPECT_FALSE(store->status().available);
  EXPECT_EQ(read_page(*store, page(1)), Got::kNothing);
  EXPECT_FALSE(write_page(*store, page(1)));
  fs::remove(options().directory);
  expect_recovery(*store, 1);
}

}  // namespace
}  // namespace hadal::engine
