#include "text/byte_alphabet.h"

#include "text/utf8.h"

namespace hadal::text {

namespace {

constexpr uint32_t kFirstSubstitute = 0x100;
constexpr uint32_t kAlphabetEnd = kFirstSubstitute + 68;  // 68 bytes are not printable

std::array<uint32_t, 256> make_code_points() {
  std::array<uint32_t, 256> points{};
  uint32_t substitute = kFirstSubstitute;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    points[byte] = printable ? byte : substitute++;
  }
  return points;
}

std::array<int16_t, kAlphabetEnd> make_reverse() {
  std::array<int16_t, kAlphabetEnd> reverse{};
  reverse.fill(-1);
  for (size_t byte = 0; byte < 256; ++byte) reverse[byte_code_points()[byte]] = static_cast<int16_t>(byte);
  return reverse;
}

}  // namespace

const std::array<uint32_t, 256>& byte_code_points() {
  static const std::array<uint32_t, 256> points = make_code_points();
  return points;
}

const std::array<std::string, 256>& byte_characters() {
  static const std::array<std::string, 256> characters = [] {
    std::array<std::string, 256> out;
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t point = byte_code_points()[byte];
      if (point >= 0x80) out[byte].push_back(static_cast<char>(0xC0 | point >> 6));
      out[byte].push_back(static_cast<char>(point >= 0x80 ? 0x80 | (point & 0x3F) : point));
    }
    return out;
  }();
  return characters;
}

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += byte_characters()[static_cast<uint8_t>(c)];
  return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  static const auto reverse = make_reverse();
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.status != Utf8Status::kValid || step.code_point >= kAlphabetEnd ||
        reverse[step.code_point] < 0) {
      return std::nullopt;
    }
    out.push_back(static_cast<char>(reverse[step.code_point]));
    text.remove_prefix(static_cast<size_t>(step.length));
  }
  return out;
}

}  // namespace hadal::text
