// Tasks whose answers a program can check. A kind of task is one file in this folder and one row in
// registry.cpp; a file of questions (jsonl:PATH) is a task, too. Problems are drawn from (split, seed,
// index): the same three give the same problem, on every machine.
//
// Held-out by construction: a problem's key says which problem it is (a + b and b + a are one), and a hash of
// the key alone decides its side. No problem of the training side is ever on the held-out side, whatever the
// seed, the level or the order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/random.h"

namespace hadal::eval {

enum class Split { kTrain, kHeldOut, kAll };

// "train", "held-out" or "all". Throws Error{kBadInput} for anything else.
Split parse_split(std::string_view name);
std::string_view split_name(Split split);

inline constexpr uint64_t kHeldOutOneIn = 8;  // the held-out side's share of all keys
bool held_out(std::string_view key);

struct TaskKind;

struct Problem {
  std::string task;  // that it was drawn from: "sums:2"
  const TaskKind* kind = nullptr;
  int level = 0;         // 1, ...; 0: a file's
  std::string key;       // which problem it is
  std::string question;  // in words, for a model that reads English
  std::string brief;     // the same, short: "34+57", for a model of a few characters
  std::string answer;    // a right one; there may be others (TaskKind::correct decides)
  std::string steps;     // how one gets there, short: for worked examples; empty: none
  base::Json facts;      // what `correct` and rewards read besides the question
};

struct TaskKind {
  std::string_view name;
  std::string_view about;
  std::span<const std::string_view> levels;  // what each of 1, ... is
  // Fills all but task, kind and level. Null: a kind without a generator (jsonl).
  Problem (*draw)(int level, base::Random& random);
  // Whether `answer`, as a model wrote it, solves the problem. Reads the question's facts, never
  // Problem::answer, where it can do without: an error of the generator shows as its own answer being wrong.
  // Takes any bytes.
  bool (*correct)(const Problem& problem, std::string_view answer);
};

// All kinds that have a generator.
std::span<const TaskKind> task_kinds();

bool is_correct(const Problem& problem, std::string_view answer);

class Task {
 public:
  virtual ~Task() = default;
  virtual const std::string& name() const = 0;
  virtual std::string about() const = 0;
  // How many problems there are before they come again; nothing: no end is known.
  virtual std::optional<uint64_t> size(Split split) const = 0;
  // Of what a file asks and how it is checked, in its order; where it lies and lines that were skipped do not
  // count. 0: a generator's.
  virtual uint64_t checksum() const { return 0; }
  virtual int64_t skipped() const { return 0; }  // bad lines that were left out
  virtual Problem problem(Split split, uint64_t seed, uint64_t index) const = 0;
};

struct TaskOptions {
  bool skip_bad_lines = false;  // of a file: skip and count them instead of throwing
};

// "sums:2", "sums" (level 1), "sums:1-3" (the levels mixed in equal parts), "jsonl:PATH". Throws
// Error{kBadInput} that lists what there is; for a file, with the line and the reason.
std::unique_ptr<Task> open_task(const std::string& spec, const TaskOptions& options = {});

// The first `count` problems of (split, seed) with different keys; fewer when the task has no more.
std::vector<Problem> distinct_problems(const Task& task, Split split, uint64_t seed, size_t count);

// {"task", "level", "question", "brief", "answer", "steps", "facts"}.
base::Json to_json(const Problem& problem);

}  // namespace hadal::eval
