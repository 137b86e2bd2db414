// One step of UTF-8 decoding, strict as Unicode's table 3-7 (no overlong forms, no surrogates).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace hadal::text {

enum class Utf8Status : uint8_t { kValid, kIncomplete, kInvalid };

struct Utf8Step {
  Utf8Status status;
  int length;           // bytes of the character, or of the longest bad or unfinished start of one (>= 1)
  uint32_t code_point;  // when valid
};

// The first character of `text`, which must not be empty.
inline Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {Utf8Status::kValid, 1, first};
  int more = 0;
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  uint32_t code_point = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    more = 1;
    code_point = first & 0x1Fu;
  } else if (first >= 0xE0 && first <= 0xEF) {
    more = 2;
    code_point = first & 0x0Fu;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    more = 3;
    code_point = first & 0x07u;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {Utf8Status::kInvalid, 1, 0};
  }
  for (int i = 1; i <= more; ++i) {
    if (static_cast<size_t>(i) >= text.size()) return {Utf8Status::kIncomplete, i, 0};
    const uint8_t next = byte(static_cast<size_t>(i));
    if (next < low || next > high) return {Utf8Status::kInvalid, i, 0};
    low = 0x80;
    high = 0xBF;
    code_point = code_point << 6 | (next & 0x3Fu);
  }
  return {Utf8Status::kValid, more + 1, code_point};
}

// Bytes of `text` before the first one that is not part of a whole character.
inline size_t valid_utf8_prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (i + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, text.data() + i, 8);
      if ((word & 0x8080808080808080u) == 0) {
        i += 8;
        continue;
      }
    }
    const Utf8Step step = utf8_step(text.substr(i));
    if (step.status != Utf8Status::kValid) return i;
    i += static_cast<size_t>(step.length);
  }
  return i;
}

}  // namespace hadal::text
