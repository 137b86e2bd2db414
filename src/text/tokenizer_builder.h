// Puts a vocabulary together and checks it, wherever it comes from (tokenizer.json, GGUF): every id in range
// and given once, every byte of UTF-8 with a token, every merge with its parts. Order of calls: token...,
// bytes, added..., merge...
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "text/tokenizer_parser.h"

namespace hadal::text {

class TokenizerBuilder {
 public:
  // `name` is the file in errors and must outlive the builder.
  explicit TokenizerBuilder(const std::string& name) : name_(name) {}

  void token(std::string_view spelled,
             int64_t id);  // spelled in the byte alphabet; else it stands for its own text
  void bytes();            // every token is there: find the bytes'
  void added(AddedToken token, int64_t id);
  void expect_merges(size_t count);
  void merge(std::string_view left, std::string_view right);  // the next rank
  // Room for ids without a token, as an embedding may have.
  void reserve_ids(int64_t vocab_size);

  TokenizerParts parts;

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

 private:
  TokenId checked(int64_t id, std::string_view token) const;
  void place(TokenId id, std::string bytes, std::string_view token);
  TokenId merge_part(const std::string& token) const;

  const std::string& name_;
  std::unordered_map<std::string, TokenId> vocabulary_;  // by its text in the file
  std::unordered_map<std::string, TokenId> added_;
  std::vector<bool> is_added_;  // [highest added id + 1]
  size_t rank_ = 0;
};

}  // namespace hadal::text
