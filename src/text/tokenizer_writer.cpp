#include "text/tokenizer_writer.h"

#include <iterator>

#include "text/byte_alphabet.h"
#include "text/chat_template.h"
#include "text/pre_tokenizer.h"

namespace hadal::text {

using base::Json;

namespace {

Json byte_level(bool use_regex) {
  return {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

// As in DeepSeek-V3's file: the first three are special and found in raw text; of the others only <|EOT|> is
// special.
Json added_token(TokenId id, const std::string& content) {
  const bool raw = content == kBos || content == kEos || content == kPad;
  return {{"id", id},
          {"content", content},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", !raw},
          {"special", raw || content == "<|EOT|>"}};
}

std::string json_text(const std::string& text) { return base::dump_json(text); }

}  // namespace

Json deepseek_v3_pre_tokenizer() {
  Json parts = Json::array();
  for (const std::string_view pattern : kDeepSeekV3Patterns) {
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", std::string(pattern)}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  parts.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(parts)}};
}

std::string write_tokenizer_json(const Vocabulary& vocabulary) {
  // By hand where the order matters: the vocabulary by id, the merges by rank, one a line.
  std::string out =
      "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [";
  std::vector<std::string> spelled;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const bool control = id < vocabulary.control_tokens;
    const std::string& token = vocabulary.tokens[id];
    spelled.push_back(control ? token : bytes_to_alphabet(token));
    if (control) {
      out += id == 0 ? "\n    " : ",\n    ";
      out += base::dump_json(added_token(static_cast<TokenId>(id), token));
    }
  }
  out +=
      "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": " + base::dump_json(deepseek_v3_pre_tokenizer());
  out += ",\n  \"post_processor\": null,\n  \"decoder\": " + base::dump_json(byte_level(true));
  out +=
      ",\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": "
      "false,\n"
      "    \"byte_fallback\": false,\n    \"vocab\": {";
  for (size_t id = 0; id < spelled.size(); ++id) {
    out += (id == 0 ? "\n      " : ",\n      ") + json_text(spelled[id]) + ": " + std::to_string(id);
  }
  out += "\n    },\n    \"merges\": [";
  for (size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    const auto& [left, right] = vocabulary.merges[rank];
    out += (rank == 0 ? "\n      " : ",\n      ") +
           json_text(spelled[static_cast<size_t>(left)] + " " + spelled[static_cast<size_t>(right)]);
  }
  out += "\n    ]\n  }\n}\n";
  return out;
}

}  // namespace hadal::text
