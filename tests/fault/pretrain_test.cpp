// Training through kills, signals and full disks: what is on the disk stays good, and the end is the same
// bits.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "../train/tiny_run.h"
#include "base/error.h"
#include "base/json.h"
#include "child.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using test::Child;

class PretrainFault : public testing::Test {
 protected:
  void SetUp() override {
    test::make_tiny_dataset(folder_ / "data");
    test::spill(folder_ / "tiny.toml", test::tiny_recipe(folder_ / "data", kSteps, 7));
  }

  std::vector<std::string> arguments(const std::string& run, bool resume = false) const {
    std::vector<std::string> a = {"pretrain", folder_ / "tiny.toml", "--out", folder_ / run, "--threads", "1",
                                  "--quiet"};
    if (resume) a.push_back("--resume");
    return a;
  }
  int run(const std::string& name, bool resume = false, rlim_t limit = 0) {
    return Child(arguments(name, resume), folder_ / "output", limit).wait();
  }
  std::string output() const { return test::slurp(folder_ / "output"); }
  std::string file(const std::string& name) const { return test::slurp(folder_ / name); }
  int64_t lines(const std::string& name) const {
    const std::string text = file(name + "/metrics.jsonl");
    return std::count(text.begin(), text.end(), '\n');
  }
  void wait_for_step(Child& child, const std::string& name, int64_t step) const {
    while (child.running() && lines(name) < step) test::sleep_ms(1);
  }
  // Step and loss of every line, in order.
  std::vector<std::string> losses(const std::string& name) const {
    std::vector<std::string> all;
    std::istringstream text(file(name + "/metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      const base::Json json = base::Json::parse(line);
      all.push_back(json["step"].dump() + " " + json["loss"].dump());
    }
    return all;
  }
  void expect_same_as_whole(const std::string& name) const {
    EXPECT_TRUE(file(name + "/model/model.safetensors") == file("whole/model/model.safetensors"));
    EXPECT_EQ(losses(name), losses("whole"));
  }

  static constexpr int kSteps = 60;
  test::TemporaryFolder folder_;
};

TEST_F(PretrainFault, KilledAtRandomInstantsItEndsWithTheSameBits) {
  ASSERT_EQ(run("whole"), 0) << output();
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 3; ++round) {
    const std::string name = "killed" + std::to_string(round);
    std::string kills;
    for (int kill = 0; kill < 3; ++kill) {
      Child child(arguments(name, kill > 0), folder_ / "output");
      const auto step = static_cast<int64_t>(1 + random() % (kSteps - 1));
      wait_for_step(child, name, step);
      // Anywhere in the next few steps, the middle of a checkpoint included.
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 8000));
      child.kill(SIGKILL);
      child.wait();
      kills += " " + std::to_string(lines(name));
    }
    SCOPED_TRACE("killed after steps" + kills);
    ASSERT_EQ(run(name, true), 0) << output();
    expect_same_as_whole(name);
  }
}

TEST_F(PretrainFault, SigtermAndCtrlCSaveAndLeave) {
  ASSERT_EQ(run("whole"), 0) << output();
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string name = "stopped" + std::to_string(signal);
    Child child(arguments(name), folder_ / "output");
    wait_for_step(child, name, 3);
    child.kill(signal);
    ASSERT_EQ(child.wait(), 0) << output();
    ASSERT_LT(lines(name), kSteps) << "the run ended before the signal";
    EXPECT_NE(output().find("--resume"), std::string::npos) << output();
    // The state is of the very last step that was done: nothing is done twice.
    EXPECT_TRUE(
        fs::exists(folder_ / fmt::format("{}/checkpoints/step-{:08}/state/state.json", name, lines(name))));
    ASSERT_EQ(run(name, true), 0) << output();
    expect_same_as_whole(name);
    const base::Json ledger = base::Json::parse(file(name + "/ledger.json"));
    EXPECT_EQ(ledger["sessions"][0]["ended"], "stopped");
    EXPECT_EQ(ledger["total"]["wasted_steps"], 0);
    EXPECT_EQ(ledger["total"]["steps"], kSteps);
  }
}

TEST_F(PretrainFault, AFileThatCannotGrowLeavesTheEarlierCheckpointGood) {
  ASSERT_EQ(run("whole"), 0) << output();
  Child first(arguments("full"), folder_ / "output");
  wait_for_step(first, "full", 8);  // past the checkpoint of step 7
  first.kill(SIGKILL);
  first.wait();
  const std::string checkpoint = "full/checkpoints/step-00000007/state/";
  ASSERT_TRUE(fs::exists(folder_ / (checkpoint + "state.json")));
  const std::string before = file(checkpoint + "state.safetensors");
  EXPECT_EQ(run("full", true, /*limit=*/100'000), 1) << output();
  EXPECT_NE(output().find("step-00000007 is still good"), std::string::npos) << output();
  EXPECT_NE(output().find("--resume"), std::string::npos) << output();
  EXPECT_TRUE(file(checkpoint + "state.safetensors") == before);
  ASSERT_EQ(run("full", true), 0) << output();
  expect_same_as_whole("full");
}

TEST_F(PretrainFault, AFullDiskLeavesTheEarlierCheckpointGood) {
  const std::string disk = folder_ / "disk";
  fs::create_directories(disk);
  // Room for the first checkpoint (about 0.8 MB) and not for a second one beside it.
  if (::mount("hadal-test", disk.c_str(), "tmpfs", 0, "size=1200k") != 0)
    GTEST_SKIP() << "mounting a tmpfs needs root";
  ASSERT_EQ(run("whole"), 0) << output();
  EXPECT_EQ(run("disk/run"), 1) << output();
  EXPECT_NE(output().find("No space left"), std::string::npos) << output();
  EXPECT_NE(output().find("step-00000007 is still good"), std::string::npos) << output();
  EXPECT_EQ(::mount("hadal-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=20m"), 0);  // somebody makes room
  EXPECT_EQ(run("disk/run", true), 0) << output();
  expect_same_as_whole("disk/run");
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

TEST_F(PretrainFault, BadInputIsOneLineAndStatus2) {
  EXPECT_EQ(Child({"pretrain", folder_ / "missing.toml"}, folder_ / "output").wait(), 2);
  test::spill(folder_ / "typo.toml", test::tiny_recipe(folder_ / "data") + "[optimiser]\nlr = 1\n");
  EXPECT_EQ(Child({"pretrain", folder_ / "typo.toml", "--out", folder_ / "typo"}, folder_ / "output").wait(),
            2);
  EXPECT_NE(output().find("did you mean optimizer"), std::string::npos) << output();
  const std::string text = output();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << output();
  EXPECT_FALSE(fs::exists(folder_ / "typo"));

  train::TokenShardWriter(320).write(folder_ / "data/train.bin");
  EXPECT_EQ(run("empty"), 2);
  EXPECT_NE(output().find("empty"), std::string::npos) << output();
}

TEST_F(PretrainFault, TwoTrainersDoNotShareARunDirectory) {
  Child first(arguments("run"), folder_ / "output1");
  wait_for_step(first, "run", 1);
  first.kill(SIGSTOP);
  EXPECT_EQ(run("run", true), 2);
  EXPECT_NE(output().find("another process"), std::string::npos) << output();
  first.kill(SIGCONT);
  EXPECT_EQ(first.wait(), 0);
}

}  // namespace
}  // namespace hadal
