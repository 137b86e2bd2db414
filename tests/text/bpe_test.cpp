// The two ways of applying merges (short and long pieces) against the definition.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace hadal::text {
namespace {

std::vector<TokenId> by_definition(const MergeTable& merges, const std::array<TokenId, 256>& byte_ids,
                                   const std::string& piece) {
  std::vector<TokenId> ids;
  for (const char c : piece) ids.push_back(byte_ids[static_cast<uint8_t>(c)]);
  while (true) {
    size_t best = 0;
    Merge rule{INT32_MAX, -1};
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge merge = merges.find(ids[i], ids[i + 1]);
      if (merge.id >= 0 && merge.rank < rule.rank) best = i, rule = merge;
    }
    if (rule.id < 0) return ids;
    ids[best] = rule.id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, EqualsTheDefinitionOnRandomRulesAndPieces) {
  base::Random random(11);
  std::array<TokenId, 256> byte_ids{};
  for (size_t i = 0; i < 256; ++i) byte_ids[i] = static_cast<TokenId>(i % 4);  // few symbols, so many merges
  for (int round = 0; round < 300; ++round) {
    const auto rules = static_cast<int32_t>(random.below(30));
    MergeTable merges(static_cast<size_t>(rules));
    for (int32_t rank = 0; rank < rules; ++rank) {
      const auto symbols = static_cast<uint64_t>(4 + rank);
      merges.insert(static_cast<TokenId>(random.below(symbols)), static_cast<TokenId>(random.below(symbols)),
                    {rank, 4 + rank});
    }
    for (const uint64_t most : {1u, 2u, 5u, 64u, 65u, 66u, 300u}) {
      std::string piece;
      for (uint64_t n = most < 64 ? most : random.below(most) + 1; n > 0; --n) {
        piece.push_back(static_cast<char>(random.below(256)));
      }
      std::vector<TokenId> ids;
      bpe_encode(merges, byte_ids, piece, ids);
      ASSERT_EQ(ids, by_definition(merges, byte_ids, piece))
          << "round " << round << ", " << piece.size() << " bytes";
    }
  }
}

TEST(Bpe, TheFirstRuleForAPairWins) {
  MergeTable merges(2);
  merges.insert(1, 2, {0, 7});
  merges.insert(1, 2, {1, 8});
  EXPECT_EQ(merges.find(1, 2).id, 7);
  EXPECT_EQ(merges.find(2, 1).id, -1);
}

}  // namespace
}  // namespace hadal::text
