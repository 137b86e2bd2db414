#include "train/run_loop.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/folder_lock.h"
#include "base/log.h"
#include "ledger/run_cost.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/report.h"
#include "train/stop_signal.h"

namespace hadal::train {
namespace {

namespace fs = std::filesystem;
using base::Json;

class Loop {
 public:
  Loop(TrainingStage& stage, const TrainerOptions& options)
      : stage_(stage),
        plan_(stage.plan()),
        options_(options),
        pool_(options.threads),
        progress_(options.progress) {}

  Outcome run() {
    // Two trainers in one run directory would spoil each other's metrics: the second one is refused.
    const base::FolderLock lock(options_.run, "train", "trains");
    std::error_code error;
    fs::create_directories(options_.run + "/checkpoints", error);
    if (error)
      throw_error(ErrorCode::kIo, "[train] cannot create {}/checkpoints: {}", options_.run, error.message());
    const std::vector<std::string> checkpoints = list_checkpoints(options_.run);
    if (!options_.resume && !checkpoints.empty()) {
      throw_error(ErrorCode::kBadInput,
                  "[train] {} already holds a run ({}); continue it with --resume or choose another "
                  "--out",
                  options_.run, checkpoints.front());
    }
    stage_.build();
    if (options_.resume) restore(checkpoints);

    metrics_.emplace(options_.run + "/metrics.jsonl", state_.step > 0 ? state_.step : -1);
    cost_.emplace(options_.run + "/ledger.json", plan_.stage, state_.step, metrics_->dropped_steps());
    cost_->write("running");
    state_.dataset_checksum = plan_.data_checksum;
    state_.recipe = plan_.recipe;
    base::write_file_atomic(options_.run + "/recipe.toml", plan_.recipe_text + "\n");
    spdlog::info("{}; {} threads; {}", stage_.announcement(), options_.threads, options_.run);
    try {
      const Outcome outcome = loop();
      cost_->write(outcome == Outcome::kFinished ? "finished" : "stopped");
      write_report(options_.run, stage_.report());
      return outcome;
    } catch (...) {
      progress_.finish();
      try {
        cost_->write("failed");
      } catch (const Error&) {  // a full disk: the first error is the one to tell
      }
      throw;
    }
  }

 private:
  void restore(const std::vector<std::string>& checkpoints) {
    for (const std::string& directory : checkpoints) {
      try {
        state_ = read_training_state(directory);
      } catch (const Error& e) {
        spdlog::warn("{}; going back to the checkpoint before it", e.what());
        continue;
      }
      for (const std::string& line : stage_.changes_since(state_.recipe)) {
        spdlog::info("changed since this run began: {}", line);
      }
      if (state_.dataset_checksum != plan_.data_checksum) {
        throw_error(ErrorCode::kBadInput,
                    "[train] {} is not the data that this run began with; use the old data or a new "
                    "--out",
                    plan_.data);
      }
      try {
        state_ = load_checkpoint(directory, stage_.model(), stage_.optimizer());
        stage_.seek(state_.position);
      } catch (const Error& e) {
        spdlog::warn("{}; going back to the checkpoint before it", e.what());
        continue;
      }
      spdlog::info("resuming from {}", directory);
      return;
    }
    if (!checkpoints.empty()) {
      throw_error(ErrorCode::kBadInput,
                  "[train] {}: none of the {} checkpoints can be read; start again with a new --out",
                  options_.run, checkpoints.size());
    }
    spdlog::info("no checkpoint in {} yet: starting from the beginning", options_.run);
    state_ = {};
  }

  Outcome loop() {
    const StopSignal stop;
    if (state_.step == 0) {
      Json line;
      timed_overhead([&] { line = stage_.first_line(pool_); });
      if (!line.is_null()) metrics_->append(line);
    }
    while (state_.step < plan_.steps) {
      metrics_->append(train_step());
      const int64_t step = state_.step;
      const bool leave = stop.received() != 0 && step < plan_.steps;
      if (leave || step == plan_.steps || step % plan_.checkpoint_every == 0) save();
      if (step % plan_.report_every == 0)
        timed_overhead([&] { write_report(options_.run, stage_.report()); });
      if (leave) {
        progress_.finish();
        spdlog::info("signal {}: saved step {} of {}; {}", stop.received(), step, plan_.steps,
                     options_.go_on);
        return Outcome::kStopped;
      }
    }
    progress_.finish();
    finish();
    return Outcome::kFinished;
  }

  // One optimizer step; returns its line of metrics.
  Json train_step() {
    const double began = base::monotonic_seconds();
    const int64_t step = state_.step + 1;
    StepResult result = stage_.step(step, pool_);
    const double seconds = base::monotonic_seconds() - began;
    state_.step = step;
    state_.tokens += result.tokens;
    state_.position = stage_.position();
    cost_->add_step(result.tokens, result.flops, seconds);
    const double tokens_per_s = static_cast<double>(result.tokens) / seconds;
    const double mfu = options_.peak_flops_per_s > 0 ? result.flops / seconds / options_.peak_flops_per_s : 0;
    Json line = std::move(result.line);
    line["step"] = step;
    line["tokens"] = state_.tokens;
    line["tokens_per_s"] = tokens_per_s;
    line["mfu"] = mfu > 0 ? Json(mfu) : Json();
    line["seconds"] = seconds;
    double validation = 0;
    timed_overhead([&] { validation = stage_.after_step(step, line, pool_); });
    // An average over about 20 steps, so that the estimate does not jump.
    mean_seconds_ = mean_seconds_ == 0 ? seconds : 0.95 * mean_seconds_ + 0.05 * seconds;
    if (plan_.progress_line)
      progress_.update({step, plan_.steps, result.loss, result.bpb, validation, tokens_per_s, mfu,
                        mean_seconds_ * static_cast<double>(plan_.steps - step)});
    return line;
  }

  void save() {
    timed_overhead([&] {
      metrics_->sync();
      try {
        write_checkpoint(options_.run, state_, stage_.model(), stage_.optimizer(),
                         [&](const std::string& directory) { stage_.write_model(directory); });
      } catch (const Error& e) {
        const std::vector<std::string> good = list_checkpoints(options_.run);
        throw_error(
            e.code(), "[train] checkpoint of step {} failed: {}; {}; make room; then {}", state_.step,
            e.what(),
            good.empty() ? std::string("there is no earlier checkpoint") : good.front() + " is still good",
            options_.go_on);
      }
      prune_checkpoints(options_.run, state_.step, plan_.checkpoints_kept);
      stage_.after_save(state_.step);
    });
    cost_->write("running");
  }

  void finish() {
    const std::string directory = options_.run + "/model";
    base::replace_directory(directory, [&](const std::string& aside) { stage_.write_model(aside); });
    Json summary;
    timed_overhead([&] { summary = stage_.summary(pool_); });
    summary["steps"] = state_.step;
    summary["tokens"] = state_.tokens;
    summary[kDataChecksum] = fmt::format("{:016x}", plan_.data_checksum);
    cost_->write("finished");
    summary["cost"] = cost_->json()["total"];
    base::write_file_atomic(options_.run + "/summary.json", base::dump_json(summary, 2) + "\n");
    spdlog::info("model: {}", directory);
  }

  template <typename Fn>
  void timed_overhead(Fn&& fn) {
    const double began = base::monotonic_seconds();
    fn();
    cost_->add_overhead(base::monotonic_seconds() - began);
  }

  TrainingStage& stage_;
  const LoopPlan& plan_;
  const TrainerOptions& options_;
  base::ThreadPool pool_;
  ProgressLine progress_;
  std::optional<MetricsLog> metrics_;
  std::optional<ledger::RunCost> cost_;
  TrainingState state_;
  double mean_seconds_ = 0;
};

}  // namespace

void check_finite(int64_t step, double loss, double norm) {
  if (std::isfinite(norm) && std::isfinite(loss)) return;
  throw_error(ErrorCode::kInternal,
              "[train] step {}: loss {}, gradient norm {}: the run diverged; resume from the last "
              "checkpoint with a lower optimizer.lr",
              step, loss, norm);
}

Outcome run_stage(TrainingStage& stage, const TrainerOptions& options) { return Loop(stage, options).run(); }

}  // namespace hadal::train
