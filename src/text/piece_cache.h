// Remembers the ids of short pieces: text repeats its words, and a look-up costs less than the merges. One
// table a thread, so no locks; each entry names its owner, so that one table serves every tokenizer of the
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "text/tokenizer.h"

namespace hadal::text {

class PieceCache {
 public:
  static constexpr size_t kMaxBytes = 15;
  static constexpr size_t kMaxIds = 6;

  struct Entry {
    uint64_t low = 0;   // the piece's bytes 0 to 7
    uint64_t high = 0;  // 8 to 14, and its length on top: 0 only in an empty entry
    uint32_t owner = 0;
    uint32_t count = 0;
    std::array<TokenId, kMaxIds> ids{};

    std::span<const TokenId> span() const { return {ids.data(), count}; }
  };

  static PieceCache& of_this_thread() {
    thread_local PieceCache cache;
    return cache;
  }

  // The entry where `piece` (1 to kMaxBytes bytes) is or belongs; it is there when holds() says so.
  struct Place {
    Entry* entry;
    uint64_t low;
    uint64_t high;
    uint32_t owner;

    bool holds() const { return entry->low == low && entry->high == high && entry->owner == owner; }
    void set(std::span<const TokenId> ids) const {
      if (ids.size() > kMaxIds) return;
      *entry = {low, high, owner, static_cast<uint32_t>(ids.size()), {}};
      std::memcpy(entry->ids.data(), ids.data(), ids.size_bytes());
    }
  };
  Place find(std::string_view piece, uint32_t owner) {
    std::array<char, 16> bytes{};
    std::memcpy(bytes.data(), piece.data(), piece.size());
    bytes[kMaxBytes] = static_cast<char>(piece.size());
    uint64_t low;
    uint64_t high;
    std::memcpy(&low, bytes.data(), 8);
    std::memcpy(&high, bytes.data() + 8, 8);
    const uint64_t mixed = (low * 0x9E3779B97F4A7C15u ^ high) * 0xC2B2AE3D27D4EB4Fu;
    return {&entries_[mixed >> (64 - kBits)], low, high, owner};
  }

 private:
  static constexpr int kBits = 14;
  std::unique_ptr<Entry[]> entries_ = std::make_unique<Entry[]>(size_t{1} << kBits);
};

}  // namespace hadal::text
