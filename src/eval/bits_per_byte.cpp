#include "eval/bits_per_byte.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace hadal::eval {
namespace {

struct Window {
  int64_t begin;      // of its inputs in the token stream
  int64_t first_new;  // index within the window of the first target that no window before it predicted
};

// Windows of `length` inputs over `targets` targets; target i belongs to input i.
std::vector<Window> cut(int64_t targets, int64_t length, int64_t stride) {
  std::vector<Window> windows;
  int64_t done = 0;
  for (int64_t begin = 0; done < targets; begin += stride) {
    const int64_t at = std::min(begin, targets - length);  // the last one is moved back, to be full
    windows.push_back({at, done - at});
    done = at + length;
  }
  return windows;
}

}  // namespace

BitsPerByte bits_per_byte(model::Transformer& model, const text::Tokenizer& tokenizer, std::string_view text,
                          const BitsPerByteOptions& options, base::ThreadPool& pool) {
  if (text.empty()) throw_error(ErrorCode::kBadInput, "[eval] the text is empty");
  if (tokenizer.vocab_size() > model.config().vocab_size) {
    throw_error(ErrorCode::kBadInput, "[eval] the tokenizer has {} ids, the model's vocab_size is {}",
                tokenizer.vocab_size(), model.config().vocab_size);
  }
  if (options.window_tokens < 1 || options.stride_tokens < 1 ||
      options.stride_tokens > options.window_tokens) {
    throw_error(ErrorCode::kBadInput, "[eval] window {} and stride {}: need 1 <= stride <= window",
                options.window_tokens, options.stride_tokens);
  }
  std::vector<int32_t> ids = {model.config().bos_token_id};
  const std::vector<text::TokenId> encoded = tokenizer.encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());

  BitsPerByte result;
  result.tokens = static_cast<int64_t>(encoded.size());
  result.bytes = static_cast<int64_t>(text.size());
  const int64_t length = std::min(options.window_tokens, result.tokens);
  const std::vector<Window> windows = cut(result.tokens, length, std::min(options.stride_tokens, length));
  const auto total = static_cast<int64_t>(windows.size());

  std::vector<int32_t> tokens;  // [rows, length + 1]
  std::vector<float> nats;      // [rows * length]
  for (int64_t first = 0; first < total;) {
    const int64_t rows = std::min(options.rows, total - first);
    tokens.clear();
    for (int64_t row = 0; row < rows; ++row) {
      const auto begin = ids.begin() + windows[static_cast<size_t>(first + row)].begin;
      tokens.insert(tokens.end(), begin, begin + length + 1);
    }
    model.evaluate({rows, length, tokens, {}}, {}, pool, &nats);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = windows[static_cast<size_t>(first + row)].first_new; i < length; ++i) {
        result.nats += nats[static_cast<size_t>(row * length + i)];
      }
    }
    first += rows;
    if (options.progress) options.progress(first, total);
  }
  result.bits_per_byte = result.nats / (std::log(2.0) * static_cast<double>(result.bytes));
  return result;
}

}  // namespace hadal::eval
