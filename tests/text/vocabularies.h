// Vocabularies with the control tokens of other families, for the tests of their formats.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "sample_text.h"
#include "text/tiktoken.h"

namespace hadal::text {

// The sample tokenizer with more control tokens behind its own.
inline std::shared_ptr<const Tokenizer> sample_with(std::span<const std::string_view> control_tokens) {
  base::Json json = base::parse_json(train_sample(600, 1)->to_json(), "sample");
  int32_t id = 600;
  for (const std::string_view token : control_tokens) {
    json["added_tokens"].push_back({{"id", id++}, {"content", std::string(token)}, {"special", true}});
  }
  return Tokenizer::parse(base::dump_json(json), "sample");
}

inline std::string base64(std::string_view bytes) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      out.push_back(i + k <= bytes.size() ? kLetters[bits >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

// tiktoken.model of these tokens behind the 256 bytes.
inline std::string tiktoken_model(std::span<const std::string_view> tokens) {
  std::string out;
  int rank = 0;
  for (int byte = 0; byte < 256; ++byte) {
    out += base64(std::string(1, static_cast<char>(byte))) + " " + std::to_string(rank++) + "\n";
  }
  for (const std::string_view token : tokens) out += base64(token) + " " + std::to_string(rank++) + "\n";
  return out;
}

// tokenizer_config.json with these control tokens from `first_id` on.
inline std::string tiktoken_config(int first_id, std::span<const std::string_view> control_tokens) {
  base::Json list = base::Json::object();
  for (const std::string_view token : control_tokens) {
    list[std::to_string(first_id++)] = {{"content", std::string(token)}, {"special", true}};
  }
  return base::dump_json({{"tokenizer_class", "TikTokenTokenizer"}, {"added_tokens_decoder", list}});
}

inline constexpr std::string_view kKimiTokens[] = {"[BOS]",
                                                   "[EOS]",
                                                   "<|im_end|>",
                                                   "<|im_user|>",
                                                   "<|im_assistant|>",
                                                   "<|im_system|>",
                                                   "<|im_middle|>",
                                                   "<|tool_calls_section_begin|>",
                                                   "<|tool_calls_section_end|>",
                                                   "<|tool_call_begin|>",
                                                   "<|tool_call_argument_begin|>",
                                                   "<|tool_call_end|>",
                                                   "<think>",
                                                   "</think>"};

inline const std::shared_ptr<const Tokenizer>& kimi_tokenizer() {
  static constexpr std::string_view kTokens[] = {" t", "he", " the", "深", "深海", "20", "202", "functions"};
  static const auto tokenizer = tokenizer_from_tiktoken(
      tiktoken_model(kTokens), "tiktoken.model",
      tiktoken_config(256 + static_cast<int>(std::size(kTokens)), kKimiTokens), "tokenizer_config.json");
  return tokenizer;
}

inline const std::shared_ptr<const Tokenizer>& glm_tokenizer() {
  static constexpr std::string_view kTokens[] = {
      "[gMASK]",          "<sop>",         "<|system|>",  "<|user|>",     "<|assistant|>",
      "<|observation|>",  "<|endoftext|>", "<tool_call>", "</tool_call>", "<tool_response>",
      "</tool_response>", "<arg_key>",     "</arg_key>",  "<arg_value>",  "</arg_value>"};
  static const auto tokenizer = sample_with(kTokens);
  return tokenizer;
}

inline const std::shared_ptr<const Tokenizer>& qwen_tokenizer() {
  static constexpr std::string_view kTokens[] = {"<|endoftext|>",   "<|im_start|>", "<|im_end|>",
                                                 "<tool_call>",     "</tool_call>", "<tool_response>",
                                                 "</tool_response>"};
  static const auto tokenizer = sample_with(kTokens);
  return tokenizer;
}

inline const std::shared_ptr<const Tokenizer>& llama_tokenizer() {
  static constexpr std::string_view kTokens[] = {
      "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
      "<|eot_id|>",        "<|eom_id|>",      "<|python_tag|>"};
  static const auto tokenizer = sample_with(kTokens);
  return tokenizer;
}

// The one that has the format's markers; null for DeepSeek's family.
inline std::shared_ptr<const Tokenizer> tokenizer_for(std::string_view format) {
  if (format.starts_with("kimi") || format == "moonlight") return kimi_tokenizer();
  if (format.starts_with("qw") || format == "chatml") return qwen_tokenizer();
  if (format.starts_with("llama")) return llama_tokenizer();
  return format.starts_with("glm") ? glm_tokenizer() : nullptr;
}

}  // namespace hadal::text
