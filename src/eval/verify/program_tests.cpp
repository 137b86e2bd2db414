#include "eval/verify/program_tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/clock.h"
#include "base/error.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

std::string text_of(const base::Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_string())
    throw_error(ErrorCode::kBadInput, "a test's \"{}\" is no string", name);
  return found->get<std::string>();
}

std::string_view next_line(std::string_view* text) {
  const size_t end = std::min(text->find('\n'), text->size());
  std::string_view line = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r' || line.back() == '\t'))
    line.remove_suffix(1);
  return line;
}

bool same_output(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty())
    if (next_line(&a) != next_line(&b)) return false;
  return true;
}

std::string reason_of(const SandboxResult& result) {
  if (result.end != SandboxEnd::kExited) return std::string(sandbox_end_name(result.end));
  return fmt::format("exit status {}", result.status);
}

// A word that no program says by chance: printed when the tests have run to their end, so that leaving early
// with status 0 is not passing.
std::string secret() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}", device(), device(), device());
}

bool run_code(const Sandbox& sandbox, const ProgramTests& tests, std::string_view program, std::string* why) {
  const std::string word = secret();
  const std::string whole = fmt::format("{}\n\n{}\n\nprint()\nprint('{}')\n", program, tests.code, word);
  const SandboxResult result = sandbox.run("python", whole);
  const bool ended = result.end == SandboxEnd::kExited && result.status == 0;
  if (ended && result.output.ends_with(word + "\n")) return true;
  *why = ended ? "left before the tests' end" : reason_of(result);
  return false;
}

bool run_case(const Sandbox& sandbox, const ProgramTests& tests, const ProgramTest& test,
              std::string_view program, std::string* why) {
  const SandboxResult result = sandbox.run(tests.language, program, test.input);
  if (result.end != SandboxEnd::kExited || result.status != 0) {
    *why = reason_of(result);
    return false;
  }
  if (same_output(result.output, test.output)) return true;
  *why = "wrong output";
  return false;
}

}  // namespace

std::optional<ProgramTests> parse_program_tests(const base::Json& facts) {
  if (!facts.is_object()) return std::nullopt;
  const auto found = facts.find("tests");
  if (found == facts.end()) return std::nullopt;
  ProgramTests out;
  if (facts.contains("language")) out.language = text_of(facts, "language");
  if (out.language != "python" && out.language != "sh")
    throw_error(ErrorCode::kBadInput, "\"language\" is '{}'; there are python and sh", out.language);
  if (found->is_string()) {
    out.code = found->get<std::string>();
    if (trim(out.code).empty()) throw_error(ErrorCode::kBadInput, "\"tests\" is empty");
    if (out.language != "python")
      throw_error(ErrorCode::kBadInput, "\"tests\" as text are Python; for {} give inputs and outputs",
                  out.language);
    return out;
  }
  if (!found->is_array() || found->empty() || found->size() > kMaxProgramTests)
    throw_error(ErrorCode::kBadInput, "\"tests\" is neither a text nor a list of 1 to {} tests",
                kMaxProgramTests);
  for (const base::Json& test : *found) {
    if (!test.is_object()) throw_error(ErrorCode::kBadInput, "a test is no object");
    out.cases.push_back({text_of(test, "input"), text_of(test, "output")});
  }
  return out;
}

TestsOutcome run_program_tests(const Sandbox& sandbox, const ProgramTests& tests, std::string_view program,
                               bool all) {
  TestsOutcome out;
  out.total = tests.cases.empty() ? 1 : tests.cases.size();
  if (program.size() > kMaxProgramBytes) {
    ++out.events["program too long"];
    return out;
  }
  const double until = base::monotonic_seconds() + kAllTests * sandbox.limits().seconds;
  for (size_t i = 0; i < out.total; ++i) {
    if (base::monotonic_seconds() > until) {
      ++out.events["time limit of all tests"];
      break;
    }
    std::string why;
    const bool passed = tests.cases.empty() ? run_code(sandbox, tests, program, &why)
                                            : run_case(sandbox, tests, tests.cases[i], program, &why);
    if (passed) {
      ++out.passed;
      continue;
    }
    ++out.events[why];
    if (!all) break;
  }
  return out;
}

std::string_view find_program(std::string_view answer) {
  constexpr std::string_view kFence = "```";
  const size_t end = answer.rfind(kFence);
  if (end == std::string_view::npos || end < kFence.size()) return answer;
  const size_t begin = answer.rfind(kFence, end - kFence.size());
  if (begin == std::string_view::npos) return answer;
  std::string_view block = answer.substr(begin + kFence.size(), end - begin - kFence.size());
  const size_t line = block.find('\n');  // behind the language's name
  return line == std::string_view::npos ? block : block.substr(line + 1);
}

}  // namespace hadal::eval
