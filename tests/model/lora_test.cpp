// Low-rank adapters in training: their gradients against differences, what they leave alone, and their files.
#include "model/lora.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "model/tiny_models.h"
#include "model/transformer.h"
#include "support/temporary_folder.h"

namespace hadal {
namespace {

using test::batch_of;
using test::tiny_deepseek;
using test::tiny_qwen3;
using test::tokens_below;

model::LoraOptions everything(int64_t rank = 3) { return {.rank = rank, .alpha = 6, .targets = {"all"}}; }

// B is zero at the start: with values in it, A has gradients too.
void fill_b(model::Transformer& m) {
  base::Random random(9);
  for (auto& p : m.adapters()) {
    if (p.name.find("lora_B") == std::string::npos) continue;
    for (int64_t i = 0; i < p.size(); ++i) p.value[i] = static_cast<float>(0.1 * random.normal());
  }
}

TEST(Lora, GradientsOfEveryTargetMatchDifferences) {
  for (const auto& config : {tiny_qwen3(), tiny_deepseek()}) {
    base::ThreadPool pool(2);
    const auto m = model::Transformer::create(config, 3, 0.25);
    m->add_adapters(everything(), 1);
    fill_b(*m);
    m->enable_gradients();
    const auto tokens = tokens_below(40, 2 * 9);
    const auto batch = batch_of(tokens, 2);
    m->forward_backward(batch, {}, pool);
    for (const auto& p : m->parameters()) EXPECT_EQ(p.grad, nullptr) << p.name << " is not frozen";
    test::expect_gradients(m->adapters(), [&] { return m->evaluate(batch, {}, pool).loss; });
  }
}

TEST(Lora, AFreshAdapterChangesNothing) {
  base::ThreadPool pool(2);
  const auto m = model::Transformer::create(tiny_deepseek(), 3, 0.25);
  const auto tokens = tokens_below(40, 2 * 9);
  const auto batch = batch_of(tokens, 2);
  const double before = m->evaluate(batch, {}, pool).loss;
  m->add_adapters(everything(), 1);
  EXPECT_EQ(m->evaluate(batch, {}, pool).loss, before);
  fill_b(*m);
  EXPECT_NE(m->evaluate(batch, {}, pool).loss, before);
}

TEST(Lora, TargetsAreModulesAndGroups) {
  const auto names = [](const model::ModelConfig& config, std::vector<std::string> targets) {
    std::vector<std::string> out;
    for (const auto& module : model::lora_modules(config, targets)) out.push_back(module.name);
    return out;
  };
  EXPECT_EQ(names(tiny_qwen3(), {"q_proj", "model.layers.1.mlp.up_proj"}),
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj",
                                      "model.layers.1.mlp.up_proj"}));
  EXPECT_EQ(names(tiny_deepseek(), {"experts"}).size(), 6u * 3);
  EXPECT_EQ(names(tiny_deepseek(), {"mlp"}),
            (std::vector<std::string>{
                "model.layers.0.mlp.gate_proj", "model.layers.0.mlp.up_proj", "model.layers.0.mlp.down_proj",
                "model.layers.1.mlp.shared_experts.gate_proj", "model.layers.1.mlp.shared_experts.up_proj",
                "model.layers.1.mlp.shared_experts.down_proj"}));
  EXPECT_EQ(names(tiny_deepseek(), {"attention"}).size(), 2u * 5);
  try {
    names(tiny_qwen3(), {"experts"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("\"experts\": this model has all, attention, down_proj"),
              std::string::npos)
        << e.what();
  }
}

class AdapterFiles : public testing::Test {
 protected:
  void SetUp() override {
    model_ = model::Transformer::create(tiny_deepseek(), 3, 0.25);
    model_->add_adapters(everything(), 1);
    fill_b(*model_);
    model::write_adapter(folder_.path(), everything(), "some/base", model_->adapters());
  }
  std::string load_error() const {
    try {
      model::Adapter::load(folder_.path());
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  void edit_config(const char* key, const base::Json& value) const {
    const std::string path = folder_ / "adapter_config.json";
    base::Json config = base::read_json_file(path);
    config[key] = value;
    base::write_file_atomic(path, base::dump_json(config));
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<model::Transformer> model_;
};

TEST_F(AdapterFiles, ComeBackAsTheyWere) {
  const auto adapter = model::Adapter::load(folder_.path());
  EXPECT_EQ(adapter.scale(), 2);  // alpha 6, rank 3
  adapter.check_fits(model_->config(), "tiny");
  EXPECT_EQ(adapter.parts().size() * 2, model_->adapters().size());
  const auto& part = adapter.parts().at("model.layers.1.mlp.experts.4.down_proj");
  EXPECT_EQ(part.rank, 3);
  EXPECT_EQ(part.module.rows, 16);
  EXPECT_EQ(part.module.cols, 8);
  for (const auto& p : model_->adapters()) {
    if (p.name != "base_model.model.model.layers.1.mlp.experts.4.down_proj.lora_B.weight") continue;
    EXPECT_EQ(part.b, std::vector<float>(p.value, p.value + p.size()));
  }
  const base::Json config = base::read_json_file(folder_ / "adapter_config.json");
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["base_model_name_or_path"], "some/base");
}

TEST_F(AdapterFiles, AnotherModelIsRefusedByNamesAndShapes) {
  const auto adapter = model::Adapter::load(folder_.path());
  model::ModelConfig other = tiny_deepseek();
  other.moe_intermediate_size = 12;
  other.q_lora_rank = 0;
  try {
    adapter.check_fits(other, "other");
    FAIL();
  } catch (const Error& e) {
    const std::string message = e.what();
    EXPECT_NE(message.find("model.layers.0.self_attn.q_a_proj is not there"), std::string::npos) << message;
    EXPECT_NE(message.find("model.layers.1.mlp.experts.0.down_proj is [16, 12], the adapter's [16, 8]"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("and "), std::string::npos) << message;
  }
}

TEST_F(AdapterFiles, WhatHadalCannotDoIsSaid) {
  edit_config("use_dora", true);
  EXPECT_NE(load_error().find("use_dora: true is not supported"), std::string::npos) << load_error();
  edit_config("use_dora", false);
  edit_config("modules_to_save", {"lm_head"});
  EXPECT_NE(load_error().find("modules_to_save"), std::string::npos) << load_error();
  edit_config("modules_to_save", nullptr);
  edit_config("r", 4);
  EXPECT_NE(load_error().find("not two matrices of rank 4"), std::string::npos) << load_error();
  edit_config("r", 3);
  EXPECT_EQ(load_error(), "no error");
  edit_config("use_rslora", true);
  EXPECT_FLOAT_EQ(model::Adapter::load(folder_.path()).scale(), 6 / std::sqrt(3.0f));
}

TEST_F(AdapterFiles, DamageIsSaid) {
  const std::string path = folder_ / "adapter_model.safetensors";
  const std::string whole = base::read_file(path);
  const auto write = [&](std::vector<format::TensorToWrite> tensors) {
    format::write_safetensors(path, tensors);
  };
  const float values[] = {1, 2, 3, 4, 5, NAN};
  write({{"base_model.model.m.lora_A.weight", tensor::DType::kF32, {3, 2}, values, {}}});
  EXPECT_NE(load_error().find("m: A is [3, 2], B is missing"), std::string::npos) << load_error();
  write({{"base_model.model.m.lora_A.weight", tensor::DType::kF32, {3, 2}, values, {}},
         {"base_model.model.m.lora_B.weight", tensor::DType::kF32, {2, 3}, values, {}}});
  EXPECT_NE(load_error().find("not a finite number"), std::string::npos) << load_error();
  write({{"base_model.model.lm_head.weight", tensor::DType::kF32, {3, 2}, values, {}}});
  EXPECT_NE(load_error().find("no A or B"), std::string::npos) << load_error();
  base::write_file_atomic(path, whole.substr(0, whole.size() / 2));
  EXPECT_NE(load_error().find("[safetensors]"), std::string::npos) << load_error();
  std::filesystem::remove(folder_ / "adapter_config.json");
  EXPECT_NE(load_error().find("adapter_config.json is not there"), std::string::npos) << load_error();
}

}  // namespace
}  // namespace hadal
