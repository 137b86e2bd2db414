#include "text/chat/deepseek_turns.h"

#include <nlohmann/json.hpp>

#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

class Writer {
 public:
  Writer(const DeepSeekTurns& turns, const ChatFormat& format, PromptWriter& out, const ChatOptions& options)
      : turns_(turns),
        format_(format),
        out_(out),
        options_(options),
        thinking_(options.thinking.value_or(format.thinking_by_default)) {}

  // As the model writes it, behind its prompt.
  void write_own_answer(const Message& message, bool in_reasoning) {
    if (!format_.reasons) {
      out_.reasoning_as_text(message.reasoning_content);
    } else if (in_reasoning || !message.reasoning_content.empty()) {
      if (!in_reasoning) {
        out_.control_or_text(kThinkBegin);
        out_.text(turns_.reasoning_break);
      }
      out_.text(message.reasoning_content);
      close_reasoning();
    }
    out_.text(message.content);
    write_calls(message);
    out_.control(kEos);
  }

  bool write(std::span<const Message> messages) {
    out_.control(kBos);
    write_system(messages);
    bool in_reasoning = false;
    bool open = false;  // the last message is a prefix
    for (const Message& message : messages) {
      if (message.role == "user") {
        close_results();
        out_.control(kUser);
        out_.text(message.content);
      } else if (message.role == "assistant") {
        const bool after_results = in_results_;
        close_results();
        if (!after_results) out_.control(kAssistant);
        open = message.prefix;
        if (open) {
          in_reasoning = write_prefix(message, after_results);
        } else {
          write_answer(message, after_results);
        }
      } else if (message.role == "tool") {
        write_result(message);
      }
    }
    if (open) return in_reasoning;
    const bool after_results = in_results_;  // the model goes on right behind them
    close_results();
    if (!options_.add_generation_prompt || after_results) return false;
    out_.control(kAssistant);
    return open_answer();
  }

 private:
  void write_system(std::span<const Message> messages) {
    // As in DeepSeek's templates, system text comes first wherever it stands in the list.
    std::string system;
    bool has_system = false;
    for (const Message& message : messages) {
      if (message.role != "system") continue;
      if (turns_.last_system_only) system.clear();
      if (has_system && !turns_.last_system_only) system += "\n\n";
      system += message.content;
      has_system = true;
    }
    if (!options_.tools.empty()) {
      if (has_system) system += "\n\n";
      system += turns_.advertise_tools(options_.tools);
    }
    out_.text(system);
    if (!options_.tools.empty()) out_.own_words(turns_.tool_rules);
  }

  void close_results() {
    if (in_results_ && turns_.wrap_results) out_.control_or_text(kToolOutputsEnd);
    in_results_ = false;
  }

  void write_result(const Message& message) {
    if (turns_.wrap_results) {
      if (in_results_)
        out_.text("\n");
      else
        out_.control_or_text(kToolOutputsBegin);
    }
    in_results_ = true;
    out_.control_or_text(kToolOutputBegin);
    out_.text(message.content);
    out_.control_or_text(kToolOutputEnd);
  }

  void write_answer(const Message& message, bool after_results) {
    if (!turns_.after_header.empty() && !after_results) out_.control_or_text(turns_.after_header);
    // Behind reasoning, which is not kept, nothing of the cache counts.
    if (message.tokens && message.tokens->reasoning.empty()) {
      out_.tokens(message.tokens->answer);
      out_.control(kEos);
      return;
    }
    std::string_view content = message.content;
    if (const size_t end = content.rfind(kThinkEnd); turns_.drop_reasoning && end != std::string_view::npos) {
      content.remove_prefix(end + kThinkEnd.size());
    }
    out_.text(content);
    write_calls(message);
    out_.control(kEos);
  }

  void write_calls(const Message& message) {
    if (message.tool_calls.empty()) return;
    out_.control_or_text(kToolCallsBegin);
    bool first = true;
    for (const ToolCall& call : message.tool_calls) {
      if (format_.tools == ToolSyntax::kJsonBlock) {
        if (!first) out_.text("\n");
        out_.control_or_text(kToolCallBegin);
        out_.text("function");
        out_.control_or_text(kToolSep);
        out_.text(call.name + "\n```json\n" + call.arguments + "\n```");
      } else {
        out_.control_or_text(kToolCallBegin);
        out_.text(call.name);
        out_.control_or_text(kToolSep);
        out_.text(call.arguments);
      }
      out_.control_or_text(kToolCallEnd);
      first = false;
    }
    out_.control_or_text(kToolCallsEnd);
  }

  // An answer that has begun already. With reasoning alone the model goes on reasoning.
  bool write_prefix(const Message& message, bool after_results) {
    if (format_.reasons && !message.reasoning_content.empty()) {
      out_.control_or_text(kThinkBegin);
      out_.text(turns_.reasoning_break);
      out_.text(message.reasoning_content);
      if (message.content.empty()) return true;
      close_reasoning();
    } else if (!turns_.after_header.empty() && !after_results) {
      out_.control_or_text(turns_.after_header);
    }
    out_.text(message.content);
    return false;
  }

  void close_reasoning() {
    out_.text(turns_.reasoning_break);
    out_.control_or_text(kThinkEnd);
    out_.text(turns_.reasoning_break);
    out_.text(turns_.reasoning_break);
  }

  bool open_answer() {
    if (!turns_.opens_reasoning) return false;
    if (thinking_) {
      out_.control_or_text(kThinkBegin);
      out_.text(turns_.reasoning_break);
      return true;
    }
    if (format_.thinking_switch) out_.control_or_text(kThinkEnd);
    return false;
  }

  const DeepSeekTurns& turns_;
  const ChatFormat& format_;
  PromptWriter& out_;
  const ChatOptions options_;
  const bool thinking_;
  bool in_results_ = false;
};

}  // namespace

bool write_deepseek_turns(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                          const ChatOptions& options) {
  return Writer(*format.turns, format, out, options).write(messages);
}

void write_deepseek_answer(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                           bool in_reasoning) {
  Writer(*format.turns, format, out, {}).write_own_answer(messages.back(), in_reasoning);
}

std::string advertise_tools_as_json(std::span<const ToolDefinition> tools) {
  std::string out = "## Tools\n\n### Function\n\nYou have the following functions available:\n";
  for (const ToolDefinition& tool : tools) {
    out += "\n- `" + tool.name + "`:\n```json\n" + indented_tool_json(tool) + "\n```\n";
  }
  return out;
}

}  // namespace hadal::text
