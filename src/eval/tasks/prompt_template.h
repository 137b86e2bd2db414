// How a problem becomes a prompt, and a completion an answer.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/task.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {

struct PromptTemplate {
  std::string_view name;
  std::string_view about;
  bool chat;                                      // render() is a user's message, for the model's chat format
  std::string (*render)(const Problem& problem);  // the prompt, or the message
  ParsedCompletion (*read)(std::string_view completion, bool opened);
  // A sample ends with this text, which belongs to it (the engine leaves out what it stopped at: put it
  // back before parsing). Empty: it ends when the model says so, or at the length.
  std::string_view stop;

  // opened: the prompt, as the model saw it, ended with <think>.
  ParsedCompletion parse(std::string_view completion, bool opened = false) const {
    return read(completion, opened);
  }
};

// "r1": the dialogue of the R1 papers' table 1, for base models that read English. "short": Problem::brief
// and a line break, for tiny models; the completion is <think>...</think><answer>...</answer> as well.
// "direct": brief and "=", the answer is the line's rest.
// "brief": brief as a user's message, for tiny models with turns, completed as "short" is. "chat": the
// question as a user's message.
std::span<const PromptTemplate> prompt_templates();

// Throws Error{kBadInput} that lists the names.
const PromptTemplate& find_prompt_template(std::string_view name);

// What a model that thinks in the template's way would write: steps (or, without any, the question) as the
// reasoning, then the answer. For corpora and worked examples; parse() of it finds Problem::answer.
std::string worked_completion(const PromptTemplate& prompt, const Problem& problem);

}  // namespace hadal::eval
