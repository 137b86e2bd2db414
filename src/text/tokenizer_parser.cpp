#include "text/tokenizer_parser.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_builder.h"

namespace hadal::text {

using base::Json;

namespace {

class Parser {
 public:
  Parser(std::string_view json, const std::string& name)
      : name_(name), root_(base::parse_json(json, name)), builder_(name) {}

  TokenizerParts parse() {
    if (!root_.is_object()) bad("the file is not a JSON object");
    read_vocabulary(object(root_, "model"));
    read_added_tokens();
    read_merges(object(root_, "model"));
    if (const auto found = root_.find("normalizer"); found != root_.end())
      builder_.parts.normalizer = Normalizer(*found, name_);
    if (const auto found = root_.find("post_processor"); found != root_.end()) read_post_processor(*found, 0);
    const auto pre_tokenizer = root_.find("pre_tokenizer");
    builder_.parts.pre_tokenizer =
        std::make_unique<PreTokenizer>(pre_tokenizer == root_.end() ? Json() : *pre_tokenizer, name_);
    return std::move(builder_.parts);
  }

 private:
  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    builder_.bad(format, std::forward<Args>(args)...);
  }
  template <typename... Args>
  [[noreturn]] void unsupported(fmt::format_string<Args...> format, Args&&... args) const {
    builder_.unsupported(format, std::forward<Args>(args)...);
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

  int64_t token_id(const Json& value, std::string_view token) const {
    if (!value.is_number_integer()) bad("token {}: its id is not an integer", token);
    return value.get<int64_t>();
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
    builder_.parts.ignore_merges = flag(model, "ignore_merges");
    for (const auto& [token, value] : object(model, "vocab").items()) {
      builder_.token(token, token_id(value, token));
    }
    builder_.bytes();
  }

  void read_added_tokens() {
    const auto list = root_.find("added_tokens");
    if (list == root_.end() || list->is_null()) return;
    if (!list->is_array()) bad("\"added_tokens\" is not a list");
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
      token.special = flag(entry, "special");
      token.normalized = flag(entry, "normalized");
      for (const char* key : {"single_word", "lstrip", "rstrip"}) {
        if (flag(entry, key)) unsupported("added token {}: {} is not supported", token.content, key);
      }
      const int64_t number = token_id(*id, token.content);
      builder_.added(std::move(token), number);
    }
  }

  void read_merges(const Json& model) {
    const auto list = model.find("merges");
    if (list == model.end() || !list->is_array()) bad("\"model.merges\" is missing or not a list");
    builder_.expect_merges(list->size());
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
      builder_.merge(left, right);
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
      const auto token = std::find_if(builder_.parts.added.begin(), builder_.parts.added.end(),
                                      [&](const AddedToken& added) { return added.content == content; });
      if (token == builder_.parts.added.end()) bad("TemplateProcessing: {} is not an added token", content);
      (texts == 0 ? builder_.parts.template_prefix : builder_.parts.template_suffix).push_back(token->id);
    }
    if (texts != 1) bad("TemplateProcessing \"single\" has the text {} times", texts);
  }

  const std::string& name_;
  Json root_;
  TokenizerBuilder builder_;
};

}  // namespace

TokenizerParts parse_tokenizer(std::string_view json, const std::string& name) {
  return Parser(json, name).parse();
}

}  // namespace hadal::text
