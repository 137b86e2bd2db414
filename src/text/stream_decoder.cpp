#include "text/tokenizer.h"
#include "text/utf8.h"

namespace hadal::text {

namespace {
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
}

std::string StreamDecoder::push(TokenId id) {
  pending_ += tokenizer_->token_bytes(id);
  std::string out;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = utf8_step(rest);
    if (step.status == Utf8Status::kIncomplete) break;
    const auto length = static_cast<size_t>(step.length);
    out += step.status == Utf8Status::kValid ? rest.substr(0, length) : kReplacement;
    rest.remove_prefix(length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return out;
}

std::string StreamDecoder::finish() {
  const std::string out(pending_.empty() ? std::string_view() : kReplacement);
  pending_.clear();
  return out;
}

}  // namespace hadal::text
