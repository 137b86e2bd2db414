// Input: what a model wrote. Parsers of answers, numbers, lists and expressions, and every task's verifier,
// take any bytes; what they say hangs together.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "eval/tasks/prompt_template.h"
#include "eval/tasks/task.h"
#include "eval/verify/expression.h"
#include "eval/verify/number.h"
#include "eval/verify/program_tests.h"

using namespace hadal;

namespace {

void check(bool good) {
  if (!good) std::abort();
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

const std::vector<eval::Problem>& problems() {
  static const std::vector<eval::Problem> all = [] {
    std::vector<eval::Problem> out;
    for (const eval::TaskKind& kind : eval::task_kinds())
      for (size_t level = 1; level <= kind.levels.size(); ++level)
        out.push_back(eval::open_task(std::string(kind.name) + ":" + std::to_string(level))
                          ->problem(eval::Split::kAll, 1, 0));
    return out;
  }();
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const eval::PromptTemplate& form : eval::prompt_templates()) {
    const eval::ParsedCompletion parsed = form.parse(text);
    check(within(parsed.answer, text) && within(parsed.reasoning, text));
    check(parsed.answered || parsed.answer.empty());
    check(!parsed.well_formed || parsed.answered);
  }
  check(within(eval::find_program(text), text));
  if (const auto number = eval::parse_number(text)) {
    check(number->denominator() > 0);
    // What is said of it is read as the same again, where it is not longer than what is read.
    const auto again = eval::parse_number(number->text());
    check(!again || (*again == *number && eval::same_answer(text, number->text())));
  }
  if (const auto e = eval::evaluate_expression(text)) {
    check(e->value.denominator() > 0);
    check(e->numbers.size() == static_cast<size_t>(e->operations) + 1);
  }
  if (const auto list = eval::parse_integers(text)) check(!list->empty());
  check(eval::same_answer(text, text));
  check(eval::normalised(eval::normalised(text)).size() <= eval::normalised(text).size());
  for (const eval::Problem& problem : problems()) eval::is_correct(problem, text);
  return 0;
}
