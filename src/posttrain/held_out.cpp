#include "posttrain/held_out.h"

#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace hadal::posttrain {

namespace {

constexpr uint64_t kSeed = 20'261'122;  // of questions and answers: not the run's, so that runs compare
constexpr size_t kShown = 8;

}  // namespace

HeldOut::HeldOut(const eval::Task& task, const eval::PromptTemplate& how, const HeldOutOptions& options,
                 Rollout& rollout)
    : options_(options),
      template_(how),
      rollout_(rollout),
      problems_(eval::distinct_problems(task, eval::Split::kHeldOut, kSeed,
                                        static_cast<size_t>(options.problems))) {
  if (problems_.empty())
    throw_error(ErrorCode::kBadInput, "[task] {} has no held-out questions", task.name());
  for (const eval::Problem& problem : problems_) prompts_.push_back(rollout.prompt(template_, problem));
}

void HeldOut::measure(base::Json& line, const std::string& run) {
  const auto answers = rollout_.sample(
      prompts_, {.answers = options_.answers, .max_tokens = options_.max_tokens, .seed = kSeed});
  double right = 0, formed = 0, tokens = 0, count = 0;
  std::string shown;
  for (size_t p = 0; p < problems_.size(); ++p) {
    for (size_t a = 0; a < answers[p].size(); ++a) {
      const Answer& answer = answers[p][a];
      const eval::ParsedCompletion parsed = template_.parse(answer.text);
      const bool correct = parsed.answered && eval::is_correct(problems_[p], parsed.answer);
      right += correct ? 1 : 0;
      formed += parsed.well_formed ? 1 : 0;
      tokens += static_cast<double>(answer.tokens.size());
      ++count;
      if (p < kShown && a == 0) {
        shown += fmt::format("{}\n{}\n[{}; {} tokens{}]\n\n", template_.render(problems_[p]), answer.text,
                             correct ? "right" : "wrong", answer.tokens.size(), answer.ended ? "" : ", cut");
      }
    }
  }
  line["val_pass1"] = right / count;
  line["val_format"] = formed / count;
  line["val_length"] = tokens / count;
  std::filesystem::create_directories(run + "/samples");
  base::write_file_atomic(fmt::format("{}/samples/step-{:08}.txt", run, line["step"].get<int64_t>()), shown);
}

}  // namespace hadal::posttrain
