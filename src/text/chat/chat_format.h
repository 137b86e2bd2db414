// Chat formats: how a family of models was trained to see a conversation, and how it writes reasoning and
// tool calls. One file per format in this folder and one row in registry.cpp; docs/formats/chat.md has the
// formats as facts.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace hadal::text {

struct ChatOptions {
  bool add_generation_prompt = true;  // end with what makes the model answer
  std::optional<bool> thinking = {};  // the format's own default when absent
  std::span<const ToolDefinition> tools = {};
};

struct Prompt {
  std::vector<TokenId> ids;
  bool starts_in_reasoning = false;  // the prompt ends within the reasoning: for OutputParser
};

// How a model writes tool calls.
enum class ToolSyntax {
  kNone,
  kJsonBlock,   // function<｜tool▁sep｜>NAME, a line break, the arguments in a ```json block
  kPlain,       // NAME<｜tool▁sep｜>ARGUMENTS
  kKimi,        // functions.NAME:NUMBER<|tool_call_argument_begin|>ARGUMENTS
  kTagged,      // <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>...</tool_call>
  kJsonTagged,  // <tool_call>{"name": NAME, "arguments": {...}}</tool_call>
  kJsonBare,    // {"name": NAME, "parameters": {...}} is the whole answer
};

class PromptWriter;
struct DeepSeekTurns;

struct ChatFormat {
  std::string_view name;
  std::string_view about;
  ToolSyntax tools = ToolSyntax::kNone;
  bool reasons = false;  // the model writes <think> ... </think>
  bool thinking_by_default = false;
  bool one_call = false;         // a message has one call at most
  bool thinking_switch = false;  // trained with and without; else `thinking` may only confirm the default
  // Tokens that end an answer, besides what the checkpoint names. Unused places are empty.
  std::array<std::string_view, 3> end_tokens = {kEos};

  // What this member of DeepSeek's family has of its own; null: `write` writes the format.
  const DeepSeekTurns* turns = nullptr;
  // Writes the conversation, which is checked already. True when the prompt ends within the reasoning.
  bool (*write)(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                const ChatOptions& options) = nullptr;
  // Writes the last message as the model itself is to write it: see render_answer.
  void (*answer)(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                 bool in_reasoning) = nullptr;
};

// The ids of the format's end_tokens that the vocabulary has.
std::vector<TokenId> end_tokens_of(const ChatFormat& format, const Tokenizer& tokenizer);

// By its name (--chat-format). Throws Error{kBadInput} that lists the names.
const ChatFormat& find_chat_format(std::string_view name);
std::vector<std::string_view> chat_format_names();

// What a checkpoint says about itself; anything may be empty.
struct ChatHints {
  std::string_view chat_template;  // Jinja, of tokenizer_config.json, chat_template.jinja or the GGUF file
  std::string_view model_name;     // directory or general.name
  std::string_view architecture;   // model_type of config.json, general.architecture
};

// The format of a checkpoint: by its template's features, else by its name, else by its vocabulary. Null when
// nothing fits (a base model, or a family without a format here).
const ChatFormat* detect_chat_format(const Tokenizer& tokenizer, const ChatHints& hints);

// Throws Error{kBadInput} naming the message for a role, a tool call or result or a prefix that has no place
// there, for tools or a thinking mode that the format does not have, and for a vocabulary without the
// format's tokens. Results of one round of calls are put in the order of the calls.
Prompt render_prompt(const ChatFormat& format, const Tokenizer& tokenizer, std::span<const Message> messages,
                     const ChatOptions& options = {});

// What the model itself is to write behind the prompt that all messages but the last one make: the last, an
// assistant's, with its reasoning and calls, to the token that ends it. `in_reasoning`: that prompt's
// starts_in_reasoning. A format that does not reason writes reasoning as <think> text before the answer.
// Throws as render_prompt does, and for a last message that is not an assistant's or is a prefix.
std::vector<TokenId> render_answer(const ChatFormat& format, const Tokenizer& tokenizer,
                                   std::span<const Message> messages, bool in_reasoning);

// Parts the tokens of an answer, without the one that ended it, where its reasoning ends; `reasoned`: some of
// them are reasoning. Nothing where that place is within a token, or the reasoning has no end.
std::optional<AnswerTokens> part_answer(const Tokenizer& tokenizer, std::span<const TokenId> ids,
                                        bool reasoned);

// Fill in the middle: <bos><｜fim▁begin｜>prefix<｜fim▁hole｜>suffix<｜fim▁end｜>; without a suffix,
// <bos>prefix. Throws Error{kUnsupported} when there is a suffix and the vocabulary has no such tokens.
bool supports_fim(const Tokenizer& tokenizer);
std::vector<TokenId> render_fim(const Tokenizer& tokenizer, std::string_view prefix,
                                std::optional<std::string_view> suffix);

}  // namespace hadal::text
