// A program's tests, run in the sandbox.
//
// Two kinds, in a problem's facts.tests:
// - a list of {"input": "...", "output": "..."}: the program reads its input and prints; each is a run of its
//   own, compared out here. The safe kind: the program never sees what is expected.
// - a text of Python that follows the program in one file ("assert add(1, 2) == 3"). Passed when it runs to
//   its end. A program can cheat these by reading its own file: take the first kind where that matters.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "eval/verify/sandbox.h"

namespace hadal::eval {

inline constexpr size_t kMaxProgramBytes = 256u << 10;
inline constexpr size_t kMaxProgramTests = 200;
inline constexpr double kAllTests = 4;  // seconds of all tests together, times those of one run

struct ProgramTest {
  std::string input;
  std::string output;  // compared line by line, white space at line ends and blank lines at the end aside
};

struct ProgramTests {
  std::string language = "python";
  std::vector<ProgramTest> cases;  // or
  std::string code;                // Python
};

// facts {"tests": ..., "language": "python" | "sh"}. Nothing without "tests". Throws Error{kBadInput} for
// tests that are none.
std::optional<ProgramTests> parse_program_tests(const base::Json& facts);

struct TestsOutcome {
  size_t passed = 0;
  size_t total = 0;
  std::map<std::string, int64_t> events;  // why not: "time limit", "wrong output", "exit status 1", ...
};

// Stops at the first failure unless `all`, and when all tests together took four times the sandbox's seconds.
// An overlong program fails every test.
TestsOutcome run_program_tests(const Sandbox& sandbox, const ProgramTests& tests, std::string_view program,
                               bool all = false);

// The last ``` block of an answer, or the whole answer without one.
std::string_view find_program(std::string_view answer);

}  // namespace hadal::eval
