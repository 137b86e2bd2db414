#include "posttrain/distill/trainer.h"

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "eval/tasks/task.h"
#include "ops/distill_loss.h"
#include "posttrain/grpo/packed_answers.h"
#include "posttrain/held_out.h"
#include "posttrain/recipe_parts.h"
#include "posttrain/rollout/rollout.h"
#include "posttrain/trained_model.h"
#include "train/recipe.h"
#include "train/run_loop.h"

namespace hadal::posttrain {
namespace {

using base::Json;

train::ReportLayout distill_report() {
  train::ReportLayout layout;
  layout.figures = {{"Held-out pass@1", "val_pass1", true}, {"Loss (nats per token)", "loss", false}};
  layout.charts = {
      {"Held-out pass@1, and answers in the right form",
       {{"val_pass1", "right"}, {"val_format", "well formed"}},
       true},
      {"Loss (nats per token)", {{"loss", "loss"}}, true},
      {"Samples that the verifier accepts", {{"accepted", "share"}}, true},
      {"Tokens of an answer", {{"length", "sampled"}, {"val_length", "held-out"}}, true},
      {"Seconds of a step", {{"rollout_seconds", "rollouts"}, {"train_seconds", "training"}}, true},
      {"Gradient norm before clipping", {{"grad_norm", "norm"}}, true}};
  return layout;
}

class Stage : public train::TrainingStage {
 public:
  Stage(const DistillRecipe& recipe, const train::TrainerOptions& options)
      : recipe_(recipe),
        options_(options),
        task_(eval::open_task(recipe.task, {recipe.skip_bad_lines})),
        template_(eval::find_prompt_template(recipe.prompt_template)) {
    plan_ = task_plan("distill", recipe, *task_);
  }

  const train::LoopPlan& plan() const override { return plan_; }
  void build() override {
    teacher_ = model::Transformer::load(recipe_.teacher);
    input_.emplace(model::CheckpointInput::open(recipe_.student));
    student_ = model::Transformer::load(recipe_.student);
    plan_.recipe["model"]["teacher_digest"] = weights_digest(*teacher_);
    plan_.recipe["model"]["student_digest"] = weights_digest(*student_);
    check_tokenizers();
    student_->enable_gradients();
    optimizer_.emplace(*student_, recipe_.optimizer);
    const RolloutOptions rollout{.max_running = recipe_.max_running, .threads = options_.threads};
    of_student_.emplace(*student_, recipe_.student, rollout);
    if (!recipe_.from_student) of_teacher_.emplace(*teacher_, recipe_.teacher, rollout);
    held_out_.emplace(*task_, template_,
                      HeldOutOptions{recipe_.eval_problems, recipe_.eval_answers, recipe_.max_tokens},
                      options_.run, *of_student_);
  }
  model::Transformer& model() override { return *student_; }
  train::Optimizer& optimizer() override { return *optimizer_; }
  train::DataPosition position() const override { return position_; }
  void seek(const train::DataPosition& position) override {
    position_ = position;
    of_student_->weights_changed();
  }
  std::string announcement() const override {
    return fmt::format(
        "student of {} parameters, teacher of {}, {} questions x {} answers a step, {} steps, {} ({})",
        student_->parameter_count(), teacher_->parameter_count(), recipe_.prompts, recipe_.answers,
        recipe_.schedule.steps, task_->name(), task_->about());
  }
  std::vector<std::string> changes_since(const Json& before) const override {
    return train::compare_recipes(before, plan_.recipe);
  }

  train::StepResult step(int64_t step, base::ThreadPool& pool) override {
    std::vector<std::vector<text::TokenId>> prompts;
    RolloutCost cost;
    const auto answers = sample(prompts, cost);
    std::vector<Trajectory> kept;
    for (size_t p = 0; p < prompts.size(); ++p) {
      for (const Answer& answer : answers[p]) {
        if (!recipe_.verified || accepts(problems_[p], answer)) kept.push_back({prompts[p], &answer});
      }
    }
    const double middle = base::monotonic_seconds();
    double norm = 0, loss = 0;
    int64_t tokens = 0, model_tokens = 0;
    for (const Trajectory& t : kept) {
      tokens += static_cast<int64_t>(t.answer->tokens.size());
      model_tokens += t.tokens();
    }
    if (!kept.empty()) {
      student_->zero_gradients(pool);
      for (const PackedAnswers& packed : pack_answers(kept, 0, recipe_.micro_tokens))
        loss += learn(packed, tokens, pool);
      norm = optimizer_->step(recipe_.schedule.lr(step), pool);
      train::check_finite(step, loss, norm);
      of_student_->weights_changed();
    }
    const bool with_teacher = recipe_.loss != DistillLoss::kTokens;
    const double flops = static_cast<double>(model_tokens) *
                         (train::flops_per_token(student_->config(), false) +
                          (with_teacher ? train::flops_per_token(teacher_->config(), false) / 3 : 0));
    const auto sampled = static_cast<double>(prompts.size() * static_cast<size_t>(recipe_.answers));
    Json line = {{"loss", loss},
                 {"lr", recipe_.schedule.lr(step)},
                 {"grad_norm", norm},
                 {"accepted", static_cast<double>(kept.size()) / sampled},
                 {"length", static_cast<double>(cost.answer_tokens) / sampled},
                 {"flops", flops},
                 {"rollout_seconds", cost.seconds},
                 {"train_seconds", base::monotonic_seconds() - middle}};
    return {std::move(line), loss, 0, model_tokens + cost.answer_tokens, flops};
  }

  double after_step(int64_t step, Json& line, base::ThreadPool& /*pool*/) override {
    const bool due = recipe_.eval_every_steps > 0 && step % recipe_.eval_every_steps == 0;
    if (due || step == recipe_.schedule.steps) held_out_->try_to_measure(line);
    if (options_.progress != train::ProgressLine::Mode::kQuiet) {
      spdlog::info("step {}/{} loss {:.4f} accepted {:.2f} held-out {} {:.1f} s", step,
                   recipe_.schedule.steps, line["loss"].get<double>(), line["accepted"].get<double>(),
                   held_out_->shown(), line["seconds"].get<double>());
    }
    return held_out_->newest().pass1.value_or(0);
  }
  void write_model(const std::string& directory) override {
    write_trained_model(directory, *input_, *student_, recipe_.checkpoint.weights == "bf16");
  }
  Json summary(base::ThreadPool& /*pool*/) override {
    Json summary = {{"parameters", student_->parameter_count()},
                    {"seed", recipe_.seed},
                    {"bad_lines_skipped", task_->skipped()}};
    held_out_->summarize(summary);
    return summary;
  }
  Json first_line(base::ThreadPool& /*pool*/) override {
    Json line = {{"step", 0}, {"tokens", 0}};
    held_out_->measure(line);
    return line;
  }
  train::ReportLayout report() const override { return distill_report(); }

 private:
  // The teacher's logits and ids are the student's targets: an id must be the same text in both, and the same
  // ids must end an answer.
  void check_tokenizers() const {
    if (teacher_->config().vocab_size != student_->config().vocab_size) {
      throw_error(ErrorCode::kBadInput,
                  "[distill] the teacher has {} tokens, the student {}: one vocabulary is needed",
                  teacher_->config().vocab_size, student_->config().vocab_size);
    }
    const model::CheckpointInput teacher = model::CheckpointInput::open(recipe_.teacher);
    const auto refuse = [](const std::string& why) {
      throw_error(ErrorCode::kBadInput,
                  "[distill] teacher and student have different tokenizers: {}; take a student with the "
                  "teacher's tokenizer",
                  why);
    };
    if (!teacher.text.tokenizer || !input_->text.tokenizer) refuse("one has none");
    const text::Tokenizer& a = *teacher.text.tokenizer;
    const text::Tokenizer& b = *input_->text.tokenizer;
    if (a.vocab_size() != b.vocab_size())
      refuse(fmt::format("{} ids and {}", a.vocab_size(), b.vocab_size()));
    for (text::TokenId id = 0; id < a.vocab_size(); ++id) {
      if (a.token_bytes(id) != b.token_bytes(id) || a.is_special(id) != b.is_special(id)) {
        refuse(fmt::format("id {} is {} and {}", id, base::dump_json(Json(a.decode({&id, 1}))),
                           base::dump_json(Json(b.decode({&id, 1})))));
      }
    }
    std::vector<text::TokenId> ends[] = {teacher.text.end_tokens, input_->text.end_tokens};
    for (auto& list : ends) std::sort(list.begin(), list.end());
    if (ends[0] != ends[1])
      refuse(fmt::format("answers end with the ids {} and {}", Json(ends[0]).dump(), Json(ends[1]).dump()));
  }

  std::vector<std::vector<Answer>> sample(std::vector<std::vector<text::TokenId>>& prompts,
                                          RolloutCost& cost) {
    Rollout& rollout = recipe_.from_student ? *of_student_ : *of_teacher_;
    problems_.clear();
    const auto first = static_cast<uint64_t>(position_.piece);
    for (int i = 0; i < recipe_.prompts; ++i) {
      const auto index = static_cast<uint64_t>(position_.piece++);
      problems_.push_back(task_->problem(eval::Split::kTrain, recipe_.seed, index));
      prompts.push_back(rollout.prompt(template_, problems_.back()));
    }
    uint64_t mix = recipe_.seed ^ (first << 20);
    return rollout.sample(prompts,
                          {.answers = recipe_.answers,
                           .max_tokens = recipe_.max_tokens,
                           .seed = base::splitmix64(mix),
                           .stop = template_.stop},
                          &cost);
  }

  bool accepts(const eval::Problem& problem, const Answer& answer) const {
    const eval::ParsedCompletion parsed = parse(template_, answer);
    return answer.ended && parsed.answered && eval::is_correct(problem, parsed.answer);
  }

  // Adds the gradient of one batch's part of the mean over `tokens`; returns that part.
  double learn(const PackedAnswers& packed, int64_t tokens, base::ThreadPool& pool) {
    const model::TokenBatch view = packed.view();
    const auto weight = static_cast<float>(1.0 / static_cast<double>(tokens));
    std::vector<float> logprobs;
    if (recipe_.loss == DistillLoss::kTokens) {
      student_->forward(view, pool, logprobs);
      double loss = 0;
      std::vector<float> gradient(logprobs.size(), 0.0f);
      for (size_t i = 0; i < logprobs.size(); ++i) {
        if (packed.targets[i] < 0) continue;
        loss -= static_cast<double>(weight) * logprobs[i];
        gradient[i] = -weight;
      }
      student_->backward(gradient, {}, pool);
      return loss;
    }
    // The teacher's logits of every target, in the order of the tiles.
    const int64_t vocab = student_->config().vocab_size;
    teacher_->forward(view, pool, logprobs);
    teacher_logits_.clear();
    teacher_->visit_logits(
        [&](std::span<const int64_t>, tensor::Matrix logits) {
          for (int64_t r = 0; r < logits.rows; ++r)
            teacher_logits_.insert(teacher_logits_.end(), logits.row(r), logits.row(r) + vocab);
        },
        pool);
    student_->forward(view, pool, logprobs);
    double loss = 0;
    int64_t done = 0;
    const auto kind =
        recipe_.loss == DistillLoss::kForward ? ops::Divergence::kForward : ops::Divergence::kReverse;
    student_->backward_logits(
        [&](std::span<const int64_t> positions, tensor::Matrix logits) {
          const std::vector<float> weights(positions.size(), weight);
          const auto teacher = tensor::matrix(teacher_logits_.data() + done * vocab, logits.rows, vocab);
          loss += ops::distill_loss(kind, logits, teacher, weights, nullptr, pool);
          done += logits.rows;
        },
        {}, pool);
    return loss;
  }

  const DistillRecipe& recipe_;
  const train::TrainerOptions& options_;
  std::unique_ptr<eval::Task> task_;
  const eval::PromptTemplate& template_;
  train::LoopPlan plan_;
  train::DataPosition position_;                 // piece: the next question
  std::optional<model::CheckpointInput> input_;  // the student's
  std::unique_ptr<model::Transformer> teacher_, student_;
  std::optional<train::Optimizer> optimizer_;
  std::optional<Rollout> of_teacher_, of_student_;
  std::optional<HeldOut> held_out_;
  std::vector<eval::Problem> problems_;  // of the step
  std::vector<float> teacher_logits_;    // [targets, vocab]
};

}  // namespace

train::Outcome run_distill(const DistillRecipe& recipe, const train::TrainerOptions& options) {
  Stage stage(recipe, options);
  return train::run_stage(stage, options);
}

}  // namespace hadal::posttrain
