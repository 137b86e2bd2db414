#include "train/trainer.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "text/tokenizer.h"
#include "train/balance.h"
#include "train/dataset.h"
#include "train/export_model.h"
#include "train/validation.h"

namespace hadal::train {
namespace {

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

class PretrainStage : public TrainingStage {
 public:
  explicit PretrainStage(const Recipe& recipe)
      : recipe_(recipe),
        corpus_(recipe),
        batches_(corpus_.train, {recipe.data.sequence_tokens, recipe.data.piece_tokens,
                                 recipe.data.document_mask, recipe.seed}) {
    plan_.stage = "pretrain";
    plan_.recipe_text = recipe.text;
    plan_.recipe = recipe_to_json(recipe);
    plan_.steps = recipe.schedule.steps;
    plan_.checkpoint_every = recipe.checkpoint.every_steps;
    plan_.checkpoints_kept = recipe.checkpoint.keep;
    plan_.report_every = recipe.eval.report_every_steps;
    plan_.data = recipe.data.dataset;
    plan_.data_checksum = corpus_.train.checksum();
  }

  const LoopPlan& plan() const override { return plan_; }
  void build() override {
    model_ = model::Transformer::create(recipe_.model, recipe_.seed, recipe_.initializer_range);
    model_->enable_gradients();
    optimizer_.emplace(*model_, recipe_.optimizer);
  }
  model::Transformer& model() override { return *model_; }
  Optimizer& optimizer() override { return *optimizer_; }
  DataPosition position() const override { return batches_.position(); }
  void seek(const DataPosition& position) override { batches_.seek(position); }
  std::vector<std::string> changes_since(const Json& before) const override {
    return compare_recipes(before, plan_.recipe);
  }

  std::string announcement() const override {
    const model::ModelConfig& c = recipe_.model;
    return fmt::format("{} parameters ({} multiplied per token), {} tokens a step, {} steps",
                       model_->parameter_count(), c.active_matmul_parameters(), recipe_.tokens_per_step(),
                       recipe_.schedule.steps);
  }

  StepResult step(int64_t number, base::ThreadPool& pool) override {
    const int64_t steps = recipe_.schedule.steps;
    const int64_t micro_batches = recipe_.data.micro_batches;
    const bool has_mtp = recipe_.model.num_nextn_predict_layers > 0;
    model::LossOptions loss_options;
    loss_options.mtp_weight = has_mtp ? static_cast<float>(recipe_.mtp.at(number, steps)) : 0;
    loss_options.sequence_balance_alpha = static_cast<float>(recipe_.balance.sequence_alpha);
    loss_options.gradient_scale = 1.0f / static_cast<float>(micro_batches);

    model_->zero_gradients(pool);
    model::LossResult sum;
    ExpertLoad load;
    for (int64_t i = 0; i < micro_batches; ++i) {
      batches_.next(recipe_.data.batch_sequences / micro_batches, batch_);
      const model::LossResult part = model_->forward_backward(batch_.view(), loss_options, pool);
      sum.loss += part.loss / static_cast<double>(micro_batches);
      sum.mtp_loss += part.mtp_loss / static_cast<double>(micro_batches);
      sum.balance_loss += part.balance_loss / static_cast<double>(micro_batches);
      sum.tokens += part.tokens;
      add_load(part.expert_load, load);
    }
    const double lr = recipe_.schedule.lr(number);
    const double norm = optimizer_->step(lr, pool);
    check_finite(number, sum.loss, norm);
    const double gamma = recipe_.balance.gamma.at(number, steps);
    const std::vector<std::span<float>> biases = model_->routing_biases();
    update_routing_biases(load, gamma, biases);

    StepResult result;
    result.loss = sum.loss;
    result.tokens = sum.tokens;
    result.flops =
        flops_per_token(recipe_.model, loss_options.mtp_weight > 0) * static_cast<double>(sum.tokens);
    const double bytes_per_token =
        static_cast<double>(corpus_.train.text_bytes()) / static_cast<double>(corpus_.train.size());
    result.bpb = bytes_per_token > 0 ? sum.loss / (std::log(2.0) * bytes_per_token) : 0;
    result.line = {{"epoch", batches_.position().epoch},
                   {"loss", sum.loss},
                   {"bpb", result.bpb},
                   {"lr", lr},
                   {"grad_norm", norm}};
    if (loss_options.mtp_weight > 0) {
      result.line["mtp_loss"] = sum.mtp_loss;
      result.line["mtp_weight"] = recipe_.mtp.at(number, steps);
    }
    if (!load.empty()) {
      result.line["balance_loss"] = sum.balance_loss;
      result.line["gamma"] = gamma;
      result.line["max_vio"] = max_violation(load);
      if (number == 1 || number % recipe_.eval.load_every_steps == 0)
        result.line["expert_load"] = relative_load(load);
    }
    return result;
  }

  double after_step(int64_t number, Json& line, base::ThreadPool& pool) override {
    const bool due = recipe_.eval.every_steps > 0 && number % recipe_.eval.every_steps == 0;
    if (corpus_.validation && (due || number == recipe_.schedule.steps)) {
      const ValidationResult result = evaluate(*corpus_.validation, recipe_.eval.sequences, pool);
      validation_bpb_ = result.bpb;
      line["val_loss"] = result.loss;
      line["val_bpb"] = result.bpb;
      if (!result.load.empty()) line["val_max_vio"] = result.max_violation;
    }
    return validation_bpb_;
  }

  void write_model(const std::string& directory) override {
    export_model(directory, *model_, {corpus_.tokenizer_path, recipe_.checkpoint.weights == "bf16"});
  }

  Json summary(base::ThreadPool& pool) override {
    Json summary = {{"parameters", model_->parameter_count()},
                    {"active_matmul_parameters", recipe_.model.active_matmul_parameters()},
                    {"train_text_bytes", corpus_.train.text_bytes()},
                    {"train_tokens", corpus_.train.size()},
                    {"seed", recipe_.seed}};
    if (corpus_.validation) {
      const ValidationResult result = evaluate(*corpus_.validation, recipe_.eval.final_sequences, pool);
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
      const ValidationResult result =
          evaluate(*corpus_.validation_dialogues, recipe_.eval.final_sequences, pool);
      summary["val_dialogues_bpb"] = result.bpb;
      summary["val_dialogues_tokens"] = result.tokens;
    }
    return summary;
  }

 private:
  ValidationResult evaluate(const TokenDataset& data, int64_t sequences, base::ThreadPool& pool) {
    ValidationOptions options;
    options.sequences = sequences;
    options.sequence_tokens = recipe_.data.sequence_tokens;
    options.rows = recipe_.data.batch_sequences / recipe_.data.micro_batches;
    options.document_mask = recipe_.data.document_mask;
    return validate(*model_, data, corpus_.text_bytes, options, pool);
  }

  const Recipe& recipe_;
  LoopPlan plan_;
  Corpus corpus_;
  PackedBatches batches_;
  std::unique_ptr<model::Transformer> model_;
  std::optional<Optimizer> optimizer_;
  PackedBatch batch_;
  double validation_bpb_ = 0;
};

}  // namespace

double flops_per_token(const model::ModelConfig& config, bool with_mtp) {
  int64_t weights = config.active_matmul_parameters();
  if (with_mtp && config.num_nextn_predict_layers > 0) weights += config.mtp_matmul_parameters();
  return 6.0 * static_cast<double>(weights);
}

Outcome pretrain(const Recipe& recipe, const TrainerOptions& options) {
  PretrainStage stage(recipe);
  return run_stage(stage, options);
}

}  // namespace hadal::train
