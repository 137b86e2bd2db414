#include "serve/api/logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "text/utf8.h"

namespace hadal::serve::api {

using base::Json;

namespace {

// JSON has no infinity; DeepSeek writes this for what is out of sight.
constexpr double kLeast = -9999.0;

double number(float logprob) { return std::max(static_cast<double>(logprob), kLeast); }

Json token_entry(const text::Tokenizer& tokenizer, text::TokenId id, float logprob) {
  const std::string_view bytes = tokenizer.token_bytes(id);
  Json list = Json::array();
  for (const char byte : bytes) list.push_back(static_cast<uint8_t>(byte));
  return {{"token", std::string(bytes)}, {"logprob", number(logprob)}, {"bytes", std::move(list)}};
}

// Part of a character has no spelling of its own: OpenAI's "bytes:\xe2\x80" keeps such keys apart.
std::string spelled(std::string_view bytes) {
  if (text::valid_utf8_prefix(bytes) == bytes.size()) return std::string(bytes);
  std::string out = "bytes:";
  for (const char byte : bytes) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(byte));
  return out;
}

}  // namespace

Json chat_logprobs(const text::Tokenizer& tokenizer, std::span<const engine::TokenLogprob> tokens,
                   bool reasons) {
  Json json = {{"content", Json::array()}};
  if (reasons) json["reasoning_content"] = Json::array();
  for (const engine::TokenLogprob& token : tokens) {
    Json entry = token_entry(tokenizer, token.id, token.logprob);
    entry["top_logprobs"] = Json::array();
    for (const auto& [id, logprob] : token.top) {
      entry["top_logprobs"].push_back(token_entry(tokenizer, id, logprob));
    }
    json[token.reasoning && reasons ? "reasoning_content" : "content"].push_back(std::move(entry));
  }
  return json;
}

Json text_logprobs(const text::Tokenizer& tokenizer, std::span<const engine::TokenLogprob> tokens,
                   int64_t& offset) {
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const engine::TokenLogprob& token : tokens) {
    const std::string_view bytes = tokenizer.token_bytes(token.id);
    json["tokens"].push_back(spelled(bytes));
    json["token_logprobs"].push_back(number(token.logprob));
    Json top = Json::object();
    for (const auto& [id, logprob] : token.top) top[spelled(tokenizer.token_bytes(id))] = number(logprob);
    json["top_logprobs"].push_back(std::move(top));
    json["text_offset"].push_back(offset);
    // Characters are counted where they begin.
    offset += std::count_if(bytes.begin(), bytes.end(),
                            [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  }
  return json;
}

std::string lists_text(const std::vector<engine::TokenLogprob>& tokens,
                       const std::function<Json(std::span<const engine::TokenLogprob>)>& write) {
  constexpr size_t kTokensAtOnce = 64;
  std::vector<std::pair<std::string, std::string>> lists;  // name, elements
  size_t begin = 0;
  do {  // once for an empty answer too
    const size_t count = std::min(kTokensAtOnce, tokens.size() - begin);
    const Json object = write(std::span(tokens).subspan(begin, count));
    for (const auto& [name, list] : object.items()) {
      auto found = std::ranges::find(lists, name, [](const auto& own) { return own.first; });
      if (found == lists.end()) found = lists.insert(found, {name, {}});
      if (list.empty()) continue;
      const std::string text = base::dump_json(list);
      if (!found->second.empty()) found->second += ',';
      found->second.append(text, 1, text.size() - 2);
    }
    begin += count;
  } while (begin < tokens.size());
  std::string text;
  for (auto& [name, elements] : lists) {
    text += fmt::format("{}\"{}\":[", text.empty() ? "{" : ",", name);
    text += elements;
    text += ']';
    std::string().swap(elements);
  }
  return text += '}';
}

}  // namespace hadal::serve::api
