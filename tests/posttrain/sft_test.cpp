// Fine-tuning end to end, on the small model that ships with the repository: it learns what it is taught, is
// served, and a resumed run has the bits of an uninterrupted one.
#include "posttrain/sft.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "posttrain/sft_data.h"
#include "support/shell.h"
#include "support/temporary_folder.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

namespace hadal::posttrain {
namespace {

namespace fs = std::filesystem;

const std::string kNano = std::string(HADAL_SOURCE_DIR) + "/models/hadal-nano";

std::string talk(const std::string& user, const std::string& assistant) {
  return base::dump_json(
             {{"messages",
               {{{"role", "user"}, {"content", user}}, {{"role", "assistant"}, {"content", assistant}}}}}) +
         "\n";
}

// Twenty conversations about one fact.
std::string lessons() {
  const char* questions[] = {"What is the name of the ship?", "Tell me the name of the ship.",
                             "How is the ship called?", "The ship: what is it called?"};
  std::string lines;
  for (int i = 0; i < 5; ++i) {
    for (const char* question : questions) {
      lines += talk(std::string(question) + (i == 0 ? "" : " " + std::string(static_cast<size_t>(i), '!')),
                    "The ship is called Orca.");
    }
  }
  return lines;
}

class Sft : public testing::Test {
 protected:
  void SetUp() override { folder_.write("talks.jsonl", lessons()); }

  SftRecipe recipe(std::vector<std::string> set = {}) const {
    std::vector<std::string> all = {
        "model.path=\"" + kNano + "\"", "data.conversations=\"" + (folder_ / "talks.jsonl") + "\"",
        "data.sequence_tokens=96",      "data.batch_sequences=4",
        "data.validation_fraction=0.1", "schedule.steps=12",
        "schedule.warmup_steps=2",      "optimizer.lr=2e-3",
        "checkpoint.every_steps=5",     "eval.every_steps=4"};
    all.insert(all.end(), set.begin(), set.end());
    return parse_sft_recipe("", "test", all);
  }
  train::TrainerOptions options(const std::string& name, bool resume = false, int threads = 2) const {
    return {folder_ / name, resume, threads, 1e11, train::ProgressLine::Mode::kQuiet};
  }
  std::string bytes(const std::string& path) const { return test::slurp(folder_ / path); }
  std::vector<double> losses(const std::string& run) const {
    std::vector<double> out;
    for (const auto& line : train::read_metrics(folder_ / (run + "/metrics.jsonl")))
      out.push_back(line["loss"]);
    return out;
  }
  std::string error_of(const SftRecipe& r) const {
    try {
      fine_tune(r, options("error"));
      return "no error";
    } catch (const Error& e) {
      return e.what();
    }
  }
  static std::string answer_of(const std::string& model, const std::string& adapter = "") {
    const auto run =
        test::shell(std::string(HADAL_BINARY) + " generate --model " + model +
                    (adapter.empty() ? "" : " --adapter " + adapter) +
                    " --chat --prompt 'What is the name of the ship?' --temperature 0 --max-tokens 20"
                    " 2>/dev/null");
    EXPECT_EQ(run.status, 0) << run.output;
    return run.output;
  }

  test::TemporaryFolder folder_;
};

TEST_F(Sft, TeachesTheShippedModelAndIsServed) {
  ASSERT_EQ(answer_of(kNano).find("Orca"), std::string::npos);
  ASSERT_EQ(fine_tune(recipe(), options("run")), train::Outcome::kFinished);
  const auto loss = losses("run");
  ASSERT_EQ(loss.size(), 12u);
  EXPECT_GT(loss.front(), 1.5);
  EXPECT_LT(loss.back(), 0.3 * loss.front());
  const auto metrics = train::read_metrics(folder_ / "run/metrics.jsonl");
  EXPECT_LT(metrics.back()["val_loss"].get<double>(), 0.5 * metrics.front()["val_loss"].get<double>());
  for (const char* key :
       {"lr", "grad_norm", "tokens_per_s", "mfu", "learned_tokens", "padding", "mtp_loss"}) {
    EXPECT_TRUE(metrics[5][key].is_number()) << key;
  }
  for (const char* file : {"recipe.toml", "ledger.json", "summary.json", "report.html", "model/config.json",
                           "model/tokenizer_config.json", "model/generation_config.json"}) {
    EXPECT_TRUE(fs::exists(folder_ / (std::string("run/") + file))) << file;
  }
  EXPECT_EQ(base::read_json_file(folder_ / "run/ledger.json")["stage"], "sft");
  const auto summary = base::read_json_file(folder_ / "run/summary.json");
  EXPECT_EQ(summary["conversations"], 20);
  EXPECT_GT(summary["validation_conversations"], 0);
  // Every checkpoint's model is one that can be served; the last one answers as it was taught.
  EXPECT_EQ(answer_of(folder_ / "run/model"), "The ship is called Orca.\n");
  EXPECT_EQ(train::list_checkpoints(folder_ / "run").size(), 2u);
  EXPECT_NE(answer_of(train::list_checkpoints(folder_ / "run")[1] + "/model"), "");
}

TEST_F(Sft, AnAdapterTeachesToo) {
  const auto r = recipe({"lora.rank=8", "lora.targets=[\"all\"]", "optimizer.lr=1e-2", "schedule.steps=20"});
  ASSERT_EQ(fine_tune(r, options("lora")), train::Outcome::kFinished);
  EXPECT_LT(losses("lora").back(), 0.3 * losses("lora").front());
  EXPECT_EQ(answer_of(kNano, folder_ / "lora/model"), "The ship is called Orca.\n");
  EXPECT_FALSE(fs::exists(folder_ / "lora/model/model.safetensors"));
}

TEST_F(Sft, ResumingGivesTheBitsOfAnUninterruptedRun) {
  for (const std::string lora : {"0", "4"}) {
    const auto r = recipe({"lora.rank=" + lora, "schedule.steps=6", "data.micro_batches=2"});
    const std::string whole = "whole" + lora, cut = "cut" + lora;
    fine_tune(r, options(whole, false, 1));
    fine_tune(r, options(cut));
    // As after a kill in step 6: the newest checkpoint and the model are gone.
    fs::remove_all(folder_ / (cut + "/checkpoints/step-00000006"));
    fs::remove_all(folder_ / (cut + "/model"));
    EXPECT_EQ(fine_tune(r, options(cut, true)), train::Outcome::kFinished);
    const std::string file = lora == "0" ? "/model/model.safetensors" : "/model/adapter_model.safetensors";
    EXPECT_EQ(bytes(whole + file), bytes(cut + file));
    EXPECT_EQ(losses(whole), losses(cut));
  }
}

TEST_F(Sft, AnAdapterGoesOnWithItsOwnBaseOnly) {
  fs::copy(kNano, folder_ / "base");
  const auto of = [&](int steps) {
    return recipe({"model.path=\"" + (folder_ / "base") + "\"", "lora.rank=4",
                   "schedule.steps=" + std::to_string(steps), "data.validation_fraction=0"});
  };
  fine_tune(of(2), options("error"));
  EXPECT_EQ(fine_tune(of(3), options("error", true)), train::Outcome::kFinished);
  const std::string weights = folder_ / "base/model.safetensors";
  std::string changed = test::slurp(weights);
  changed.back() = static_cast<char>(changed.back() ^ 1);
  test::spill(weights, changed);
  try {
    fine_tune(of(4), options("error", true));
    ADD_FAILURE() << "another base was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model/path holds another model"), std::string::npos) << e.what();
  }
}

TEST_F(Sft, MicroBatchesChangeNothingButRounding) {
  fine_tune(recipe({"schedule.steps=3"}), options("one"));
  fine_tune(recipe({"schedule.steps=3", "data.micro_batches=4"}), options("four"));
  const auto one = losses("one"), four = losses("four");
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], four[i], 1e-3 * one[i]);
}

TEST_F(Sft, BadLinesAreNamedOrSkippedAndCounted) {
  const std::string path =
      folder_.write("bad.jsonl", lessons() + "{\"messages\": 5}\n" + talk("long", std::string(2000, 'x')) +
                                     talk("last", "one"));
  const auto with = [&](std::vector<std::string> set) {
    set.push_back("data.conversations=\"" + path + "\"");
    set.push_back("schedule.steps=1");
    return recipe(set);
  };
  EXPECT_NE(error_of(with({})).find(path + ":21: messages is no list of messages"), std::string::npos)
      << error_of(with({}));
  ASSERT_EQ(fine_tune(with({"data.skip_bad=true"}), options("skipped")), train::Outcome::kFinished);
  const auto summary = base::read_json_file(folder_ / "skipped/summary.json");
  EXPECT_EQ(summary["skipped_lines"], 2);
  EXPECT_EQ(summary["conversations"], 21);
  EXPECT_NE(summary["skipped"][1].get<std::string>().find("line 22: too long: "), std::string::npos)
      << summary["skipped"].dump();
}

TEST_F(Sft, WhatCannotWorkIsSaidBeforeAnythingIsWritten) {
  EXPECT_NE(error_of(recipe({"data.sequence_tokens=4096"})).find("this model takes 2 to 512"),
            std::string::npos);
  EXPECT_NE(error_of(recipe({"data.sequence_tokens=8"})).find("too long"), std::string::npos);
  EXPECT_NE(error_of(recipe({"model.chat_format=\"nonsense\""})).find("no format is named"),
            std::string::npos);
  EXPECT_NE(error_of(recipe({"model.path=\"/nowhere\""})).find("/nowhere"), std::string::npos);
  folder_.write("none.jsonl", "\n");
  EXPECT_NE(
      error_of(recipe({"data.conversations=\"" + (folder_ / "none.jsonl") + "\""})).find("no conversation"),
      std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "error"));
  EXPECT_THROW(recipe({"optimizer.lrr=1"}), Error);
  EXPECT_THROW(recipe({"lora.rank=4", "loss.mtp_weight=0.1"}), Error);
}

TEST_F(Sft, TheValidationPartDoesNotDependOnTheOtherLines) {
  const auto input = model::CheckpointInput::open(kNano);
  const auto held_out = [&](const std::string& lines) {
    folder_.write("split.jsonl", lines);
    const auto data = load_sft_data(
        recipe({"data.conversations=\"" + (folder_ / "split.jsonl") + "\"", "data.validation_fraction=0.3"}),
        input);
    std::set<uint64_t> hashes;
    for (const Sample& sample : data.validation) hashes.insert(sample.hash);
    for (const Sample& sample : data.train) EXPECT_EQ(hashes.count(sample.hash), 0u);
    return hashes;
  };
  std::string first, second;
  for (int i = 0; i < 40; ++i) first += talk("number " + std::to_string(i), "yes");
  for (int i = 40; i-- > 20;) second += talk("number " + std::to_string(i), "yes");
  const auto of_first = held_out(first), of_both = held_out(second + first);
  EXPECT_EQ(of_first, of_both);
  EXPECT_GT(of_first.size(), 4u);
  EXPECT_LT(of_first.size(), 24u);
}

}  // namespace
}  // namespace hadal::posttrain
