#include "model/gguf_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "format/gguf.h"
#include "format/hf_directory.h"

namespace hadal::model {
namespace {

namespace fs = std::filesystem;
const std::string kGolden = std::string(HADAL_SOURCE_DIR) + "/tests/golden/";

TEST(GgufNames, EveryGoldenWeightHasAPlaceAndComesBack) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (!fs::exists(entry.path() / "model.safetensors")) continue;
    const std::string folder = entry.path().filename().string();
    const std::string architecture = folder.starts_with("qwen2")    ? "qwen2"
                                     : folder.starts_with("llama3") ? "llama"
                                                                    : "deepseek2";
    std::set<std::string> places;
    for (const auto& name : format::WeightSource::open(entry.path().string()).names()) {
      const auto place = gguf_place(name, architecture);
      ASSERT_TRUE(place.has_value()) << name;
      EXPECT_TRUE(places.insert(place->name + "#" + std::to_string(place->expert)).second) << name;
      const auto back = hf_place(place->name, architecture);
      ASSERT_TRUE(back.has_value()) << place->name;
      EXPECT_EQ(back->layout, place->layout);
      EXPECT_EQ(place->layout == GgufLayout::kExpert ? fmt::format(fmt::runtime(back->name), place->expert)
                                                     : back->name,
                name);
      const bool rotated = architecture == "llama" && (name.find("q_proj") != std::string::npos ||
                                                       name.find("k_proj") != std::string::npos);
      EXPECT_EQ(place->layout == GgufLayout::kRotated, rotated) << name;
      ++seen;
    }
  }
  EXPECT_GT(seen, 100);
}

TEST(GgufNames, EveryTensorOfLlamaCppsFilesIsKnown) {
  const format::GgufFile file(kGolden + "gguf/F16.gguf");
  for (const auto& [name, tensor] : file.tensors()) {
    const auto place = hf_place(name, "deepseek2");
    ASSERT_TRUE(place.has_value()) << name;
    if (place->layout == GgufLayout::kExpert) {
      EXPECT_EQ(gguf_place(fmt::format(fmt::runtime(place->name), 3), "deepseek2")->name, name);
      EXPECT_EQ(tensor.shape.size(), 3u);
    } else if (place->layout == GgufLayout::kKvB) {
      const auto parts = gguf_place(place->name, "deepseek2");
      EXPECT_TRUE(name == parts->k_b || name == parts->v_b) << name;
    } else {
      EXPECT_EQ(gguf_place(place->name, "deepseek2")->name, name);
    }
  }
}

TEST(GgufNames, UnknownNamesHaveNoPlace) {
  for (const char* name :
       {"", "model.layers.weight", "model.layers.-1.input_layernorm.weight", "model.layers.1",
        "model.layers.1.", "model.layers.99999999999999999999.input_layernorm.weight",
        "model.layers.1.mlp.experts.x.up_proj.weight", "model.layers.1.mlp.experts.3.up_proj.bias",
        "blk.1.attn_norm.weight"}) {
    EXPECT_FALSE(gguf_place(name, "deepseek2").has_value()) << name;
  }
  for (const char* name :
       {"", "blk.", "blk.1.", "blk.x.attn_norm.weight", "rope_freqs.weight", "lm_head.weight"}) {
    EXPECT_FALSE(hf_place(name, "deepseek2").has_value()) << name;
  }
}

}  // namespace
}  // namespace hadal::model
