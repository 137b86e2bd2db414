// GLM-4.7-Flash (chat_template.jinja):
//   [gMASK]<sop><|system|>{system}<|user|>{user}<|assistant|></think>{answer}<|user|>{user}<|assistant|><think>
// A turn has no end of its own: the next role ends it, and the model ends its answers with <|user|> or,
// behind calls, with <|observation|>.
#include "text/chat/formats.h"
#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

constexpr std::string_view kSpace = " \t\n\v\f\r";

std::string_view stripped(std::string_view text, std::string_view what = kSpace) {
  const size_t first = text.find_first_not_of(what);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(what) - first + 1);
}

// The words of the template.
constexpr std::string_view kBeforeTools =
    "\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n";
constexpr std::string_view kBehindTools =
    "</tools>\n\nFor each function call, output the function name and arguments within the following XML "
    "format:\n<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key><arg_value>{arg-value-1}</arg_value>"
    "<arg_key>{arg-key-2}</arg_key><arg_value>{arg-value-2}</arg_value>...</tool_call>";

void advertise(std::span<const ToolDefinition> tools, PromptWriter& out) {
  out.control(kGlmSystem);
  out.own_words(kBeforeTools);
  for (const ToolDefinition& tool : tools) out.text(tool_json(tool) + "\n");
  out.own_words(kBehindTools);
}

void write_tokens(const AnswerTokens& said, bool keeps_reasoning, PromptWriter& out) {
  const bool reasoned = keeps_reasoning && !said.reasoning.empty();
  out.control_or_text(reasoned ? kThinkBegin : kThinkEnd);
  if (reasoned) out.tokens(said.reasoning);
  out.tokens(said.answer);
}

// `in_reasoning`: <think> stands before it already; `closed`: </think> does.
void write_answer(const Message& message, bool keeps_reasoning, PromptWriter& out, bool in_reasoning = false,
                  bool closed = false) {
  std::string_view reasoning = message.reasoning_content;
  std::string_view content = message.content;
  if (const size_t end = content.rfind(kThinkEnd);
      message.reasoning_content.empty() && end != std::string_view::npos) {
    reasoning = content.substr(0, content.find(kThinkEnd));
    if (const size_t begin = reasoning.rfind(kThinkBegin); begin != std::string_view::npos)
      reasoning.remove_prefix(begin + kThinkBegin.size());
    content.remove_prefix(end + kThinkEnd.size());
  }
  if (keeps_reasoning && !reasoning.empty()) {
    if (!in_reasoning) out.control_or_text(kThinkBegin);
    out.text(stripped(reasoning));
  }
  if (!closed) out.control_or_text(kThinkEnd);
  out.text(stripped(content));
  for (const ToolCall& call : message.tool_calls) {
    out.control_or_text(kTaggedCallBegin);
    out.text(call.name);
    for (const CallArgument& argument : call_arguments(call)) {
      out.control_or_text(kArgKeyBegin);
      out.text(argument.key);
      out.control_or_text(kArgKeyEnd);
      out.control_or_text(kArgValueBegin);
      out.text(argument.value);
      out.control_or_text(kArgValueEnd);
    }
    out.control_or_text(kTaggedCallEnd);
  }
}

// True when the answer goes on within its reasoning.
bool write_prefix(const Message& message, PromptWriter& out) {
  if (!message.reasoning_content.empty()) {
    out.control_or_text(kThinkBegin);
    out.text(message.reasoning_content);
    if (message.content.empty()) return true;
  }
  out.control_or_text(kThinkEnd);
  out.text(message.content);
  return false;
}

bool write(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  out.control("[gMASK]");
  out.control("<sop>");
  if (!options.tools.empty()) advertise(options.tools, out);
  size_t last_user = 0;  // one past it
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == "user") last_user = i + 1;
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    if (message.role == "assistant") {
      out.control(kGlmAssistant);
      if (message.prefix) return write_prefix(message, out);
      if (message.tokens)
        write_tokens(*message.tokens, i >= last_user, out);
      else
        write_answer(message, i >= last_user, out);
    } else if (message.role == "tool") {
      if (messages[i - 1].role != "tool") out.control(kGlmObservation);
      out.control_or_text("<tool_response>");
      out.text(message.content);
      out.control_or_text("</tool_response>");
    } else {
      out.control(message.role == "user" ? kGlmUser : kGlmSystem);
      out.text(message.content);
    }
  }
  if (!options.add_generation_prompt) return false;
  out.control(kGlmAssistant);
  const bool thinking = options.thinking.value_or(format.thinking_by_default);
  out.control_or_text(thinking ? kThinkBegin : kThinkEnd);
  return thinking;
}

// The prompt ends in <think>, or in the </think> of an answer without reasoning.
void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool in_reasoning) {
  write_answer(messages.back(), in_reasoning, out, in_reasoning, /*closed=*/!in_reasoning);
  out.control(messages.back().tool_calls.empty() ? kGlmUser : kGlmObservation);
}

}  // namespace

const ChatFormat kGlm47 = {.name = "glm-4.7",
                           .about = "GLM-4.7-Flash, thinking or not",
                           .tools = ToolSyntax::kTagged,
                           .reasons = true,
                           .thinking_by_default = true,
                           .thinking_switch = true,
                           .end_tokens = {"<|endoftext|>", kGlmUser, kGlmObservation},
                           .write = write,
                           .answer = answer};

}  // namespace hadal::text
