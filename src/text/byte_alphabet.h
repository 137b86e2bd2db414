// GPT-2's alphabet: each of the 256 bytes as one printable character, so that a vocabulary is readable text.
// Printable Latin-1 bytes stand for themselves; the others become U+0100, U+0101, ... in byte order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hadal::text {

// The UTF-8 text of each byte's character.
const std::array<std::string, 256>& byte_characters();

// The code point of each byte's character. Hugging Face's trainer numbers the bytes in this order.
const std::array<uint32_t, 256>& byte_code_points();

std::string bytes_to_alphabet(std::string_view bytes);

// nullopt when some character is not in the alphabet (as in "<｜User｜>").
std::optional<std::string> alphabet_to_bytes(std::string_view text);

}  // namespace hadal::text
