// `hadal pull` as a person runs it: killed, interrupted, on a full disk, twice at once, with a wrong name.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <filesystem>

#include "base/clock.h"
#include "base/files.h"
#include "child.h"
#include "hub_server.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using base::Json;
using test::Child;

class HubPull : public testing::Test {
 protected:
  void SetUp() override {
    ::unsetenv("HF_TOKEN");
    ::unsetenv("HF_HOME");
    ::unsetenv("HF_TOKEN_PATH");
    ::setenv("XDG_CACHE_HOME", (server_ / "cache").c_str(), 1);
    server_.add("config.json", 700);
    server_.add("model-00001-of-00002.safetensors", 2'000'000, 1);
    server_.add("model-00002-of-00002.safetensors", 2'000'000, 2);
    server_.add("model.safetensors.index.json", 300);
    server_.add("pytorch_model.bin", 1000);
    server_.add("onnx/model.onnx", 1000);
    server_.add("README.md", 50);
  }

  void start(const Json& scenario = Json::object()) {
    server_.start(scenario);
    ::setenv("HF_ENDPOINT", server_.url().c_str(), 1);
  }
  std::vector<std::string> arguments(std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {"pull", "owner/model", "--out", server_ / "out"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  int pull(const std::vector<std::string>& more = {}, rlim_t limit = 0) const {
    return Child(arguments(more), server_ / "output", limit).wait();
  }
  std::string output() const { return base::read_file(server_ / "output"); }
  std::string out(const std::string& name) const { return server_ / ("out/" + name); }
  int64_t bytes(const std::string& name) const {
    std::error_code error;
    const auto size = fs::file_size(out(name), error);
    return error ? 0 : static_cast<int64_t>(size);
  }
  // Until both weight files have that many bytes in their parts.
  void wait_for_parts(Child& child, int64_t wanted) const {
    const double end = base::monotonic_seconds() + 20;
    while (child.running() && base::monotonic_seconds() < end &&
           std::min(bytes(kFirst + ".part"), bytes(kSecond + ".part")) < wanted)
      test::sleep_ms(2);
    ASSERT_TRUE(child.running()) << output();
  }
  void expect_whole(const std::string& folder = "out") const {
    for (const std::string& name : {kFirst, kSecond, std::string("config.json"), std::string("README.md"),
                                    std::string("model.safetensors.index.json")}) {
      ASSERT_TRUE(fs::exists(server_ / (folder + "/" + name))) << name;
      EXPECT_TRUE(base::read_file(server_ / (folder + "/" + name)) == server_.original(name)) << name;
    }
    EXPECT_FALSE(fs::exists(server_ / (folder + "/pytorch_model.bin")));
    EXPECT_FALSE(fs::exists(server_ / (folder + "/onnx")));
    for (const auto& entry : fs::directory_iterator(server_ / folder))
      EXPECT_EQ(entry.path().string().find(".part"), std::string::npos) << entry.path();
  }
  Json slow() const {
    return {{"faults", {{kFirst, {"always:slow:20000"}}, {kSecond, {"always:slow:20000"}}}}};
  }

  const std::string kFirst = "model-00001-of-00002.safetensors";
  const std::string kSecond = "model-00002-of-00002.safetensors";
  test::HubServer server_;
};

TEST_F(HubPull, FetchesWhatHadalLoads) {
  start();
  ASSERT_EQ(pull({"--json"}), 0) << output();
  const Json json = Json::parse(output());
  EXPECT_EQ(json["files_fetched"], 5);
  EXPECT_EQ(json["commit"], "0123456789abcdef0123456789abcdef01234567");
  expect_whole();
  ASSERT_EQ(pull(), 0);
  EXPECT_NE(output().find("nothing to fetch"), std::string::npos) << output();
  ASSERT_EQ(pull({"--dry-run"}), 0);
  EXPECT_NE(output().find("2.0 MB  " + kFirst), std::string::npos) << output();
}

TEST_F(HubPull, KilledInTheMiddleItContinues) {
  start(slow());
  for (int kill = 1; kill <= 3; ++kill) {
    Child child(arguments(), server_ / "output");
    wait_for_parts(child, kill * 300'000);
    child.kill(SIGKILL);
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
    EXPECT_FALSE(fs::exists(out(kFirst)));
    EXPECT_FALSE(fs::exists(out(kSecond)));
  }
  const int64_t have = bytes(kFirst + ".part");
  EXPECT_GE(have, 900'000);
  start();
  ASSERT_EQ(pull({"--json"}), 0) << output();
  expect_whole();
  EXPECT_LE(Json::parse(output())["bytes_fetched"].get<int64_t>(), 4'000'000 - 2 * 900'000);
  EXPECT_EQ(server_.requests(kFirst).at(0).value("range", ""), "bytes=" + std::to_string(have) + "-");
}

TEST_F(HubPull, CtrlCIsOneLineAndResumable) {
  start(slow());
  Child child(arguments(), server_ / "output");
  wait_for_parts(child, 200'000);
  const double started = base::monotonic_seconds();
  child.kill(SIGINT);
  EXPECT_EQ(child.wait(), 1);
  EXPECT_LT(base::monotonic_seconds() - started, 3);
  EXPECT_NE(output().find("hadal: [hub] interrupted: "), std::string::npos) << output();
  EXPECT_NE(output().find("the same command continues"), std::string::npos) << output();
  start();
  ASSERT_EQ(pull(), 0) << output();
  EXPECT_NE(server_.requests(kFirst).at(0).value("range", ""), "");
  expect_whole();
}

TEST_F(HubPull, AFileThatCannotGrowLeavesNoFinalFile) {
  start();
  EXPECT_EQ(pull({}, /*limit=*/1'000'000), 1) << output();
  EXPECT_NE(output().find("File too large"), std::string::npos) << output();
  EXPECT_NE(output().find("the same command continues"), std::string::npos) << output();
  EXPECT_FALSE(fs::exists(out(kFirst)));
  ASSERT_EQ(pull(), 0) << output();
  expect_whole();
}

TEST_F(HubPull, AFullDiskIsSeenBeforeAndMet) {
  start();
  fs::create_directories(server_ / "disk");
  const std::string disk = server_ / "disk";
  if (::mount("hadal-test", disk.c_str(), "tmpfs", 0, "size=10m") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root";
  const auto pull_to_disk = [&] {
    return Child({"pull", "owner/model", "--out", disk + "/out"}, server_ / "output").wait();
  };
  // 4 MB and the reserve of 16 MB do not fit: nothing is fetched.
  EXPECT_EQ(pull_to_disk(), 1);
  EXPECT_NE(output().find("make room or choose another --out"), std::string::npos) << output();
  EXPECT_TRUE(server_.requests("/resolve/").empty());
  // The disk fills up while it runs.
  start(slow());
  EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=32m"), 0);
  {
    Child child({"pull", "owner/model", "--out", disk + "/out"}, server_ / "output");
    const double end = base::monotonic_seconds() + 20;
    while (!fs::exists(disk + "/out/" + kFirst + ".part") && base::monotonic_seconds() < end)
      test::sleep_ms(2);
    EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=1m"), 0);
    EXPECT_EQ(child.wait(), 1);
  }
  EXPECT_NE(output().find("No space left on device"), std::string::npos) << output();
  EXPECT_FALSE(fs::exists(disk + "/out/" + kFirst));
  EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=32m"), 0);
  start();
  EXPECT_EQ(pull_to_disk(), 0) << output();
  EXPECT_NE(server_.requests(kFirst).at(0).value("range", ""), "") << "it continued";
  expect_whole("disk/out");
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST_F(HubPull, TwoPullsDoNotShareAFolder) {
  start(slow());
  Child first(arguments(), server_ / "output1");
  wait_for_parts(first, 100'000);
  EXPECT_EQ(pull(), 2);
  EXPECT_NE(output().find("another process pulls here"), std::string::npos) << output();
}

TEST_F(HubPull, IncludeAndExcludeChoose) {
  start();
  ASSERT_EQ(pull({"--include", "*.onnx", "--include", "config.json"}), 0) << output();
  EXPECT_TRUE(fs::exists(out("onnx/model.onnx")));
  EXPECT_TRUE(fs::exists(out("config.json")));
  EXPECT_FALSE(fs::exists(out(kFirst)));
  ASSERT_EQ(pull({"--exclude", "*.safetensors"}), 0) << output();
  EXPECT_TRUE(fs::exists(out("README.md")));
  EXPECT_FALSE(fs::exists(out(kFirst)));
}

TEST_F(HubPull, TheTokenComesFromTheEnvironmentOrItsFile) {
  start({{"token", "hf_secret"}});
  EXPECT_EQ(pull(), 2);
  EXPECT_NE(output().find("set HF_TOKEN"), std::string::npos) << output();
  base::write_file_atomic(server_ / "token", "hf_secret\n");
  ::setenv("HF_TOKEN_PATH", (server_ / "token").c_str(), 1);
  EXPECT_EQ(pull(), 0) << output();
  ::setenv("HF_TOKEN", "hf_wrong", 1);
  EXPECT_EQ(pull(), 2);
  EXPECT_EQ(output().find("hf_wrong"), std::string::npos) << "a token is never printed";
  ::setenv("HF_TOKEN", "a\nb", 1);
  EXPECT_EQ(pull(), 2);
  ::unsetenv("HF_TOKEN");
}

TEST_F(HubPull, BadInputIsOneLineAndStatus2) {
  start();
  for (const char* name : {"", "a/b/c", "../x", "a b/c", "owner/", "/x", "-x/y"}) {
    EXPECT_EQ(Child({"pull", "--out", server_ / "out", "--", name}, server_ / "output").wait(), 2) << name;
    const std::string text = output();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
  EXPECT_EQ(Child({"pull", "owner/other", "--out", server_ / "out"}, server_ / "output").wait(), 2);
  EXPECT_NE(output().find("check the name"), std::string::npos) << output();
  EXPECT_EQ(pull({"--revision", "nightly"}), 2);
  EXPECT_NE(output().find("no such revision"), std::string::npos) << output();
  EXPECT_EQ(pull({"--include", "nothing*"}), 2);
  ::setenv("HF_ENDPOINT", "ftp://x", 1);
  EXPECT_EQ(pull(), 2);
  EXPECT_NE(output().find("HF_ENDPOINT"), std::string::npos) << output();
  EXPECT_FALSE(fs::exists(server_ / "out"));
}

}  // namespace
}  // namespace hadal
