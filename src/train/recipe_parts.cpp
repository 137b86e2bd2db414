#include "train/recipe_parts.h"

#include <algorithm>

#include "base/error.h"

namespace hadal::train {
namespace {

using base::Json;
using base::TomlTable;

const std::vector<std::string> kScheduleKinds = {"constant", "cosine", "wsd"};
const std::vector<std::string> kDecayShapes = {"linear", "cosine", "one_minus_sqrt"};
const std::vector<std::string> kMomentTypes = {"f32", "bf16"};
const std::vector<std::string> kWeightTypes = {"bf16", "f32"};

// The name of an enum's value.
template <typename Enum>
const std::string& name_of(const std::vector<std::string>& names, Enum value) {
  return names[static_cast<size_t>(value)];
}

}  // namespace

int64_t integer(const TomlTable& table, const char* key, int64_t fallback, int64_t low, int64_t high) {
  const int64_t value = table.get_int(key, fallback);
  if (value < low || value > high) table.fail(key, fmt::format("is {}, must be {} to {}", value, low, high));
  return value;
}

double number(const TomlTable& table, const char* key, double fallback, double low, double high) {
  const double value = table.get_double(key, fallback);
  if (!(value >= low && value <= high))
    table.fail(key, fmt::format("is {}, must be {} to {}", value, low, high));
  return value;
}

int choice(const TomlTable& table, const char* key, const std::vector<std::string>& names,
           const std::string& fallback) {
  const std::string value = table.get_string(key, fallback);
  const auto it = std::find(names.begin(), names.end(), value);
  if (it == names.end())
    table.fail(key, fmt::format("is \"{}\", must be one of: {}", value, fmt::join(names, ", ")));
  return static_cast<int>(it - names.begin());
}

void read_optimizer(const TomlTable& t, OptimizerOptions& o, Schedule& schedule) {
  schedule.peak_lr = number(t, "lr", schedule.peak_lr, 0, 10);
  o.beta1 = number(t, "beta1", o.beta1, 0, 0.99999);
  o.beta2 = number(t, "beta2", o.beta2, 0, 0.9999999);
  o.eps = number(t, "eps", o.eps, 1e-30, 1);
  o.weight_decay = number(t, "weight_decay", o.weight_decay, 0, 10);
  o.clip_norm = number(t, "clip_norm", o.clip_norm, 0, 1e9);
  o.moments = static_cast<MomentType>(choice(t, "moments", kMomentTypes, name_of(kMomentTypes, o.moments)));
  o.decay_embeddings = t.get_bool("decay_embeddings", o.decay_embeddings);
}

void read_schedule(const TomlTable& t, Schedule& s) {
  s.kind = static_cast<ScheduleKind>(choice(t, "kind", kScheduleKinds, name_of(kScheduleKinds, s.kind)));
  s.decay_shape =
      static_cast<DecayShape>(choice(t, "decay_shape", kDecayShapes, name_of(kDecayShapes, s.decay_shape)));
  s.decay_fraction = number(t, "decay_fraction", s.decay_fraction, 0, 1);
  s.final_lr_fraction = number(t, "final_lr_fraction", s.final_lr_fraction, 0, 1);
}

void read_checkpoint(const TomlTable& t, CheckpointOptions& c) {
  c.every_steps = integer(t, "every_steps", c.every_steps, 1, kMany);
  c.keep = integer(t, "keep", c.keep, 1, 1 << 20);
  c.weights = kWeightTypes[static_cast<size_t>(choice(t, "weights", kWeightTypes, c.weights))];
}

Json optimizer_to_json(const OptimizerOptions& o, const Schedule& schedule) {
  return {{"lr", schedule.peak_lr},
          {"beta1", o.beta1},
          {"beta2", o.beta2},
          {"eps", o.eps},
          {"weight_decay", o.weight_decay},
          {"clip_norm", o.clip_norm},
          {"moments", name_of(kMomentTypes, o.moments)},
          {"decay_embeddings", o.decay_embeddings}};
}

Json schedule_to_json(const Schedule& s) {
  return {{"kind", name_of(kScheduleKinds, s.kind)},
          {"decay_shape", name_of(kDecayShapes, s.decay_shape)},
          {"decay_fraction", s.decay_fraction},
          {"final_lr_fraction", s.final_lr_fraction},
          {"steps", s.steps},
          {"warmup_steps", s.warmup_steps}};
}

Json checkpoint_to_json(const CheckpointOptions& c) {
  return {{"every_steps", c.every_steps}, {"keep", c.keep}, {"weights", c.weights}};
}

}  // namespace hadal::train
