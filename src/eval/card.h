// The report card: stages of a run (base, zero, cold start, R1, distilled, ...) side by side, from the files
// that `hadal eval tasks --out` wrote. One HTML page that needs nothing else, and the same as Markdown.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/statistics.h"

namespace hadal::eval {

struct CardSample {
  std::string brief, question, reference, text, reasoning;
  bool correct = false;
};

struct CardTask {
  std::string name, about, split, prompt_template;
  int64_t problems = 0, samples = 0;
  bool interrupted = false;
  Estimate pass_at_1, majority, well_formed, finished;
  std::map<int, Estimate> pass_at;  // by k
  double mean_tokens = 0;
  std::vector<CardSample> shown;
};

struct CardStage {
  std::string name;
  std::string model;
  int64_t parameters = 0;
  std::string how;  // "temperature 1, seed 0": what must be alike for a fair comparison
  std::vector<CardTask> tasks;
};

// Throws Error{kBadInput} "[card] WHERE: reason" for what `hadal eval tasks` did not write.
CardStage parse_card_stage(const std::string& name, const base::Json& results, const std::string& where);

// What is not alike between the stages, one sentence each: other problems, samples, prompts, temperatures.
std::vector<std::string> card_differences(std::span<const CardStage> stages);

std::string card_markdown(std::span<const CardStage> stages, const std::string& title);
std::string card_html(std::span<const CardStage> stages, const std::string& title);

// Tasks in the order in which stages name them first; for each, the stages that have it.
struct CardRow {
  const CardStage* stage;
  const CardTask* task;
};
struct CardSection {
  std::string task;
  std::string about;
  std::vector<CardRow> rows;
};
std::vector<CardSection> card_sections(std::span<const CardStage> stages);

// "62.5 % [58.1, 66.7]".
std::string estimate_text(const Estimate& estimate);

}  // namespace hadal::eval
