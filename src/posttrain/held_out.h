// pass@1 on held-out questions while a run goes on: the same questions and seeds every time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/tasks/task.h"
#include "posttrain/rollout/rollout.h"

namespace hadal::posttrain {

struct HeldOutOptions {
  int problems = 256;
  int answers = 1;  // of each
  int max_tokens = 96;
};

class HeldOut {
 public:
  HeldOut(const eval::Task& task, const eval::PromptTemplate& how, const HeldOutOptions& options,
          std::string run, Rollout& rollout);

  // Sets val_pass1 (share of right answers at temperature 1), val_format (well formed) and val_length
  // (tokens) of a line of metrics, and writes samples/step-N.txt of the run.
  void measure(base::Json& line);
  // The same while a run goes on: what goes wrong is told, and stands in the line as "val_error", and the run
  // goes on without the figure. Memory that is not there and a wish to stop are thrown on.
  void try_to_measure(base::Json& line);

  struct Measurement {
    std::optional<double> pass1;  // none: it failed, or there was none yet
    std::string error;            // why it failed
  };
  // The run's newest measurement, whichever process made it: of one that failed, no older figure.
  Measurement newest() const;
  std::optional<double> first() const;  // val_pass1 of the first that did not fail
  // Sets the newest one's val_pass1 in a run's summary; null with val_error when it failed.
  void summarize(base::Json& summary) const;
  std::string shown() const;  // "0.250", or "not measured", for lines to read

 private:
  const HeldOutOptions options_;
  const eval::PromptTemplate& template_;
  const std::string run_;
  Rollout& rollout_;
  std::optional<Measurement> newest_;  // of this process
  std::vector<eval::Problem> problems_;
  std::vector<std::vector<text::TokenId>> prompts_;
};

}  // namespace hadal::posttrain
