// The model of tiny_recipe(), with random weights.
#pragma once

#include <memory>

#include "model/transformer.h"
#include "train/recipe.h"
#include "train/tiny_run.h"

namespace hadal::test {

inline std::unique_ptr<model::Transformer> tiny_model(uint64_t seed) {
  const train::Recipe recipe = train::parse_recipe(tiny_recipe("unused"), "tiny.toml");
  return model::Transformer::create(recipe.model, seed, 0.1);
}

}  // namespace hadal::test
