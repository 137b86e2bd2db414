#include "text/output_parser.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/chat/markers.h"

namespace hadal::text {

using Kind = OutputEvent::Kind;

namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr std::string_view kFence = "```";
constexpr size_t kMaxNameBytes = 256;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte < 0x21 || byte == 0x7F || c == '`' || c == '"' || c == '{' || c == '}';
  });
}

bool is_json_object(std::string_view text) {
  try {
    return base::parse_json(text, "arguments").is_object();
  } catch (const Error&) {
    return false;
  }
}

// NAME of functions.NAME:NUMBER; of anything else all of it.
std::string_view name_of_id(std::string_view id) {
  constexpr std::string_view kPrefix = "functions.";
  if (id.starts_with(kPrefix)) id.remove_prefix(kPrefix.size());
  return id.substr(0, id.rfind(':'));
}

// Without the ``` that ends a block.
std::string_view without_fence(std::string_view text) {
  text = trimmed(text);
  if (text.ends_with(kFence)) text.remove_suffix(kFence.size());
  return trimmed(text);
}

}  // namespace

OutputParser::OutputParser(const ChatFormat& format, std::shared_ptr<const Tokenizer> tokenizer,
                           const OutputOptions& options)
    : format_(format),
      tokenizer_(std::move(tokenizer)),
      options_(options),
      decoder_(tokenizer_),
      state_(options.starts_in_reasoning ? State::kReasoning : State::kStart) {
  trim_front_ = options.starts_in_reasoning;
  const auto add = [this](Mark mark, std::string_view text) {
    markers_.push_back({mark, text, tokenizer_->find(text).value_or(-1)});
  };
  if (format.reasons) {
    add(Mark::kThinkBegin, kThinkBegin);
    add(Mark::kThinkEnd, kThinkEnd);
  }
  const ToolSyntax syntax = options.tools ? format.tools : ToolSyntax::kNone;
  if (syntax == ToolSyntax::kJsonBlock || syntax == ToolSyntax::kPlain) {
    add(Mark::kCallsBegin, kToolCallsBegin);
    add(Mark::kCallsEnd, kToolCallsEnd);
    add(Mark::kCallBegin, kToolCallBegin);
    add(Mark::kCallEnd, kToolCallEnd);
    add(Mark::kSep, kToolSep);
  } else if (syntax == ToolSyntax::kKimi) {
    add(Mark::kCallsBegin, kKimiCallsBegin);
    add(Mark::kCallsEnd, kKimiCallsEnd);
    add(Mark::kCallBegin, kKimiCallBegin);
    add(Mark::kCallEnd, kKimiCallEnd);
    add(Mark::kSep, kKimiArgumentBegin);
  } else if (syntax == ToolSyntax::kTagged) {
    add(Mark::kCallBegin, kTaggedCallBegin);
    add(Mark::kCallEnd, kTaggedCallEnd);
    add(Mark::kKeyBegin, kArgKeyBegin);
    add(Mark::kKeyEnd, kArgKeyEnd);
    add(Mark::kValueBegin, kArgValueBegin);
    add(Mark::kValueEnd, kArgValueEnd);
    types_ = ArgumentTypes(options.definitions);
  } else if (syntax == ToolSyntax::kJsonTagged) {
    add(Mark::kCallBegin, kTaggedCallBegin);
    add(Mark::kCallEnd, kTaggedCallEnd);
  } else if (syntax == ToolSyntax::kJsonBare) {
    add(Mark::kCallBegin, kPythonTag);
  }
  options_.definitions = {};  // the caller's; not ours to keep
  silent_ = end_tokens_of(format, *tokenizer_);
  for (const std::string_view mark : {kBos, kEos}) {
    if (const auto id = tokenizer_->find(mark)) silent_.push_back(*id);
  }
}

void OutputParser::say(Kind kind, std::string_view text, bool complete) {
  const int call = kind == Kind::kContent || kind == Kind::kReasoning ? -1 : calls_;
  if (text.empty() && (kind == Kind::kContent || kind == Kind::kReasoning || kind == Kind::kCallArguments))
    return;
  const bool joins = kind == Kind::kContent || kind == Kind::kReasoning || kind == Kind::kCallArguments;
  if (joins && !events_.empty() && events_.back().kind == kind && events_.back().call == call) {
    events_.back().text += text;
    return;
  }
  events_.push_back({kind, std::string(text), call, complete});
}

std::vector<OutputEvent> OutputParser::push(TokenId id) {
  const bool before = in_reasoning();
  if (std::find(silent_.begin(), silent_.end(), id) == silent_.end()) {
    const auto found = std::find_if(markers_.begin(), markers_.end(),
                                    [id](const Marker& marker) { return marker.id == id && id >= 0; });
    if (found != markers_.end()) {
      spill();
      on_mark(*found);
    } else {
      on_spelled(decoder_.push(id));
    }
  }
  if (before || in_reasoning()) ++reasoning_tokens_;
  return std::exchange(events_, {});
}

std::vector<OutputEvent> OutputParser::finish() {
  spill();
  if (state_ == State::kStart) content(std::exchange(held_, {}));
  if (state_ == State::kReasoning) say(Kind::kReasoning, std::exchange(held_, {}));
  if (state_ == State::kContent) say(Kind::kContent, std::exchange(held_, {}));
  if (state_ == State::kCall) abandon_call();
  if (state_ == State::kBetweenCalls && !group_.empty()) content(std::exchange(group_, {}));
  return std::exchange(events_, {});
}

void OutputParser::spill() {
  on_spelled(decoder_.finish());
  if (!spelled_.empty()) on_text(std::exchange(spelled_, {}));
}

void OutputParser::on_spelled(std::string_view text) {
  spelled_ += text;
  while (true) {
    const Marker* first = nullptr;
    size_t at = std::string::npos;
    for (const Marker& marker : markers_) {
      const size_t found = marker.id < 0 ? spelled_.find(marker.text) : std::string::npos;
      if (found < at) at = found, first = &marker;
    }
    if (first == nullptr) break;
    on_text(spelled_.substr(0, at));
    spelled_.erase(0, at + first->text.size());
    on_mark(*first);
  }
  // The longest end that may still become a marker stays.
  size_t keep = 0;
  for (const Marker& marker : markers_) {
    if (marker.id >= 0) continue;
    for (size_t n = std::min(marker.text.size() - 1, spelled_.size()); n > keep; --n) {
      if (spelled_.ends_with(marker.text.substr(0, n))) keep = n;
    }
  }
  on_text(std::string_view(spelled_).substr(0, spelled_.size() - keep));
  spelled_.erase(0, spelled_.size() - keep);
}

void OutputParser::content(std::string_view text) {
  if (trim_front_) {
    const size_t first = text.find_first_not_of("\r\n");
    if (first == std::string_view::npos) return;
    text.remove_prefix(first);
    trim_front_ = false;
  }
  if (options_.tools && format_.tools == ToolSyntax::kJsonTagged && state_ == State::kContent &&
      !text.empty()) {
    say(Kind::kContent, std::exchange(held_, {}));
    if (text.back() == '\n') {
      held_ = "\n";
      text.remove_suffix(1);
    }
  }
  say(Kind::kContent, text);
}

void OutputParser::reasoning(std::string_view text) {
  if (trim_front_) {
    const size_t first = text.find_first_not_of("\r\n");
    if (first == std::string_view::npos) return;
    text.remove_prefix(first);
    trim_front_ = false;
  }
  const size_t end = text.find_last_not_of(kBlank);
  if (end == std::string_view::npos) {
    held_ += text;
    return;
  }
  say(Kind::kReasoning, std::exchange(held_, {}));
  say(Kind::kReasoning, text.substr(0, end + 1));
  held_ = text.substr(end + 1);
}

void OutputParser::end_reasoning() {
  held_.clear();
  reasoned_ = true;
  trim_front_ = true;  // "</think>\n\nThe answer"
  state_ = State::kContent;
}

void OutputParser::on_text(std::string_view text) {
  if (text.empty()) return;
  switch (state_) {
    case State::kStart:
      // White space before <think> is nothing; before an answer it is the answer's.
      held_ += text;
      if (trimmed(held_).empty()) return;
      if (options_.tools && format_.tools == ToolSyntax::kJsonBare && trimmed(held_).front() == '{') {
        const std::string begun = std::exchange(held_, {});
        begin_call({});
        on_text(begun);
        return;
      }
      state_ = State::kContent;
      content(std::exchange(held_, {}));
      return;
    case State::kReasoning:
      reasoning(text);
      return;
    case State::kContent:
      content(text);
      return;
    case State::kBetweenCalls:
      if (trimmed(text).empty()) return;
      content(std::exchange(group_, {}));
      content(text);
      state_ = State::kContent;
      return;
    case State::kCall:
      if (json_calls()) {
        on_json_call(text);
        return;
      }
      raw_ += text;
      if (format_.tools == ToolSyntax::kTagged) {
        if (part_ == Part::kName) head_ += text;
        if (part_ == Part::kKey) key_ += text;
        if (part_ == Part::kValue) value_ += text;
        return;
      }
      (has_sep_ ? body_ : head_) += text;
      if (options_.stream_arguments) stream_call();
      return;
  }
}

void OutputParser::on_mark(const Marker& marker) {
  const bool fresh = state_ == State::kStart || (state_ == State::kReasoning && trim_front_);
  switch (marker.mark) {
    case Mark::kThinkBegin:
      if (!fresh || reasoned_) break;
      held_.clear();
      trim_front_ = true;
      state_ = State::kReasoning;
      return;
    case Mark::kThinkEnd:
      if (state_ != State::kReasoning && state_ != State::kStart) break;
      end_reasoning();
      return;
    case Mark::kCallsBegin:
      if (state_ == State::kCall) break;
      begin_calls(marker.text);
      return;
    case Mark::kCallBegin:
      if (state_ == State::kCall) break;
      begin_call(marker.text);
      return;
    case Mark::kSep:
      if (state_ != State::kCall || has_sep_) break;
      raw_ += marker.text;
      has_sep_ = true;
      if (options_.stream_arguments) stream_call();
      return;
    case Mark::kCallEnd:
      if (state_ != State::kCall) break;
      end_call(marker.text);
      return;
    case Mark::kKeyBegin:
    case Mark::kKeyEnd:
    case Mark::kValueBegin:
    case Mark::kValueEnd:
      if (state_ != State::kCall) break;
      on_argument_mark(marker);
      return;
    case Mark::kCallsEnd:
      if (state_ == State::kCall) abandon_call();
      if (state_ != State::kBetweenCalls) break;
      content(std::exchange(group_, {}));  // a round without calls
      if (calls_ == calls_before_round_ || spoiled_) content(marker.text);
      state_ = State::kContent;
      return;
  }
  on_text(marker.text);  // a marker where it means nothing is what it spells
}

void OutputParser::on_argument_mark(const Marker& marker) {
  raw_ += marker.text;
  switch (marker.mark) {
    case Mark::kKeyBegin:
      has_sep_ = true;  // the name is whole
      key_.clear();
      part_ = Part::kKey;
      return;
    case Mark::kValueBegin:
      value_.clear();
      part_ = Part::kValue;
      return;
    case Mark::kValueEnd:
      if (part_ == Part::kValue && !trimmed(key_).empty()) {
        body_ += (body_.empty() ? "{" : ", ") + json_string(trimmed(key_)) + ": " +
                 types_.json(trimmed(head_), trimmed(key_), value_);
        if (options_.stream_arguments) stream_call();
      }
      break;
    default:
      break;
  }
  part_ = Part::kBetween;
}

void OutputParser::on_json_call(std::string_view text) {
  const size_t taken = json_.push(text);
  raw_ += text.substr(0, taken);
  has_sep_ = json_.state() != JsonCallReader::State::kHead && !json_.name().empty();
  if (has_sep_) {
    head_ = json_.name();
    body_ += std::string_view(json_.arguments()).substr(body_.size());
    if (options_.stream_arguments) stream_call();
  }
  if (format_.tools == ToolSyntax::kJsonTagged) {
    raw_ += text.substr(taken);  // </tool_call> ends it
    tail_ += text.substr(taken);
    return;
  }
  if (json_.state() == JsonCallReader::State::kOther) {
    abandon_call();
    state_ = State::kContent;
  } else if (json_.state() == JsonCallReader::State::kWhole) {
    end_call({});
  }
  on_text(text.substr(taken));
}

void OutputParser::begin_calls(std::string_view spelled) {
  if (state_ == State::kReasoning) end_reasoning();
  if (state_ == State::kStart) content(std::exchange(held_, {}));
  if (state_ == State::kBetweenCalls) content(std::exchange(group_, {}));
  group_ = std::exchange(held_, {}) + std::string(spelled);
  spoiled_ = false;
  calls_before_round_ = calls_;
  state_ = State::kBetweenCalls;
}

void OutputParser::begin_call(std::string_view spelled) {
  if (state_ != State::kBetweenCalls) begin_calls({});
  raw_ = spelled;
  tail_.clear();
  head_.clear();
  body_.clear();
  has_sep_ = false;
  part_ = Part::kName;
  json_ = {};
  told_ = false;
  told_bytes_ = 0;
  state_ = State::kCall;
}

// "function" SEP name, line break, ```json, line break, arguments, line break, ```; or name SEP arguments. A
// model of one syntax that writes the other is understood. `whole`: nothing more comes.
bool OutputParser::split_call(bool whole, Call* call) const {
  if (!has_sep_) return false;
  const std::string_view body = body_;
  const size_t line = body.find('\n');
  if (line != std::string_view::npos) {
    const std::string_view rest = body.substr(line + 1);
    const size_t fence_line = rest.find('\n');
    if (is_name(trimmed(body.substr(0, line))) && rest.starts_with(kFence) &&
        fence_line != std::string_view::npos) {
      *call = {std::string(trimmed(body.substr(0, line))), std::string(rest.substr(fence_line + 1)), true};
      return true;
    }
  }
  const std::string_view name =
      format_.tools == ToolSyntax::kKimi ? name_of_id(trimmed(head_)) : trimmed(head_);
  const bool plain = format_.tools != ToolSyntax::kJsonBlock || name != "function";
  if (!plain || !is_name(name)) return false;
  // A block's name may still be on its way.
  if (!whole && !trimmed(body).starts_with('{')) return false;
  *call = {std::string(name), body_, false};
  return true;
}

void OutputParser::stream_call() {
  Call call;
  if (!split_call(/*whole=*/false, &call)) return;
  if (!told_) {
    group_.clear();
    say(Kind::kCallBegin, call.name);
    told_ = true;
  }
  // White space and the fence at the end may be what follows the arguments.
  const size_t end = call.arguments.find_last_not_of(" \t\r\n`");
  const size_t begin = call.arguments.find_first_not_of(kBlank);
  if (end == std::string::npos || end + 1 <= std::max(told_bytes_, begin)) return;
  const size_t from = std::max(told_bytes_, begin);
  say(Kind::kCallArguments, std::string_view(call.arguments).substr(from, end + 1 - from));
  told_bytes_ = end + 1;
}

void OutputParser::end_call(std::string_view spelled) {
  Call call;
  if (format_.tools == ToolSyntax::kTagged) {
    has_sep_ = true;
    body_ += body_.empty() ? "{}" : "}";
  }
  bool closed = true;  // the object ends where the call does
  if (format_.tools == ToolSyntax::kJsonTagged) {
    if (json_.state() == JsonCallReader::State::kWhole) {
      closed = told_ || trimmed(tail_).empty();  // what follows a told one is said behind it
    } else {                                     // its keys may stand in any order
      const std::string_view inner = std::string_view(raw_).substr(kTaggedCallBegin.size());
      std::string name, read;
      closed = JsonCallReader::read(trimmed(inner), &name, &read);
      if (closed) tail_.clear();
      if (closed && !told_) head_ = name, body_ = read;
    }
    if (!told_) has_sep_ = closed;
  }
  const bool good = split_call(/*whole=*/true, &call);
  std::string arguments(call.block ? without_fence(call.arguments) : trimmed(call.arguments));
  if (arguments.empty()) arguments = "{}";
  const bool object = good && closed && is_json_object(arguments);
  if (told_) {
    const size_t begin = std::min(call.arguments.find_first_not_of(kBlank), call.arguments.size());
    const size_t told = told_bytes_ > begin ? told_bytes_ - begin : 0;
    if (told < arguments.size()) say(Kind::kCallArguments, std::string_view(arguments).substr(told));
    say(Kind::kCallEnd, {}, object);
    ++calls_;
    content(trimmed(tail_));
  } else if (object) {
    group_.clear();
    say(Kind::kCallBegin, call.name);
    say(Kind::kCallArguments, arguments);
    say(Kind::kCallEnd, {});
    ++calls_;
  } else {
    spoiled_ = true;
    content(std::exchange(group_, {}));
    content(raw_ + std::string(spelled));
  }
  state_ = State::kBetweenCalls;
}

void OutputParser::abandon_call() {
  if (told_) {
    say(Kind::kCallEnd, {}, false);
    ++calls_;
    content(trimmed(tail_));
  } else {
    spoiled_ = true;
    content(std::exchange(group_, {}));
    content(raw_);
  }
  state_ = State::kBetweenCalls;
}

}  // namespace hadal::text
