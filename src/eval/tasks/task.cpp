#include "eval/tasks/task.h"

#include <fmt/ranges.h>
#include <xxhash.h>

#include <charconv>
#include <unordered_set>

#include "base/error.h"
#include "base/toml_reader.h"
#include "eval/tasks/jsonl.h"

namespace hadal::eval {
namespace {

// A side that so many draws in a row do not reach has no problems.
constexpr int kMaxDraws = 20'000;
// distinct_problems gives up after so many problems that it had already.
constexpr size_t kMaxRepeats = 2'000;

uint64_t hash(std::string_view text, uint64_t seed) {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

class GeneratedTask : public Task {
 public:
  GeneratedTask(const TaskKind& kind, int low, int high, std::string name)
      : kind_(kind), low_(low), high_(high), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  std::string about() const override {
    return fmt::format(
        "{}; {}", kind_.about,
        fmt::join(kind_.levels.subspan(static_cast<size_t>(low_ - 1), static_cast<size_t>(high_ - low_ + 1)),
                  ", "));
  }
  std::optional<uint64_t> size(Split) const override { return std::nullopt; }

  Problem problem(Split split, uint64_t seed, uint64_t index) const override {
    // The name's hash keeps tasks with one seed from drawing the same numbers.
    uint64_t state = seed ^ hash(name_, static_cast<uint64_t>(split));
    state = base::splitmix64(state) ^ index;
    base::Random random(base::splitmix64(state));
    for (int i = 0; i < kMaxDraws; ++i) {
      const int level = low_ + static_cast<int>(random.below(static_cast<uint64_t>(high_ - low_ + 1)));
      Problem out = kind_.draw(level, random);
      if (split != Split::kAll && held_out(out.key) != (split == Split::kHeldOut)) continue;
      out.task = name_;
      out.kind = &kind_;
      out.level = level;
      return out;
    }
    throw_error(ErrorCode::kInternal, "[task] {}: no problem of the {} side in {} draws", name_,
                split_name(split), kMaxDraws);
  }

 private:
  const TaskKind& kind_;
  int low_;
  int high_;
  std::string name_;
};

[[noreturn]] void unknown_task(std::string_view spec, std::string_view name) {
  std::vector<std::string> names;
  for (const TaskKind& kind : task_kinds()) names.emplace_back(kind.name);
  names.emplace_back("jsonl");
  const std::string near = base::nearest_name(name, names);
  throw_error(ErrorCode::kBadInput, "[task] '{}': no task '{}'{}; there are {} (NAME:LEVEL, jsonl:PATH)",
              spec, name, near.empty() ? "" : "; did you mean " + near + "?", fmt::join(names, ", "));
}

bool parse_level(std::string_view text, int* level) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *level);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Split parse_split(std::string_view name) {
  for (const Split split : {Split::kTrain, Split::kHeldOut, Split::kAll})
    if (name == split_name(split)) return split;
  throw_error(ErrorCode::kBadInput, "[task] no split '{}'; there are train, held-out and all", name);
}

std::string_view split_name(Split split) {
  switch (split) {
    case Split::kTrain:
      return "train";
    case Split::kHeldOut:
      return "held-out";
    case Split::kAll:
      break;
  }
  return "all";
}

bool held_out(std::string_view key) { return hash(key, 0) % kHeldOutOneIn == 0; }

bool is_correct(const Problem& problem, std::string_view answer) {
  return problem.kind->correct(problem, answer);
}

std::unique_ptr<Task> open_task(const std::string& spec, const TaskOptions& options) {
  const size_t colon = spec.find(':');
  const std::string_view name = std::string_view(spec).substr(0, colon);
  const std::string_view rest =
      colon == std::string::npos ? std::string_view() : std::string_view(spec).substr(colon + 1);
  if (name == "jsonl") return open_jsonl_task(std::string(rest), options);
  const TaskKind* kind = nullptr;
  for (const TaskKind& row : task_kinds())
    if (row.name == name) kind = &row;
  if (kind == nullptr) unknown_task(spec, name);
  int low = 1;
  int high = 1;
  if (colon != std::string::npos) {
    const size_t dash = rest.find('-');
    const bool good = parse_level(rest.substr(0, dash), &low) &&
                      (dash == std::string_view::npos || parse_level(rest.substr(dash + 1), &high));
    if (dash == std::string_view::npos) high = low;
    if (!good || low < 1 || high < low || static_cast<size_t>(high) > kind->levels.size()) {
      throw_error(ErrorCode::kBadInput, "[task] '{}': {} has the levels 1 to {}; write {}:2 or {}:1-3", spec,
                  name, kind->levels.size(), name, name);
    }
  }
  std::string full = low == high ? fmt::format("{}:{}", name, low) : fmt::format("{}:{}-{}", name, low, high);
  return std::make_unique<GeneratedTask>(*kind, low, high, std::move(full));
}

std::vector<Problem> distinct_problems(const Task& task, Split split, uint64_t seed, size_t count) {
  if (const auto size = task.size(split)) count = std::min<size_t>(count, *size);
  std::vector<Problem> out;
  std::unordered_set<std::string> seen;
  size_t repeats = 0;
  for (uint64_t index = 0; out.size() < count && repeats < kMaxRepeats; ++index) {
    Problem problem = task.problem(split, seed, index);
    if (seen.insert(problem.key).second)
      out.push_back(std::move(problem));
    else
      ++repeats;
  }
  return out;
}

base::Json to_json(const Problem& problem) {
  return {{"task", problem.task},   {"level", problem.level},   {"question", problem.question},
          {"brief", problem.brief}, {"answer", problem.answer}, {"steps", problem.steps},
          {"facts", problem.facts}};
}

}  // namespace hadal::eval
