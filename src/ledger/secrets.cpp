#include "ledger/secrets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>

#include "base/error.h"

namespace hadal::ledger {

namespace {

constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

std::string random_letters(size_t count) {
  std::string text;
  while (text.size() < count) {
    std::array<unsigned char, 64> bytes;
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
      throw_error(ErrorCode::kIo, "[ledger] the system gave no random bytes for a key");
    }
    for (const unsigned char byte : bytes) {
      // 248 = 4 * 62: above it a letter would be likelier than others.
      if (byte < 4 * kLetters.size() && text.size() < count) text += kLetters[byte % kLetters.size()];
    }
  }
  return text;
}

}  // namespace

std::string make_secret() { return "sk-" + random_letters(kSecretBytes - 3); }

std::string make_key_id() { return "key_" + random_letters(10); }

std::string prefix_of(std::string_view secret) {
  if (secret.size() != kSecretBytes || !secret.starts_with("sk-")) return {};
  return std::string(secret.substr(0, kPrefixBytes));
}

std::string secret_hash(std::string_view secret) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace hadal::ledger
