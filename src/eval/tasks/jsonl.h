// A file of questions as a task: one JSON object a line,
//   {"question": "...", "answer": "..."}
// with more fields if need be: "brief", "steps" (Problem's words), "check" ("auto": the same number or else
// the same text; "exact": the same text; "numeric": the same number), "tests" (a program's tests, instead of
// an answer; eval/verify/program_tests.h). Other fields are left alone. docs/guide/tasks.md is the user's
// page.
#pragma once

#include <memory>
#include <string>

#include "eval/tasks/task.h"

namespace hadal::eval {

inline constexpr size_t kMaxQuestionLineBytes = 1u << 20;
inline constexpr size_t kMaxQuestions = 10'000'000;

// Reads the whole file. A line that is broken, too long, or has an answer that its check cannot parse throws
// Error{kBadInput} "[task] FILE:LINE: reason"; with skip_bad_lines it is counted, and about() tells. Also
// throws for a file without a question. A question that comes again with the same answer counts once.
std::unique_ptr<Task> open_jsonl_task(const std::string& path, const TaskOptions& options);

}  // namespace hadal::eval
