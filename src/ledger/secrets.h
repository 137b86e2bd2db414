// API keys as text: "sk-", eight letters that say which key it is, and thirty-two that prove it. Only the
// SHA-256 of the whole is kept: 190 random bits need no slow hash, and a server checks thousands a second.
#pragma once

#include <string>
#include <string_view>

namespace hadal::ledger {

inline constexpr size_t kPrefixBytes = 11;  // "sk-" and eight letters: public
inline constexpr size_t kSecretBytes = 43;  // all of it

std::string make_secret();                         // from the system's random source
std::string make_key_id();                         // "key_" and ten letters
std::string prefix_of(std::string_view secret);    // empty when it is not a key's text
std::string secret_hash(std::string_view secret);  // SHA-256, 64 hex digits

// Takes as long for every text of the same length, whatever the two have in common.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace hadal::ledger
