#include "train/trainer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/tiny_run.h"

namespace hadal::train {
namespace {

namespace fs = std::filesystem;

class Pretrain : public testing::Test {
 protected:
  void SetUp() override { test::make_tiny_dataset(folder_ / "data"); }

  Recipe recipe(int steps, int checkpoint_every = 5, const std::vector<std::string>& set = {}) const {
    return parse_recipe(test::tiny_recipe(folder_ / "data", steps, checkpoint_every), "tiny.toml", set);
  }
  TrainerOptions options(const std::string& name, bool resume = false, int threads = 1) const {
    return {folder_ / name, resume, threads, 1e11, ProgressLine::Mode::kQuiet};
  }
  std::string weights(const std::string& name) const {
    return test::slurp(folder_ / (name + "/model/model.safetensors"));
  }
  // The numbers that must not depend on kills or threads.
  std::vector<std::string> losses(const std::string& name) const {
    std::vector<std::string> lines;
    for (const base::Json& line : read_metrics(folder_ / (name + "/metrics.jsonl"))) {
      lines.push_back(fmt::format("{} {} {} {} {}", line["step"].dump(), line["loss"].dump(),
                                  line["grad_norm"].dump(), line["mtp_loss"].dump(),
                                  line.value("val_bpb", base::Json()).dump()));
    }
    return lines;
  }
  std::string error_of(const Recipe& r, const TrainerOptions& o) const {
    try {
      pretrain(r, o);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  test::TemporaryFolder folder_;
};

TEST_F(Pretrain, LearnsAndLeavesEverythingInTheRunDirectory) {
  EXPECT_EQ(pretrain(recipe(60), options("run")), Outcome::kFinished);
  const auto metrics = read_metrics(folder_ / "run/metrics.jsonl");
  ASSERT_EQ(metrics.size(), 60u);
  for (size_t i = 0; i < metrics.size(); ++i) {
    EXPECT_EQ(metrics[i]["step"], i + 1);
    EXPECT_EQ(metrics[i]["tokens"], 128 * (i + 1));
    for (const char* key : {"loss", "lr", "grad_norm", "tokens_per_s", "mfu"}) {
      EXPECT_TRUE(metrics[i][key].is_number()) << key;
    }
  }
  EXPECT_GT(metrics[0]["loss"].get<double>(), 5);  // ln 320 = 5.77
  EXPECT_LT(metrics[59]["loss"].get<double>(), 2);
  EXPECT_LT(metrics[59]["val_bpb"].get<double>(), 0.5 * metrics[9]["val_bpb"].get<double>());
  for (const char* file :
       {"recipe.toml", "ledger.json", "summary.json", "report.html", "model/config.json",
        "model/model.safetensors", "model/tokenizer.json", "model/generation_config.json"}) {
    EXPECT_TRUE(fs::exists(folder_ / (std::string("run/") + file))) << file;
  }
  const base::Json summary = base::Json::parse(test::slurp(folder_ / "run/summary.json"));
  EXPECT_NEAR(summary["val_bpb"].get<double>(), metrics[59]["val_bpb"].get<double>(), 0.3);
  EXPECT_NEAR(summary["val_dialogues_bpb"].get<double>(), summary["val_bpb"].get<double>(), 0.3);
  EXPECT_EQ(list_checkpoints(folder_ / "run").size(), 2u);  // checkpoint.keep
  const auto model = model::Transformer::load(folder_ / "run/model");
  EXPECT_EQ(model->config().n_routed_experts, 8);
}

TEST_F(Pretrain, TheSameBitsAgainAndWithAnyNumberOfThreads) {
  pretrain(recipe(12), options("a", false, 1));
  pretrain(recipe(12), options("b", false, 3));
  EXPECT_EQ(weights("a"), weights("b"));
  EXPECT_EQ(losses("a"), losses("b"));
  pretrain(recipe(12, 5, {"seed=8"}), options("c"));
  EXPECT_NE(weights("a"), weights("c"));
}

TEST_F(Pretrain, ResumingGivesTheBitsOfAnUninterruptedRun) {
  pretrain(recipe(20), options("whole"));
  // A killed run: complete until step 20, but its newest checkpoints and the final model are gone, and its
  // last line of metrics is cut in half. (tests/fault kills real processes.)
  pretrain(recipe(20), options("killed"));
  fs::remove_all(folder_ / "killed/checkpoints/step-00000020");
  fs::remove_all(folder_ / "killed/model");
  std::string metrics = test::slurp(folder_ / "killed/metrics.jsonl");
  test::spill(folder_ / "killed/metrics.jsonl", metrics.substr(0, metrics.size() - 40));
  EXPECT_EQ(pretrain(recipe(20), options("killed", true)), Outcome::kFinished);
  EXPECT_EQ(weights("killed"), weights("whole"));
  EXPECT_EQ(losses("killed"), losses("whole"));
}

TEST_F(Pretrain, ADamagedCheckpointFallsBackToTheOneBefore) {
  pretrain(recipe(20), options("whole"));
  pretrain(recipe(20), options("damaged"));
  fs::remove_all(folder_ / "damaged/model");
  const std::string newest = folder_ / "damaged/checkpoints/step-00000020/state/state.safetensors";
  fs::resize_file(newest, fs::file_size(newest) - 7);
  EXPECT_EQ(pretrain(recipe(20), options("damaged", true)), Outcome::kFinished);
  EXPECT_EQ(weights("damaged"), weights("whole"));
  EXPECT_EQ(losses("damaged"), losses("whole"));

  for (const std::string& checkpoint : list_checkpoints(folder_ / "damaged")) {
    std::string bytes = test::slurp(checkpoint + "/state/state.safetensors");
    bytes[bytes.size() / 2] ^= 1;  // one bit
    test::spill(checkpoint + "/state/state.safetensors", bytes);
  }
  const std::string message = error_of(recipe(20), options("damaged", true));
  EXPECT_NE(message.find("none of the 2 checkpoints"), std::string::npos) << message;
}

TEST_F(Pretrain, ResumingAFinishedRunDoesNothingTwice) {
  pretrain(recipe(10), options("run"));
  const std::string before = weights("run");
  EXPECT_EQ(pretrain(recipe(10), options("run", true)), Outcome::kFinished);
  EXPECT_EQ(weights("run"), before);
  EXPECT_EQ(losses("run").size(), 10u);
}

TEST_F(Pretrain, ARunIsNotOverwrittenAndNotMixedUp) {
  pretrain(recipe(5), options("run"));
  EXPECT_NE(error_of(recipe(5), options("run")).find("--resume"), std::string::npos);
  EXPECT_NE(error_of(recipe(5, 5, {"seed=8"}), options("run", true)).find("seed was 7"), std::string::npos);
  test::write_shard(*text::Tokenizer::load(folder_ / "data/tokenizer.json"), test::tiny_documents(100, 9),
                    folder_ / "data/train.bin");
  EXPECT_NE(error_of(recipe(5), options("run", true)).find("not the data"), std::string::npos);
}

TEST_F(Pretrain, AnEmptyDatasetIsAnErrorBeforeAnythingIsWritten) {
  TokenShardWriter(320).write(folder_ / "data/train.bin");
  EXPECT_NE(error_of(recipe(5), options("run")).find("empty"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(Pretrain, AVocabularyLargerThanTheModelsIsAnError) {
  const std::string message = error_of(recipe(5, 5, {"model.vocab_size=100"}), options("run"));
  EXPECT_NE(message.find("vocab_size is 100"), std::string::npos) << message;
}

TEST_F(Pretrain, MaskedPackingAndFp32MomentsTrainToo) {
  const Recipe r = recipe(40, 20,
                          {"data.document_mask=true", "optimizer.moments=\"f32\"",
                           "checkpoint.weights=\"f32\"", "schedule.kind=\"cosine\""});
  pretrain(r, options("run"));
  EXPECT_LT(read_metrics(folder_ / "run/metrics.jsonl").back()["loss"].get<double>(), 3);
}

TEST_F(Pretrain, GradientAccumulationIsTheWholeBatch) {
  pretrain(recipe(3, 5, {"data.micro_batches=1", "balance.sequence_alpha=0"}), options("one"));
  pretrain(recipe(3, 5, {"data.micro_batches=4", "balance.sequence_alpha=0"}), options("four"));
  const auto a = read_metrics(folder_ / "one/metrics.jsonl");
  const auto b = read_metrics(folder_ / "four/metrics.jsonl");
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(a[i]["loss"].get<double>(), b[i]["loss"].get<double>(), 1e-3);
    EXPECT_NEAR(a[i]["grad_norm"].get<double>(), b[i]["grad_norm"].get<double>(), 1e-3);
  }
}

TEST(FlopsPerToken, CountsTheMtpModuleWhereItIsTrained) {
  const Recipe r = parse_recipe(test::tiny_recipe("unused"), "tiny.toml");
  const double plain = flops_per_token(r.model, false);
  EXPECT_EQ(plain, 6.0 * static_cast<double>(r.model.active_matmul_parameters()));
  // attention 32*(2*24) + 32*(16+8) + 16*2*32 + 32*32, router 32*8, 3 experts of 3*32*16, eh_proj 2*32*32,
  // head 320*32
  const double module =
      32 * 48 + 32 * 24 + 16 * 64 + 32 * 32 + 32 * 8 + 3 * 3 * 32 * 16 + 2 * 32 * 32 + 320 * 32;
  EXPECT_EQ(flops_per_token(r.model, true) - plain, 6 * module);
}

}  // namespace
}  // namespace hadal::train
