// A corpus for a tiny base model: documents of one question and one answer each, drawn from a task's training
// side. Most answer at once, some work it out first (Problem::steps within <think>): what a base model of the
// R1 papers has read on the web, in miniature. Token shards as train/dataset.h describes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hadal::posttrain {

struct BaseCorpusRecipe {
  std::string output;                     // directory
  std::string task = "sums:4";            // eval/tasks/task.h
  std::string prompt_template = "brief";  // eval/tasks/prompt_template.h
  bool skip_bad_lines = false;            // of a file of questions: leave them out, and count them
  int64_t documents = 100'000;
  double thinking = 0.1;     // share of documents that work the answer out
  double bare = 0.1;         // share that says the answer without tags; the rest says it in <answer> at once
  int32_t vocab_size = 290;  // at most: too few for pairs of digits to become one token
  int64_t validation_one_in = 200;
  uint64_t seed = 1;
};

// Throws Error{kBadInput} "[recipe] file:line: key ...".
BaseCorpusRecipe load_base_corpus_recipe(const std::string& path,
                                         const std::vector<std::string>& overrides = {});

struct BaseCorpusResult {
  int64_t documents = 0, thinking = 0, bare = 0, direct = 0;
  int64_t train_tokens = 0, validation_tokens = 0;
};

// Writes train.bin, validation.bin, tokenizer.json and manifest.json (what is in it, in numbers). The same
// recipe gives the same bytes. Throws Error{kIo}, and what open_task throws.
BaseCorpusResult build_base_corpus(const BaseCorpusRecipe& recipe);

}  // namespace hadal::posttrain
