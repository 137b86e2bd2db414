// Distillation and the stages of R1 through kill -9: the end is the same bits.
#include "task_run.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

class DistillFault : public test::TaskRunFault {
 protected:
  void SetUp() override {
    TaskRunFault::SetUp();
    make_model("base", 1);
    make_model("student", 2);
    test::spill(folder_ / "distill.toml", distill_toml("base", "student"));
    test::spill(folder_ / "grpo.toml", grpo_toml("base"));
    // Each stage builds on the one before it.
    test::spill(
        folder_ / "r1.toml",
        "[[stage]]\nname = \"zero\"\nkind = \"grpo\"\nrecipe = \"" + (folder_ / "grpo.toml") +
            "\"\nset = [\"schedule.steps=6\"]\n[[stage]]\nname = \"cold\"\nkind = \"distill\"\nrecipe = \"" +
            (folder_ / "distill.toml") +
            "\"\nset = [\"model.teacher={run}/zero/model\", \"schedule.steps=6\"]\n[[stage]]\n"
            "name = \"rl\"\nkind = \"grpo\"\nrecipe = \"" +
            (folder_ / "grpo.toml") +
            "\"\nset = [\"model.base={run}/cold/model\", \"schedule.steps=6\", \"seed=9\"]\n");
  }
  std::vector<std::string> r1(const std::string& run) const {
    return {"r1", folder_ / "r1.toml", "--out", folder_ / run, "--threads", "1"};
  }
};

TEST_F(DistillFault, KilledAtRandomInstantsItEndsWithTheSameBits) {
  for (const std::string from : {"teacher", "student"}) {  // off-policy on tokens, on-policy on a divergence
    const std::string loss = from == "teacher" ? "tokens" : "reverse_kl";
    const auto arguments = [&](const std::string& name, bool resume) {
      std::vector<std::string> a = {
          "distill", folder_ / "distill.toml", "--out", folder_ / name,        "--threads", "1",
          "--set",   "samples.from=" + from,   "--set", "distill.loss=" + loss};
      if (resume) a.push_back("--resume");
      return a;
    };
    ASSERT_EQ(run(arguments("whole-" + from, false)), 0) << output();
    EXPECT_FALSE(file("whole-" + from + "/model/model.safetensors") == file("student/model.safetensors"));
    const std::string name = "killed-" + from;
    for (int kill = 0; kill < 2; ++kill)
      kill_at(arguments(name, kill > 0), name, static_cast<int64_t>(2 + random_() % 11));
    ASSERT_EQ(run(arguments(name, true)), 0) << output();
    expect_same(name, "whole-" + from);
  }
}

TEST_F(DistillFault, TheStagesOfR1GoOnWithinAndBetweenStages) {
  ASSERT_EQ(run(r1("whole")), 0) << output();
  // Within each stage, at any of its steps.
  for (const char* stage : {"zero", "cold", "rl"})
    kill_at(r1("within"), std::string("within/") + stage, static_cast<int64_t>(2 + random_() % 4));
  // Between stages: when one has its summary, and before the next has a step.
  for (const char* stage : {"zero", "cold"}) {
    test::Child child(r1("between"), folder_ / "output");
    while (child.running() && !fs::exists(folder_ / ("between/" + std::string(stage) + "/summary.json")))
      test::sleep_ms(1);
    child.kill(SIGKILL);
    child.wait();
  }
  for (const std::string name : {"within", "between"}) {
    ASSERT_EQ(run(r1(name)), 0) << output();
    for (const char* stage : {"/zero", "/cold", "/rl"})
      expect_same(name + stage, std::string("whole") + stage);
  }
  // A stage that is done stays what it was.
  const std::string before = file("within/rl/model/model.safetensors");
  ASSERT_EQ(run(r1("within")), 0) << output();
  EXPECT_TRUE(file("within/rl/model/model.safetensors") == before);
}

// r1 has no --resume: what it says of going on is its own command.
TEST_F(DistillFault, AStopOfR1NamesItsOwnCommand) {
  test::Child child(r1("stopped"), folder_ / "output");
  while (child.running() && lines("stopped/zero") < 3) test::sleep_ms(1);
  child.kill(SIGTERM);
  ASSERT_EQ(child.wait(), 0) << output();
  EXPECT_NE(output().find("the same command goes on"), std::string::npos) << output();
  EXPECT_EQ(output().find("--resume"), std::string::npos) << output();
}

}  // namespace
}  // namespace hadal
