// Fine-tuning as a process that is killed: it goes on with the same bits, adapters too.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "fault/child.h"
#include "support/temporary_folder.h"

namespace hadal {
namespace {

class SftFault : public testing::Test {
 protected:
  void SetUp() override {
    std::string lines;
    for (int i = 0; i < 12; ++i) {
      lines += R"({"messages": [{"role": "user", "content": "number )" + std::to_string(i) +
               R"("}, {"role": "assistant", "content": "it is )" + std::to_string(i) + "\"}]}\n";
    }
    folder_.write("talks.jsonl", lines);
  }
  std::vector<std::string> arguments(const std::string& run, bool resume, const std::string& rank) const {
    std::vector<std::string> out = {"sft",
                                    "--model",
                                    std::string(HADAL_SOURCE_DIR) + "/models/hadal-nano",
                                    "--data",
                                    folder_ / "talks.jsonl",
                                    "--out",
                                    folder_ / run,
                                    "--steps",
                                    "9",
                                    "--batch",
                                    "2",
                                    "--sequence",
                                    "48",
                                    "--threads",
                                    "1",
                                    "--set",
                                    "checkpoint.every_steps=2"};
    if (resume) out.push_back("--resume");
    if (!rank.empty()) out.insert(out.end(), {"--lora-rank", rank});
    return out;
  }
  int lines_of(const std::string& run) const {
    const std::string text = test::slurp(folder_ / (run + "/metrics.jsonl"));
    return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
  }
  void expect_same_bits(const std::string& rank, const std::string& weights) const {
    ASSERT_EQ(test::Child(arguments("whole", false, rank), folder_ / "log").wait(), 0)
        << test::slurp(folder_ / "log");
    base::Random random(3);
    int kills = 0;
    for (int i = 0; i < 4; ++i) {
      test::Child child(arguments("killed", i > 0, rank), folder_ / "log");
      // Once it has begun, at any time within about two steps.
      for (int ms = 0; lines_of("killed") <= 2 * i && child.running() && ms < 30000; ms += 5)
        test::sleep_ms(5);
      test::sleep_ms(static_cast<int>(random.below(60)));
      kills += child.running() ? 1 : 0;
      child.kill(SIGKILL);
    }
    EXPECT_GE(kills, 2);
    ASSERT_EQ(test::Child(arguments("killed", true, rank), folder_ / "log").wait(), 0)
        << test::slurp(folder_ / "log");
    EXPECT_EQ(lines_of("killed"), 9);
    const std::string expected = test::slurp(folder_ / ("whole/model/" + weights));
    EXPECT_FALSE(expected.empty());
    EXPECT_TRUE(test::slurp(folder_ / ("killed/model/" + weights)) == expected);
  }

  test::TemporaryFolder folder_;
};

TEST_F(SftFault, KilledAtRandomInstantsItEndsWithTheSameBits) { expect_same_bits("", "model.safetensors"); }

TEST_F(SftFault, SoDoesAnAdapter) { expect_same_bits("4", "adapter_model.safetensors"); }

TEST_F(SftFault, BadInputIsOneLineAndStatus2) {
  const auto run = [&](std::vector<std::string> more, const std::string& says) {
    std::vector<std::string> all = {"sft"};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(test::Child(all, folder_ / "log").wait(), 2);
    const std::string log = test::slurp(folder_ / "log");
    EXPECT_NE(log.find(says), std::string::npos) << log;
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
  };
  run({"--out", folder_ / "x"}, "path");
  run({}, "--out is missing");
  folder_.write("broken.jsonl", "{\"messages\": [");
  auto broken = arguments("x", false, "");
  broken.erase(broken.begin());
  broken[3] = folder_ / "broken.jsonl";
  run(broken, "broken.jsonl:1: [json] byte");
}

}  // namespace
}  // namespace hadal
