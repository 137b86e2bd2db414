// Where a completion's reasoning and answer stand: <think> ... </think> and <answer> ... </answer> as in the
// R1 papers (arXiv 2501.12948, table 1), or what chat models write instead.
#pragma once

#include <string>
#include <string_view>

namespace hadal::eval {

// A view of `text` without white space (ASCII) at both ends.
std::string_view trim(std::string_view text);

// Views into the completion.
struct ParsedCompletion {
  std::string_view reasoning;  // trimmed
  std::string_view answer;     // trimmed
  bool answered = false;       // there is an answer, perhaps an empty one
  // Exactly <think> reasoning </think> <answer> answer </answer>, white space around and between them
  // alone, neither empty, and no tag within them; without the <think> that the prompt ends with.
  bool well_formed = false;
};

// The answer is what the last closed <answer> holds; without one there is none. The reasoning is what the
// first <think> holds, to its end when it is not closed; or what stands before </think> where only that is.
// opened: the prompt ended with <think>, the completion begins as reasoning.
ParsedCompletion parse_tags(std::string_view text, bool opened = false);

// The first line, for models that answer without thinking. Well formed when it is not empty and nothing but
// white space follows it.
ParsedCompletion parse_first_line(std::string_view text);

// The answer of a chat model, behind its reasoning (parse_tags' words): the last <answer>, else the last
// \boxed{}, else the last line, without "Answer:" and ** around it. None in reasoning that does not end. Well
// formed with exactly one <answer>.
ParsedCompletion parse_chat_answer(std::string_view text, bool opened = false);

// For comparing answers as text: trimmed, white space runs as one space, ASCII letters in lower case, a full
// stop at the end, ** and $ around dropped.
std::string normalised(std::string_view answer);

// The same number, or else the same normalised text.
bool same_answer(std::string_view a, std::string_view b);

// What two answers share that same_answer calls the same: for counting votes.
std::string answer_key(std::string_view answer);

}  // namespace hadal::eval
