// A model's answers to a task's problems, through the engine with many requests in flight, and what follows
// from them: pass@1, pass@k, majority vote.
//
// The same bits again: each sample has a seed of its own, made from the run's seed, its problem and its
// number, and the engine gives a request the same tokens whatever runs beside it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"
#include "eval/statistics.h"
#include "eval/tasks/prompt_template.h"
#include "eval/tasks/task.h"

namespace hadal::eval {

struct Sample {
  size_t problem = 0;  // index
  int number = 0;      // of this problem's samples
  uint64_t seed = 0;
  std::string text;  // all that the model wrote; of a chat model without the reasoning
  std::string reasoning;
  std::string answer;
  bool answered = false;
  bool well_formed = false;
  bool correct = false;
  bool finished = false;  // ended by itself, not at the length
  int64_t tokens = 0;
};

base::Json to_json(const Problem& problem, const Sample& sample);

struct TaskRunOptions {
  Split split = Split::kHeldOut;
  size_t problems = 200;
  int samples = 1;                   // of each
  std::string prompt_template;       // empty: "chat" for a model with a chat format, else "r1"
  engine::SamplingOptions sampling;  // max_tokens > 0; seed and stop are set here
  uint64_t seed = 0;                 // of problems and samples
  std::vector<int> ks = {1};         // each in [1, samples]; ascending
  size_t in_flight = 64;
  std::function<void(int64_t done, int64_t total)> progress;  // samples; may be empty
  std::function<bool()>
      stopped;  // asked now and then; true: cancel, and count the problems that are complete
  std::function<void(const Problem&, const Sample&)>
      on_sample;  // of complete problems, in order; may be empty
};

struct TaskRunResult {
  std::string task;
  std::string about;
  Split split = Split::kHeldOut;
  std::string prompt_template;
  size_t problems =
      0;  // that all samples came of; fewer than asked where the task has no more, or when stopped
  int samples = 0;
  bool stopped = false;
  Estimate pass_at_1;
  std::map<int, Estimate> pass_at;  // by k
  Estimate majority;                // of all samples of a problem
  Estimate answered, well_formed, finished;
  double mean_tokens = 0;
  std::map<int, Estimate> by_level;  // pass@1
  int64_t tokens = 0;
  double seconds = 0;
  std::vector<std::pair<Problem, Sample>> shown;  // some samples as they are: first of the first problems
};

// Throws Error{kBadInput} for options out of range (k > samples, several samples at temperature 0, a prompt
// that leaves no room), kInternal when the engine fails a request, and what Task::problem throws.
TaskRunResult run_task(engine::Engine& engine, const Task& task, const TaskRunOptions& options);

base::Json to_json(const TaskRunResult& result);

}  // namespace hadal::eval
