// Text that the tokenizer tests share: small, made by rule, with words, digits, signs and other scripts.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "text/bpe_trainer.h"
#include "text/utf8.h"

namespace hadal::text {

inline void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out.push_back(static_cast<char>(point));
    return;
  }
  int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out.push_back(static_cast<char>(kLead[more] | point >> (6 * more)));
  while (more-- > 0) out.push_back(static_cast<char>(0x80 | (point >> (6 * more) & 0x3F)));
}

// Characters from every plane in use, with much white space, many digits and signs: where patterns differ.
inline std::string random_unicode(base::Random& random, uint64_t most) {
  static constexpr std::string_view kTricky =
      " \t\n\r\v\f  "
      "\r\n\u0085\u00A0\u1680\u180E\u2003\u2028\u2029\u3000\uFEFF0123456789'\".,-_<>|#$~`éßñÅΩж一龥ぁヿ"
      "\u0301\u200D😀👩½²Ⅷ٣ǅʰ";
  std::string out;
  for (uint64_t n = random.below(most); n > 0; --n) {
    switch (random.below(8)) {
      case 0:
      case 1: {  // one of the tricky ones
        size_t at = random.below(kTricky.size());
        while ((static_cast<uint8_t>(kTricky[at]) & 0xC0) == 0x80) --at;
        const auto step = utf8_step(kTricky.substr(at));
        out += kTricky.substr(at, static_cast<size_t>(step.length));
        break;
      }
      case 2:
        append_utf8(out, static_cast<uint32_t>(random.below(0x80)));
        break;
      case 3:
        append_utf8(out, static_cast<uint32_t>(random.below(0x800)));
        break;
      case 4: {
        const auto point = static_cast<uint32_t>(random.below(0x10000));
        append_utf8(out, point >= 0xD800 && point < 0xE000 ? 0x4E2D : point);
        break;
      }
      case 5:
        append_utf8(out, 0x10000 + static_cast<uint32_t>(random.below(0x100000)));
        break;
      case 6:
        out += random.below(2) == 0 ? " " : "\n";
        break;
      default:
        out.push_back(static_cast<char>('a' + random.below(26)));
    }
  }
  return out;
}

// About 60 kB of English-like text.
inline const std::string& sample_text() {
  static const std::string text = [] {
    static constexpr std::string_view kWords[] = {
        "the",    "of",   "and",    "that",   "there", "water",   "light",   "deep",  "sea",    "pressure",
        "hadal",  "zone", "trench", "under",  "above", "reading", "writing", "model", "learns", "slowly",
        "tokens", "它",   "深海",   "ことば", "naïve", "été",     "Ωmega",   "don't", "it's",   "walking"};
    base::Random random(3);
    std::string out;
    while (out.size() < 60000) {
      out += kWords[random.below(random.below(std::size(kWords)) + 1)];  // the first ones more often
      const uint64_t end = random.below(12);
      if (end == 0)
        out += ".\n";
      else if (end == 1)
        out += ", ";
      else if (end == 2)
        out += " " + std::to_string(random.below(100000)) + " ";
      else
        out += " ";
    }
    return out;
  }();
  return text;
}

inline std::shared_ptr<const Tokenizer> train_sample(int32_t vocab_size, int threads) {
  const std::string_view chunk = sample_text();
  TrainOptions options;
  options.vocab_size = vocab_size;
  options.threads = threads;
  return train_bpe({&chunk, 1}, options);
}

}  // namespace hadal::text
