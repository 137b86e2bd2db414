#include "train/trainer.h"

#include <cmath>
#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/folder_lock.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "ledger/run_cost.h"
#include "model/transformer.h"
#include "text/tokenizer.h"
#include "train/balance.h"
#include "train/batches.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/report.h"
#include "train/stop_signal.h"
#include "train/validation.h"

namespace hadal::train {
namespace {

namespace fs = std::filesystem;
using base::Json;

// The training text and the held-out text, with the tokenizer that cut them.
struct Corpus {
  TokenDataset train;
  std::optional<TokenDataset> validation;            // prose
  std::optional<TokenDataset> validation_dialogues;  // in turns
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::string tokenizer_path;
  std::vector<int32_t> text_bytes;  // [vocab_size]

  explicit Corpus(const Recipe& recipe) : train(TokenDataset::open(recipe.data.dataset)) {
    const std::string& folder = recipe.data.dataset;
    tokenizer_path = folder + "/tokenizer.json";
    tokenizer = text::Tokenizer::load(tokenizer_path);
    text_bytes = token_text_bytes(*tokenizer, recipe.model.vocab_size);
    check_vocabulary(train, folder, recipe);
    validation = open_held_out(folder + "/" + std::string(kValidationShard), recipe);
    validation_dialogues = open_held_out(folder + "/" + std::string(kValidationDialoguesShard), recipe);
  }

  // Nothing when the dataset has no such shard, or an empty one.
  static std::optional<TokenDataset> open_held_out(const std::string& path, const Recipe& recipe) {
    if (!base::file_exists(path)) return std::nullopt;
    TokenDataset data = TokenDataset::open(path);
    check_vocabulary(data, path, recipe);
    if (data.size() < 2) return std::nullopt;
    return data;
  }

  static void check_vocabulary(const TokenDataset& data, const std::string& where, const Recipe& recipe) {
    if (data.vocab_size() > recipe.model.vocab_size) {
      throw_error(ErrorCode::kBadInput, "[train] {} has {} token ids, the recipe's model.vocab_size is {}",
                  where, data.vocab_size(), recipe.model.vocab_size);
    }
  }
};

double round_to(double value, double unit) { return std::round(value / unit) * unit; }

// Load of every expert relative to the mean, to three digits: what the report's heat map shows.
Json relative_load(const ExpertLoad& load) {
  Json layers = Json::array();
  for (const auto& layer : load) {
    double sum = 0;
    for (const int64_t l : layer) sum += static_cast<double>(l);
    Json row = Json::array();
    for (const int64_t l : layer) {
      const double relative = sum > 0 ? static_cast<double>(l) * static_cast<double>(layer.size()) / sum : 0;
      row.push_back(round_to(relative, 0.001));
    }
    layers.push_back(std::move(row));
  }
  return layers;
}

class Trainer {
 public:
  Trainer(const Recipe& recipe, const TrainerOptions& options)
      : recipe_(recipe),
        options_(options),
        corpus_(recipe),
        batches_(corpus_.train, {recipe.data.sequence_tokens, recipe.data.piece_tokens,
                                 recipe.data.document_mask, recipe.seed}),
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
    model_ = model::Transformer::create(recipe_.model, recipe_.seed, recipe_.initializer_range);
    model_->enable_gradients();
    optimizer_.emplace(*model_, recipe_.optimizer);
    if (options_.resume) restore(checkpoints);

    metrics_.emplace(options_.run + "/metrics.jsonl", state_.step);
    cost_.emplace(options_.run + "/ledger.json", "pretrain", state_.step, metrics_->dropped_steps());
    cost_->write("running");
    state_.dataset_checksum = corpus_.train.checksum();
    state_.recipe = recipe_to_json(recipe_);
    base::write_file_atomic(options_.run + "/recipe.toml", recipe_.text + "\n");
    announce();
    try {
      const Outcome outcome = loop();
      cost_->write(outcome == Outcome::kFinished ? "finished" : "stopped");
      write_report(options_.run);
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
      for (const std::string& line : compare_recipes(state_.recipe, recipe_to_json(recipe_))) {
        spdlog::info("changed since this run began: {}", line);
      }
      if (state_.dataset_checksum != corpus_.train.checksum()) {
        throw_error(ErrorCode::kBadInput,
                    "[train] {} is not the data that this run began with; use the old data or a new "
                    "--out",
                    recipe_.data.dataset);
      }
      try {
        state_ = load_checkpoint(directory, *model_, *optimizer_);
        batches_.seek(state_.position);
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

  void announce() const {
    const model::ModelConfig& c = recipe_.model;
    spdlog::info("{} parameters ({} multiplied per token), {} tokens a step, {} steps, {} threads; {}",
                 model_->parameter_count(), c.active_matmul_parameters(), recipe_.tokens_per_step(),
                 recipe_.schedule.steps, options_.threads, options_.run);
  }

  Outcome loop() {
    const StopSignal stop;
    const int64_t steps = recipe_.schedule.steps;
    while (state_.step < steps) {
      const Json line = train_step();
      metrics_->append(line);
      const int64_t step = state_.step;
      const bool leave = stop.received() != 0 && step < steps;
      if (leave || step == steps || step % recipe_.checkpoint.every_steps == 0) save();
      if (step % recipe_.eval.report_every_steps == 0) timed_overhead([&] { write_report(options_.run); });
      if (leave) {
        progress_.finish();
        spdlog::info("signal {}: saved step {} of {}; continue with --resume", stop.received(), step, steps);
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
    const int64_t steps = recipe_.schedule.steps;
    const int64_t micro_batches = recipe_.data.micro_batches;
    const bool has_mtp = recipe_.model.num_nextn_predict_layers > 0;
    model::LossOptions loss_options;
    loss_options.mtp_weight = has_mtp ? static_cast<float>(recipe_.mtp.at(step, steps)) : 0;
    loss_options.sequence_balance_alpha = static_cast<float>(recipe_.balance.sequence_alpha);
    loss_options.gradient_scale = 1.0f / static_cast<float>(micro_batches);

    model_->zero_gradients(pool_);
    model::LossResult sum;
    ExpertLoad load;
    for (int64_t i = 0; i < micro_batches; ++i) {
      batches_.next(recipe_.data.batch_sequences / micro_batches, batch_);
      const model::LossResult part = model_->forward_backward(batch_.view(), loss_options, pool_);
      sum.loss += part.loss / static_cast<double>(micro_batches);
      sum.mtp_loss += part.mtp_loss / static_cast<double>(micro_batches);
      sum.balance_loss += part.balance_loss / static_cast<double>(micro_batches);
      sum.tokens += part.tokens;
      add_load(part.expert_load, load);
    }
    const double lr = recipe_.schedule.lr(step);
    const double norm = optimizer_->step(lr, pool_);
    if (!std::isfinite(norm) || !std::isfinite(sum.loss)) {
      throw_error(ErrorCode::kInternal,
                  "[train] step {}: loss {}, gradient norm {}: the run diverged; resume from the last "
                  "checkpoint with a lower optimizer.lr",
                  step, sum.loss, norm);
    }
    const double gamma = recipe_.balance.gamma.at(step, steps);
    const std::vector<std::span<float>> biases = model_->routing_biases();
    update_routing_biases(load, gamma, biases);

    const double seconds = base::monotonic_seconds() - began;
    state_.step = step;
    state_.tokens += sum.tokens;
    state_.position = batches_.position();
    const double flops =
        flops_per_token(recipe_.model, loss_options.mtp_weight > 0) * static_cast<double>(sum.tokens);
    cost_->add_step(sum.tokens, flops, seconds);
    const double tokens_per_s = static_cast<double>(sum.tokens) / seconds;
    const double mfu = options_.peak_flops_per_s > 0 ? flops / seconds / options_.peak_flops_per_s : 0;
    const double bytes_per_token =
        static_cast<double>(corpus_.train.text_bytes()) / static_cast<double>(corpus_.train.size());
    const double bpb = bytes_per_token > 0 ? sum.loss / (std::log(2.0) * bytes_per_token) : 0;

    Json line = {{"step", step},
                 {"tokens", state_.tokens},
                 {"epoch", state_.position.epoch},
                 {"loss", sum.loss},
                 {"bpb", bpb},
                 {"lr", lr},
                 {"grad_norm", norm},
                 {"tokens_per_s", tokens_per_s},
                 {"mfu", mfu > 0 ? Json(mfu) : Json()},
                 {"seconds", seconds}};
    if (loss_options.mtp_weight > 0) {
      line["mtp_loss"] = sum.mtp_loss;
      line["mtp_weight"] = recipe_.mtp.at(step, steps);
    }
    if (!load.empty()) {
      line["balance_loss"] = sum.balance_loss;
      line["gamma"] = gamma;
      line["max_vio"] = max_violation(load);
      if (step == 1 || step % recipe_.eval.load_every_steps == 0) line["expert_load"] = relative_load(load);
    }
    const bool due = recipe_.eval.every_steps > 0 && step % recipe_.eval.every_steps == 0;
    if (corpus_.validation && (due || step == steps)) {
      const ValidationResult result = evaluate(*corpus_.validation, recipe_.eval.sequences);
      validation_bpb_ = result.bpb;
      line["val_loss"] = result.loss;
      line["val_bpb"] = result.bpb;
      if (!result.load.empty()) line["val_max_vio"] = result.max_violation;
    }
    // An average over about 20 steps, so that the estimate does not jump.
    mean_seconds_ = mean_seconds_ == 0 ? seconds : 0.95 * mean_seconds_ + 0.05 * seconds;
    progress_.update({step, steps, sum.loss, bpb, validation_bpb_, tokens_per_s, mfu,
                      mean_seconds_ * static_cast<double>(steps - step)});
    return line;
  }

  ValidationResult evaluate(const TokenDataset& data, int64_t sequences) {
    ValidationOptions options;
    options.sequences = sequences;
    options.sequence_tokens = recipe_.data.sequence_tokens;
    options.rows = recipe_.data.batch_sequences / recipe_.data.micro_batches;
    options.document_mask = recipe_.data.document_mask;
    ValidationResult result;
    timed_overhead([&] { result = validate(*model_, data, corpus_.text_bytes, options, pool_); });
    return result;
  }

  ExportOptions export_options() const {
    return {corpus_.tokenizer_path, recipe_.checkpoint.weights == "bf16"};
  }

  void save() {
    timed_overhead([&] {
      metrics_->sync();
      try {
        save_checkpoint(options_.run, state_, *model_, *optimizer_, export_options());
      } catch (const Error& e) {
        const std::vector<std::string> good = list_checkpoints(options_.run);
        throw_error(
            e.code(), "[train] checkpoint of step {} failed: {}; {}; make room and continue with --resume",
            state_.step, e.what(),
            good.empty() ? std::string("there is no earlier checkpoint") : good.front() + " is still good");
      }
      prune_checkpoints(options_.run, state_.step, recipe_.checkpoint.keep);
    });
    cost_->write("running");
  }

  void finish() {
    const std::string directory = options_.run + "/model";
    base::replace_directory(
        directory, [&](const std::string& aside) { export_model(aside, *model_, export_options()); });
    Json summary = {{"parameters", model_->parameter_count()},
                    {"active_matmul_parameters", recipe_.model.active_matmul_parameters()},
                    {"steps", state_.step},
                    {"tokens", state_.tokens},
                    {"train_text_bytes", corpus_.train.text_bytes()},
                    {"train_tokens", corpus_.train.size()},
                    {"seed", recipe_.seed}};
    if (corpus_.validation) {
      const ValidationResult result = evaluate(*corpus_.validation, recipe_.eval.final_sequences);
      summary["val_bpb"] = result.bpb;
      summary["val_loss"] = result.loss;
      summary["val_tokens"] = result.tokens;
      summary["val_bytes"] = result.bytes;
      if (!result.load.empty()) {
        summary["val_max_vio"] = result.max_violation;
        summary["val_expert_load"] = relative_load(result.load);
      }
      spdlog::info("finished: validation bpb {:.4f} (loss {:.4f} nats per token)", result.bpb, result.loss);
    }
    if (corpus_.validation_dialogues) {
      const ValidationResult result = evaluate(*corpus_.validation_dialogues, recipe_.eval.final_sequences);
      summary["val_dialogues_bpb"] = result.bpb;
      summary["val_dialogues_tokens"] = result.tokens;
    }
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

  const Recipe& recipe_;
  const TrainerOptions& options_;
  Corpus corpus_;
  PackedBatches batches_;
  base::ThreadPool pool_;
  ProgressLine progress_;
  std::unique_ptr<model::Transformer> model_;
  std::optional<Optimizer> optimizer_;
  std::optional<MetricsLog> metrics_;
  std::optional<ledger::RunCost> cost_;
  TrainingState state_;
  PackedBatch batch_;
  double validation_bpb_ = 0;
  double mean_seconds_ = 0;
};

}  // namespace

double flops_per_token(const model::ModelConfig& config, bool with_mtp) {
  int64_t weights = config.active_matmul_parameters();
  if (with_mtp && config.num_nextn_predict_layers > 0) weights += config.mtp_matmul_parameters();
  return 6.0 * static_cast<double>(weights);
}

Outcome pretrain(const Recipe& recipe, const TrainerOptions& options) {
  return Trainer(recipe, options).run();
}

}  // namespace hadal::train
