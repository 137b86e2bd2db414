#include "text/tokenizer_writer.h"

#include <algorithm>
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

Json added_token(const AddedToken& token) {
  return {{"id", token.id},  {"content", token.content},       {"single_word", false},    {"lstrip", false},
          {"rstrip", false}, {"normalized", token.normalized}, {"special", token.special}};
}

// TemplateProcessing as the library wants it, or null where nothing is added around a text.
Json template_json(const TokenizerParts& parts) {
  if (parts.template_prefix.empty() && parts.template_suffix.empty()) return Json();
  Json specials = Json::object();
  const auto pieces = [&](const char* sequence, int type) {
    Json out = Json::array();
    const auto add = [&](TokenId id) {
      const std::string& content = parts.tokens[static_cast<size_t>(id)];
      specials[content] = {{"id", content}, {"ids", {id}}, {"tokens", {content}}};
      out.push_back({{"SpecialToken", {{"id", content}, {"type_id", type}}}});
    };
    for (const TokenId id : parts.template_prefix) add(id);
    out.push_back({{"Sequence", {{"id", sequence}, {"type_id", type}}}});
    for (const TokenId id : parts.template_suffix) add(id);
    return out;
  };
  const Json single = pieces("A", 0);
  Json pair = single;
  for (const Json& piece : pieces("B", 1)) pair.push_back(piece);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

std::string json_text(const std::string& text) { return base::dump_json(text); }

// By hand where the order matters: the vocabulary by id, the merges by rank, one a line.
struct Writer {
  std::vector<Json> added;
  std::vector<std::pair<std::string, TokenId>> vocab;
  std::vector<std::string> merges;
  Json normalizer;
  Json pre_tokenizer;
  Json post_processor;
  bool ignore_merges = false;

  std::string write() const {
    std::string out =
        "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [";
    for (size_t i = 0; i < added.size(); ++i)
      out += (i == 0 ? "\n    " : ",\n    ") + base::dump_json(added[i]);
    out += "\n  ],\n  \"normalizer\": " + base::dump_json(normalizer);
    out += ",\n  \"pre_tokenizer\": " + base::dump_json(pre_tokenizer);
    out += ",\n  \"post_processor\": " + base::dump_json(post_processor);
    out += ",\n  \"decoder\": " + base::dump_json(byte_level(true));
    out +=
        ",\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
        "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": "
        "false,\n"
        "    \"byte_fallback\": false,\n";
    if (ignore_merges) out += "    \"ignore_merges\": true,\n";
    out += "    \"vocab\": {";
    for (size_t i = 0; i < vocab.size(); ++i) {
      out += (i == 0 ? "\n      " : ",\n      ") + json_text(vocab[i].first) + ": " +
             std::to_string(vocab[i].second);
    }
    out += "\n    },\n    \"merges\": [";
    for (size_t rank = 0; rank < merges.size(); ++rank) {
      out += (rank == 0 ? "\n      " : ",\n      ") + json_text(merges[rank]);
    }
    out += "\n    ]\n  }\n}\n";
    return out;
  }
};

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
  Writer writer;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    const bool control = id < vocabulary.control_tokens;
    if (control) writer.added.push_back(added_token(static_cast<TokenId>(id), token));
    writer.vocab.emplace_back(control ? token : bytes_to_alphabet(token), static_cast<TokenId>(id));
  }
  for (const auto& [left, right] : vocabulary.merges) {
    writer.merges.push_back(writer.vocab[static_cast<size_t>(left)].first + " " +
                            writer.vocab[static_cast<size_t>(right)].first);
  }
  writer.pre_tokenizer = deepseek_v3_pre_tokenizer();
  return writer.write();
}

std::string write_tokenizer_json(const TokenizerParts& parts) {
  Writer writer;
  std::vector<bool> added(parts.tokens.size());
  for (const AddedToken& token : parts.added) {
    added[static_cast<size_t>(token.id)] = true;
    writer.added.push_back(added_token(token));
  }
  std::vector<std::string> spelled(parts.tokens.size());  // [vocab_size]
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (added[id] || parts.tokens[id].empty()) continue;
    spelled[id] = bytes_to_alphabet(parts.tokens[id]);
    writer.vocab.emplace_back(spelled[id], static_cast<TokenId>(id));
  }
  for (const auto& [left, right] : merges_by_rank(parts.merges)) {
    writer.merges.push_back(spelled[static_cast<size_t>(left)] + " " + spelled[static_cast<size_t>(right)]);
  }
  writer.normalizer = parts.normalizer.to_json();
  writer.pre_tokenizer = parts.pre_tokenizer->config();
  writer.post_processor = template_json(parts);
  writer.ignore_merges = parts.ignore_merges;
  return writer.write();
}

std::vector<std::pair<TokenId, TokenId>> merges_by_rank(const MergeTable& merges) {
  std::vector<std::pair<int32_t, std::pair<TokenId, TokenId>>> ranked;
  merges.each([&](TokenId left, TokenId right, const Merge& merge) {
    ranked.emplace_back(merge.rank, std::pair(left, right));
  });
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::pair<TokenId, TokenId>> out;
  for (const auto& [rank, pair] : ranked) out.push_back(pair);
  return out;
}

}  // namespace hadal::text
