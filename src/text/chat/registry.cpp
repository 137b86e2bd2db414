#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/error.h"
#include "text/chat/deepseek_turns.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"

namespace hadal::text {

namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// What a template and a name look like, in small letters where names are concerned.
struct Signs {
  const Tokenizer& tokenizer;
  std::string_view jinja;
  std::string name;
  std::string architecture;

  bool deepseek_roles() const { return has(jinja, kUser) && has(jinja, kAssistant); }
  bool opens_reasoning() const {  // '<｜Assistant｜><think>\n', with the line break as a letter or as itself
    return has(jinja, "<｜Assistant｜><think>\\n") || has(jinja, "<｜Assistant｜><think>\n");
  }
  bool kimi_roles() const { return has(jinja, kImMiddle) && has(jinja, kImAssistant); }
  bool chatml() const { return has(jinja, kImStart) && has(jinja, kImEnd); }
  // Hermes, Qwen3-Coder and others have <tool_call> of their own.
  bool qwen_tools() const { return chatml() && has(jinja, "<args-json-object>"); }
  bool opens_qwen_reasoning() const {
    return qwen_tools() && (has(jinja, "<|im_start|>assistant\\n<think>\\n") ||
                            has(jinja, "<|im_start|>assistant\n<think>\n"));
  }
  // Which token it is stands beside the template, in no place that all checkpoints share.
  bool begins_text() const {
    return has(jinja, "bos_token") || has(jinja, kBos) || has(jinja, kBeginOfText) || has(jinja, "<s>");
  }
  bool llama_roles() const { return has(jinja, kHeaderBegin) && has(jinja, kEotId); }
  bool named(std::string_view family) const { return has(name, family) && has(name, "instruct"); }
  bool dense() const {
    return has(name, "distill") || architecture.starts_with("qwen") || architecture.starts_with("llama");
  }
};

struct Row {
  const ChatFormat* format;
  bool (*template_fits)(const Signs& signs);  // asked only with a template
  bool (*name_fits)(const Signs& signs);      // asked only without one
};

// In the order in which they are asked.
constexpr std::array<Row, 20> kRows = {{
    {&kDeepSeekV31,
     [](const Signs& s) {
       return s.deepseek_roles() && has(s.jinja, "thinking") && !has(s.jinja, "```json");
     },
     [](const Signs& s) { return has(s.name, "v3.1") || has(s.name, "v3_1"); }},
    {&kDeepSeekR1Distill,
     [](const Signs& s) { return s.deepseek_roles() && s.opens_reasoning() && s.dense(); },
     [](const Signs& s) { return has(s.name, "r1-distill"); }},
    {&kDeepSeekR1, [](const Signs& s) { return s.deepseek_roles() && s.opens_reasoning(); },
     [](const Signs& s) { return has(s.name, "deepseek-r1") && !has(s.name, "0528"); }},
    {&kDeepSeekR1_0528, [](const Signs& s) { return s.deepseek_roles() && has(s.jinja, kThinkEnd); },
     [](const Signs& s) { return has(s.name, "r1-0528"); }},
    {&kHadalNano,
     [](const Signs& s) {
       return s.deepseek_roles() && (!has(s.jinja, kToolCallsBegin) || has(s.jinja, kNanoBeforeTools));
     },
     [](const Signs& s) { return has(s.name, "hadal-nano"); }},
    {&kDeepSeekV3, [](const Signs& s) { return s.deepseek_roles(); },
     [](const Signs& s) { return s.tokenizer.find(kUser) && s.tokenizer.find(kAssistant); }},
    {&kDeepSeekV2, [](const Signs& s) { return has(s.jinja, "User: ") && has(s.jinja, "Assistant:"); },
     [](const Signs& s) { return s.architecture.starts_with("deepseek") && s.tokenizer.find(kBos); }},
    {&kKimiK2Thinking, [](const Signs& s) { return s.kimi_roles() && has(s.jinja, kThinkEnd); },
     [](const Signs& s) { return has(s.name, "kimi-k2-thinking"); }},
    {&kKimiK2, [](const Signs& s) { return s.kimi_roles() && has(s.jinja, "tool_declare"); },
     [](const Signs& s) { return has(s.name, "kimi-k2") || s.architecture == "kimi_k2"; }},
    {&kMoonlight, [](const Signs& s) { return s.kimi_roles(); },
     [](const Signs& s) { return s.tokenizer.find(kImMiddle) && s.tokenizer.find(kImAssistant); }},
    // GLM-4.5 and 4.6 break the line behind a role.
    {&kGlm47,
     [](const Signs& s) {
       return has(s.jinja, "[gMASK]<sop>") && has(s.jinja, kArgKeyBegin) && !has(s.jinja, "<|user|>\n");
     },
     [](const Signs& s) { return s.architecture == "glm4_moe_lite" || has(s.name, "glm-4.7"); }},
    // Copies of QwQ-32B's template know enable_thinking: asked before Qwen3.
    {&kQwQ, [](const Signs& s) { return s.opens_qwen_reasoning() && has(s.jinja, "messages[0]['role']"); },
     [](const Signs& s) { return has(s.name, "qwq-32b") && !has(s.name, "preview"); }},
    {&kQwen3, [](const Signs& s) { return s.qwen_tools() && has(s.jinja, "enable_thinking"); },
     [](const Signs& s) {
       return has(s.name, "qwen3-") && !has(s.name, "base") && !has(s.name, "2507") &&
              !has(s.name, "coder") && s.tokenizer.find(kImStart) && s.tokenizer.find(kThinkBegin);
     }},
    {&kQwen3Thinking, [](const Signs& s) { return s.opens_qwen_reasoning(); },
     [](const Signs& s) { return has(s.name, "qwen3-") && has(s.name, "thinking-2507"); }},
    {&kQwen25, [](const Signs& s) { return s.qwen_tools() && has(s.jinja, "You are Qwen"); },
     [](const Signs& s) { return s.named("qwen2.5") && !has(s.name, "math"); }},
    // Qwen2.5-Math has another default message, and no format here.
    {&kQwen3Instruct, [](const Signs& s) { return s.qwen_tools() && has(s.jinja, "messages[0].role"); },
     [](const Signs& s) { return has(s.name, "qwen3-") && has(s.name, "instruct-2507"); }},
    // Qwen1.5's default message has no full stop, and no format here.
    {&kQwen2,
     [](const Signs& s) {
       return s.chatml() && !has(s.jinja, "tool") && has(s.jinja, "You are a helpful assistant.<|im_end|>");
     },
     [](const Signs& s) { return s.named("qwen2-"); }},
    // What has a default message, tools, reasoning or a first token of its own is something else.
    {&kChatMl,
     [](const Signs& s) {
       return s.chatml() && !has(s.jinja, "tool") && !has(s.jinja, "You are") && !has(s.jinja, kThinkBegin) &&
              !has(s.jinja, "<|im_sep|>") && !s.begins_text();
     },
     [](const Signs& s) { return has(s.name, "chatml"); }},
    {&kLlama31, [](const Signs& s) { return s.llama_roles() && has(s.jinja, "Cutting Knowledge Date"); },
     [](const Signs& s) { return s.named("llama-3.1") || s.named("llama-3.2") || s.named("llama-3.3"); }},
    {&kLlama3, [](const Signs& s) { return s.llama_roles() && !has(s.jinja, "tool"); },
     [](const Signs& s) { return s.named("llama-3-"); }},
}};

// Where each message may stand; the results of one round of calls in the order of the calls.
class Checker {
 public:
  Checker(const ChatFormat& format, std::span<const Message> messages)
      : format_(format), messages_(messages.begin(), messages.end()) {}

  std::vector<Message> check() {
    for (size_t i = 0; i < messages_.size(); ++i) {
      const Message& message = messages_[i];
      const bool assistant = message.role == "assistant";
      if (message.role != "system" && message.role != "user" && message.role != "tool" && !assistant) {
        throw_error(ErrorCode::kBadInput, "[chat] role \"{}\" is not system, user, assistant or tool",
                    message.role);
      }
      if (!message.tool_calls.empty() && !assistant) {
        throw_error(ErrorCode::kBadInput, "[chat] message {}: a {} message has tool calls", i, message.role);
      }
      if ((!message.tool_calls.empty() || message.role == "tool") && format_.tools == ToolSyntax::kNone) {
        throw_error(ErrorCode::kBadInput, "[chat] message {}: format {} has no tools", i, format_.name);
      }
      if (format_.one_call && message.tool_calls.size() > 1) {
        throw_error(ErrorCode::kBadInput, "[chat] message {}: {} calls; format {} has one a message", i,
                    message.tool_calls.size(), format_.name);
      }
      if (message.prefix && (!assistant || i + 1 != messages_.size() || !message.tool_calls.empty())) {
        throw_error(ErrorCode::kBadInput,
                    "[chat] message {}: only the last message can be a prefix, an assistant's", i);
      }
      if (message.role == "tool") i = check_results(i);
    }
    return std::move(messages_);
  }

 private:
  // Results from `first` on; the last of them.
  size_t check_results(size_t first) {
    size_t end = first;
    while (end < messages_.size() && messages_[end].role == "tool") ++end;
    if (first == 0 || messages_[first - 1].tool_calls.empty()) {
      throw_error(ErrorCode::kBadInput, "[chat] message {}: a tool result without a call before it", first);
    }
    const auto& calls = messages_[first - 1].tool_calls;
    if (end - first > calls.size()) {
      throw_error(ErrorCode::kBadInput, "[chat] message {}: {} tool results for {} calls", first, end - first,
                  calls.size());
    }
    const auto place = [&](const Message& result) {
      return std::find_if(calls.begin(), calls.end(),
                          [&](const ToolCall& call) { return call.id == result.tool_call_id; });
    };
    bool named = true;
    for (size_t i = first; i < end; ++i) {
      named = named && !messages_[i].tool_call_id.empty();
      if (!messages_[i].tool_call_id.empty() && place(messages_[i]) == calls.end()) {
        throw_error(ErrorCode::kBadInput, "[chat] message {}: no call before it has the id {}", i,
                    messages_[i].tool_call_id);
      }
    }
    if (named) {
      std::stable_sort(messages_.begin() + static_cast<std::ptrdiff_t>(first),
                       messages_.begin() + static_cast<std::ptrdiff_t>(end),
                       [&](const Message& a, const Message& b) { return place(a) < place(b); });
    }
    return end - 1;
  }

  const ChatFormat& format_;
  std::vector<Message> messages_;
};

}  // namespace

const ChatFormat& find_chat_format(std::string_view name) {
  std::string names;
  for (const Row& row : kRows) {
    if (row.format->name == name) return *row.format;
    names += names.empty() ? "" : ", ";
    names += row.format->name;
  }
  throw_error(ErrorCode::kBadInput, "[chat] no format is named \"{}\"; there are {}", name, names);
}

std::vector<std::string_view> chat_format_names() {
  std::vector<std::string_view> names;
  for (const Row& row : kRows) names.push_back(row.format->name);
  return names;
}

std::vector<TokenId> end_tokens_of(const ChatFormat& format, const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  for (const std::string_view token : format.end_tokens) {
    if (const auto id = tokenizer.find(token)) ids.push_back(*id);
  }
  return ids;
}

const ChatFormat* detect_chat_format(const Tokenizer& tokenizer, const ChatHints& hints) {
  const Signs signs{tokenizer, hints.chat_template, base::lower(hints.model_name),
                    base::lower(hints.architecture)};
  for (const Row& row : kRows) {
    if (hints.chat_template.empty() ? row.name_fits(signs) : row.template_fits(signs)) return row.format;
  }
  return nullptr;
}

std::optional<AnswerTokens> part_answer(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                                        bool reasoned) {
  if (!reasoned) return AnswerTokens{{}, {ids.begin(), ids.end()}};
  const auto end = tokenizer.find(kThinkEnd);
  const auto at = end ? std::find(ids.begin(), ids.end(), *end) : ids.end();
  if (at == ids.end()) return {};
  return AnswerTokens{{ids.begin(), at + 1}, {at + 1, ids.end()}};
}

Prompt render_prompt(const ChatFormat& format, const Tokenizer& tokenizer, std::span<const Message> messages,
                     const ChatOptions& options) {
  if (!options.tools.empty() && format.tools == ToolSyntax::kNone) {
    throw_error(ErrorCode::kBadInput, "[chat] format {} has no tools", format.name);
  }
  if (options.thinking && *options.thinking != format.thinking_by_default && !format.thinking_switch) {
    throw_error(ErrorCode::kBadInput, "[chat] format {} {}", format.name,
                *options.thinking ? "has no thinking" : "always thinks");
  }
  const std::vector<Message> checked = Checker(format, messages).check();
  PromptWriter writer(tokenizer);
  Prompt prompt;
  const auto write = format.turns != nullptr ? write_deepseek_turns : format.write;
  prompt.starts_in_reasoning = write(format, writer, checked, options);
  prompt.ids = writer.finish();
  return prompt;
}

std::vector<TokenId> render_answer(const ChatFormat& format, const Tokenizer& tokenizer,
                                   std::span<const Message> messages, bool in_reasoning) {
  const std::vector<Message> checked = Checker(format, messages).check();
  if (checked.empty() || checked.back().role != "assistant" || checked.back().prefix) {
    throw_error(ErrorCode::kBadInput, "[chat] the last message is no answer of the assistant's");
  }
  PromptWriter writer(tokenizer);
  const auto write = format.turns != nullptr ? write_deepseek_answer : format.answer;
  write(format, writer, checked, in_reasoning);
  return writer.finish();
}

}  // namespace hadal::text
