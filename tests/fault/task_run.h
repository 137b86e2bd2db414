// Runs of post-training as processes that are killed: small models with random weights on a task, and the
// comparison of a run that went on with one that was never stopped.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <sstream>

#include "../posttrain/task_models.h"
#include "base/json.h"
#include "child.h"

namespace hadal::test {

class TaskRunFault : public testing::Test {
 protected:
  // data/tokenizer.json of the task's characters.
  void SetUp() override { make_task_data(folder_ / "data", 300); }
  void make_model(const std::string& name, uint64_t seed) const {
    make_task_model(folder_ / "data", folder_ / name, seed, 0.1);
  }
  // Random rewards, so that every step has something to learn.
  std::string grpo_toml(const std::string& base) const {
    return "seed = 3\n[model]\nbase = \"" + (folder_ / base) +
           "\"\n[task]\nname = \"sums:2\"\n[rewards]\nsum = \"random=1,format=1\"\n"
           "[rollout]\nprompts = 3\nanswers = 4\nmax_tokens = 12\nmax_running = 5\n"
           "[grpo]\nminibatches = 2\nkl = 0.01\nreference_every_steps = 4\n"
           "[optimizer]\nlr = 1e-3\n[schedule]\nsteps = 14\nwarmup_steps = 2\n"
           "[eval]\nevery_steps = 5\nproblems = 4\nreport_every_steps = 5\n[checkpoint]\nevery_steps = 3\n";
  }
  std::string distill_toml(const std::string& teacher, const std::string& student) const {
    return "seed = 4\n[model]\nteacher = \"" + (folder_ / teacher) + "\"\nstudent = \"" +
           (folder_ / student) +
           "\"\n[task]\nname = \"sums:2\"\n[samples]\nverified = false\nprompts = 3\nanswers = 2\nmax_tokens "
           "= 10\n"
           "[optimizer]\nlr = 5e-3\n[schedule]\nsteps = 14\n"
           "[eval]\nevery_steps = 5\nproblems = 4\nreport_every_steps = 5\n[checkpoint]\nevery_steps = 3\n";
  }

  int run(const std::vector<std::string>& arguments) { return Child(arguments, folder_ / "output").wait(); }
  std::string output() const { return slurp(folder_ / "output"); }
  std::string file(const std::string& name) const { return slurp(folder_ / name); }
  int64_t lines(const std::string& name) const {
    const std::string text = file(name + "/metrics.jsonl");
    return std::count(text.begin(), text.end(), '\n');
  }
  // Kills the command once `line` lines stand in the metrics of `name`, somewhere within a step. False when
  // it had ended before.
  bool kill_at(const std::vector<std::string>& arguments, const std::string& name, int64_t line) {
    Child child(arguments, folder_ / "output");
    while (child.running() && lines(name) < line) sleep_ms(1);
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % 20000));
    const bool alive = child.running();
    child.kill(SIGKILL);
    child.wait();
    return alive;
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
  void expect_same(const std::string& name, const std::string& whole) const {
    EXPECT_FALSE(file(whole + "/model/model.safetensors").empty());
    EXPECT_TRUE(file(name + "/model/model.safetensors") == file(whole + "/model/model.safetensors")) << name;
    EXPECT_EQ(figures(name), figures(whole));
  }

  TemporaryFolder folder_;
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace hadal::test
