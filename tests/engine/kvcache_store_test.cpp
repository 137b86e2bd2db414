// The page store on a directory that works: names, bytes, damage, sharing, leaving.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <filesystem>

#include "engine/kvcache/fingerprint.h"
#include "engine/kvcache/page_io.h"
#include "engine/kvcache/page_store.h"
#include "kvcache_store_fixture.h"

namespace hadal::engine {
namespace {

namespace fs = std::filesystem;
using test::age;
using test::file_of;
using test::Got;
using test::PageStoreTest;
using test::read_page;
using test::set_age;
using test::test_fingerprint;
using test::test_page;
using test::TestPage;
using test::write_page;

constexpr int64_t kSmall = test::kSmallPage;

// ---- names

// Computed with sha256sum (see docs/formats/kv-page.md): fingerprint 00 01 .. 1f; tokens 0 .. 63, then
// (-1)^i * i * 1000003 as little-endian i32.
TEST(PageKeyTest, TheChainIsTheDocumentedOne) {
  Fingerprint fingerprint;
  for (size_t i = 0; i < fingerprint.size(); ++i) fingerprint[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(to_hex(root_key(fingerprint, "").bytes),
            "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
  const PageKey root = root_key(fingerprint, "tenant-a");
  EXPECT_EQ(to_hex(root.bytes), "24661e41b1ea8bf947f690197f5a20c4f688bec666ba1ea08c2b3e81100828b0");
  std::vector<int32_t> tokens(kPageTokens);
  for (int i = 0; i < kPageTokens; ++i) tokens[static_cast<size_t>(i)] = i;
  const PageKey first = next_key(root, tokens);
  EXPECT_EQ(to_hex(first.bytes), "a5b5ba03a5b23a9b3bdd05afc3b721bf497818a53e053c92db3b870213fc4f04");
  for (int i = 0; i < kPageTokens; ++i) tokens[static_cast<size_t>(i)] = (i % 2 == 0 ? 1 : -1) * i * 1000003;
  EXPECT_EQ(to_hex(next_key(first, tokens).bytes),
            "33347c3013a9daea5dfcfe25fd792b32f4ff358b2745c2e87acdbd4910c1ef85");
}

TEST(PageKeyTest, EveryPartOfTheFingerprintCounts) {
  Digest checkpoint;
  checkpoint.fill(0xab);
  const Fingerprint fingerprint = page_fingerprint(checkpoint, "bf16 mla 27x576", "fast");
  EXPECT_EQ(to_hex(fingerprint), "3901bd8f449ffa264b61399073bd3a7cc102c7c22bd19621edefdd7fdf9a65a1");
  EXPECT_NE(page_fingerprint(checkpoint, "bf16 mla 27x576f", "ast"), fingerprint);
  EXPECT_NE(page_fingerprint(checkpoint, "bf16 mla 27x57", "6fast"), fingerprint);
  checkpoint[31] ^= 1;
  EXPECT_NE(page_fingerprint(checkpoint, "bf16 mla 27x576", "fast"), fingerprint);
}

TEST(PageDirectoryTest, NamesAreParsedExactly) {
  const TestPage page = test_page(1, kSmall);
  const std::string hex = to_hex(page.key.bytes);
  EXPECT_EQ(page_path("/kv", page.key),
            "/kv/" + hex.substr(0, 2) + "/" + hex.substr(2, 2) + "/" + hex + ".page");
  PageKey key;
  ASSERT_TRUE(parse_page_name(hex + ".page", key));
  EXPECT_EQ(key, page.key);
  std::string upper = hex;
  upper[5] = 'A';
  for (const std::string& name :
       {hex, hex + ".pagE", hex + ".page.tmp-1", upper + ".page", hex.substr(1) + ".page",
        "0" + hex + ".page", std::string(".page"), std::string()})
    EXPECT_FALSE(parse_page_name(name, key)) << name;
}

TEST(PageDirectoryTest, TheDefaultFollowsTheEnvironment) {
  const auto set = [](const char* name, const char* value) {
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  };
  const char* const home = std::getenv("HOME");
  const std::string old_home = home != nullptr ? home : "";
  set("HADAL_KV_DIR", "/a");
  set("XDG_CACHE_HOME", "/b");
  set("HOME", "/c");
  EXPECT_EQ(default_kv_directory(), "/a");
  set("HADAL_KV_DIR", nullptr);
  EXPECT_EQ(default_kv_directory(), "/b/hadal/kv");
  set("XDG_CACHE_HOME", "");
  EXPECT_EQ(default_kv_directory(), "/c/.cache/hadal/kv");
  set("HOME", nullptr);
  EXPECT_EQ(default_kv_directory(), "/var/cache/hadal/kv");
  set("XDG_CACHE_HOME", nullptr);
  set("HOME", home != nullptr ? old_home.c_str() : nullptr);
}

// ---- bytes

template <typename T>
T at(const std::string& file, size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

TEST_F(PageStoreTest, AFileIsTheDocumentedOne) {
  const TestPage page = test_page(7, 40960);
  ASSERT_TRUE(write_page(*open(40960), page));
  ASSERT_EQ(files(), std::vector{path(page)});
  const std::string file = test::slurp(path(page));
  ASSERT_EQ(file.size(), 640u + 40960u);
  EXPECT_LE(static_cast<double>(file.size()), 1.02 * 40960);
  EXPECT_EQ(file.substr(0, 8), "HADALKVP");
  EXPECT_EQ(at<uint32_t>(file, 8), 1u);
  EXPECT_EQ(at<uint32_t>(file, 12), 640u);
  EXPECT_EQ(at<uint64_t>(file, 16), 40960u);
  EXPECT_EQ(at<uint32_t>(file, 24), 64u);
  EXPECT_EQ(at<Digest>(file, 32), test_fingerprint());
  EXPECT_EQ(at<Digest>(file, 64), page.parent.bytes);
  EXPECT_EQ(at<Digest>(file, 96), page.key.bytes);
  for (size_t i = 0; i < page.tokens.size(); ++i) EXPECT_EQ(at<int32_t>(file, 128 + 4 * i), page.tokens[i]);
  const std::string description = "test model, test layout";
  EXPECT_EQ(at<uint32_t>(file, 28), description.size());
  EXPECT_EQ(file.substr(384, 240), description + std::string(240 - description.size(), '\0'));
  const std::string summed = file.substr(0, 624) + file.substr(640);
  XXH128_canonical_t sum;
  XXH128_canonicalFromHash(&sum, XXH3_128bits(summed.data(), summed.size()));
  EXPECT_EQ(std::memcmp(sum.digest, file.data() + 624, 16), 0);
  EXPECT_EQ(std::memcmp(file.data() + 640, page.payload.data(), page.payload.size()), 0);
  EXPECT_EQ(fs::status(path(page)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(directory()).permissions(), fs::perms::owner_all);
}

TEST_F(PageStoreTest, PagesOfEverySizeComeBackAfterARestart) {
  // Around the size of the buffer that payloads pass through, too.
  const auto chunk = static_cast<int64_t>(kIoChunkBytes);
  for (const int64_t bytes :
       {int64_t{1}, int64_t{639}, int64_t{4096}, chunk - 1, chunk, chunk + 1, 3 * chunk + 5}) {
    SCOPED_TRACE(bytes);
    std::vector<TestPage> pages;
    for (int i = 0; i < 5; ++i)
      pages.push_back(test_page(static_cast<int>(bytes % 1000) * 10 + i, static_cast<size_t>(bytes)));
    {
      const auto store = open(bytes);
      EXPECT_EQ(read_page(*store, pages[0]), Got::kNothing);
      for (const auto& page : pages) ASSERT_TRUE(write_page(*store, page));
      EXPECT_EQ(store->status().pages_missed, 1);
      EXPECT_EQ(store->status().pages_written, 5);
      EXPECT_EQ(store->status().bytes_written, 5 * (bytes + 640));
      EXPECT_EQ(store->status().pending_writes, 0);
    }
    const auto store = open(bytes);
    for (const auto& page : pages) EXPECT_EQ(read_page(*store, page), Got::kPage);
    const PageStoreStatus status = store->status();
    EXPECT_EQ(status.pages_read, 5);
    EXPECT_EQ(status.bytes_read, 5 * (bytes + 640));
    EXPECT_EQ(status.bad_pages + status.read_errors + status.pages_missed, 0);
    EXPECT_TRUE(status.available);
    EXPECT_EQ(status.trouble, "");
  }
}

TEST_F(PageStoreTest, ManyReadsAndWritesAtOnce) {
  std::vector<TestPage> pages;
  for (int i = 0; i < 60; ++i) pages.push_back(test_page(i, kSmall));
  const auto store = open();
  std::vector<test::Answer> written(pages.size()), read(pages.size());
  for (size_t i = 0; i < pages.size(); ++i)
    store->write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, written[i].callback());
  for (auto& answer : written) EXPECT_TRUE(answer.wait());
  std::vector<std::vector<std::byte>> to(pages.size(), std::vector<std::byte>(kSmall));
  for (size_t i = 0; i < pages.size(); ++i)
    store->read(pages[i].key, pages[i].parent, pages[i].tokens, to[i], read[i].callback());
  for (size_t i = 0; i < pages.size(); ++i) {
    EXPECT_TRUE(read[i].wait());
    EXPECT_EQ(to[i], pages[i].payload);
    EXPECT_EQ(written[i].calls() + read[i].calls(), 2);
  }
  EXPECT_TRUE(test::eventually([&] { return store->status().pages == 60; }));
  EXPECT_EQ(store->status().bytes, 60 * (kSmall + 640));
}

TEST_F(PageStoreTest, PagesAndFoldersThatSomebodyRemovesMeanwhileAreNoTroubleOfTheDirectory) {
  std::vector<TestPage> pages;
  for (int i = 0; i < 8; ++i) pages.push_back(test_page(i, 1000));
  const auto store = open(options(), 1000);
  std::atomic<bool> stop = false;
  std::thread clearing([&] {
    while (!stop) {
      for (const TestPage& page : pages) {
        const std::string folder = page_folder(options().directory, page.key);
        ::unlink(path(page).c_str());
        ::rmdir(folder.c_str());
        ::rmdir(folder.substr(0, folder.size() - 3).c_str());
      }
    }
  });
  for (int round = 0; round < 100; ++round) {
    std::deque<test::Answer> written(pages.size());
    for (size_t i = 0; i < pages.size(); ++i)
      store->write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, written[i].callback());
    for (auto& answer : written) EXPECT_TRUE(answer.came(30));
    EXPECT_TRUE(store->status().available) << store->status().trouble;
  }
  stop = true;
  clearing.join();
  EXPECT_EQ(store->status().trouble, "");
  EXPECT_TRUE(write_page(*store, pages[0]));
}

TEST_F(PageStoreTest, NothingIsWrittenTwice) {
  const TestPage page = test_page(1, kSmall);
  const auto store = open();
  ASSERT_TRUE(write_page(*store, page));
  set_age(path(page), 1000);
  struct stat before {};
  ASSERT_EQ(::stat(path(page).c_str(), &before), 0);
  EXPECT_TRUE(write_page(*store, page));
  EXPECT_TRUE(write_page(*open(), page));
  struct stat after {};
  ASSERT_EQ(::stat(path(page).c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_LT(age(path(page)), 60) << "a page that is written again is in use";
  EXPECT_EQ(store->status().pages_written, 1);
  EXPECT_EQ(store->status().bytes_written, kSmall + 640);
  // The same page twice in the queue.
  const TestPage other = test_page(2, kSmall);
  test::Answer one, two;
  store->write(other.key, other.parent, other.tokens, other.payload, one.callback());
  store->write(other.key, other.parent, other.tokens, other.payload, two.callback());
  EXPECT_TRUE(one.wait() && two.wait());
  EXPECT_EQ(store->status().pages_written, 2);
}

TEST_F(PageStoreTest, ReadingMarksAPageAsUsedAtMostOnceAMinute) {
  const TestPage page = test_page(1, kSmall);
  const auto store = open();
  ASSERT_TRUE(write_page(*store, page));
  set_age(path(page), 50);
  EXPECT_EQ(read_page(*store, page), Got::kPage);
  EXPECT_GT(age(path(page)), 45);
  set_age(path(page), 70);
  EXPECT_EQ(read_page(*store, page), Got::kPage);
  EXPECT_LT(age(path(page)), 45);
}

TEST_F(PageStoreTest, TheEndFinishesTheWritesThatWereTaken) {
  std::vector<TestPage> pages;
  for (int i = 0; i < 40; ++i) pages.push_back(test_page(i, kSmall));
  std::vector<test::Answer> answers(pages.size());
  auto store = open();
  for (size_t i = 0; i < pages.size(); ++i)
    store->write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, answers[i].callback());
  store.reset();
  for (size_t i = 0; i < pages.size(); ++i) {
    EXPECT_EQ(answers[i].calls(), 1);
    EXPECT_TRUE(answers[i].wait(0));
    EXPECT_TRUE(fs::exists(path(pages[i])));
  }
}

TEST_F(PageStoreTest, WritesBeyondTheLimitAreRefused) {
  auto limited = options();
  limited.io_threads = 1;
  limited.max_pending_writes = 2;
  const auto store = open(limited);
  std::vector<TestPage> pages;
  for (int i = 0; i < 5; ++i) pages.push_back(test_page(i, kSmall));
  std::atomic<int> held{0};
  std::atomic<bool> go{false};
  for (size_t i = 0; i < 2; ++i) {
    store->write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, [&](bool) {
      ++held;  // all threads that write
      while (!go) std::this_thread::yield();
    });
  }
  ASSERT_TRUE(test::eventually([&] { return held == 2; }));
  std::vector<test::Answer> answers(pages.size());
  for (size_t i = 2; i < pages.size(); ++i)
    store->write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, answers[i].callback());
  EXPECT_EQ(answers[4].calls(), 1) << "refused at once";
  EXPECT_FALSE(answers[4].wait(0));
  EXPECT_EQ(store->status().writes_refused, 1);
  EXPECT_EQ(store->status().pending_writes, 2);
  go = true;
  EXPECT_TRUE(answers[2].wait() && answers[3].wait());
  EXPECT_EQ(store->status().pending_writes, 0);
  EXPECT_TRUE(write_page(*store, pages[4]));
}

// ---- leaving

TEST_F(PageStoreTest, OldPagesAndLeftoversLeave) {
  const TestPage fresh = test_page(1, kSmall), old = test_page(2, kSmall), older = test_page(3, kSmall);
  for (const auto& page : {fresh, old, older}) put(page, file_of(page));
  set_age(path(fresh), 80);
  set_age(path(old), 120);
  set_age(path(older), 1e6);
  const std::string young_temporary = temporary_name(path(fresh)), temporary = temporary_name(path(fresh));
  const std::string probe = temporary_name(directory() + "/probe.page");
  const std::string foreign = page_folder(directory(), fresh.key) + "/notes.txt";
  for (const auto& name : {young_temporary, temporary, probe, foreign}) {
    test::spill(name, "x");
    set_age(name, 3700);
  }
  set_age(young_temporary, 3500);
  auto o = options();
  o.ttl_seconds = 100;
  const auto store = open(o);
  ASSERT_TRUE(test::eventually([&] { return store->status().pages == 1; }));
  EXPECT_EQ(store->status().evicted_by_age, 2);
  EXPECT_EQ(store->status().evicted_by_size, 0);
  EXPECT_EQ(store->status().bytes, kSmall + 640);
  std::vector<std::string> expected = {path(fresh), young_temporary, foreign};
  std::ranges::sort(expected);
  EXPECT_EQ(files(), expected);
}

TEST_F(PageStoreTest, OverTheBudgetTheLeastRecentlyUsedLeave) {
  constexpr int kPages = 40;
  std::vector<TestPage> pages;
  for (int i = 0; i < kPages; ++i) {
    pages.push_back(test_page(i, kSmall));
    put(pages.back(), file_of(pages.back()));
    set_age(path(pages.back()), 1000 + 10 * ((i * 7) % kPages));  // ages in another order than the names
  }
  auto o = options();
  o.max_bytes = 20 * (kSmall + 640);
  const auto store = open(o);
  ASSERT_TRUE(test::eventually([&] { return store->status().pages == 19; }));  // 95 % of the budget
  EXPECT_EQ(store->status().evicted_by_size, 21);
  for (int i = 0; i < kPages; ++i)
    EXPECT_EQ(fs::exists(path(pages[static_cast<size_t>(i)])), (i * 7) % kPages < 19) << i;
  // What is read stays when new pages push others out.
  const auto oldest = std::ranges::max_element(
      pages, {}, [&](const TestPage& page) { return fs::exists(path(page)) ? age(path(page)) : 0; });
  EXPECT_EQ(read_page(*store, *oldest), Got::kPage);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(write_page(*store, test_page(100 + i, kSmall)));
  ASSERT_TRUE(test::eventually([&] { return store->status().bytes <= o.max_bytes; }));
  EXPECT_TRUE(fs::exists(path(*oldest)));
  EXPECT_LE(files().size(), 20u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(read_page(*store, test_page(100 + i, kSmall)), Got::kPage);
}

TEST_F(PageStoreTest, EmptyFoldersLeaveAndComeBack) {
  const TestPage page = test_page(1, kSmall);
  const std::string folder = page_folder(directory(), page.key);
  fs::create_directories(folder);
  set_age(folder, 3700);
  set_age(fs::path(folder).parent_path(), 3700);
  const auto store = open();
  EXPECT_TRUE(test::eventually([&] { return !fs::exists(folder); }));
  EXPECT_TRUE(write_page(*store, page));
  EXPECT_EQ(read_page(*store, page), Got::kPage);
}

// ---- sharing

// Random traffic on a small set of pages; true when nothing wrong was seen.
bool random_traffic(const PageStoreOptions& options, uint64_t seed, double seconds) {
  PageStore store(options, test_fingerprint(), kSmall, "traffic");
  base::Random random(seed);
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int64_t wrong = 0, rounds = 0;
  while (std::chrono::steady_clock::now() < until) {
    std::vector<TestPage> pages;
    for (int i = 0; i < 8; ++i) pages.push_back(test_page(static_cast<int>(random.below(50)), kSmall));
    std::vector<test::Answer> answers(pages.size());
    std::vector<std::vector<std::byte>> to(pages.size(), std::vector<std::byte>(kSmall));
    std::vector<bool> reads;
    for (size_t i = 0; i < pages.size(); ++i) {
      reads.push_back(random.below(3) > 0);
      if (reads[i])
        store.read(pages[i].key, pages[i].parent, pages[i].tokens, to[i], answers[i].callback());
      else
        store.write(pages[i].key, pages[i].parent, pages[i].tokens, pages[i].payload, answers[i].callback());
    }
    for (size_t i = 0; i < pages.size(); ++i) {
      const bool ok = answers[i].wait();
      if (reads[i] && ok) wrong += to[i] != pages[i].payload;
      if (!reads[i]) wrong += !ok;
    }
    // Somebody damages or removes a page now and then.
    const std::string victim = page_path(options.directory, pages[0].key);
    if (random.below(10) == 0) ::truncate(victim.c_str(), 100);
    if (random.below(10) == 0) ::unlink(victim.c_str());
    ++rounds;
  }
  const PageStoreStatus status = store.status();
  return wrong == 0 && rounds > 0 && status.pages_read > 0 && status.read_errors + status.write_errors == 0 &&
         status.available;
}

TEST_F(PageStoreTest, TwoProcessesInOneDirectory) {
  auto o = options();
  o.max_bytes = 40 * (kSmall + 640);  // evictions, too
  const pid_t child = ::fork();
  if (child == 0) ::_exit(random_traffic(o, 1, 2) ? 0 : 1);
  EXPECT_TRUE(random_traffic(o, 2, 2));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  for (const std::string& file : files())
    EXPECT_TRUE(file.ends_with(".page")) << "a temporary file is left: " << file;
}

TEST_F(PageStoreTest, OtherFingerprintsAndTenantsDoNotMeet) {
  const TestPage page = test_page(1, kSmall);
  const TestPage foreign = test_page(1, kSmall, test_fingerprint(2));
  EXPECT_NE(page.key, foreign.key);
  const auto store = open();
  PageStore other(options(), test_fingerprint(2), kSmall, "another model");
  ASSERT_TRUE(write_page(*store, page));
  EXPECT_EQ(read_page(other, foreign), Got::kNothing);
  EXPECT_EQ(read_page(other, page), Got::kNothing) << "asked for by its very key";
  EXPECT_EQ(other.status().bad_pages, 1);
}

}  // namespace
}  // namespace hadal::engine
