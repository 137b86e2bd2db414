// Llama 3 Instruct and Llama 3.1, 3.2, 3.3 Instruct (tokenizer_config.json):
//   <|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>
//   <|start_header_id|>user<|end_header_id|>\n\n{user}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n
// Everything loses white space at both ends. 3.1 has a system turn always, which begins with two dates, and
// tools: their definitions stand in the first user's turn, a call is the whole answer, and a result is the
// turn of "ipython", a JSON string.
#include <string>

#include "base/error.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

// The date that the template of 3.1 and 3.3 has when a caller names none: the same prompt gives the same
// tokens on any day.
constexpr std::string_view kDates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
constexpr std::string_view kWithTools = "Environment: ipython\n";
constexpr std::string_view kBeforeTools =
    "Given the following functions, please respond with a JSON for a function call with its proper arguments "
    "that best answers the given prompt.\n\nRespond in the format {\"name\": function name, \"parameters\": "
    "dictionary of argument name and its value}.Do not use variables.\n\n";

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void header(PromptWriter& out, std::string_view role) {
  out.control(kHeaderBegin);
  out.text(role);
  out.control(kHeaderEnd);
  out.text("\n\n");
}

void write_answer(const Message& message, PromptWriter& out) {
  if (message.tokens) {
    out.tokens(message.tokens->answer);
  } else if (message.tool_calls.empty()) {
    out.text(stripped(message.content));
  } else {  // text beside a call has no place in the template: of the history it is dropped
    const ToolCall& call = message.tool_calls[0];
    out.text("{\"name\": " + json_string(call.name) + ", \"parameters\": ");
    out.text(call.arguments.empty() ? "{}" : call.arguments);
    out.text("}");
  }
  out.control(kEotId);
}

// Into the first message behind the system's.
void advertise(std::span<const Message> messages, size_t first, std::span<const ToolDefinition> tools,
               PromptWriter& out) {
  if (first == messages.size() || messages[first].role != "user") {
    throw_error(ErrorCode::kBadInput,
                "[chat] message {}: tools stand in the first user's message, which "
                "comes first behind the system's in format llama-3.1",
                first);
  }
  out.text(kBeforeTools);
  for (const ToolDefinition& tool : tools) out.text(indented_function_json(tool) + "\n\n");
}

bool write(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  const bool dated = format.tools != ToolSyntax::kNone;
  out.control(kBeginOfText);
  size_t first = 0;
  if (dated) {
    header(out, "system");
    if (!options.tools.empty()) out.text(kWithTools);
    out.text(kDates);
    if (!messages.empty() && messages[0].role == "system") out.text(stripped(messages[first++].content));
    out.control(kEotId);
  }
  for (size_t i = first; i < messages.size() || (i == first && !options.tools.empty()); ++i) {
    if (i == first && !options.tools.empty()) {
      header(out, "user");
      advertise(messages, first, options.tools, out);
      out.text(stripped(messages[i].content));
      out.control(kEotId);
      continue;
    }
    const Message& message = messages[i];
    header(out, message.role == "tool" ? "ipython" : message.role);
    if (message.role == "assistant") {
      if (message.prefix) {
        out.text(message.content);
        return false;
      }
      write_answer(message, out);
    } else {
      out.text(message.role == "tool" ? json_string(message.content)
                                      : std::string(stripped(message.content)));
      out.control(kEotId);
    }
  }
  if (options.add_generation_prompt) header(out, "assistant");
  return false;
}

void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool) {
  const Message& message = messages.back();
  if (!message.tool_calls.empty() &&
      !(stripped(message.content).empty() && message.reasoning_content.empty())) {
    throw_error(
        ErrorCode::kBadInput,
        "[chat] message {}: text or reasoning beside a call has no place in format llama-3.1: a call is "
        "the whole answer",
        messages.size() - 1);
  }
  out.reasoning_as_text(message.reasoning_content);
  write_answer(message, out);
}

}  // namespace

const ChatFormat kLlama3 = {.name = "llama-3",
                            .about = "Llama-3-Instruct",
                            .end_tokens = {kEotId, kLlamaEndOfText},
                            .write = write,
                            .answer = answer};

const ChatFormat kLlama31 = {.name = "llama-3.1",
                             .about = "Llama-3.1-, 3.2- and 3.3-Instruct",
                             .tools = ToolSyntax::kJsonBare,
                             .one_call = true,
                             .end_tokens = {kEotId, kEomId, kLlamaEndOfText},
                             .write = write,
                             .answer = answer};

}  // namespace hadal::text
