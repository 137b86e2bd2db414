// `hadal data build`: from a recipe to a dataset directory (train/dataset.h), in stages. Each stage leaves
// its result under <output>/work and a stamp with the hash of everything that it depended on; a build that
// was interrupted, or whose recipe changed in one place, repeats only what it must. Every file is written
// aside and renamed.
//   fetch -> extract and clean (per source) -> deduplicate -> split -> dialogues and tokenizer -> shards,
//   manifest
#pragma once

#include <string>

#include "train/corpus/recipe.h"

namespace hadal::train::corpus {

struct BuildOptions {
  int threads = 1;
  bool fetch = true;  // false: only what the cache already holds
};

struct BuildResult {
  int64_t train_tokens = 0;
  int64_t dialogue_tokens = 0;  // of train_tokens
  int64_t validation_tokens = 0;
  int64_t text_bytes = 0;   // clean prose after deduplication
  bool up_to_date = false;  // nothing had to be done
};

// Throws Error{kIo} (no network, full disk) and Error{kBadInput} (a package that is not as the recipe says,
// an empty corpus); files of an earlier build stay as they were.
BuildResult build_dataset(const DataRecipe& recipe, const BuildOptions& options);

}  // namespace hadal::train::corpus
