#include "posttrain/sft_recipe.h"

#include "base/error.h"
#include "base/files.h"

namespace hadal::posttrain {
namespace {

using base::Json;
using base::TomlTable;
using train::integer;
using train::kMany;
using train::number;

void read_data(const TomlTable& t, SftData& data) {
  data.conversations = t.require_string("conversations");
  data.validation = t.get_string("validation", "");
  data.validation_fraction = number(t, "validation_fraction", data.validation_fraction, 0, 0.5);
  data.sequence_tokens = integer(t, "sequence_tokens", data.sequence_tokens, 0, 1 << 20);
  data.batch_sequences = integer(t, "batch_sequences", data.batch_sequences, 1, 1 << 20);
  data.micro_batches = integer(t, "micro_batches", data.micro_batches, 1, data.batch_sequences);
  if (data.batch_sequences % data.micro_batches != 0) {
    t.fail("micro_batches", fmt::format("is {}, which does not divide batch_sequences {}", data.micro_batches,
                                        data.batch_sequences));
  }
  data.epochs = number(t, "epochs", data.epochs, 1e-6, 1e6);
  data.skip_bad = t.get_bool("skip_bad", data.skip_bad);
}

}  // namespace

SftRecipe parse_sft_recipe(const std::string& toml, const std::string& name,
                           const std::vector<std::string>& overrides) {
  TomlTable root = TomlTable::parse(toml, name);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  SftRecipe r;
  r.path = name;
  r.seed = static_cast<uint64_t>(integer(root, "seed", 1, 0, INT64_MAX));
  r.threads = static_cast<int>(integer(root, "threads", 0, 0, 1024));
  const TomlTable model = root.section("model");
  r.model = model.require_string("path");
  r.chat_format = model.get_string("chat_format", "");
  read_data(root.section("data"), r.data);

  const TomlTable lora = root.section("lora");
  const int64_t rank = integer(lora, "rank", 0, 0, 65536);
  r.lora = rank > 0;
  if (r.lora) r.adapter.rank = rank;
  r.adapter.alpha = number(lora, "alpha", 2.0 * static_cast<double>(r.adapter.rank), 1e-6, 1e6);
  r.adapter.targets = lora.get_strings("targets", r.adapter.targets);

  // Adapters start from nothing and take larger steps.
  r.schedule.peak_lr = r.lora ? 5e-4 : 5e-5;
  r.optimizer.weight_decay = 0;
  train::read_optimizer(root.section("optimizer"), r.optimizer, r.schedule);
  const TomlTable schedule = root.section("schedule");
  r.schedule.kind = train::ScheduleKind::kCosine;
  train::read_schedule(schedule, r.schedule);
  r.schedule.steps = integer(schedule, "steps", 0, 0, kMany);
  r.warmup_steps = integer(schedule, "warmup_steps", -1, -1, kMany);

  const TomlTable loss = root.section("loss");
  r.mtp_weight = number(loss, "mtp_weight", r.lora ? 0 : r.mtp_weight, 0, 10);
  const TomlTable balance = root.section("balance");
  r.balance_alpha = number(balance, "sequence_alpha", r.balance_alpha, 0, 10);
  r.gamma = number(balance, "gamma", r.gamma, 0, 1);
  r.checkpoint.every_steps = 100;
  train::read_checkpoint(root.section("checkpoint"), r.checkpoint);
  const TomlTable eval = root.section("eval");
  r.eval_every_steps = integer(eval, "every_steps", r.eval_every_steps, 0, kMany);
  r.report_every_steps = integer(eval, "report_every_steps", r.report_every_steps, 1, kMany);
  root.reject_unknown();
  if (r.lora && r.mtp_weight > 0) {
    throw_error(ErrorCode::kBadInput,
                "[recipe] {}: loss.mtp_weight {}: with lora.rank the MTP module is frozen", name,
                r.mtp_weight);
  }
  if (r.lora && r.gamma > 0) {
    throw_error(ErrorCode::kBadInput, "[recipe] {}: balance.gamma {}: with lora.rank the router is frozen",
                name, r.gamma);
  }
  r.text = root.dump();
  return r;
}

SftRecipe load_sft_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_sft_recipe(base::read_file(path), path, overrides);
}

Json sft_recipe_to_json(const SftRecipe& r) {
  Json json = {{"seed", r.seed},
               {"threads", r.threads},
               {"model", {{"path", r.model}, {"chat_format", r.chat_format}}},
               {"data",
                {{"conversations", r.data.conversations},
                 {"validation", r.data.validation},
                 {"validation_fraction", r.data.validation_fraction},
                 {"sequence_tokens", r.data.sequence_tokens},
                 {"batch_sequences", r.data.batch_sequences},
                 {"micro_batches", r.data.micro_batches},
                 {"epochs", r.data.epochs},
                 {"skip_bad", r.data.skip_bad}}},
               {"optimizer", train::optimizer_to_json(r.optimizer, r.schedule)},
               {"schedule", train::schedule_to_json(r.schedule)},
               {"loss", {{"mtp_weight", r.mtp_weight}}},
               {"balance", {{"sequence_alpha", r.balance_alpha}, {"gamma", r.gamma}}},
               {"checkpoint", train::checkpoint_to_json(r.checkpoint)},
               {"eval", {{"every_steps", r.eval_every_steps}, {"report_every_steps", r.report_every_steps}}}};
  if (r.lora) {
    json["lora"] = {{"rank", r.adapter.rank}, {"alpha", r.adapter.alpha}, {"targets", r.adapter.targets}};
  }
  return json;
}

}  // namespace hadal::posttrain
