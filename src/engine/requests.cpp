// What a text and a conversation become as requests; the door's helpers, with no engine behind them.
#include "base/error.h"
#include "engine/engine.h"
#include "text/chat_template.h"

namespace hadal::engine {

Request text_request(const Engine& engine, std::string_view text) {
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  const auto prefix = tokenizer.template_prefix();
  Request request;
  request.prompt.assign(prefix.begin(), prefix.end());
  if (const auto bos = tokenizer.find(text::kBos); bos && prefix.empty()) request.prompt.push_back(*bos);
  const auto encoded = tokenizer.encode(text);
  request.prompt.insert(request.prompt.end(), encoded.begin(), encoded.end());
  return request;
}

Request chat_request(const Engine& engine, std::span<const text::Message> messages,
                     const text::ChatOptions& options) {
  const text::ChatFormat* format = engine.chat_format();
  if (format == nullptr) {
    throw_error(
        ErrorCode::kBadInput,
        "[chat] {} has no chat format that Hadal knows; name one with --chat-format, or continue text",
        engine.info().name);
  }
  text::Prompt prompt = text::render_prompt(*format, *engine.tokenizer(), messages, options);
  Request request;
  request.prompt = std::move(prompt.ids);
  request.chat = true;
  request.starts_in_reasoning = prompt.starts_in_reasoning;
  request.definitions.assign(options.tools.begin(), options.tools.end());
  const bool continues = !messages.empty() && messages.back().prefix;
  if (!continues) {
    request.next_prompt = [format, tokenizer = engine.tokenizer(), thinking = options.thinking,
                           history = std::vector(messages.begin(), messages.end()),
                           tools = request.definitions](const text::Message& answer) {
      auto turns = history;
      turns.push_back(answer);
      return text::render_prompt(*format, *tokenizer, turns,
                                 {.add_generation_prompt = false, .thinking = thinking, .tools = tools})
          .ids;
    };
  }
  return request;
}

}  // namespace hadal::engine
