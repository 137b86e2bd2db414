#include "posttrain/sft.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "format/safetensors.h"
#include "model/checkpoint_input.h"
#include "posttrain/packing.h"
#include "posttrain/sft_data.h"
#include "posttrain/trained_model.h"
#include "train/balance.h"
#include "train/recipe.h"
#include "train/trainer.h"

namespace hadal::posttrain {
namespace {

using base::Json;

int64_t choose_length(int64_t asked, int64_t model_positions) {
  if (asked == 0) return std::min<int64_t>(model_positions, 1024);
  if (asked < 2 || asked > model_positions) {
    throw_error(ErrorCode::kBadInput, "[recipe] data.sequence_tokens is {}, this model takes 2 to {}", asked,
                model_positions);
  }
  return asked;
}

class SftStage : public train::TrainingStage {
 public:
  explicit SftStage(const SftRecipe& recipe)
      : recipe_(recipe), input_(model::CheckpointInput::open(recipe.model)) {
    recipe_.data.sequence_tokens =
        choose_length(recipe.data.sequence_tokens, input_.config.max_position_embeddings);
    data_ = load_sft_data(recipe_, input_);
    batches_.emplace(data_.train, recipe_.data.sequence_tokens, recipe_.seed);
    plan_steps();
    plan_.stage = "sft";
    plan_.recipe_text = recipe_.text;
    plan_.recipe = sft_recipe_to_json(recipe_);
    plan_.steps = recipe_.schedule.steps;
    plan_.checkpoint_every = recipe_.checkpoint.every_steps;
    plan_.checkpoints_kept = recipe_.checkpoint.keep;
    plan_.report_every = recipe_.report_every_steps;
    plan_.data = recipe_.data.conversations;
    plan_.data_checksum = data_.checksum;
  }

  const train::LoopPlan& plan() const override { return plan_; }

  void build() override {
    model_ = model::Transformer::load(recipe_.model);
    plan_.recipe["model"]["path_digest"] = weights_digest(*model_);
    if (recipe_.lora) model_->add_adapters(recipe_.adapter, recipe_.seed);
    model_->enable_gradients();
    with_mtp_ = model_->config().num_nextn_predict_layers > 0 && recipe_.mtp_weight > 0;
    optimizer_.emplace(*model_, recipe_.optimizer, with_mtp_);
  }
  model::Transformer& model() override { return *model_; }
  train::Optimizer& optimizer() override { return *optimizer_; }
  train::DataPosition position() const override { return batches_->position(); }
  void seek(const train::DataPosition& position) override { batches_->seek(position); }
  std::vector<std::string> changes_since(const Json& before) const override {
    return train::compare_recipes(before, plan_.recipe);
  }

  std::string announcement() const override {
    int64_t trained = 0;
    for (const model::Parameter* p : model_->trained(with_mtp_)) trained += p->size();
    return fmt::format(
        "{} of {} parameters are trained{}; {} samples of {} conversations ({} for validation, {} skipped), "
        "{} tokens to learn of {}; {} steps of {} rows of {}",
        trained, model_->parameter_count(),
        recipe_.lora ? fmt::format(" (LoRA of rank {})", recipe_.adapter.rank) : "", data_.train.size(),
        data_.conversations, data_.validation_conversations, data_.skipped.size(),
        total(data_.train, &Sample::learned_tokens),
        total(data_.train, [](const Sample& s) { return static_cast<int64_t>(s.tokens.size()); }),
        recipe_.schedule.steps, recipe_.data.batch_sequences, recipe_.data.sequence_tokens);
  }

  train::StepResult step(int64_t number, base::ThreadPool& pool) override {
    const auto micro_batches = static_cast<size_t>(recipe_.data.micro_batches);
    std::vector<SampleBatch> parts(micro_batches);
    int64_t learned = 0, used = 0, positions = 0;
    for (SampleBatch& part : parts) {
      batches_->next(recipe_.data.batch_sequences / recipe_.data.micro_batches, part);
      learned += part.learned;
      used += part.used;
      positions += part.rows * part.length;
    }
    model::LossOptions options;
    options.mtp_weight = with_mtp_ ? static_cast<float>(recipe_.mtp_weight) : 0;
    options.sequence_balance_alpha =
        static_cast<float>(recipe_.balance_alpha / static_cast<double>(micro_batches));
    options.loss_weight = static_cast<double>(std::max<int64_t>(learned, 1));
    model_->zero_gradients(pool);
    model::LossResult sum;
    train::ExpertLoad load;
    for (const SampleBatch& part : parts) {
      const model::LossResult one = model_->forward_backward(part.view(), options, pool);
      sum.loss += one.loss;
      sum.mtp_loss += one.mtp_loss;
      sum.balance_loss += one.balance_loss;
      train::add_load(one.expert_load, load);
    }
    const double lr = recipe_.schedule.lr(number);
    const double norm = optimizer_->step(lr, pool);
    train::check_finite(number, sum.loss, norm);
    if (recipe_.gamma > 0) train::update_routing_biases(load, recipe_.gamma, model_->routing_biases());

    train::StepResult result;
    result.loss = sum.loss;
    result.tokens = used;
    // LoRA leaves out the gradients of the frozen weights: a third of the work.
    result.flops = train::flops_per_token(model_->config(), with_mtp_) * (recipe_.lora ? 2.0 / 3.0 : 1.0) *
                   static_cast<double>(used);
    result.line = {{"epoch", batches_->position().epoch},
                   {"loss", sum.loss},
                   {"lr", lr},
                   {"grad_norm", norm},
                   {"learned_tokens", learned},
                   {"padding", 1 - static_cast<double>(used) / static_cast<double>(positions)}};
    if (with_mtp_) result.line["mtp_loss"] = sum.mtp_loss;
    if (!load.empty()) {
      result.line["max_vio"] = train::max_violation(load);
      if (options.sequence_balance_alpha > 0) result.line["balance_loss"] = sum.balance_loss;
    }
    return result;
  }

  double after_step(int64_t number, Json& line, base::ThreadPool& pool) override {
    const bool due = recipe_.eval_every_steps > 0 && number % recipe_.eval_every_steps == 0;
    if (!data_.validation.empty() && (due || number == plan_.steps || number == 1)) {
      validation_loss_ = validation_loss(pool);
      line["val_loss"] = validation_loss_;
    }
    return validation_loss_;
  }

  void write_model(const std::string& directory) override {
    if (recipe_.lora) {
      model::write_adapter(directory, recipe_.adapter, recipe_.model, model_->adapters());
      return;
    }
    write_trained_model(directory, input_, *model_, recipe_.checkpoint.weights == "bf16");
  }

  Json summary(base::ThreadPool& pool) override {
    Json summary = {{"parameters", model_->parameter_count()},
                    {"active_matmul_parameters", model_->config().active_matmul_parameters()},
                    {"base_model", recipe_.model},
                    {"conversations", data_.conversations},
                    {"validation_conversations", data_.validation_conversations},
                    {"samples", data_.train.size()},
                    {"skipped_lines", data_.skipped.size()},
                    {"seed", recipe_.seed}};
    Json skipped = Json::array();
    for (size_t i = 0; i < std::min<size_t>(data_.skipped.size(), 100); ++i) {
      skipped.push_back(fmt::format("line {}: {}", data_.skipped[i].line, data_.skipped[i].reason));
    }
    if (!skipped.empty()) summary["skipped"] = skipped;
    if (!data_.validation.empty()) {
      summary["val_loss"] = validation_loss(pool);
      spdlog::info("finished: validation loss {:.4f} nats per token to learn",
                   summary["val_loss"].get<double>());
    }
    return summary;
  }

 private:
  template <typename Count>
  static int64_t total(const std::vector<Sample>& samples, Count&& count) {
    int64_t sum = 0;
    for (const Sample& sample : samples) sum += std::invoke(count, sample);
    return sum;
  }

  void plan_steps() {
    train::Schedule& schedule = recipe_.schedule;
    if (schedule.steps == 0) {
      // Whole epochs by their own number of rows; a part of one by its share.
      const auto whole = static_cast<int64_t>(recipe_.data.epochs);
      const double rest = recipe_.data.epochs - static_cast<double>(whole);
      double rows = 0;
      for (int64_t e = 0; e < whole; ++e) rows += static_cast<double>(batches_->rows_in_epoch(e));
      if (rest > 0) rows += rest * static_cast<double>(batches_->rows_in_epoch(whole));
      schedule.steps = std::max<int64_t>(
          1,
          static_cast<int64_t>(std::ceil(rows / static_cast<double>(recipe_.data.batch_sequences) - 1e-9)));
    }
    schedule.warmup_steps = recipe_.warmup_steps >= 0 ? std::min(recipe_.warmup_steps, schedule.steps)
                                                      : std::min<int64_t>(100, schedule.steps / 10);
  }

  // Nats per token to learn, over every sample of the validation part.
  double validation_loss(base::ThreadPool& pool) {
    std::vector<int32_t> order(data_.validation.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    const RowPlan rows = plan_rows(data_.validation, order, recipe_.data.sequence_tokens);
    const auto per_pass = static_cast<size_t>(recipe_.data.batch_sequences / recipe_.data.micro_batches);
    double nats = 0;
    int64_t learned = 0;
    SampleBatch batch;
    for (size_t begin = 0; begin < rows.size(); begin += per_pass) {
      fill_batch(data_.validation, std::span(rows).subspan(begin, std::min(per_pass, rows.size() - begin)),
                 batch);
      nats += model_->evaluate(batch.view(), {}, pool).loss * static_cast<double>(batch.learned);
      learned += batch.learned;
    }
    return nats / static_cast<double>(std::max<int64_t>(learned, 1));
  }

  SftRecipe recipe_;  // with what it left to the model and the data
  model::CheckpointInput input_;
  LoadedSftData data_;
  std::optional<SampleBatches> batches_;
  train::LoopPlan plan_;
  std::unique_ptr<model::Transformer> model_;
  std::optional<train::Optimizer> optimizer_;
  bool with_mtp_ = false;
  double validation_loss_ = 0;
};

}  // namespace

train::Outcome fine_tune(const SftRecipe& recipe, const train::TrainerOptions& options) {
  SftStage stage(recipe);
  return train::run_stage(stage, options);
}

}  // namespace hadal::posttrain
