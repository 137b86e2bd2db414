// The [data] recipe: what the corpus is made of, and how (recipes/nano/data.toml is the example; every key is
// below).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/corpus/clean.h"
#include "train/corpus/dedup.h"
#include "train/corpus/fetch.h"

namespace hadal::train::corpus {

struct Source {
  std::string name;
  Package package;
  std::string extractor;          // a row of extractor.cpp
  std::string path;               // inside the unpacked package
  std::vector<std::string> skip;  // parts of file names to leave out
  std::string licence;            // SPDX where there is one
  double weight = 1.0;            // copies of each document in train.bin; below 1 a share of the documents
  int64_t min_document_bytes = 200;
  ProseFilter filter;
  std::string recipe_text;  // canonical, for the stage keys
};

struct DialogueRecipe {
  double token_fraction = 0.35;  // of train.bin
  std::string wordnet;           // the source that holds WordNet; empty: no dialogues
  int64_t words = 2500;          // how many words the dictionary dialogues speak about
  double held_out = 0.02;        // share of those words that only validation sees
  int64_t validation_dialogues = 1000;
};

struct DataRecipe {
  std::string output;  // directory
  std::string cache;
  uint64_t seed = 1;
  double validation_fraction = 0.01;  // of documents
  int64_t vocab_size = 4096;
  int64_t tokenizer_megabytes = 24;  // of text that the tokenizer learns from
  bool single_digits = false;        // the tokenizer gets no token of two digits
  DedupOptions dedup;
  DialogueRecipe dialogues;
  std::vector<Source> sources;
};

// Reads and checks a recipe; `overrides` are "section.key=value". Throws Error{kBadInput} naming file, line
// and key.
DataRecipe load_data_recipe(const std::string& path, const std::vector<std::string>& overrides = {});

}  // namespace hadal::train::corpus
