#include "eval/tasks/jsonl.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "eval/verify/answer_text.h"
#include "eval/verify/number.h"
#include "eval/verify/program_tests.h"

namespace hadal::eval {
namespace {

// Opened when the first program is to be tested, and kept.
const Sandbox& program_sandbox() {
  static const Sandbox sandbox;
  return sandbox;
}

bool correct_by_check(const Problem& problem, std::string_view answer) {
  if (const auto tests = parse_program_tests(problem.facts)) {
    const TestsOutcome outcome = run_program_tests(program_sandbox(), *tests, find_program(answer));
    return outcome.passed == outcome.total;
  }
  const auto& check = problem.facts.at("check").get_ref<const std::string&>();
  if (check == "exact") return normalised(answer) == normalised(problem.answer);
  if (check == "auto") return same_answer(answer, problem.answer);
  const auto wanted = parse_number(problem.answer);
  const auto said = parse_number(answer);
  return wanted && said && *wanted == *said;
}

constexpr TaskKind kKind = {"jsonl", "questions of a file", {}, nullptr, correct_by_check};

std::string text_field(const base::Json& json, const char* name, bool required) {
  const auto found = json.find(name);
  if (found == json.end()) {
    if (required) throw_error(ErrorCode::kBadInput, "no \"{}\"", name);
    return "";
  }
  if (!found->is_string()) throw_error(ErrorCode::kBadInput, "\"{}\" is no string", name);
  return found->get<std::string>();
}

std::string answer_field(const base::Json& json) {
  const auto found = json.find("answer");
  if (found != json.end() && found->is_number()) return base::dump_json(*found);
  std::string answer = text_field(json, "answer", true);
  if (trim(answer).empty()) throw_error(ErrorCode::kBadInput, "\"answer\" is empty");
  return answer;
}

std::string check_field(const base::Json& json) {
  if (!json.contains("check")) return "auto";
  const std::string check = text_field(json, "check", true);
  if (check != "auto" && check != "exact" && check != "numeric")
    throw_error(ErrorCode::kBadInput, "\"check\" is '{}'; there are auto, exact and numeric", check);
  return check;
}

Problem parse_line(std::string_view line) {
  if (line.size() > kMaxQuestionLineBytes)
    throw_error(ErrorCode::kBadInput, "{} bytes; a line has at most {}", line.size(), kMaxQuestionLineBytes);
  const base::Json json = base::parse_json(line, "line");
  if (!json.is_object()) throw_error(ErrorCode::kBadInput, "no JSON object");
  Problem out;
  out.kind = &kKind;
  out.question = text_field(json, "question", true);
  if (trim(out.question).empty()) throw_error(ErrorCode::kBadInput, "\"question\" is empty");
  out.key = out.question;
  out.brief = text_field(json, "brief", false);
  if (out.brief.empty()) out.brief = out.question;
  out.steps = text_field(json, "steps", false);
  for (const char* name : {"tests", "language"})
    if (json.contains(name)) out.facts[name] = json[name];
  if (parse_program_tests(out.facts)) {
    out.answer = text_field(json, "answer", false);  // a program that passes, for worked examples
    return out;
  }
  out.answer = answer_field(json);
  const std::string check = check_field(json);
  if (check == "numeric" && !parse_number(out.answer))
    throw_error(ErrorCode::kBadInput, "\"answer\" '{}' is no number, and \"check\" is numeric", out.answer);
  out.facts["check"] = check;
  return out;
}

class JsonlTask : public Task {
 public:
  JsonlTask(const std::string& path, const TaskOptions& options) : name_("jsonl:" + path), path_(path) {
    const base::MappedFile file(path);
    const auto bytes = file.bytes();
    std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (int64_t line = 1; !rest.empty(); ++line) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      read_line(rest.substr(0, end), line, options);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    lines_.clear();
    if (problems_.empty()) throw_error(ErrorCode::kBadInput, "[task] {}: no question in it", path);
    if (skipped_ > 0)
      spdlog::warn("[task] {}: {} lines skipped; the first: {}", path, skipped_, first_reason_);
    for (size_t i = 0; i < problems_.size(); ++i) {
      const Problem& p = problems_[i];
      const base::Json all = {p.question, p.brief, p.answer, p.steps, p.facts};
      const std::string text = base::dump_json(all);
      checksum_ = XXH3_64bits_withSeed(text.data(), text.size(), checksum_);
      sides_[held_out(p.key) ? 1 : 0].push_back(i);
      sides_[2].push_back(i);
    }
  }

  const std::string& name() const override { return name_; }
  std::string about() const override {
    std::string out = fmt::format("{} questions, {} of them held out", problems_.size(), sides_[1].size());
    if (repeated_ > 0) out += fmt::format(", {} repeated lines", repeated_);
    if (skipped_ > 0) out += fmt::format(", {} bad lines skipped", skipped_);
    return out;
  }
  std::optional<uint64_t> size(Split split) const override { return side(split).size(); }
  uint64_t checksum() const override { return checksum_; }
  int64_t skipped() const override { return skipped_; }

  // Each pass over the side has an order of its own: a keyed bijection of [0, n), walked by index.
  Problem problem(Split split, uint64_t seed, uint64_t index) const override {
    const std::vector<size_t>& of = side(split);
    if (of.empty()) {
      throw_error(
          ErrorCode::kBadInput,
          "[task] {}: no question on the {} side of its {} (the text of a question decides its side); "
          "add questions, or, for hadal eval, take --split all",
          path_, split_name(split), problems_.size());
    }
    const uint64_t n = of.size();
    return problems_[of[shuffled(index % n, n, seed + index / n)]];
  }

 private:
  // A Feistel network over the next power of four, walked until it falls inside [0, n): no table to keep.
  static uint64_t shuffled(uint64_t value, uint64_t n, uint64_t key) {
    int half = 1;
    while (half < 31 && (uint64_t{1} << (2 * half)) < n) ++half;
    const uint64_t mask = (uint64_t{1} << half) - 1;
    do {
      uint64_t left = value >> half;
      uint64_t right = value & mask;
      for (uint64_t round = 0; round < 4; ++round) {
        uint64_t state = key * 0x9E3779B97F4A7C15u + (round << 60) + right;
        const uint64_t next = left ^ (base::splitmix64(state) & mask);
        left = right;
        right = next;
      }
      value = left << half | right;
    } while (value >= n);
    return value;
  }

  void read_line(std::string_view text, int64_t line, const TaskOptions& options) {
    if (trim(text).empty()) return;
    try {
      Problem problem = parse_line(text);
      problem.task = name_;
      const auto [found, fresh] = lines_.try_emplace(problem.key, problems_.size());
      if (!fresh) {
        const Problem& earlier = problems_[found->second];
        if (earlier.answer != problem.answer || earlier.facts != problem.facts)
          throw_error(ErrorCode::kBadInput,
                      "the same question as on an earlier line, with another answer or other tests");
        ++repeated_;
        return;
      }
      if (problems_.size() >= kMaxQuestions)
        throw_error(ErrorCode::kResource, "[task] {}: more than {} questions", path_, kMaxQuestions);
      problems_.push_back(std::move(problem));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kResource) throw;
      const std::string reason = fmt::format("{}:{}: {}", path_, line, error.what());
      if (!options.skip_bad_lines)
        throw_error(ErrorCode::kBadInput, "[task] {}; mend the line, or pass --skip-bad-lines", reason);
      if (skipped_++ == 0) first_reason_ = reason;
    }
  }

  const std::vector<size_t>& side(Split split) const {
    return sides_[split == Split::kTrain ? 0 : split == Split::kHeldOut ? 1 : 2];
  }

  std::string name_;
  std::string path_;
  std::vector<Problem> problems_;
  std::array<std::vector<size_t>, 3> sides_;       // train, held-out, all: indices of problems_
  std::unordered_map<std::string, size_t> lines_;  // while reading: question -> index
  uint64_t checksum_ = 0;
  int64_t repeated_ = 0;
  int64_t skipped_ = 0;
  std::string first_reason_;
};

}  // namespace

std::unique_ptr<Task> open_jsonl_task(const std::string& path, const TaskOptions& options) {
  return std::make_unique<JsonlTask>(path, options);
}

}  // namespace hadal::eval
