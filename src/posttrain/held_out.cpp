#include "posttrain/held_out.h"

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "train/metrics.h"

namespace hadal::posttrain {

namespace {

constexpr uint64_t kSeed = 20'261'122;  // of questions and answers: not the run's, so that runs compare
constexpr size_t kShown = 8;
constexpr const char* kPass = "val_pass1";
constexpr const char* kError = "val_error";

// Every measurement of a run's metrics, in order.
std::vector<HeldOut::Measurement> measurements(const std::string& run) {
  std::vector<HeldOut::Measurement> out;
  const std::string path = run + "/metrics.jsonl";
  if (!base::file_exists(path)) return out;
  for (const base::Json& line : train::read_metrics(path)) {
    if (const auto failed = line.find(kError); failed != line.end() && failed->is_string())
      out.push_back({{}, failed->get<std::string>()});
    else if (const auto found = line.find(kPass); found != line.end() && found->is_number())
      out.push_back({found->get<double>(), {}});
  }
  return out;
}

}  // namespace

HeldOut::HeldOut(const eval::Task& task, const eval::PromptTemplate& how, const HeldOutOptions& options,
                 std::string run, Rollout& rollout)
    : options_(options),
      template_(how),
      run_(std::move(run)),
      rollout_(rollout),
      problems_(eval::distinct_problems(task, eval::Split::kHeldOut, kSeed,
                                        static_cast<size_t>(options.problems))) {
  if (problems_.empty())
    throw_error(ErrorCode::kBadInput, "[task] {} has no held-out questions", task.name());
  for (const eval::Problem& problem : problems_) prompts_.push_back(rollout.prompt(template_, problem));
}

void HeldOut::measure(base::Json& line) {
  const auto answers = rollout_.sample(prompts_, {.answers = options_.answers,
                                                  .max_tokens = options_.max_tokens,
                                                  .seed = kSeed,
                                                  .stop = template_.stop});
  double right = 0, formed = 0, tokens = 0, count = 0;
  std::string shown;
  for (size_t p = 0; p < problems_.size(); ++p) {
    for (size_t a = 0; a < answers[p].size(); ++a) {
      const Answer& answer = answers[p][a];
      const eval::ParsedCompletion parsed = parse(template_, answer);
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
  std::filesystem::create_directories(run_ + "/samples");
  base::write_file_atomic(fmt::format("{}/samples/step-{:08}.txt", run_, line["step"].get<int64_t>()), shown);
  line[kPass] = right / count;
  line["val_format"] = formed / count;
  line["val_length"] = tokens / count;
  newest_ = Measurement{right / count, {}};
}

void HeldOut::try_to_measure(base::Json& line) {
  try {
    try {
      measure(line);
    } catch (const std::filesystem::filesystem_error& e) {
      throw_error(ErrorCode::kIo, "[train] {}", e.what());
    }
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kResource || e.code() == ErrorCode::kCancelled) throw;
    spdlog::warn("step {}: held-out questions could not be measured ({}); the run goes on",
                 line["step"].get<int64_t>(), e.what());
    line[kError] = e.what();
    newest_ = Measurement{{}, e.what()};
  }
}

HeldOut::Measurement HeldOut::newest() const {
  if (newest_) return *newest_;
  const std::vector<Measurement> all = measurements(run_);
  return all.empty() ? Measurement{} : all.back();
}

std::optional<double> HeldOut::first() const {
  for (const Measurement& one : measurements(run_)) {
    if (one.pass1) return one.pass1;
  }
  return newest().pass1;
}

void HeldOut::summarize(base::Json& summary) const {
  const Measurement last = newest();
  summary[kPass] = last.pass1 ? base::Json(*last.pass1) : base::Json();
  if (!last.error.empty()) summary[kError] = last.error;
}

std::string HeldOut::shown() const {
  const Measurement last = newest();
  return last.pass1 ? fmt::format("{:.3f}", *last.pass1) : "not measured";
}

}  // namespace hadal::posttrain
