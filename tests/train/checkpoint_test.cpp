#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "train/tiny_model.h"

namespace hadal::train {
namespace {

namespace fs = std::filesystem;

struct Training {
  std::unique_ptr<model::Transformer> model;
  std::unique_ptr<Optimizer> optimizer;

  explicit Training(uint64_t seed, MomentType moments = MomentType::kBF16) : model(test::tiny_model(seed)) {
    model->enable_gradients();
    optimizer = std::make_unique<Optimizer>(*model, OptimizerOptions{.moments = moments});
  }
  void train_a_little() {
    base::ThreadPool pool(1);
    base::Random random(1);
    for (auto& p : model->parameters()) {
      for (int64_t i = 0; p.grad != nullptr && i < p.size(); ++i)
        p.grad[i] = static_cast<float>(random.normal());
      if (!p.trainable) p.value[0] = 0.123f;  // a routing bias
    }
    optimizer->step(0.01, pool);
    optimizer->step(0.01, pool);
  }
  std::string bytes() const {
    std::string all;
    for (const auto& p : model->parameters()) {
      all.append(reinterpret_cast<const char*>(p.value), static_cast<size_t>(p.size()) * sizeof(float));
    }
    for (const auto& m : optimizer->moments()) {
      for (const auto& moment : {optimizer->first_moment(m), optimizer->second_moment(m)}) {
        all.append(reinterpret_cast<const char*>(moment.data()), moment.size());
      }
    }
    return all;
  }
};

TrainingState some_state() {
  return {.step = 2,
          .tokens = 256,
          .position = {1, 3, 7},
          .dataset_checksum = 0xFEDCBA9876543210u,
          .recipe = {{"seed", 1}}};
}

std::string error_of(const std::string& directory, Training& setup) {
  try {
    load_checkpoint(directory, *setup.model, *setup.optimizer);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Checkpoint, KeepsEveryBit) {
  for (const MomentType moments : {MomentType::kF32, MomentType::kBF16}) {
    const test::TemporaryFolder run;
    Training a(1, moments);
    a.train_a_little();
    save_checkpoint(run.path(), some_state(), *a.model, *a.optimizer, {});
    const auto found = list_checkpoints(run.path());
    ASSERT_EQ(found.size(), 1u);
    Training b(2, moments);
    ASSERT_NE(a.bytes(), b.bytes());
    const TrainingState state = load_checkpoint(found[0], *b.model, *b.optimizer);
    EXPECT_EQ(a.bytes(), b.bytes());
    EXPECT_EQ(b.optimizer->steps(), 2);
    EXPECT_EQ(state.step, 2);
    EXPECT_EQ(state.tokens, 256);
    EXPECT_EQ(state.position, (DataPosition{1, 3, 7}));
    EXPECT_EQ(state.dataset_checksum, 0xFEDCBA9876543210u);
    EXPECT_EQ(state.recipe, (base::Json{{"seed", 1}}));
  }
}

TEST(Checkpoint, IsAHuggingFaceDirectoryBesideItsState) {
  const test::TemporaryFolder run;
  Training a(1);
  save_checkpoint(run.path(), some_state(), *a.model, *a.optimizer, {.tokenizer = "", .bf16 = false});
  const auto again = model::Transformer::load(list_checkpoints(run.path())[0] + "/model");
  for (size_t k = 0; k < again->parameters().size(); ++k) {
    const auto& x = a.model->parameters()[k];
    const auto& y = again->parameters()[k];
    ASSERT_EQ(x.name, y.name);
    for (int64_t i = 0; i < x.size(); ++i) ASSERT_EQ(x.value[i], y.value[i]) << x.name;
  }
}

TEST(Checkpoint, EveryKindOfDamageIsNoticed) {
  const test::TemporaryFolder run;
  Training a(1);
  save_checkpoint(run.path(), some_state(), *a.model, *a.optimizer, {});
  const std::string directory = list_checkpoints(run.path())[0];
  const std::string state = directory + "/state/state.safetensors";
  const std::string json = directory + "/state/state.json";
  const std::string good_state = test::slurp(state);
  const std::string good_json = test::slurp(json);
  Training b(2);

  for (const size_t bytes :
       {size_t{0}, size_t{7}, size_t{100}, good_state.size() / 2, good_state.size() - 1}) {
    test::spill(state, good_state.substr(0, bytes));
    EXPECT_NE(error_of(directory, b).find("state.safetensors"), std::string::npos) << bytes;
  }
  std::string flipped = good_state;
  flipped[flipped.size() - 5] ^= 0x10;
  test::spill(state, flipped);
  EXPECT_NE(error_of(directory, b).find("damaged"), std::string::npos);
  fs::remove(state);
  EXPECT_NE(error_of(directory, b).find("state.safetensors"), std::string::npos);
  test::spill(state, good_state);

  for (const char* bad :
       {"", "{", "[]", "{}", "null", "{\"format\": 1}", "{\"format\": \"x\"}", "{\"format\": 99}"}) {
    test::spill(json, bad);
    EXPECT_NE(error_of(directory, b).find("state.json"), std::string::npos) << bad;
  }
  base::Json wrong = base::Json::parse(good_json);
  wrong["dataset_xxh3"] = "not a number";
  test::spill(json, wrong.dump());
  EXPECT_NE(error_of(directory, b).find("state.json"), std::string::npos);
  wrong = base::Json::parse(good_json);
  wrong["step"] = -1;
  test::spill(json, wrong.dump());
  EXPECT_NE(error_of(directory, b).find("step -1"), std::string::npos);
  test::spill(json, good_json);
  EXPECT_EQ(error_of(directory, b), "");
}

// Before `updates` was written, GRPO took as many as its recipe says at every step.
TEST(Checkpoint, WithoutUpdatesEveryMinibatchWasOne) {
  const test::TemporaryFolder run;
  Training a(1);
  TrainingState state = some_state();
  const auto updates = [&](const base::Json& recipe) {
    state.recipe = recipe;
    save_checkpoint(run.path(), state, *a.model, *a.optimizer, {.tokenizer = "", .bf16 = false});
    const std::string directory = list_checkpoints(run.path())[0];
    base::Json json = base::read_json_file(directory + "/state/state.json");
    EXPECT_EQ(json.erase("updates"), 1u);
    test::spill(directory + "/state/state.json", json.dump());
    return read_training_state(directory).updates;
  };
  EXPECT_EQ(updates({{"data", {{"minibatches", 4}}}}), 8);
  EXPECT_EQ(updates({{"seed", 1}}), 2);
  EXPECT_THROW(updates({{"data", {{"minibatches", std::numeric_limits<int64_t>::max()}}}}), Error);
}

TEST(Checkpoint, MomentsOfAnotherTypeAreAnError) {
  const test::TemporaryFolder run;
  Training a(1, MomentType::kF32);
  save_checkpoint(run.path(), some_state(), *a.model, *a.optimizer, {});
  Training b(1, MomentType::kBF16);
  EXPECT_NE(error_of(list_checkpoints(run.path())[0], b).find("expected BF16"), std::string::npos);
}

// A run that went back from a damaged checkpoint of step 40 stands at step 39 again: the damaged one must not
// take the place of the good one that was just written.
TEST(Checkpoint, PruningKeepsWhatWasJustWritten) {
  const test::TemporaryFolder run;
  Training a(1);
  const auto save = [&](int64_t step) {
    TrainingState state = some_state();
    state.step = step;
    save_checkpoint(run.path(), state, *a.model, *a.optimizer, {});
    return fmt::format("{}/checkpoints/step-{:08}", run.path(), step);
  };
  save(30);
  test::spill(save(40) + "/state/state.safetensors", "damaged");
  const std::string saved = save(39);
  prune_checkpoints(run.path(), 39, 1);
  ASSERT_EQ(list_checkpoints(run.path()), std::vector{saved});
  EXPECT_EQ(load_checkpoint(saved, *a.model, *a.optimizer).step, 39);

  const std::string earlier = save(38);
  save(37);
  save(41);
  prune_checkpoints(run.path(), 39, 2);
  EXPECT_EQ(list_checkpoints(run.path()), (std::vector{saved, earlier}));
}

TEST(Checkpoint, LeftoversAreIgnoredAndPruned) {
  const test::TemporaryFolder run;
  Training a(1);
  for (const int64_t step : {2, 4, 11}) {
    TrainingState state = some_state();
    state.step = step;
    save_checkpoint(run.path(), state, *a.model, *a.optimizer, {});
  }
  const std::string folder = run / "checkpoints";
  fs::create_directories(folder + "/step-00000012.new/state");  // killed while writing
  fs::create_directories(folder + "/step-00000013/model");      // without a state
  test::spill(folder + "/step-00000012.new/state/state.json", "{}");
  test::spill(folder + "/notes.txt", "mine");
  auto found = list_checkpoints(run.path());
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].ends_with("step-00000011"));
  EXPECT_TRUE(found[2].ends_with("step-00000002"));
  prune_checkpoints(run.path(), 11, 2);
  found = list_checkpoints(run.path());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[1].ends_with("step-00000004"));
  EXPECT_FALSE(fs::exists(folder + "/step-00000012.new"));
  EXPECT_TRUE(fs::exists(folder + "/notes.txt"));
}

}  // namespace
}  // namespace hadal::train
