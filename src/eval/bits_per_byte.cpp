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

BitsPerByte bits_per_byte(engine::Engine& engine, std::string_view text, const BitsPerByteOptions& options) {
  if (text.empty()) throw_error(ErrorCode::kBadInput, "[eval] the text is empty");
  const int64_t longest = engine.info().context_tokens;
  if (options.window_tokens < 1 || options.stride_tokens < 1 ||
      options.stride_tokens > options.window_tokens || options.window_tokens > longest) {
    throw_error(ErrorCode::kBadInput, "[eval] window {} and stride {}: need 1 <= stride <= window <= {}",
                options.window_tokens, options.stride_tokens, longest);
  }
  std::vector<text::TokenId> ids = {engine.info().bos_token};
  const std::vector<text::TokenId> encoded = engine.tokenizer()->encode(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());

  BitsPerByte result;
  result.tokens = static_cast<int64_t>(encoded.size());
  result.bytes = static_cast<int64_t>(text.size());
  const int64_t length = std::min(options.window_tokens, result.tokens);
  const std::vector<Window> windows = cut(result.tokens, length, std::min(options.stride_tokens, length));
  int64_t done = 0;
  for (const Window& window : windows) {
    const auto begin = static_cast<size_t>(window.begin);
    const std::vector<float> nats =
        engine.score(std::span(ids).subspan(begin, static_cast<size_t>(length) + 1));
    for (auto i = static_cast<size_t>(window.first_new); i < nats.size(); ++i) result.nats += nats[i];
    if (options.progress) options.progress(++done, static_cast<int64_t>(windows.size()));
  }
  result.bits_per_byte = result.nats / (std::log(2.0) * static_cast<double>(result.bytes));
  return result;
}

}  // namespace hadal::eval
