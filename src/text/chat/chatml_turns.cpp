#include "text/chat/chatml_turns.h"

#include <algorithm>
#include <string>

#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

// The words of the templates.
constexpr std::string_view kBeforeTools =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kBehindTools =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";

std::string_view without_breaks(std::string_view text) {
  const size_t first = text.find_first_not_of('\n');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of('\n') - first + 1);
}

std::string_view behind_breaks(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

class Writer {
 public:
  Writer(const ChatMlTurns& turns, PromptWriter& out) : turns_(turns), out_(out) {}

  // True when the prompt ends within the reasoning.
  bool write(std::span<const Message> messages, const ChatOptions& options) {
    const bool has_system = !messages.empty() && messages[0].role == "system";
    system(has_system ? messages[0].content : turns_.default_system, has_system, options.tools);
    const size_t query = last_query(messages);
    for (size_t i = has_system ? 1 : 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      if (message.role == "assistant") {
        header("assistant");
        out_.text("\n");
        if (message.prefix) return prefix(message, options);
        if (!message.tokens || !write_tokens(*message.tokens, i > query, options))
          answer(message, i > query, i + 1 == messages.size());
        end();
      } else if (message.role == "tool") {
        if (messages[i - 1].role != "tool") header("user");
        result(message.content);
        if (i + 1 == messages.size() || messages[i + 1].role != "tool") end();
      } else {
        header(message.role);
        out_.text("\n" + message.content);
        end();
      }
    }
    if (!options.add_generation_prompt) return false;
    header("assistant");
    out_.text("\n");
    return open_answer(options);
  }

  void own_answer(const Message& message, bool in_reasoning) {
    if (in_reasoning) {
      close(message.reasoning_content);
    } else if (!message.reasoning_content.empty()) {
      think(message.reasoning_content);
    }
    body(message.content, message);
    out_.control(kImEnd);
  }

 private:
  void header(std::string_view role) {
    out_.control(kImStart);
    out_.text(role);
  }

  void end() {
    out_.control(kImEnd);
    out_.text("\n");
  }

  void system(std::string_view content, bool given, std::span<const ToolDefinition> tools) {
    if (!given && content.empty() && tools.empty()) return;
    header("system");
    out_.text("\n");
    out_.text(content);
    if (!tools.empty()) {
      if (given || !content.empty() || turns_.break_before_tools) out_.text("\n\n");
      out_.own_words(kBeforeTools);
      for (const ToolDefinition& tool : tools) out_.text("\n" + tool_json(tool));
      out_.own_words(kBehindTools);
    }
    end();
  }

  // The last user's message that is not a result in a user's clothes; without one, nothing stands behind it.
  static size_t last_query(std::span<const Message> messages) {
    for (size_t i = messages.size(); i-- > 0;) {
      const std::string& content = messages[i].content;
      if (messages[i].role == "user" &&
          !(content.starts_with(kToolResponseBegin) && content.ends_with(kToolResponseEnd)))
        return i;
    }
    return messages.size();
  }

  void close(std::string_view reasoning) {
    out_.text(without_breaks(reasoning));
    out_.text("\n");
    out_.control_or_text(kThinkEnd);
    out_.text("\n\n");
  }

  void think(std::string_view reasoning) {
    out_.control_or_text(kThinkBegin);
    out_.text("\n");
    close(reasoning);
  }

  // False where the history drops the reasoning, and with it the line breaks that the answer's tokens begin
  // with: the text is written then.
  bool write_tokens(const AnswerTokens& said, bool is_current, const ChatOptions& options) {
    if (!said.reasoning.empty()) {
      if (!turns_.thinks || !is_current) return false;
      if (turns_.opens_reasoning) {
        out_.control_or_text(kThinkBegin);
        out_.text("\n");
      }
      out_.tokens(said.reasoning);
    } else if (turns_.thinks && is_current && !options.thinking.value_or(true)) {
      think({});  // stood in its prompt
    }
    out_.tokens(said.answer);
    return true;
  }

  void answer(const Message& message, bool is_current, bool is_last) {
    std::string_view content = message.content;
    if (turns_.thinks) {
      std::string_view reasoning = message.reasoning_content;
      if (const size_t end = content.rfind(kThinkEnd); reasoning.empty() && end != std::string_view::npos) {
        reasoning = content.substr(0, content.find(kThinkEnd));
        if (const size_t begin = reasoning.rfind(kThinkBegin); begin != std::string_view::npos)
          reasoning.remove_prefix(begin + kThinkBegin.size());
        content = behind_breaks(content.substr(end + kThinkEnd.size()));
      }
      if (is_current && (is_last || !reasoning.empty())) {
        think(reasoning);
        content = behind_breaks(content);
      }
    }
    body(content, message);
  }

  void body(std::string_view content, const Message& message) {
    out_.text(content);
    bool first = content.empty();
    for (const ToolCall& call : message.tool_calls) {
      if (!first) out_.text("\n");
      first = false;
      out_.control_or_text(kTaggedCallBegin);
      out_.text("\n{\"name\": " + json_string(call.name) + ", \"arguments\": ");
      out_.text(call.arguments.empty() ? "{}" : call.arguments);
      out_.text("}\n");
      out_.control_or_text(kTaggedCallEnd);
    }
  }

  void result(std::string_view content) {
    out_.text("\n");
    out_.control_or_text(kToolResponseBegin);
    out_.text("\n");
    out_.text(content);
    out_.text("\n");
    out_.control_or_text(kToolResponseEnd);
  }

  // As the prompt of an answer, and then its beginning. True when the answer goes on within its reasoning.
  bool prefix(const Message& message, const ChatOptions& options) {
    if (turns_.thinks && !message.content.empty()) {
      think(message.reasoning_content);
    } else if (turns_.thinks && !message.reasoning_content.empty()) {
      out_.control_or_text(kThinkBegin);
      out_.text("\n" + message.reasoning_content);
      return true;
    } else if (turns_.thinks) {
      return open_answer(options);
    }
    out_.text(message.content);
    return false;
  }

  // What stands before the answer's own text.
  bool open_answer(const ChatOptions& options) {
    if (turns_.opens_reasoning) {
      out_.control_or_text(kThinkBegin);
      out_.text("\n");
    } else if (turns_.thinks && !options.thinking.value_or(true)) {
      think({});
    }
    return turns_.opens_reasoning;
  }

  const ChatMlTurns& turns_;
  PromptWriter& out_;
};

}  // namespace

bool write_chatml(const ChatMlTurns& turns, PromptWriter& out, std::span<const Message> messages,
                  const ChatOptions& options) {
  return Writer(turns, out).write(messages, options);
}

void write_chatml_answer(const ChatMlTurns& turns, PromptWriter& out, std::span<const Message> messages,
                         bool in_reasoning) {
  if (!turns.thinks) {
    Message message = messages.back();
    out.reasoning_as_text(message.reasoning_content);
    message.reasoning_content.clear();
    Writer(turns, out).own_answer(message, false);
    return;
  }
  Writer(turns, out).own_answer(messages.back(), in_reasoning);
}

}  // namespace hadal::text
