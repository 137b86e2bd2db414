#include "text/unicode_versions.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "text/utf8.h"

namespace hadal::text {

namespace {

constexpr std::string_view kLu = R"(\x{1C89}\x{A7CB}-\x{A7CC}\x{A7DA}\x{A7DC}\x{10D50}-\x{10D65})";
constexpr std::string_view kLl = R"(\x{1C8A}\x{A7CD}\x{A7DB}\x{10D70}-\x{10D85}\x{1DF25}-\x{1DF2A})";
constexpr std::string_view kLm =
    R"(\x{10D4E}\x{10D6F}\x{16D40}-\x{16D42}\x{16D6B}-\x{16D6C}\x{1E030}-\x{1E06D})"
    R"(\x{1E4EB})";
constexpr std::string_view kLo =
    R"(\x{105C0}-\x{105F3}\x{10D4A}-\x{10D4D}\x{10D4F}\x{10EC2}-\x{10EC4})"
    R"(\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5})"
    R"(\x{113B7}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10})"
    R"(\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446}\x{13460}-\x{143FA})"
    R"(\x{16100}-\x{1611D}\x{16D43}-\x{16D6A}\x{18CFF}\x{1B132}\x{1B155})"
    R"(\x{1E4D0}-\x{1E4EA}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D})"
    R"(\x{31350}-\x{323AF})";
constexpr std::string_view kM =
    R"(\x{897}\x{CF3}\x{ECE}\x{10D69}-\x{10D6D}\x{10EFC}-\x{10EFF}\x{11241})"
    R"(\x{113B8}-\x{113C0}\x{113C2}\x{113C5}\x{113C7}-\x{113CA}\x{113CC}-\x{113D0})"
    R"(\x{113D2}\x{113E1}-\x{113E2}\x{11F00}-\x{11F01}\x{11F03}\x{11F34}-\x{11F3A})"
    R"(\x{11F3E}-\x{11F42}\x{11F5A}\x{13440}\x{13447}-\x{13455}\x{1611E}-\x{1612F})"
    R"(\x{1E08F}\x{1E4EC}-\x{1E4EF}\x{1E5EE}-\x{1E5EF})";
constexpr std::string_view kN =
    R"(\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59})"
    R"(\x{16130}-\x{16139}\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3})"
    R"(\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";
constexpr std::string_view kP =
    R"(\x{1B4E}-\x{1B4F}\x{1B7F}\x{10D6E}\x{113D4}-\x{113D5}\x{113D7}-\x{113D8})"
    R"(\x{11B00}-\x{11B09}\x{11BE1}\x{11F43}-\x{11F4F}\x{16D6D}-\x{16D6F}\x{1E5FF})";
constexpr std::string_view kS =
    R"(\x{2427}-\x{2429}\x{2FFC}-\x{2FFF}\x{31E4}-\x{31E5}\x{31EF}\x{10D8E}-\x{10D8F})"
    R"(\x{1CC00}-\x{1CCEF}\x{1CD00}-\x{1CEB3}\x{1F6DC}\x{1F774}-\x{1F776})"
    R"(\x{1F77B}-\x{1F77F}\x{1F7D9}\x{1F8B2}-\x{1F8BB}\x{1F8C0}-\x{1F8C1})"
    R"(\x{1FA75}-\x{1FA77}\x{1FA87}-\x{1FA89}\x{1FA8F}\x{1FAAD}-\x{1FAAF})"
    R"(\x{1FABB}-\x{1FABF}\x{1FAC6}\x{1FACE}-\x{1FACF}\x{1FADA}-\x{1FADC}\x{1FADF})"
    R"(\x{1FAE8}-\x{1FAE9}\x{1FAF7}-\x{1FAF8}\x{1FBCB}-\x{1FBEF})";
constexpr std::string_view kHan = R"(\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";

struct Range {
  uint32_t first;
  uint32_t last;
};

bool contains(std::span<const Range> sorted, uint32_t code_point) {
  const auto found = std::upper_bound(sorted.begin(), sorted.end(), code_point,
                                      [](uint32_t point, const Range& range) { return point < range.first; });
  return found != sorted.begin() && code_point <= std::prev(found)->last;
}

// The members of all the sets above, as numbers, sorted.
std::vector<Range> young_ranges() {
  std::vector<Range> ranges;
  for (std::string_view members : {kLu, kLl, kLm, kLo, kM, kN, kP, kS}) {
    bool to = false;  // behind a '-': the end of the range before
    for (size_t at = members.find('{'); at != std::string_view::npos; at = members.find('{')) {
      const uint32_t point =
          static_cast<uint32_t>(std::stoul(std::string(members.substr(at + 1)), nullptr, 16));
      if (to)
        ranges.back().last = point;
      else
        ranges.push_back({point, point});
      members.remove_prefix(members.find('}') + 1);
      to = members.starts_with('-');
    }
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  return ranges;
}

// Sorted; none overlap.
constexpr Range kUnknownToNfc[] = {
    {0x07FD, 0x07FD},   {0x0898, 0x089F},   {0x08CA, 0x08D3},   {0x09FE, 0x09FE},   {0x0C3C, 0x0C3C},
    {0x0D3B, 0x0D3C},   {0x0EBA, 0x0EBA},   {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},
    {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50},
    {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A},
    {0x11930, 0x11930}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0}, {0x11A34, 0x11A34},
    {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97},
    {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE},
    {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}};

}  // namespace

std::string_view young_members(std::string_view property) {
  static const std::string letters =
      std::string(kLu) + std::string(kLl) + std::string(kLm) + std::string(kLo);
  struct Row {
    std::string_view property;
    std::string_view members;
  };
  const Row rows[] = {{"L", letters}, {"Lu", kLu}, {"Ll", kLl}, {"Lm", kLm}, {"Lo", kLo},
                      {"M", kM},      {"N", kN},   {"P", kP},   {"S", kS},   {"Han", kHan}};
  for (const Row& row : rows) {
    if (row.property == property) return row.members;
  }
  return {};
}

bool has_young_characters(std::string_view text) {
  static const std::vector<Range> ranges = young_ranges();
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<uint8_t>(text[i]);
    // None is below U+0800 (one or two bytes), and none begins with E4 to E9: U+4000 to U+9FFF.
    if (byte < 0xE0) {
      ++i;
    } else if (byte >= 0xE4 && byte <= 0xE9) {
      i += 3;
    } else {
      const Utf8Step step = utf8_step(text.substr(i));
      if (step.status == Utf8Status::kValid && contains(ranges, step.code_point)) return true;
      i += static_cast<size_t>(step.length);
    }
  }
  return false;
}

bool unknown_to_nfc(uint32_t code_point) { return contains(kUnknownToNfc, code_point); }

}  // namespace hadal::text
