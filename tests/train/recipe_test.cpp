#include "train/recipe.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "train/tiny_run.h"

namespace hadal::train {
namespace {

std::string message_of(const std::string& toml, const std::vector<std::string>& overrides = {}) {
  try {
    parse_recipe(toml, "r.toml", overrides);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    return e.what();
  }
  return "";
}

const std::string kTiny = test::tiny_recipe("folder");

TEST(Recipe, ReadsEverySection) {
  const Recipe r = parse_recipe(kTiny, "r.toml");
  EXPECT_EQ(r.seed, 7u);
  EXPECT_EQ(r.model.hidden_size, 32);
  EXPECT_EQ(r.model.n_routed_experts, 8);
  EXPECT_EQ(r.model.topk_method, model::TopkMethod::kNoauxTc);  // DeepSeek-V3's, not named in the recipe
  EXPECT_EQ(r.data.dataset, "folder");
  EXPECT_EQ(r.tokens_per_step(), 128);
  EXPECT_EQ(r.optimizer.moments, MomentType::kBF16);
  EXPECT_EQ(r.schedule.steps, 30);
  EXPECT_EQ(r.checkpoint.every_steps, 5);
}

TEST(Recipe, TokensGiveTheSteps) {
  const Recipe r = parse_recipe(kTiny, "r.toml", {"schedule.steps=11"});
  EXPECT_EQ(r.schedule.steps, 11);
  std::string with_tokens = kTiny;
  with_tokens.replace(with_tokens.find("steps = 30"), 10, "tokens = 1300");
  EXPECT_EQ(parse_recipe(with_tokens, "r.toml").schedule.steps, 10);
}

TEST(Recipe, AnUnknownKeyIsNamedWithTheNearestKnownOne) {
  const std::string message = message_of(kTiny + "[balance]\ngama_start = 0.1\n");
  EXPECT_NE(message.find("balance.gama_start"), std::string::npos) << message;
  EXPECT_NE(message.find("balance.gamma_start"), std::string::npos) << message;
  EXPECT_NE(message.find("r.toml:"), std::string::npos) << message;
  const std::string section = message_of(kTiny + "[optimiser]\nlr = 1\n");
  EXPECT_NE(section.find("did you mean optimizer?"), std::string::npos) << section;
  const std::string model = message_of(kTiny, {"model.hiden_size=64"});
  EXPECT_NE(model.find("model.hidden_size"), std::string::npos) << model;
}

TEST(Recipe, OverridesWinAndAreRecorded) {
  const Recipe r = parse_recipe(kTiny, "r.toml", {"optimizer.lr=0.5", "balance.gamma_start=0.25"});
  EXPECT_EQ(r.schedule.peak_lr, 0.5);
  EXPECT_EQ(r.balance.gamma.start, 0.25);
  const Recipe again = parse_recipe(r.text, "copy.toml");
  EXPECT_EQ(recipe_to_json(again), recipe_to_json(r));
}

TEST(Recipe, ValuesOutOfRangeNameKeyAndRange) {
  EXPECT_NE(message_of(kTiny, {"optimizer.lr=-1"}).find("optimizer.lr is -1, must be 0 to 10"),
            std::string::npos);
  EXPECT_NE(message_of(kTiny, {"optimizer.moments=\"f64\""}).find("one of: f32, bf16"), std::string::npos);
  EXPECT_NE(message_of(kTiny, {"data.micro_batches=3"}).find("does not divide"), std::string::npos);
  EXPECT_NE(message_of(kTiny, {"optimizer.lr=\"fast\""}).find("optimizer.lr"), std::string::npos);
  EXPECT_NE(message_of(kTiny, {"schedule.tokens=100"}).find("not both"), std::string::npos);
  EXPECT_NE(message_of(kTiny, {"model.num_experts_per_tok=9"}).find("[model]"), std::string::npos);
  EXPECT_NE(message_of("[model]\n").find("dataset"), std::string::npos);
}

TEST(Recipe, SequencesFitTheModelsPositions) {
  EXPECT_EQ(message_of(kTiny, {"data.sequence_tokens=64"}), "");
  EXPECT_NE(message_of(kTiny, {"data.sequence_tokens=65"}).find("65 is more than the model's 64 positions"),
            std::string::npos);
  const std::vector<std::string> yarn = {"model.rope_scaling.type=\"yarn\"", "model.rope_scaling.factor=2.0"};
  std::vector<std::string> whole = yarn;
  whole.emplace_back("model.rope_scaling.original_max_position_embeddings=32");
  EXPECT_EQ(message_of(kTiny, whole), "");
  std::vector<std::string> part = yarn;
  part.emplace_back("model.rope_scaling.original_max_position_embeddings=32.5");
  EXPECT_NE(message_of(kTiny, part).find("original_max_position_embeddings"), std::string::npos);
}

TEST(Recipe, ARunCannotGoOnWithAnotherModelOrOtherData) {
  const base::Json before = recipe_to_json(parse_recipe(kTiny, "r.toml"));
  EXPECT_TRUE(compare_recipes(before, before).empty());
  const base::Json faster = recipe_to_json(parse_recipe(kTiny, "r.toml", {"optimizer.lr=0.5", "threads=2"}));
  EXPECT_EQ(compare_recipes(before, faster).size(), 2u);
  for (const char* change :
       {"seed=8", "model.rms_norm_eps=1e-5", "data.sequence_tokens=16", "optimizer.moments=\"f32\""}) {
    const base::Json other = recipe_to_json(parse_recipe(kTiny, "r.toml", {change}));
    EXPECT_THROW(compare_recipes(before, other), Error) << change;
  }
}

TEST(Recipe, TheRecipesOfTheRepositoryAreValid) {
  const Recipe nano = load_recipe(std::string(HADAL_SOURCE_DIR) + "/recipes/nano/nano.toml");
  const Recipe dense = load_recipe(std::string(HADAL_SOURCE_DIR) + "/recipes/nano/dense.toml");
  EXPECT_GT(nano.model.n_routed_experts, 0);
  EXPECT_EQ(dense.model.n_routed_experts, 0);
  const auto a = static_cast<double>(nano.model.active_matmul_parameters());
  const auto b = static_cast<double>(dense.model.active_matmul_parameters());
  EXPECT_NEAR(a / b, 1.0, 0.01);  // a control of equal active parameters ...
  // ... and equal everything else.
  const base::Json x = recipe_to_json(nano);
  const base::Json y = recipe_to_json(dense);
  for (const char* section : {"seed", "data", "optimizer", "schedule", "loss", "checkpoint", "eval"}) {
    EXPECT_EQ(x[section], y[section]) << section;
  }
}

}  // namespace
}  // namespace hadal::train
