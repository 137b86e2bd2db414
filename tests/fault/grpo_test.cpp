// Reinforcement learning through kills and signals: the end is the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <sstream>

#include "../train/tiny_run.h"
#include "base/json.h"
#include "child.h"
#include "model/transformer.h"
#include "posttrain/base_corpus.h"
#include "train/export_model.h"
#include "train/recipe.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using test::Child;

// A base with random weights; random rewards, so that every step has something to learn.
class GrpoFault : public testing::Test {
 protected:
  void SetUp() override {
    posttrain::BaseCorpusRecipe corpus;
    corpus.output = folder_ / "data";
    corpus.task = "sums:2";
    corpus.documents = 300;
    posttrain::build_base_corpus(corpus);
    const int32_t ids = text::Tokenizer::load(corpus.output + "/tokenizer.json")->vocab_size();
    const train::Recipe recipe = train::parse_recipe(test::tiny_recipe(corpus.output), "tiny.toml",
                                                     {fmt::format("model.vocab_size={}", ids)});
    fs::create_directories(folder_ / "base");
    train::export_model(folder_ / "base", *model::Transformer::create(recipe.model, 1, 0.1),
                        {.tokenizer = corpus.output + "/tokenizer.json", .bf16 = false});
    test::spill(folder_ / "tiny.toml", toml());
  }

  std::string toml() const {
    return "seed = 3\n[model]\nbase = \"" + (folder_ / "base") +
           "\"\n[task]\nname = \"sums:2\"\n[rewards]\nsum = \"random=1,format=1\"\n"
           "[rollout]\nprompts = 3\nanswers = 4\nmax_tokens = 12\nmax_running = 5\n"
           "[grpo]\nminibatches = 2\nkl = 0.01\nreference_every_steps = 4\n"
           "[optimizer]\nlr = 1e-3\n[schedule]\nsteps = 14\nwarmup_steps = 2\n"
           "[eval]\nevery_steps = 5\nproblems = 4\nreport_every_steps = 5\n[checkpoint]\nevery_steps = 3\n";
  }
  std::vector<std::string> arguments(const std::string& run, bool resume = false) const {
    std::vector<std::string> a = {"grpo", folder_ / "tiny.toml", "--out", folder_ / run, "--threads", "1"};
    if (resume) a.push_back("--resume");
    return a;
  }
  int run(const std::string& name, bool resume = false) {
    return Child(arguments(name, resume), folder_ / "output").wait();
  }
  std::string output() const { return test::slurp(folder_ / "output"); }
  std::string file(const std::string& name) const { return test::slurp(folder_ / name); }
  int64_t lines(const std::string& name) const {
    const std::string text = file(name + "/metrics.jsonl");
    return std::count(text.begin(), text.end(), '\n');
  }
  // What must not depend on kills: every line without its times.
  std::vector<std::string> figures(const std::string& name) const {
    std::vector<std::string> all;
    std::istringstream text(file(name + "/metrics.jsonl"));
    for (std::string line; std::getline(text, line);) {
      base::Json json = base::Json::parse(line);
      std::erase_if(json.get_ref<base::Json::object_t&>(), [](const auto& item) {
        return item.first.find("seconds") != std::string::npos ||
               item.first.find("_per_s") != std::string::npos || item.first.find("mfu") != std::string::npos;
      });
      all.push_back(json.dump());
    }
    return all;
  }
  void expect_same_as_whole(const std::string& name) const {
    EXPECT_TRUE(file(name + "/model/model.safetensors") == file("whole/model/model.safetensors"));
    EXPECT_EQ(figures(name), figures("whole"));
  }

  test::TemporaryFolder folder_;
};

TEST_F(GrpoFault, KilledAtRandomInstantsItEndsWithTheSameBits) {
  ASSERT_EQ(run("whole"), 0) << output();
  EXPECT_FALSE(file("whole/model/model.safetensors") == file("base/model.safetensors"));
  std::mt19937 random(std::random_device{}());
  for (int round = 0; round < 2; ++round) {
    const std::string name = "killed" + std::to_string(round);
    for (int kill = 0; kill < 2; ++kill) {
      Child child(arguments(name, kill > 0), folder_ / "output");
      const auto line = static_cast<int64_t>(2 + random() % 11);
      while (child.running() && lines(name) < line) test::sleep_ms(1);
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
      child.kill(SIGKILL);
      child.wait();
    }
    ASSERT_EQ(run(name, true), 0) << output();
    expect_same_as_whole(name);
  }
}

TEST_F(GrpoFault, SigtermSavesAndLeaves) {
  ASSERT_EQ(run("whole"), 0) << output();
  Child child(arguments("stopped"), folder_ / "output");
  while (child.running() && lines("stopped") < 5) test::sleep_ms(1);
  child.kill(SIGTERM);
  ASSERT_EQ(child.wait(), 0) << output();
  EXPECT_NE(output().find("--resume"), std::string::npos) << output();
  const int64_t step = lines("stopped") - 1;  // a line of step 0 comes first
  ASSERT_LT(step, 14) << "the run ended before the signal";
  const std::string checkpoint = fmt::format("stopped/checkpoints/step-{:08}/", step);
  EXPECT_TRUE(fs::exists(folder_ / (checkpoint + "state/state.json")));
  // What lies there can be served: a Hugging Face directory.
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"})
    EXPECT_TRUE(fs::exists(folder_ / (checkpoint + "model/" + name))) << name;
  ASSERT_EQ(run("stopped", true), 0) << output();
  expect_same_as_whole("stopped");
}

TEST_F(GrpoFault, BadInputIsOneLineAndStatus2) {
  test::spill(folder_ / "typo.toml", toml() + "[rollouts]\nprompts = 1\n");
  EXPECT_EQ(Child({"grpo", folder_ / "typo.toml", "--out", folder_ / "typo"}, folder_ / "output").wait(), 2);
  EXPECT_NE(output().find("did you mean rollout"), std::string::npos) << output();
  for (const std::string change : {"task.name=sums:99", "rewards.sum=nothing", "task.template=nothing",
                                   "grpo.average=mean", "rollout.answers=1", "model.base=/nowhere"}) {
    EXPECT_EQ(
        Child({"grpo", folder_ / "tiny.toml", "--out", folder_ / "bad", "--set", change}, folder_ / "output")
            .wait(),
        2)
        << change;
    const std::string text = output();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
}

}  // namespace
}  // namespace hadal
