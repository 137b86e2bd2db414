#include "posttrain/samples.h"

#include <algorithm>

namespace hadal::posttrain {

namespace {

bool begins_with(const std::vector<text::TokenId>& ids, const std::vector<text::TokenId>& head) {
  return ids.size() >= head.size() && std::equal(head.begin(), head.end(), ids.begin());
}

}  // namespace

int64_t Sample::learned_tokens() const { return std::count(learn.begin(), learn.end(), true); }

std::vector<Sample> render_samples(const Conversation& conversation, const text::ChatFormat& format,
                                   const text::Tokenizer& tokenizer) {
  std::vector<Sample> samples;
  const std::span<const text::Message> messages = conversation.messages;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    text::ChatOptions options;
    options.tools = conversation.tools;
    if (format.thinking_switch) options.thinking = !messages[i].reasoning_content.empty();
    const text::Prompt prompt = text::render_prompt(format, tokenizer, messages.first(i), options);
    const auto answer =
        text::render_answer(format, tokenizer, messages.first(i + 1), prompt.starts_in_reasoning);
    if (samples.empty() || !begins_with(prompt.ids, samples.back().tokens)) {
      samples.push_back({conversation.line, conversation.hash, {}, {}});
    }
    Sample& sample = samples.back();
    sample.tokens.insert(sample.tokens.end(),
                         prompt.ids.begin() + static_cast<std::ptrdiff_t>(sample.tokens.size()),
                         prompt.ids.end());
    sample.learn.resize(sample.tokens.size(), false);
    sample.tokens.insert(sample.tokens.end(), answer.begin(), answer.end());
    sample.learn.resize(sample.tokens.size(), conversation.learn[i]);
  }
  std::erase_if(samples, [](const Sample& sample) { return sample.learned_tokens() == 0; });
  return samples;
}

}  // namespace hadal::posttrain
