// Counts the different pieces (words) of a text, in parallel.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "text/pre_tokenizer.h"

namespace hadal::text {

struct WordCount {
  std::string_view word;  // points into the text
  int64_t count;
};

// Every different piece of the chunks with its count, in no particular order. Chunks are cut further at the
// start of a line that begins with an ASCII letter or digit after a line feed: the caller's patterns must cut
// there anyway.
std::vector<WordCount> count_words(const PreTokenizer& pre_tokenizer,
                                   std::span<const std::string_view> chunks, int threads,
                                   const std::function<void(int64_t done, int64_t total)>& progress);

}  // namespace hadal::text
