#include "train/corpus/dedup.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <unordered_map>
#include <unordered_set>

#include "base/random.h"
#include "train/corpus/clean.h"

namespace hadal::train::corpus {

namespace {

constexpr size_t kShingleWords = 5;

std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> out;
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) out.push_back(XXH3_64bits(word.data(), word.size()));
    word.clear();
  };
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80)
      word += static_cast<char>(std::tolower(byte));
    else if (c != '\'')
      finish();
  }
  finish();
  return out;
}

MinHash min_hash_of(const std::vector<uint64_t>& words) {
  // h_i(x) = high half of a_i * x + b_i with odd a_i: cheap, and independent enough for an estimate.
  static const auto coefficients = [] {
    std::array<uint64_t, 2 * kMinHashes> out;
    uint64_t state = 0x48616461;
    for (uint64_t& value : out) value = base::splitmix64(state);
    return out;
  }();
  MinHash out(kMinHashes, std::numeric_limits<uint32_t>::max());
  const size_t shingles = words.size() <= kShingleWords ? 1 : words.size() - kShingleWords + 1;
  for (size_t s = 0; s < shingles; ++s) {
    uint64_t shingle = 0;
    for (size_t w = s; w < std::min(s + kShingleWords, words.size()); ++w)
      shingle = (shingle ^ words[w]) * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u;
    for (size_t i = 0; i < kMinHashes; ++i) {
      const auto hash =
          static_cast<uint32_t>(((coefficients[2 * i] | 1) * shingle + coefficients[2 * i + 1]) >> 32);
      out[i] = std::min(out[i], hash);
    }
  }
  return out;
}

}  // namespace

MinHash min_hash(std::string_view text) { return min_hash_of(word_hashes(text)); }

double similarity(const MinHash& a, const MinHash& b) {
  int equal = 0;
  for (size_t i = 0; i < kMinHashes; ++i) equal += a[i] == b[i];
  return static_cast<double>(equal) / kMinHashes;
}

DedupCounts remove_duplicates(std::vector<Document>& documents, const DedupOptions& options,
                              const std::function<void(size_t)>& progress) {
  DedupCounts counts;
  std::unordered_set<uint64_t> seen;
  std::vector<MinHash> signatures;
  std::unordered_map<uint64_t, std::vector<uint32_t>> buckets;  // band and its hashes -> signatures
  constexpr size_t kRows = kMinHashes / kBands;
  constexpr size_t kMaxBucket = 64;  // a bucket of boilerplate must not make this quadratic

  for (size_t d = 0; d < documents.size(); ++d) {
    if (progress && d % 256 == 0) progress(d);
    std::string kept;
    std::string_view rest = documents[d].text;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find("\n\n"), rest.size());
      const std::string_view paragraph = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 2, rest.size()));
      const std::vector<uint64_t> words = word_hashes(paragraph);
      bool duplicate = false;
      if (words.size() >= static_cast<size_t>(options.min_words)) {
        if (!seen.insert(XXH3_64bits(words.data(), words.size() * sizeof(uint64_t))).second) {
          ++counts.exact_paragraphs;
          duplicate = true;
        } else {
          MinHash signature = min_hash_of(words);
          std::array<uint64_t, kBands> keys;
          for (size_t band = 0; band < kBands && !duplicate; ++band) {
            keys[band] = XXH3_64bits_withSeed(&signature[band * kRows], kRows * sizeof(uint32_t), band);
            const auto bucket = buckets.find(keys[band]);
            if (bucket == buckets.end()) continue;
            duplicate = std::any_of(bucket->second.begin(), bucket->second.end(), [&](uint32_t other) {
              return similarity(signature, signatures[other]) >= options.threshold;
            });
          }
          if (duplicate) {
            ++counts.near_paragraphs;
          } else {
            for (const uint64_t key : keys) {
              std::vector<uint32_t>& bucket = buckets[key];
              if (bucket.size() < kMaxBucket) bucket.push_back(static_cast<uint32_t>(signatures.size()));
            }
            signatures.push_back(std::move(signature));
          }
        }
      }
      if (duplicate) {
        counts.bytes_removed += static_cast<int64_t>(paragraph.size());
      } else {
        if (!kept.empty()) kept += "\n\n";
        kept += paragraph;
      }
    }
    documents[d].text = std::move(kept);
  }
  const size_t before = documents.size();
  std::erase_if(documents, [](const Document& document) { return document.text.empty(); });
  counts.empty_documents = static_cast<int64_t>(before - documents.size());
  return counts;
}

}  // namespace hadal::train::corpus
