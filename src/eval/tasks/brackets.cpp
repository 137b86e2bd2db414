// Brackets: closing what is open, and telling whether all is closed (the Dyck languages).
#include <fmt/format.h>

#include "eval/tasks/kinds.h"
#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

struct Level {
  bool complete;  // write what is missing; else: is it balanced?
  int types;
  int least, most;  // brackets
};
constexpr Level kLevels[] = {
    {true, 1, 2, 10}, {true, 2, 3, 10}, {true, 3, 6, 16}, {false, 1, 6, 12}, {false, 3, 8, 16}};
constexpr std::string_view kOpen = "([{", kClose = ")]}";

// What is open at the end of `text`, outermost first; false when a bracket closes what is not open.
bool open_brackets(std::string_view text, std::string* open) {
  open->clear();
  for (const char c : text) {
    if (kOpen.find(c) != std::string_view::npos) {
      *open += c;
      continue;
    }
    const size_t type = kClose.find(c);
    if (type == std::string_view::npos || open->empty() || open->back() != kOpen[type]) return false;
    open->pop_back();
  }
  return true;
}

bool balanced(std::string_view text) {
  std::string open;
  return open_brackets(text, &open) && open.empty();
}

// `length` brackets that close nothing wrongly and end with at most `open_at_end` open.
std::string walk(base::Random& random, int length, int types, int open_at_end) {
  std::string text, open;
  for (int left = length; left > 0; --left) {
    const auto depth = static_cast<int>(open.size());
    const bool must_close = depth + 1 > left - 1 + open_at_end;
    if (depth > 0 && (must_close || random.below(2) == 0)) {
      text += kClose[kOpen.find(open.back())];
      open.pop_back();
    } else {
      text += kOpen[random.below(static_cast<uint64_t>(types))];
      open += text.back();
    }
  }
  return text;
}

// The brackets that are open after each one: "( (( ([ (".
std::string trail(std::string_view text) {
  std::string out, open;
  for (size_t i = 1; i <= text.size(); ++i) {
    const bool good = open_brackets(text.substr(0, i), &open);
    out += fmt::format("{}{}", i > 1 ? " " : "", !good ? "wrong" : open.empty() ? "." : open);
    if (!good) break;
  }
  return out;
}

Problem draw_completion(const Level& of, base::Random& random) {
  std::string text, open;
  do {
    text = walk(random, static_cast<int>(draw_between(random, of.least, of.most)), of.types, of.most);
  } while (!open_brackets(text, &open) || open.empty());
  Problem out;
  out.question = "Write the brackets that close what is still open here, and nothing else: " + text;
  for (size_t i = open.size(); i-- > 0;) out.answer += kClose[kOpen.find(open[i])];
  out.facts = {{"text", text}, {"complete", true}};
  return out;
}

Problem draw_judgement(const Level& of, base::Random& random) {
  std::string text =
      walk(random, static_cast<int>(draw_between(random, of.least / 2, of.most / 2)) * 2, of.types, 0);
  if (random.below(2) == 0) {
    std::string damaged;
    do {
      damaged = text;
      const size_t at = random.below(text.size());
      const std::string_view from = random.below(2) == 0 ? kOpen : kClose;
      damaged[at] = from[random.below(static_cast<uint64_t>(of.types))];
    } while (balanced(damaged));
    text = damaged;
  }
  Problem out;
  out.question = "Is every bracket closed by its own kind, in the right order? Answer yes or no: " + text;
  out.answer = balanced(text) ? "yes" : "no";
  out.facts = {{"text", text}, {"complete", false}};
  return out;
}

}  // namespace

Problem draw_brackets(int level, base::Random& random) {
  const Level& of = kLevels[level - 1];
  Problem out = of.complete ? draw_completion(of, random) : draw_judgement(of, random);
  const auto& text = out.facts.at("text").get_ref<const std::string&>();
  out.brief = text + (of.complete ? "" : "?");
  out.key = out.brief;
  out.steps = trail(text);
  return out;
}

bool correct_brackets(const Problem& problem, std::string_view answer) {
  const auto& text = problem.facts.at("text").get_ref<const std::string&>();
  if (!problem.facts.at("complete").get<bool>()) return normalised(answer) == (balanced(text) ? "yes" : "no");
  std::string closing;
  for (const char c : answer) {
    if (c == ' ' || c == '\n') continue;
    if (kClose.find(c) == std::string_view::npos) return false;
    closing += c;
  }
  return balanced(text + closing);
}

}  // namespace hadal::eval
