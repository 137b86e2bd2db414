#include "eval/verify/answer_text.h"

#include "base/ascii.h"
#include "eval/verify/number.h"

namespace hadal::eval {
namespace {

constexpr auto kNone = std::string_view::npos;
constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";
constexpr std::string_view kAnswer = "<answer>", kAnswerEnd = "</answer>";
constexpr std::string_view kBoxed = "\\boxed{";

bool space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool has_tag(std::string_view text) {
  for (const auto tag : {kThink, kThinkEnd, kAnswer, kAnswerEnd})
    if (text.find(tag) != kNone) return true;
  return false;
}

// Takes `token` from the front of `text`, behind white space.
bool take(std::string_view* text, std::string_view token) {
  std::string_view rest = trim(*text);
  if (!rest.starts_with(token)) return false;
  rest.remove_prefix(token.size());
  *text = rest;
  return true;
}

// Takes what stands before `end`, and `end`; it must not be empty or hold a tag.
bool take_body(std::string_view* text, std::string_view end) {
  const size_t at = text->find(end);
  if (at == kNone) return false;
  const std::string_view body = text->substr(0, at);
  text->remove_prefix(at + end.size());
  return !trim(body).empty() && !has_tag(body);
}

// What the last closed <answer> of `text` holds.
bool last_answer(std::string_view text, std::string_view* answer) {
  const size_t end = text.rfind(kAnswerEnd);
  if (end == kNone) return false;
  const size_t begin = text.substr(0, end).rfind(kAnswer);
  if (begin == kNone) return false;
  *answer = trim(text.substr(begin + kAnswer.size(), end - begin - kAnswer.size()));
  return true;
}

std::string_view reasoning_of(std::string_view text, bool opened) {
  const size_t begin = text.find(kThink), end = text.find(kThinkEnd);
  if (!opened && begin != kNone && (end == kNone || begin < end)) {
    const std::string_view rest = text.substr(begin + kThink.size());
    return trim(rest.substr(0, rest.find(kThinkEnd)));
  }
  return opened || end != kNone ? trim(text.substr(0, end)) : std::string_view();
}

bool last_boxed(std::string_view text, std::string_view* answer) {
  const size_t begin = text.rfind(kBoxed);
  if (begin == kNone) return false;
  int depth = 1;
  for (size_t at = begin + kBoxed.size(); at < text.size(); ++at) {
    if (text[at] == '{') ++depth;
    if (text[at] == '}' && --depth == 0) {
      *answer = trim(text.substr(begin + kBoxed.size(), at - begin - kBoxed.size()));
      return true;
    }
  }
  return false;
}

std::string_view without_marks(std::string_view text) {
  text = trim(text);
  if (text.size() >= 4 && text.starts_with("**") && text.ends_with("**"))
    text = text.substr(2, text.size() - 4);
  return trim(text);
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

ParsedCompletion parse_tags(std::string_view text, bool opened) {
  ParsedCompletion out;
  out.answered = last_answer(text, &out.answer);
  out.reasoning = reasoning_of(text, opened);
  std::string_view rest = text;
  out.well_formed = (opened || take(&rest, kThink)) && take_body(&rest, kThinkEnd) && take(&rest, kAnswer) &&
                    take_body(&rest, kAnswerEnd) && trim(rest).empty();
  return out;
}

ParsedCompletion parse_first_line(std::string_view text) {
  ParsedCompletion out;
  const size_t end = text.find('\n');
  out.answer = trim(text.substr(0, end));
  out.answered = !out.answer.empty();
  out.well_formed = out.answered && (end == kNone || trim(text.substr(end)).empty());
  return out;
}

ParsedCompletion parse_chat_answer(std::string_view text, bool opened) {
  ParsedCompletion out;
  out.reasoning = reasoning_of(text, opened);
  if (const size_t end = text.find(kThinkEnd); end != kNone)
    text.remove_prefix(end + kThinkEnd.size());
  else if (opened || trim(text).starts_with(kThink))
    return out;
  if (last_answer(text, &out.answer)) {
    out.answered = true;
    out.well_formed =
        text.find(kAnswer) == text.rfind(kAnswer) && text.find(kAnswerEnd) == text.rfind(kAnswerEnd);
    return out;
  }
  if (last_boxed(text, &out.answer)) {
    out.answered = true;
    return out;
  }
  text = trim(text);
  const size_t line = text.rfind('\n');
  out.answer = without_marks(line == kNone ? text : text.substr(line + 1));
  for (const std::string_view prefix : {"Answer:", "answer:", "Final answer:", "**Answer:**"}) {
    if (!out.answer.starts_with(prefix)) continue;
    out.answer = without_marks(out.answer.substr(prefix.size()));
    break;
  }
  out.answered = !out.answer.empty();
  return out;
}

std::string normalised(std::string_view answer) {
  answer = without_marks(answer);
  if (answer.size() >= 2 && answer.front() == '$' && answer.back() == '$')
    answer = trim(answer.substr(1, answer.size() - 2));
  if (answer.ends_with('.')) answer.remove_suffix(1);
  std::string out;
  bool gap = false;
  for (const char c : trim(answer)) {
    if (space(c)) {
      gap = true;
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    out += base::lower(c);
  }
  return out;
}

std::string answer_key(std::string_view answer) {
  const auto number = parse_number(answer);
  return number ? "\n" + number->text() : normalised(answer);  // no normalised text has a line break
}

bool same_answer(std::string_view a, std::string_view b) { return answer_key(a) == answer_key(b); }

}  // namespace hadal::eval
