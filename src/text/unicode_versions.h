// Where the Unicode tables of Hugging Face's tokenizers library and of our libraries differ. Ids are equal
// only when the same characters are letters, and the same ones move under normalization:
// - its patterns run on Oniguruma with Unicode 16; PCRE2 10.42 (Debian 12) has Unicode 14;
// - its NFC is older: marks that came after Unicode 10 stay where they are; utf8proc 2.8 has Unicode 15.
// Both tables were made by asking that library about each code point (docs/formats/tokenizer.md says how).
#pragma once

#include <cstdint>
#include <string_view>

namespace hadal::text {

// The characters that joined a general category ("L", "Lu", "M", ...) or script ("Han") after Unicode 14, as
// members of a PCRE2 set; empty for a property without any, and for one that is not known here.
std::string_view young_members(std::string_view property);

// Whether any character of `text` (UTF-8) is such a young one. Text without them needs no larger sets.
bool has_young_characters(std::string_view text);

// True for a character that the library's NFC takes for a letter without marks, though Unicode 15 says more.
bool unknown_to_nfc(uint32_t code_point);

}  // namespace hadal::text
