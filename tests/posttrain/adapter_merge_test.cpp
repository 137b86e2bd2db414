// An adapter beside the weights (the trainer's low-rank products) and merged into them (what is served, and
// what convert writes) say the same, on MLA with experts and on a dense model, from either file format.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "engine/session.h"
#include "model/lora.h"
#include "model/transformer.h"
#include "support/shell.h"
#include "support/temporary_folder.h"

namespace hadal {
namespace {

constexpr double kBound = 1e-4;  // largest difference of a logit

std::string golden(const std::string& path) {
  return std::string(HADAL_SOURCE_DIR) + "/tests/golden/" + path;
}

// Logits [tokens, vocab] of the model with its adapters beside the weights.
std::vector<float> beside(model::Transformer& model, const std::vector<int32_t>& tokens,
                          base::ThreadPool& pool) {
  // One more input than needed: every token is an input, the last position's target is any.
  std::vector<int32_t> inputs = tokens, targets = tokens;
  inputs.push_back(0);
  model::TokenBatch batch{1, static_cast<int64_t>(tokens.size()), inputs, {}, targets};
  std::vector<float> logprobs, logits;
  model.forward(batch, pool, logprobs);
  model.visit_logits(
      [&](std::span<const int64_t>, tensor::Matrix tile) {
        logits.insert(logits.end(), tile.data, tile.data + tile.rows * tile.cols);
      },
      pool);
  return logits;
}

std::vector<float> served(const std::string& path, const std::string& adapter,
                          const std::vector<int32_t>& tokens, base::ThreadPool& pool) {
  const auto model = engine::LoadedModel::load(path, adapter);
  const auto n = static_cast<int64_t>(tokens.size());
  engine::Session session(model, n, engine::Precision::kExact, engine::KvType::kF32, pool);
  std::vector<float> logits(tokens.size() * static_cast<size_t>(model->config().vocab_size));
  session.append_all(tokens, tensor::matrix(logits.data(), n, model->config().vocab_size));
  return logits;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double d = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!(d <= worst)) worst = d;
  }
  return worst;
}

class AdapterMerge : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = golden(GetParam());
    const std::string folder = path_.ends_with(".gguf") ? golden("gguf") : path_;
    tokens_ = base::read_json_file(folder + "/tokens.json").get<std::vector<int32_t>>();
    model_ = model::Transformer::load(path_);
    before_ = beside(*model_, tokens_, pool_);
    const model::LoraOptions options{.rank = 4, .alpha = 8, .targets = {"all"}};
    model_->add_adapters(options, 5);
    base::Random random(9);
    for (auto& p : model_->adapters()) {
      if (p.name.find("lora_B") == std::string::npos) continue;
      for (int64_t i = 0; i < p.size(); ++i) p.value[i] = static_cast<float>(0.01 * random.normal());
    }
    model::write_adapter(folder_.path(), options, path_, model_->adapters());
    after_ = beside(*model_, tokens_, pool_);
    EXPECT_GT(difference(before_, after_), 0.01) << "an adapter that does nothing proves nothing";
  }

  base::ThreadPool pool_{2};
  std::string path_;
  std::vector<int32_t> tokens_;
  test::TemporaryFolder folder_;
  std::unique_ptr<model::Transformer> model_;
  std::vector<float> before_, after_;
};

TEST_P(AdapterMerge, WhatIsServedIsWhatWasTrained) {
  const double worst = difference(served(path_, folder_.path(), tokens_, pool_), after_);
  EXPECT_LE(worst, kBound);
  RecordProperty("max_difference", std::to_string(worst));
}

TEST_P(AdapterMerge, WhatConvertWritesIsWhatWasTrained) {
  const test::TemporaryFolder out;
  const auto run = test::shell(std::string(HADAL_BINARY) + " convert --model " + path_ + " --merge " +
                               folder_.path() + " --type f32 --out " + (out / "merged") + " 2>&1");
  ASSERT_EQ(run.status, 0) << run.output;
  EXPECT_LE(difference(served(out / "merged", "", tokens_, pool_), after_), kBound);
}

INSTANTIATE_TEST_SUITE_P(Models, AdapterMerge,
                         testing::Values("deepseek-v3", "deepseek-v2-lite", "qwen2", "llama3",
                                         "gguf/F16.gguf"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (c == '-' || c == '/' || c == '.') c = '_';
                           }
                           return name;
                         });

TEST(Adapter, OfAnotherModelIsRefused) {
  const test::TemporaryFolder folder;
  const auto model = model::Transformer::load(golden("qwen2"));
  const model::LoraOptions options{.rank = 4, .alpha = 8, .targets = {"attention"}};
  model->add_adapters(options, 5);
  model::write_adapter(folder.path(), options, "qwen2", model->adapters());
  const auto run = test::shell(std::string(HADAL_BINARY) + " generate --model " + HADAL_SOURCE_DIR +
                               "/models/hadal-nano --prompt x --adapter " + folder.path() + " 2>&1");
  EXPECT_EQ(run.status, 2);
  EXPECT_NE(run.output.find("is an adapter for another model than"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("model.layers.0.self_attn.k_proj is not there"), std::string::npos) << run.output;
}

}  // namespace
}  // namespace hadal
