#include "posttrain/recipe_parts.h"

namespace hadal::posttrain {

void read_learning(const base::TomlTable& root, train::OptimizerOptions& optimizer,
                   train::Schedule& schedule) {
  optimizer.weight_decay = 0;
  schedule.peak_lr = 1e-4;
  schedule.kind = train::ScheduleKind::kConstant;
  train::read_optimizer(root.section("optimizer"), optimizer, schedule);
  const base::TomlTable table = root.section("schedule");
  train::read_schedule(table, schedule);
  schedule.steps = table.require_int("steps");
  read_int(table, "steps", schedule.steps, 1, kMany);
  read_int(table, "warmup_steps", schedule.warmup_steps, 0, schedule.steps);
}

void read_eval(const base::TomlTable& root, int64_t& every_steps, int& problems, int& answers,
               int64_t& report_every_steps) {
  const base::TomlTable table = root.section("eval");
  read_int(table, "every_steps", every_steps, 0, kMany);
  read_int(table, "problems", problems, 1, 1 << 20);
  read_int(table, "answers", answers, 1, 1 << 12);
  read_int(table, "report_every_steps", report_every_steps, 1, kMany);
}

}  // namespace hadal::posttrain
