// Input: a byte that chooses the format and the mode, then a JSON list of messages. What people write must
// never change how many control tokens a prompt has.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/bpe_trainer.h"
#include "text/chat/chat_format.h"

using namespace hadal;

namespace {

const text::Tokenizer& tokenizer() {
  static const auto trained = [] {
    constexpr std::string_view kText =
        "the deep sea and the deeper sea\nUser: Assistant: function {\"a\": 1} ```json";
    return text::train_bpe({&kText, 1}, {.vocab_size = 310});
  }();
  return *trained;
}

std::string text_of(const base::Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<text::Message> read(const base::Json& list) {
  std::vector<text::Message> messages;
  if (!list.is_array()) return messages;
  for (const auto& from : list) {
    if (!from.is_object()) continue;
    text::Message message{text_of(from, "role"), text_of(from, "content")};
    message.reasoning_content = text_of(from, "reasoning_content");
    message.tool_call_id = text_of(from, "tool_call_id");
    message.prefix = from.contains("prefix");
    if (const auto calls = from.find("tool_calls"); calls != from.end() && calls->is_array()) {
      for (const auto& call : *calls) {
        if (!call.is_object()) continue;
        message.tool_calls.push_back(
            {text_of(call, "id"), text_of(call, "name"), text_of(call, "arguments")});
      }
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

int64_t control_tokens_in(const std::vector<text::TokenId>& ids) {
  return std::count_if(ids.begin(), ids.end(), [](text::TokenId id) { return tokenizer().is_special(id); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto names = text::chat_format_names();
  const text::ChatFormat& format = text::find_chat_format(names[data[0] % names.size()]);
  text::ChatOptions options;
  options.add_generation_prompt = (data[0] & 0x40) == 0;
  if ((data[0] & 0x80) != 0) options.thinking = (data[0] & 0x20) != 0;
  try {
    const auto json = base::parse_json({reinterpret_cast<const char*>(data) + 1, size - 1}, "fuzz");
    auto messages = read(json);
    const std::vector<text::ToolDefinition> tools{
        {"f", text_of(json.is_array() && !json.empty() ? json[0] : json, "content"),
         json.is_array() && !json.empty() ? base::dump_json(json[0]) : ""}};
    if ((data[0] & 0x10) != 0) options.tools = tools;
    const auto prompt = text::render_prompt(format, tokenizer(), messages, options);
    for (text::Message& message : messages) {
      if (message.role != "assistant") message.content.clear();
    }
    const auto blank = text::render_prompt(format, tokenizer(), messages, options);
    if (control_tokens_in(prompt.ids) != control_tokens_in(blank.ids)) std::abort();
    (void)text::detect_chat_format(tokenizer(), {text_of(json, "content"), "a", "b"});
  } catch (const Error&) {  // refused
  }
  return 0;
}
