// A call that is one JSON object, as it comes: {"name": NAME, "arguments": {...}} (Qwen) or
// {"name": NAME, "parameters": {...}} (Llama), with "type": "function" before the name or not.
#pragma once

#include <string>
#include <string_view>

namespace hadal::text {

class JsonCallReader {
 public:
  enum class State {
    kHead,       // nothing is certain yet
    kArguments,  // the name is, and the arguments have begun
    kBehind,     // the arguments are whole; the object is not closed
    kWhole,
    kOther,  // not written in this order, or not such a call at all
  };

  // Takes more of the text. Returns how many of its bytes belong to the call: all of them, but what stands
  // behind a whole one, or behind the place where it turned out to be something else.
  size_t push(std::string_view text);

  State state() const { return state_; }
  const std::string& name() const { return name_; }            // from kArguments on
  const std::string& arguments() const { return arguments_; }  // as far as they came, from their {

  // The name and arguments of a whole text in any order of keys; false when it is no call.
  static bool read(std::string_view text, std::string* name, std::string* arguments);

 private:
  State state_ = State::kHead;
  std::string head_;  // bounded: see the source
  std::string name_;
  std::string arguments_;
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace hadal::text
