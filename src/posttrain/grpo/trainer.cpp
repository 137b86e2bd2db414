#include "posttrain/grpo/trainer.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "eval/tasks/task.h"
#include "posttrain/grpo/group_batch.h"
#include "posttrain/grpo/report_charts.h"
#include "posttrain/grpo/update.h"
#include "posttrain/held_out.h"
#include "posttrain/recipe_parts.h"
#include "posttrain/trained_model.h"
#include "train/recipe.h"
#include "train/run_loop.h"

namespace hadal::posttrain {
namespace {

using base::Json;

// Seconds of a step's parts.
struct Times {
  double rollout = 0, reward = 0, reference = 0, train = 0, optimizer = 0;
};

class Stage : public train::TrainingStage {
 public:
  Stage(const GrpoRecipe& recipe, const train::TrainerOptions& options)
      : recipe_(recipe),
        options_(options),
        task_(eval::open_task(recipe.task, {recipe.skip_bad_lines})),
        template_(eval::find_prompt_template(recipe.prompt_template)),
        rewards_(recipe.rewards) {
    plan_ = task_plan("grpo", recipe, *task_);
  }

  const train::LoopPlan& plan() const override { return plan_; }
  void build() override {
    input_.emplace(model::CheckpointInput::open(recipe_.base));
    model_ = model::Transformer::load(recipe_.base);
    plan_.recipe["model"]["base_digest"] = weights_digest(*model_);  // KL's reference, too
    model_->enable_gradients();
    optimizer_.emplace(*model_, recipe_.optimizer);
    rollout_.emplace(*model_, recipe_.base,
                     RolloutOptions{.max_running = recipe_.max_running, .threads = options_.threads});
    held_out_.emplace(*task_, template_,
                      HeldOutOptions{recipe_.eval_problems, recipe_.eval_answers, recipe_.max_tokens},
                      options_.run, *rollout_);
    if (recipe_.loss.kl > 0) reference_.emplace(options_.run, recipe_.base, recipe_.reference_every_steps);
  }
  model::Transformer& model() override { return *model_; }
  train::Optimizer& optimizer() override { return *optimizer_; }
  train::DataPosition position() const override { return position_; }
  void seek(const train::DataPosition& position) override {
    position_ = position;
    if (reference_) reference_->go_to(position.epoch);
    rollout_->weights_changed();
  }
  std::string announcement() const override {
    return fmt::format("{} parameters, {} questions x {} answers a step, {} steps, {} ({})",
                       model_->parameter_count(), recipe_.prompts, recipe_.answers, recipe_.schedule.steps,
                       task_->name(), task_->about());
  }
  std::vector<std::string> changes_since(const Json& before) const override {
    // Without KL there is no reference, and none that it could go on with.
    const double kl = before.value(Json::json_pointer("/grpo/kl"), 0.0);
    if ((kl > 0) != (recipe_.loss.kl > 0)) {
      throw_error(
          ErrorCode::kBadInput,
          "[train] grpo.kl was {} when this run began and is {} now: KL cannot be taken up or left out "
          "on the way; use the old value or a new --out",
          kl, recipe_.loss.kl);
    }
    return train::compare_recipes(before, plan_.recipe);
  }

  train::StepResult step(int64_t step, base::ThreadPool& pool) override {
    Times times;
    GroupBatch groups = collect(times);
    Json line = Json::object();
    describe(groups, rewards_.parts(), line);

    const double lr = recipe_.schedule.lr(step);
    UpdateResult sum, first;
    double norm = 0;
    for (int m = 0; m < recipe_.minibatches; ++m) {
      const double start = base::monotonic_seconds();
      const UpdateBatch batch = minibatch(groups, m, recipe_.minibatches, recipe_);
      model_->zero_gradients(pool);
      const UpdateResult part =
          add_policy_gradient(*model_, reference_ ? &*reference_ : nullptr, batch, update_options(), pool);
      const double middle = base::monotonic_seconds();
      if (part.loss.tokens > 0) {
        // An update that is left out is none to AdamW's bias correction: the moments have not moved.
        norm = optimizer_->step(lr, pool);
        train::check_finite(step, part.loss.loss, norm);
      }
      times.reference += part.reference_seconds;
      times.train += middle - start - part.reference_seconds;
      times.optimizer += base::monotonic_seconds() - middle;
      if (m == 0) first = part;
      add(part, sum);
    }
    rollout_->weights_changed();
    position_.epoch = step;
    if (reference_) reference_->after_step(step, *model_);
    const double flops =
        train::flops_per_token(model_->config(), false) * static_cast<double>(sum.model_tokens);

    const auto mean = [](double total, int64_t count) {
      return count > 0 ? total / static_cast<double>(count) : 0.0;
    };
    const int64_t tokens = sum.loss.tokens;
    line["loss"] = sum.loss.loss / recipe_.minibatches;
    line["lr"] = lr;
    line["grad_norm"] = norm;
    line["entropy"] = mean(sum.entropy_sum, tokens);
    if (reference_) line["kl"] = mean(sum.loss.kl, tokens);
    line["clip_fraction"] = mean(static_cast<double>(sum.loss.clipped_low + sum.loss.clipped_high), tokens);
    line["max_ratio"] = sum.loss.max_ratio;
    if (first.loss.tokens > 0) {
      line["logprob_diff_mean"] = mean(first.diff_sum, first.loss.tokens);
      line["logprob_diff_max"] = first.diff_max;
    }
    line["rollout_seconds"] = times.rollout;
    line["reward_seconds"] = times.reward;
    line["reference_seconds"] = times.reference;
    line["train_seconds"] = times.train + times.optimizer;
    line["optimizer_seconds"] = times.optimizer;
    line["rollout_tokens_per_s"] = static_cast<double>(groups.cost.answer_tokens) / times.rollout;
    if (times.train > 0) {
      line["train_tokens_per_s"] = static_cast<double>(sum.model_tokens) / times.train;
      line["row_fill"] = mean(static_cast<double>(sum.model_tokens), sum.rows_tokens);
      if (options_.peak_flops_per_s > 0) line["train_mfu"] = flops / times.train / options_.peak_flops_per_s;
    }
    return {std::move(line), sum.loss.loss / recipe_.minibatches, 0,
            sum.model_tokens + groups.cost.answer_tokens, flops};
  }

  double after_step(int64_t step, Json& line, base::ThreadPool& /*pool*/) override {
    const bool due = recipe_.eval_every_steps > 0 && step % recipe_.eval_every_steps == 0;
    if (due || step == recipe_.schedule.steps) held_out_->try_to_measure(line);
    if (options_.progress != train::ProgressLine::Mode::kQuiet) {
      spdlog::info("step {}/{} reward {:.3f} held-out {} length {:.1f} entropy {:.3f} {:.1f} s", step,
                   recipe_.schedule.steps, line["reward"].get<double>(), held_out_->shown(),
                   line["length"].get<double>(), line["entropy"].get<double>(),
                   line["seconds"].get<double>());
    }
    return held_out_->newest().pass1.value_or(0);
  }
  void write_model(const std::string& directory) override {
    write_trained_model(directory, *input_, *model_, recipe_.checkpoint.weights == "bf16");
  }
  Json summary(base::ThreadPool& /*pool*/) override {
    Json summary = {{"parameters", model_->parameter_count()},
                    {"active_matmul_parameters", model_->config().active_matmul_parameters()},
                    {"seed", recipe_.seed},
                    {"bad_lines_skipped", task_->skipped()}};
    held_out_->summarize(summary);
    const std::optional<double> first = held_out_->first();
    summary["base_val_pass1"] = first ? Json(*first) : Json();
    spdlog::info("finished: held-out pass@1 {}", held_out_->shown());
    return summary;
  }
  Json first_line(base::ThreadPool& /*pool*/) override {
    Json line = {{"step", 0}, {"tokens", 0}};
    held_out_->measure(line);
    return line;
  }
  train::ReportLayout report() const override { return grpo_report(rewards_.parts()); }
  void after_save(int64_t step) override {
    const int64_t oldest = recipe_.checkpoint.keep * recipe_.checkpoint.every_steps;
    if (reference_) reference_->prune(std::max<int64_t>(0, step - oldest));
  }

 private:
  // Questions, answers and rewards of a step. With dynamic sampling, groups without signal give way to new
  // questions for a few rounds.
  GroupBatch collect(Times& times) {
    GroupBatch batch;
    const auto wanted = static_cast<size_t>(recipe_.prompts);
    for (int round = 0; round < recipe_.dynamic_sampling_rounds && batch.groups.size() < wanted; ++round) {
      const bool last = round + 1 == recipe_.dynamic_sampling_rounds;
      std::vector<Group> asked;
      std::vector<std::vector<text::TokenId>> prompts;
      for (size_t i = batch.groups.size(); i < wanted; ++i) {
        Group& group = asked.emplace_back();
        group.index = static_cast<uint64_t>(position_.piece++);
        group.problem = task_->problem(eval::Split::kTrain, recipe_.seed, group.index);
        group.prompt = rollout_->prompt(template_, group.problem);
        prompts.push_back(group.prompt);
      }
      uint64_t mix = recipe_.seed ^ (asked.front().index << 20);
      RolloutCost cost;
      auto answers = rollout_->sample(prompts,
                                      {.answers = recipe_.answers,
                                       .max_tokens = recipe_.max_tokens,
                                       .seed = base::splitmix64(mix),
                                       .stop = template_.stop},
                                      &cost);
      times.rollout += cost.seconds;
      add(cost, batch.cost);
      const double began = base::monotonic_seconds();
      for (size_t i = 0; i < asked.size(); ++i) asked[i].answers = std::move(answers[i]);
      score(asked, template_, rewards_);
      times.reward += base::monotonic_seconds() - began;
      for (Group& group : asked) {
        ++batch.asked;
        if (!group.has_signal) ++batch.without_signal;
        if (group.has_signal || last) batch.groups.push_back(std::move(group));
      }
    }
    return batch;
  }

  UpdateOptions update_options() const {
    return {.loss = recipe_.loss, .row_tokens = recipe_.row_tokens, .micro_tokens = recipe_.micro_tokens};
  }

  static void add(const UpdateResult& part, UpdateResult& sum) {
    sum.loss.loss += part.loss.loss;
    sum.loss.kl += part.loss.kl;
    sum.loss.max_ratio = std::max(sum.loss.max_ratio, part.loss.max_ratio);
    sum.loss.clipped_low += part.loss.clipped_low;
    sum.loss.clipped_high += part.loss.clipped_high;
    sum.loss.tokens += part.loss.tokens;
    sum.rows_tokens += part.rows_tokens;
    sum.model_tokens += part.model_tokens;
    sum.entropy_sum += part.entropy_sum;
  }
  static void add(const RolloutCost& part, RolloutCost& sum) {
    sum.prompt_tokens += part.prompt_tokens;
    sum.cached_tokens += part.cached_tokens;
    sum.answer_tokens += part.answer_tokens;
    sum.seconds += part.seconds;
  }

  const GrpoRecipe& recipe_;
  const train::TrainerOptions& options_;
  std::unique_ptr<eval::Task> task_;
  const eval::PromptTemplate& template_;
  RewardSum rewards_;
  train::LoopPlan plan_;
  train::DataPosition position_;  // piece: the next question; epoch: the steps done
  std::optional<model::CheckpointInput> input_;
  std::unique_ptr<model::Transformer> model_;
  std::optional<train::Optimizer> optimizer_;
  std::optional<Rollout> rollout_;
  std::optional<Reference> reference_;
  std::optional<HeldOut> held_out_;
};

}  // namespace

train::Outcome run_grpo(const GrpoRecipe& recipe, const train::TrainerOptions& options) {
  Stage stage(recipe, options);
  return train::run_stage(stage, options);
}

}  // namespace hadal::posttrain
