#include "text/chat/kimi_turns.h"

#include <algorithm>
#include <string>
#include <vector>

#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

// functions.NAME:NUMBER, as the models were trained to name a call.
bool is_trained_id(std::string_view id, std::string_view name) {
  constexpr std::string_view kPrefix = "functions.";
  if (!id.starts_with(kPrefix)) return false;
  id.remove_prefix(kPrefix.size());
  if (!id.starts_with(name)) return false;
  id.remove_prefix(name.size());
  return id.size() > 1 && id[0] == ':' &&
         std::all_of(id.begin() + 1, id.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class Writer {
 public:
  Writer(const KimiTurns& turns, PromptWriter& out) : turns_(turns), out_(out) {}

  void own_answer(std::span<const Message> messages) {
    // Calls are numbered through the whole conversation.
    for (const Message& message : messages.first(messages.size() - 1)) {
      calls_ += static_cast<int>(message.tool_calls.size());
    }
    if (!turns_.thinks) out_.reasoning_as_text(messages.back().reasoning_content);
    answer(messages.back(), /*is_history=*/false);
  }

  bool write(std::span<const Message> messages, const ChatOptions& options) {
    if (!options.tools.empty()) turn(kImSystem, "tool_declare", sorted_tools_json(options.tools));
    if (messages.empty() || messages[0].role != "system") {
      turn(kImSystem, "system", turns_.default_system);
      out_.text(turns_.after_default);
    }
    // Reasoning is kept behind the last answer without calls: between the calls of the answer that is made.
    size_t history = messages.size();
    while (history > 0 && (messages[history - 1].role != "assistant" ||
                           !messages[history - 1].tool_calls.empty() || messages[history - 1].prefix))
      --history;
    for (size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      if (message.role == "assistant") {
        header(kImAssistant, "assistant");
        if (message.prefix) return prefix(message);
        answer(message, i < history);
      } else if (message.role == "tool") {
        result(message);
      } else {
        turn(message.role == "user" ? kImUser : kImSystem, message.role, message.content);
      }
    }
    if (options.add_generation_prompt) header(kImAssistant, "assistant");
    return false;
  }

 private:
  void header(std::string_view marker, std::string_view name) {
    out_.control(marker);
    out_.text(name);
    out_.control(kImMiddle);
  }

  void turn(std::string_view marker, std::string_view name, std::string_view content) {
    header(marker, name);
    out_.text(content);
    out_.control(kImEnd);
  }

  void think(std::string_view reasoning, bool close = true) {
    out_.control_or_text(kThinkBegin);
    out_.text(reasoning);
    if (close) out_.control_or_text(kThinkEnd);
  }

  // The ids that the model gave its calls; nothing where there are not as many.
  std::vector<std::string> written_ids(const Message& message) const {
    std::vector<std::string> ids;
    const Tokenizer& tokenizer = out_.tokenizer();
    const auto begin = tokenizer.find(kKimiCallBegin);
    const auto end = tokenizer.find(kKimiArgumentBegin);
    const auto& said = message.tokens->answer;
    if (!begin || !end) return ids;
    for (auto at = said.begin(); (at = std::find(at, said.end(), *begin)) != said.end(); ++at) {
      const auto stop = std::find(at, said.end(), *end);
      ids.push_back(tokenizer.decode({at + 1, stop}));
    }
    if (ids.size() != message.tool_calls.size()) ids.clear();
    return ids;
  }

  // As the model wrote it; false where its calls are not found.
  bool answer_in_tokens(const Message& message, bool is_history) {
    if (!message.tokens) return false;
    const auto ids = written_ids(message);
    if (ids.size() != message.tool_calls.size()) return false;
    if (turns_.thinks && is_history)
      think({});
    else
      out_.tokens(message.tokens->reasoning);
    out_.tokens(message.tokens->answer);
    out_.control(kImEnd);
    if (!ids.empty()) open_calls_.clear();
    for (size_t i = 0; i < ids.size(); ++i) open_calls_.push_back({message.tool_calls[i].id, ids[i]});
    calls_ += static_cast<int>(ids.size());
    return true;
  }

  void answer(const Message& message, bool is_history) {
    if (answer_in_tokens(message, is_history)) return;
    std::string_view content = message.content;
    if (turns_.thinks) {
      think(is_history ? std::string_view() : message.reasoning_content);
      const size_t end = content.rfind(kThinkEnd);
      if (end != std::string_view::npos) content.remove_prefix(end + kThinkEnd.size());
    }
    out_.text(content);
    if (!message.tool_calls.empty()) {
      open_calls_.clear();
      out_.control_or_text(kKimiCallsBegin);
      for (const ToolCall& call : message.tool_calls) {
        const std::string numbered = "functions." + call.name + ":" + std::to_string(calls_++);
        open_calls_.push_back({call.id, is_trained_id(call.id, call.name) ? call.id : numbered});
        out_.control_or_text(kKimiCallBegin);
        out_.text(open_calls_.back().written);
        out_.control_or_text(kKimiArgumentBegin);
        out_.text(call.arguments);
        out_.control_or_text(kKimiCallEnd);
      }
      out_.control_or_text(kKimiCallsEnd);
    }
    out_.control(kImEnd);
  }

  // Of the call that it names, else of the next one. registry.cpp's Checker has made sure that there is one.
  void result(const Message& message) {
    auto call = open_calls_.begin();
    if (!message.tool_call_id.empty()) {
      call = std::find_if(open_calls_.begin(), open_calls_.end(),
                          [&](const OpenCall& open) { return open.id == message.tool_call_id; });
    }
    const bool known = call != open_calls_.end();  // a second result of the same call is not
    header(kImSystem, "tool");
    out_.text("## Return of " + (known ? call->written : message.tool_call_id) + "\n" + message.content);
    if (known) open_calls_.erase(call);
    out_.control(kImEnd);
  }

  // True when the answer goes on within its reasoning.
  bool prefix(const Message& message) {
    const bool reasons = turns_.thinks && !message.reasoning_content.empty();
    if (reasons && message.content.empty()) {
      think(message.reasoning_content, /*close=*/false);
      return true;
    }
    if (turns_.thinks && !(message.content.empty() && message.reasoning_content.empty())) {
      think(message.reasoning_content);
    }
    out_.text(message.content);
    return false;
  }

  const KimiTurns& turns_;
  PromptWriter& out_;
  struct OpenCall {
    std::string id;       // the caller's
    std::string written;  // the model's
  };
  int calls_ = 0;                     // of the whole conversation
  std::vector<OpenCall> open_calls_;  // without a result yet
};

}  // namespace

bool write_kimi_turns(const KimiTurns& turns, PromptWriter& out, std::span<const Message> messages,
                      const ChatOptions& options) {
  return Writer(turns, out).write(messages, options);
}

void write_kimi_answer(const KimiTurns& turns, PromptWriter& out, std::span<const Message> messages) {
  Writer(turns, out).own_answer(messages);
}

}  // namespace hadal::text
