// A model's answer, token by token, as reasoning, content and tool calls. Markers count where they are
// tokens: text that only spells one stays text, unless the vocabulary has no such token (the distills' tool
// markers).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/chat_format.h"
#include "text/chat/tool_json.h"
#include "text/json_call.h"
#include "text/tokenizer.h"

namespace hadal::text {

struct OutputEvent {
  enum class Kind {
    kReasoning,      // text: more of the reasoning
    kContent,        // text: more of the answer
    kCallBegin,      // text: the function's name
    kCallArguments,  // text: more of the arguments, JSON
    kCallEnd,
  };
  Kind kind = Kind::kContent;
  std::string text = {};
  int call = -1;         // which call: 0, 1, ...
  bool complete = true;  // kCallEnd: the arguments are a JSON object, whole
};

struct OutputOptions {
  bool starts_in_reasoning = false;  // Prompt::starts_in_reasoning
  bool tools = false;                // the request offered tools; else their markers are text
  // False: a call is told whole, once it has ended well; one that is cut off or malformed is content, as
  // spelled. True: name and arguments are told as they come; a cut is told by kCallEnd with complete = false.
  // A call without a name is content in both.
  // Where a model writes arguments one by one (GLM), each is told when it is whole.
  bool stream_arguments = false;
  // What was offered; read only while the parser is made. GLM writes strings without quotes: without the
  // definitions an argument "12" is a number.
  std::span<const ToolDefinition> definitions = {};
};

class OutputParser {
 public:
  OutputParser(const ChatFormat& format, std::shared_ptr<const Tokenizer> tokenizer,
               const OutputOptions& options);

  // What became certain with this token, perhaps nothing. Sentence marks (<｜end▁of▁sentence｜>, the format's
  // end tokens) say nothing.
  std::vector<OutputEvent> push(TokenId id);
  // What was held back: an unfinished character, the beginning of a marker, an unfinished call.
  std::vector<OutputEvent> finish();

  bool in_reasoning() const { return state_ == State::kReasoning; }
  int reasoning_tokens() const {
    return reasoning_tokens_;
  }                                     // pushed within the reasoning, </think> included
  int calls() const { return calls_; }  // told so far

 private:
  enum class State { kStart, kReasoning, kContent, kBetweenCalls, kCall };
  enum class Mark {
    kThinkBegin,
    kThinkEnd,
    kCallsBegin,
    kCallsEnd,
    kCallBegin,
    kCallEnd,
    kSep,
    kKeyBegin,
    kKeyEnd,
    kValueBegin,
    kValueEnd
  };
  struct Marker {
    Mark mark;
    std::string_view text;
    TokenId id;  // -1: the vocabulary has no such token
  };

  void on_text(std::string_view text);
  void on_mark(const Marker& marker);
  void on_argument_mark(const Marker& marker);
  void on_json_call(std::string_view text);
  bool json_calls() const {
    return format_.tools == ToolSyntax::kJsonTagged || format_.tools == ToolSyntax::kJsonBare;
  }
  void on_spelled(std::string_view text);  // text that may spell markers without a token
  void spill();                            // the decoder's and the speller's remains become text
  void say(OutputEvent::Kind kind, std::string_view text, bool complete = true);
  void content(std::string_view text);
  void reasoning(std::string_view text);
  void end_reasoning();
  void begin_calls(std::string_view spelled);
  void begin_call(std::string_view spelled);
  void stream_call();
  void end_call(std::string_view spelled);
  void abandon_call();

  // A call as it was written, in two parts around <｜tool▁sep｜>.
  struct Call {
    std::string name;
    std::string arguments;
    bool block = false;  // in a ```json block
  };
  bool split_call(bool whole, Call* call) const;

  const ChatFormat& format_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  OutputOptions options_;
  std::vector<Marker> markers_;
  std::vector<TokenId> silent_;
  ArgumentTypes types_;
  StreamDecoder decoder_;
  State state_;
  std::vector<OutputEvent> events_;

  std::string spelled_;  // the possible beginning of a marker without a token
  std::string held_;     // white space at the end of the reasoning, or before anything was said; a line break
                         // that may be the one between the answer and a <tool_call>
  bool trim_front_ =
      false;  // line breaks at the front of the reasoning, or of the content behind it, are dropped
  bool reasoned_ = false;

  std::string group_;     // spelled markers before the first call of a round
  bool spoiled_ = false;  // a call of this round became content
  int calls_before_round_ = 0;
  std::string raw_;   // the call as spelled, for content when it fails
  std::string tail_;  // what of it stands behind its JSON object
  std::string head_;  // before <｜tool▁sep｜>
  std::string body_;  // behind it
  bool has_sep_ = false;
  // Of a tagged call: what text belongs to. Head and body are written as if it had a separator and JSON.
  enum class Part { kName, kBetween, kKey, kValue };
  Part part_ = Part::kName;
  std::string key_;
  std::string value_;
  JsonCallReader json_;    // of a call that is one JSON object; head and body are filled from it
  bool told_ = false;      // kCallBegin was said
  size_t told_bytes_ = 0;  // of the arguments
  int reasoning_tokens_ = 0;
  int calls_ = 0;
};

}  // namespace hadal::text
