#include "text/tokenizer_parser.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_alphabet.h"

namespace hadal::text {

using base::Json;

namespace {

// Far above any real vocabulary; keeps a lying id from claiming gigabytes.
constexpr int64_t kMaxVocab = 1 << 21;

class Parser {
 public:
  Parser(std::string_view json, const std::string& name) : name_(name), root_(base::parse_json(json, name)) {}

  TokenizerParts parse() {
    if (!root_.is_object()) bad("the file is not a JSON object");
    read_vocabulary(object(root_, "model"));
    read_added_tokens();
    read_merges(object(root_, "model"));
    if (const auto found = root_.find("normalizer"); found != root_.end())
      parts_.normalizer = Normalizer(*found, name_);
    if (const auto found = root_.find("post_processor"); found != root_.end()) read_post_processor(*found, 0);
    const auto pre_tokenizer = root_.find("pre_tokenizer");
    parts_.pre_tokenizer =
        std::make_unique<PreTokenizer>(pre_tokenizer == root_.end() ? Json() : *pre_tokenizer, name_);
    return std::move(parts_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(ErrorCode::kBadInput, "[tokenizer] {}: {}", name_,
                fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(ErrorCode::kUnsupported, "[tokenizer] {}: {}", name_,
                fmt::format(format, std::forward<Args>(args)...));
  }

  const Json& object(const Json& parent, const char* key) const {
    const auto found = parent.find(key);
    if (found == parent.end() || !found->is_object()) bad("\"{}\" is missing or not an object", key);
    return *found;
  }

  bool flag(const Json& parent, const char* key) const {
    const auto found = parent.find(key);
    if (found == parent.end() || found->is_null()) return false;
    if (!found->is_boolean()) bad("\"{}\" is not true or false", key);
    return found->get<bool>();
  }

  TokenId token_id(const Json& value, std::string_view token) const {
    if (!value.is_number_integer()) bad("token {}: its id is not an integer", token);
    const auto id = value.get<int64_t>();
    if (id < 0 || id >= kMaxVocab) bad("token {}: id {} is outside 0..{}", token, id, kMaxVocab - 1);
    return static_cast<TokenId>(id);
  }

  void place(TokenId id, std::string bytes, std::string_view token) {
    const auto index = static_cast<size_t>(id);
    if (index >= parts_.tokens.size()) parts_.tokens.resize(index + 1);
    if (!parts_.tokens[index].empty()) bad("id {} belongs to two tokens, one is {}", id, token);
    parts_.tokens[index] = std::move(bytes);
  }

  void read_vocabulary(const Json& model) {
    if (const auto type = model.find("type"); type != model.end() && *type != "BPE") {
      unsupported("model type {} is not supported (BPE is)", type->dump());
    }
    for (const char* key : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"}) {
      const auto found = model.find(key);
      if (found != model.end() && !found->is_null() && *found != "") {
        unsupported("model.{} {} is not supported", key, found->dump());
      }
    }
    if (flag(model, "byte_fallback")) unsupported("model.byte_fallback is not supported");
    parts_.ignore_merges = flag(model, "ignore_merges");
    for (const auto& [token, value] : object(model, "vocab").items()) {
      if (token.empty()) bad("the vocabulary has an empty token");
      const TokenId id = token_id(value, token);
      // A token that is not spelled in the byte alphabet (a control token) stands for its own text.
      place(id, alphabet_to_bytes(token).value_or(token), token);
      vocabulary_.emplace(token, id);
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto found = vocabulary_.find(byte_characters()[byte]);
      if (found == vocabulary_.end() && !never_in_utf8(byte)) {
        bad("byte 0x{:02x} ({}) has no token", byte, byte_characters()[byte]);
      }
      parts_.byte_ids[byte] = found == vocabulary_.end() ? -1 : found->second;
    }
  }

  void read_added_tokens() {
    const auto list = root_.find("added_tokens");
    if (list == root_.end() || list->is_null()) return;
    if (!list->is_array()) bad("\"added_tokens\" is not a list");
    std::unordered_map<std::string, TokenId> seen;
    for (const Json& entry : *list) {
      if (!entry.is_object()) bad("an added token is not an object");
      const auto content = entry.find("content");
      const auto id = entry.find("id");
      if (content == entry.end() || !content->is_string() || content->get_ref<const std::string&>().empty()) {
        bad("an added token has no \"content\"");
      }
      if (id == entry.end()) bad("added token {}: no \"id\"", content->dump());
      AddedToken token;
      token.content = content->get<std::string>();
      token.id = token_id(*id, token.content);
      token.special = flag(entry, "special");
      token.normalized = flag(entry, "normalized");
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        if (flag(entry, key)) unsupported("added token {}: {} is not supported", token.content, key);
      }
      if (!seen.emplace(token.content, token.id).second) bad("added token {} stands twice", token.content);
      const auto in_vocabulary = vocabulary_.find(token.content);
      if (in_vocabulary == vocabulary_.end()) {
        place(token.id, token.content, token.content);
      } else if (in_vocabulary->second != token.id) {
        bad("added token {} has id {} here and {} in the vocabulary", token.content, token.id,
            in_vocabulary->second);
      }
      parts_.tokens[static_cast<size_t>(token.id)] = token.content;
      is_added_.resize(std::max(is_added_.size(), static_cast<size_t>(token.id) + 1));
      is_added_[static_cast<size_t>(token.id)] = true;
      parts_.added.push_back(std::move(token));
    }
  }

  TokenId merge_part(const std::string& token, size_t rank) const {
    const auto found = vocabulary_.find(token);
    if (found == vocabulary_.end()) bad("merge {}: \"{}\" is not in the vocabulary", rank, token);
    return found->second;
  }

  void read_merges(const Json& model) {
    const auto list = model.find("merges");
    if (list == model.end() || !list->is_array()) bad("\"model.merges\" is missing or not a list");
    if (list->size() > static_cast<size_t>(INT32_MAX)) bad("too many merges");
    parts_.merges = MergeTable(list->size());
    size_t rank = 0;
    for (const Json& entry : *list) {
      std::string left;
      std::string right;
      if (entry.is_string()) {  // "left right"
        const auto& text = entry.get_ref<const std::string&>();
        const size_t space = text.find(' ');
        if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
          bad("merge {}: \"{}\" is not two tokens with a space between", rank, text);
        }
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
        left = entry[0].get<std::string>();
        right = entry[1].get<std::string>();
      } else {
        bad("merge {} is neither \"left right\" nor [\"left\", \"right\"]", rank);
      }
      const TokenId id = merge_part(left + right, rank);
      if (static_cast<size_t>(id) < is_added_.size() && is_added_[static_cast<size_t>(id)]) {
        bad("merge {} would turn plain text into the added token {}", rank, left + right);
      }
      parts_.merges.insert(merge_part(left, rank), merge_part(right, rank), {static_cast<int32_t>(rank), id});
      ++rank;
    }
  }

  // Only a TemplateProcessing adds tokens; ByteLevel moves offsets, which nobody asks for here.
  void read_post_processor(const Json& config, int depth) {
    if (config.is_null()) return;
    if (!config.is_object() || depth > 8) bad("\"post_processor\" is not an object");
    const auto type = config.find("type");
    const auto list = config.find("processors");
    if (type == config.end()) bad("\"post_processor\" has no type");
    if (*type == "ByteLevel") return;
    if (*type == "Sequence" && list != config.end() && list->is_array()) {
      for (const Json& part : *list) read_post_processor(part, depth + 1);
    } else if (*type == "TemplateProcessing") {
      read_template(config);
    } else {
      unsupported("post_processor {} is not supported (TemplateProcessing is)", base::dump_json(*type));
    }
  }

  // "single": [{"SpecialToken": {"id": "<s>", ...}}, {"Sequence": {"id": "A", ...}}]
  void read_template(const Json& config) {
    const auto single = config.find("single");
    if (single == config.end() || !single->is_array()) bad("TemplateProcessing has no list \"single\"");
    int texts = 0;
    for (const Json& piece : *single) {
      if (piece.is_object() && piece.contains("Sequence")) {
        ++texts;
        continue;
      }
      const Json* id = nullptr;
      if (const auto found = piece.is_object() ? piece.find("SpecialToken") : piece.end();
          found != piece.end() && found->is_object() && found->contains("id")) {
        id = &found->at("id");
      }
      if (id == nullptr || !id->is_string())
        bad("TemplateProcessing has a piece that is no token and no text");
      const auto& content = id->get_ref<const std::string&>();
      const auto token = std::find_if(parts_.added.begin(), parts_.added.end(),
                                      [&](const AddedToken& added) { return added.content == content; });
      if (token == parts_.added.end()) bad("TemplateProcessing: {} is not an added token", content);
      (texts == 0 ? parts_.template_prefix : parts_.template_suffix).push_back(token->id);
    }
    if (texts != 1) bad("TemplateProcessing \"single\" has the text {} times", texts);
  }

  const std::string& name_;
  Json root_;
  TokenizerParts parts_;
  std::unordered_map<std::string, TokenId> vocabulary_;  // by its text in the file
  std::vector<bool> is_added_;                           // [highest added id + 1]
};

}  // namespace

TokenizerParts parse_tokenizer(std::string_view json, const std::string& name) {
  return Parser(json, name).parse();
}

}  // namespace hadal::text
