// What the recipes of all kinds of training have in common: typed readers with ranges, and the sections about
// the optimizer, the schedule and the checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/toml_reader.h"
#include "train/optimizer.h"
#include "train/schedule.h"

namespace hadal::train {

struct CheckpointOptions {
  int64_t every_steps = 200;
  int64_t keep = 2;              // older ones are removed
  std::string weights = "bf16";  // of model.safetensors: "bf16" or "f32"; the state always holds FP32
};

// `low` and `high` are allowed themselves.
int64_t integer(const base::TomlTable& table, const char* key, int64_t fallback, int64_t low, int64_t high);
double number(const base::TomlTable& table, const char* key, double fallback, double low, double high);
// The index of the value of `key` among `names`.
int choice(const base::TomlTable& table, const char* key, const std::vector<std::string>& names,
           const std::string& fallback);

inline constexpr int64_t kMany = int64_t{1} << 40;

// What a table leaves out stays as it is. read_schedule leaves steps and warmup_steps to the caller.
void read_optimizer(const base::TomlTable& table, OptimizerOptions& options, Schedule& schedule);
void read_schedule(const base::TomlTable& table, Schedule& schedule);
void read_checkpoint(const base::TomlTable& table, CheckpointOptions& options);

base::Json optimizer_to_json(const OptimizerOptions& options, const Schedule& schedule);
base::Json schedule_to_json(const Schedule& schedule);
base::Json checkpoint_to_json(const CheckpointOptions& options);

}  // namespace hadal::train
