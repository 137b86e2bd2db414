// Duplicates removed, exactly and nearly: MinHash signatures of word shingles (Broder 1997), candidates by
// locality-sensitive bands, confirmed by the estimated Jaccard similarity.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "train/corpus/document.h"

namespace hadal::train::corpus {

inline constexpr int kMinHashes = 64;
inline constexpr int kBands = 16;  // of 4 hashes: pairs at similarity 0.8 meet with probability 0.9998

using MinHash = std::vector<uint32_t>;  // [kMinHashes]

// The signature of the text's 5-word shingles (lower case, letters and digits only; fewer words: one
// shingle).
MinHash min_hash(std::string_view text);
double similarity(const MinHash& a, const MinHash& b);  // estimate of Jaccard similarity, in [0, 1]

struct DedupOptions {
  double threshold = 0.8;
  int min_words =
      8;  // shorter paragraphs are compared neither exactly nor nearly: "Yes, said she." may repeat
};

struct DedupCounts {
  int64_t exact_paragraphs = 0;
  int64_t near_paragraphs = 0;
  int64_t empty_documents = 0;  // nothing was left
  int64_t bytes_removed = 0;
};

// Removes every paragraph that equals, or nearly equals, one that came before it, in this document or an
// earlier one; documents left empty go. The first one stays: order decides, so the result is deterministic.
DedupCounts remove_duplicates(std::vector<Document>& documents, const DedupOptions& options,
                              const std::function<void(size_t done)>& progress = {});

}  // namespace hadal::train::corpus
