#include "eval/tasks/prompt_template.h"

#include <fmt/ranges.h>

#include <array>

#include "base/error.h"

namespace hadal::eval {
namespace {

std::string render_r1(const Problem& problem) {
  return "A conversation between User and Assistant. The User asks a question, and the Assistant solves it. "
         "The "
         "Assistant first thinks it through and then gives the answer. The thoughts stand between <think> "
         "and "
         "</think>, the answer alone between <answer> and </answer>: <think> thoughts </think> <answer> "
         "answer "
         "</answer>.\nUser: " +
         problem.question + "\nAssistant:";
}

std::string render_short(const Problem& problem) { return problem.brief + "\n"; }
std::string render_brief(const Problem& problem) { return problem.brief; }
std::string render_direct(const Problem& problem) { return problem.brief + "="; }

ParsedCompletion read_first_line(std::string_view completion, bool /*opened*/) {
  return parse_first_line(completion);
}

std::string render_chat(const Problem& problem) {
  return problem.question + "\nEnd with the answer alone between <answer> and </answer>.";
}

constexpr auto kTemplates = std::to_array<PromptTemplate>({
    {"r1", "User and Assistant, for base models: think, then answer", false, render_r1, parse_tags,
     "</answer>"},
    {"short", "the brief question and a line break, for tiny models: think, then answer", false, render_short,
     parse_tags, "</answer>"},
    {"direct", "the brief question and '='; the answer is the line's rest", false, render_direct,
     read_first_line, "\n"},
    {"brief", "the brief question as a user's message, for tiny models with turns: think, then answer", true,
     render_brief, parse_tags, ""},
    {"chat", "a user's message in the model's chat format", true, render_chat, parse_chat_answer, ""},
});

}  // namespace

std::span<const PromptTemplate> prompt_templates() { return kTemplates; }

const PromptTemplate& find_prompt_template(std::string_view name) {
  std::vector<std::string_view> names;
  for (const PromptTemplate& row : kTemplates) {
    if (row.name == name) return row;
    names.push_back(row.name);
  }
  throw_error(ErrorCode::kBadInput, "[task] no prompt template '{}'; there are {}", name,
              fmt::join(names, ", "));
}

std::string worked_completion(const PromptTemplate& prompt, const Problem& problem) {
  const std::string& thoughts = problem.steps.empty() ? problem.brief : problem.steps;
  if (prompt.read == read_first_line) return problem.answer + "\n";
  if (prompt.read == parse_chat_answer) return "<answer>" + problem.answer + "</answer>";
  return "<think>" + thoughts + "</think><answer>" + problem.answer + "</answer>";
}

}  // namespace hadal::eval
