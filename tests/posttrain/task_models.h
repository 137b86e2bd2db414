// What a run on a task begins with: the task's characters as data, and small models of its vocabulary with
// random weights.
#pragma once

#include <filesystem>
#include <string>

#include "../train/tiny_run.h"
#include "model/transformer.h"
#include "posttrain/base_corpus.h"
#include "train/export_model.h"
#include "train/recipe.h"

namespace hadal::test {

// DATA/tokenizer.json and shards.
inline void make_task_data(const std::string& data, int64_t documents) {
  posttrain::BaseCorpusRecipe corpus;
  corpus.output = data;
  corpus.task = "sums:2";
  corpus.documents = documents;
  posttrain::build_base_corpus(corpus);
}

// A model directory of the vocabulary of `data`; `scale`: of its random weights.
inline void make_task_model(const std::string& data, const std::string& directory, uint64_t seed,
                            double scale) {
  const std::string tokenizer = data + "/tokenizer.json";
  const int32_t ids = text::Tokenizer::load(tokenizer)->vocab_size();
  const train::Recipe recipe =
      train::parse_recipe(tiny_recipe(data), "tiny.toml", {fmt::format("model.vocab_size={}", ids)});
  std::filesystem::create_directories(directory);
  train::export_model(directory, *model::Transformer::create(recipe.model, seed, scale),
                      {.tokenizer = tokenizer, .bf16 = false});
}

}  // namespace hadal::test
