#include "text/json_call.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace hadal::text {

namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr size_t kMaxHeadBytes = 512;  // a name has at most 256

// Walks through the beginning of a call; `partial` once the text ended on the way.
struct Walk {
  std::string_view text;
  size_t at = 0;
  bool partial = false;

  void blank() {
    while (at < text.size() && kBlank.find(text[at]) != std::string_view::npos) ++at;
  }
  bool sign(char c) {
    blank();
    if (at == text.size()) partial = true;
    if (partial || text[at] != c) return false;
    ++at;
    return true;
  }
  // A string without escapes: no name and no key of a call has any.
  bool quoted(std::string_view* out) {
    if (!sign('"')) return false;
    const size_t end = text.find_first_of("\"\\", at);
    if (end == std::string_view::npos) partial = true;
    if (partial || text[end] != '"') return false;
    *out = text.substr(at, end - at);
    at = end + 1;
    return true;
  }
};

// Up to the { of the arguments.
bool walk_head(Walk& walk, std::string_view* name) {
  std::string_view key, type;
  if (!walk.sign('{') || !walk.quoted(&key)) return false;
  if (key == "type") {
    if (!walk.sign(':') || !walk.quoted(&type) || !walk.sign(',') || !walk.quoted(&key)) return false;
  }
  if (key != "name" || !walk.sign(':') || !walk.quoted(name) || !walk.sign(',') || !walk.quoted(&key)) {
    return false;
  }
  if (key != "arguments" && key != "parameters") return false;
  if (!walk.sign(':') || !walk.sign('{')) return false;
  --walk.at;
  return true;
}

}  // namespace

size_t JsonCallReader::push(std::string_view text) {
  size_t at = 0;
  if (state_ == State::kHead) {
    const size_t before = head_.size();
    head_ += text;
    Walk walk{head_};
    std::string_view name;
    if (!walk_head(walk, &name)) {
      if (!walk.partial || head_.size() > kMaxHeadBytes) state_ = State::kOther;
      return text.size();
    }
    name_ = name;
    state_ = State::kArguments;
    at = walk.at - before;  // the { came with this text: without it the walk was partial
  }
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (state_ == State::kArguments) {
      arguments_ += c;
      if (in_string_) {
        const bool escapes = c == '\\' && !escaped_;
        in_string_ = c != '"' || escaped_;
        escaped_ = escapes;
      } else if (c == '"') {
        in_string_ = true;
      } else if (c == '{' || c == '[') {
        ++depth_;
      } else if ((c == '}' || c == ']') && --depth_ == 0) {
        state_ = State::kBehind;
      }
    } else if (state_ == State::kBehind) {
      if (kBlank.find(c) != std::string_view::npos) continue;
      state_ = c == '}' ? State::kWhole : State::kOther;
      if (state_ == State::kOther) return at;
    } else {
      return at;
    }
  }
  return at;
}

bool JsonCallReader::read(std::string_view text, std::string* name, std::string* arguments) {
  try {
    if (!base::parse_json(text, "call").is_object()) return false;  // checks depth and errors
    const auto call = nlohmann::ordered_json::parse(text);
    const auto called = call.find("name");
    auto given = call.find("arguments");
    if (given == call.end()) given = call.find("parameters");
    if (called == call.end() || !called->is_string()) return false;
    *name = called->get<std::string>();
    *arguments = "{}";
    if (given != call.end() && !given->is_null()) {
      *arguments = given->is_string()
                       ? given->get<std::string>()
                       : given->dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace hadal::text
