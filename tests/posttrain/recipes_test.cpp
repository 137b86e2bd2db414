// Every recipe of the repository is one that its command reads, so that none rots.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "posttrain/base_corpus.h"
#include "posttrain/distill/recipe.h"
#include "posttrain/grpo/recipe.h"
#include "posttrain/pipeline.h"
#include "posttrain/sft_recipe.h"
#include "train/corpus/recipe.h"
#include "train/recipe.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

TEST(Recipes, AllAreReadByTheirCommands) {
  const fs::path before = fs::current_path();
  fs::current_path(HADAL_SOURCE_DIR);  // stages name their recipes from there
  int read = 0;
  for (const auto& entry : fs::recursive_directory_iterator("recipes")) {
    if (entry.path().extension() != ".toml") continue;
    const std::string path = entry.path().string();
    const std::string text = base::read_file(path);
    const auto has = [&](const char* table) {
      return text.starts_with(table) || text.find("\n" + std::string(table)) != std::string::npos;
    };
    SCOPED_TRACE(path);
    try {
      if (has("[[stage]]"))
        EXPECT_GE(posttrain::load_pipeline(path, "runs/test").size(), 2u);
      else if (has("[rewards]"))
        posttrain::load_grpo_recipe(path);
      else if (has("[samples]"))
        posttrain::load_distill_recipe(path);
      else if (has("[corpus]"))
        posttrain::load_base_corpus_recipe(path);
      else if (has("[[source]]"))
        train::corpus::load_data_recipe(path);
      else if (text.find("\nconversations") != std::string::npos)
        posttrain::load_sft_recipe(path);
      else
        train::load_recipe(path);
    } catch (const Error& e) {
      ADD_FAILURE() << e.what();
    }
    ++read;
  }
  fs::current_path(before);
  EXPECT_GE(read, 11);
}

}  // namespace
}  // namespace hadal
