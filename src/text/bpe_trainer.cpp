#include "text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_alphabet.h"
#include "text/chat_template.h"
#include "text/pair_index.h"
#include "text/tokenizer_writer.h"
#include "text/word_counts.h"

namespace hadal::text {

namespace {

// Names, order of the first three, and flags as in DeepSeek-V3's tokenizer.json (<think> as in V3.1's).
constexpr std::string_view kControlTokens[] = {
    kBos,
    kEos,
    kPad,
    kUser,
    kAssistant,
    "<think>",
    "</think>",
    "<｜fim▁begin｜>",
    "<｜fim▁hole｜>",
    "<｜fim▁end｜>",
    "<|EOT|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁outputs▁begin｜>",
    "<｜tool▁outputs▁end｜>",
    "<｜tool▁output▁begin｜>",
    "<｜tool▁output▁end｜>",
    "<｜tool▁sep｜>",
};

struct Best {
  int64_t count;
  TokenId left;
  TokenId right;
  bool operator<(const Best& other) const {  // the top of the queue is the greatest
    if (count != other.count) return count < other.count;
    if (left != other.left) return left > other.left;
    return right > other.right;
  }
};

class Trainer {
 public:
  Trainer(const TrainOptions& options, const std::vector<WordCount>& words) : options_(options) {
    for (const std::string_view token : kControlTokens) vocabulary_.tokens.emplace_back(token);
    vocabulary_.control_tokens = vocabulary_.tokens.size();
    std::vector<std::pair<uint32_t, uint8_t>> order;
    for (size_t byte = 0; byte < 256; ++byte)
      order.emplace_back(byte_code_points()[byte], static_cast<uint8_t>(byte));
    std::sort(order.begin(), order.end());
    std::array<TokenId, 256> byte_ids{};
    for (const auto& [point, byte] : order) {
      byte_ids[byte] = static_cast<TokenId>(vocabulary_.tokens.size());
      vocabulary_.tokens.emplace_back(1, static_cast<char>(byte));
    }
    for (size_t id = vocabulary_.control_tokens; id < vocabulary_.tokens.size(); ++id) {
      ids_.emplace(vocabulary_.tokens[id], static_cast<TokenId>(id));
    }
    for (const WordCount& word : words) pairs_.add_word(word, byte_ids);
    pairs_.each([&](TokenId left, TokenId right, int64_t count) { queue_.push({count, left, right}); });
  }

  Vocabulary train() {
    const auto target = static_cast<size_t>(options_.vocab_size);
    const auto first = static_cast<int64_t>(vocabulary_.tokens.size());
    while (vocabulary_.tokens.size() < target && !queue_.empty()) {
      const Best top = queue_.top();
      queue_.pop();
      const int64_t count = pairs_.count(top.left, top.right);
      if (count != top.count) {  // the entry is out of date
        if (count > 0 && count < top.count) queue_.push({count, top.left, top.right});
        continue;
      }
      if (count < std::max<int64_t>(1, options_.min_pair_count)) break;
      merge(top.left, top.right);
      const auto size = static_cast<int64_t>(vocabulary_.tokens.size());
      if (options_.progress && size % 64 == 0) {
        options_.progress("merging", size - first, static_cast<int64_t>(target) - first);
      }
    }
    return std::move(vocabulary_);
  }

 private:
  void merge(TokenId left, TokenId right) {
    std::string bytes =
        vocabulary_.tokens[static_cast<size_t>(left)] + vocabulary_.tokens[static_cast<size_t>(right)];
    if (options_.max_token_bytes > 0 && bytes.size() > static_cast<size_t>(options_.max_token_bytes)) return;
    // Two pairs may spell the same token ("a" + "bc", "ab" + "c"): two rules, one id.
    const auto [entry, is_new] = ids_.emplace(bytes, static_cast<TokenId>(vocabulary_.tokens.size()));
    if (is_new) vocabulary_.tokens.push_back(std::move(bytes));
    if (known_.insert(left, right)) vocabulary_.merges.emplace_back(left, right);
    pairs_.merge(left, right, entry->second, [&](TokenId new_left, TokenId new_right, int64_t count) {
      queue_.push({count, new_left, new_right});
    });
  }

  const TrainOptions& options_;
  Vocabulary vocabulary_;
  std::unordered_map<std::string, TokenId> ids_;  // of bytes and merged tokens
  PairSet known_;                                 // pairs that have a rule
  PairIndex pairs_;
  std::priority_queue<Best> queue_;
};

}  // namespace

std::span<const std::string_view> control_tokens() { return kControlTokens; }

std::shared_ptr<const Tokenizer> train_bpe(std::span<const std::string_view> chunks,
                                           const TrainOptions& options) {
  const auto least = static_cast<int32_t>(std::size(kControlTokens)) + 256;
  if (options.vocab_size < least || options.vocab_size > kMaxTrainedVocab) {
    throw_error(ErrorCode::kBadInput,
                "[tokenizer] vocab_size {}: must be {} to {} ({} control tokens and 256 bytes come first)",
                options.vocab_size, least, kMaxTrainedVocab, std::size(kControlTokens));
  }
  if (options.threads < 1)
    throw_error(ErrorCode::kBadInput, "[tokenizer] threads {}: must be 1 or more", options.threads);
  const PreTokenizer pre_tokenizer(deepseek_v3_pre_tokenizer(), "train");
  const auto words = count_words(pre_tokenizer, chunks, options.threads, [&](int64_t done, int64_t total) {
    if (options.progress) options.progress("counting words", done, total);
  });
  if (words.empty())
    throw_error(ErrorCode::kBadInput, "[tokenizer] there is no text to train on: name files with UTF-8 text");
  return Tokenizer::parse(write_tokenizer_json(Trainer(options, words).train()), "trained tokenizer");
}

}  // namespace hadal::text
