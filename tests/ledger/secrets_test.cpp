#include "ledger/secrets.h"

#include <gtest/gtest.h>

#include <set>

namespace hadal::ledger {
namespace {

TEST(Secrets, AreLongRandomAndKnownByTheirBeginning) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string secret = make_secret();
    EXPECT_EQ(secret.size(), kSecretBytes);
    EXPECT_TRUE(secret.starts_with("sk-"));
    EXPECT_EQ(secret.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 3),
              std::string::npos);
    EXPECT_EQ(prefix_of(secret), secret.substr(0, 11));
    EXPECT_TRUE(seen.insert(prefix_of(secret)).second);
  }
  for (const char* text : {"", "sk-", "sk-short", "Sk-0000000000000000000000000000000000000000"}) {
    EXPECT_EQ(prefix_of(text), "") << text;
  }
}

TEST(Secrets, TheHashIsSha256) {
  EXPECT_EQ(secret_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abcd"));
}

}  // namespace
}  // namespace hadal::ledger
