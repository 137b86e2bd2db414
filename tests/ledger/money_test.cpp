#include "ledger/money.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hadal::ledger {
namespace {

TEST(Money, IsReadAndWrittenExactly) {
  struct Case {
    const char* text;
    Nanos nanos;
    const char* printed;
  };
  for (const Case& c :
       {Case{"0", 0, "0.00"}, Case{"12", 12'000'000'000, "12.00"}, Case{"12.5", 12'500'000'000, "12.50"},
        Case{"-0.25", -250'000'000, "-0.25"}, Case{"0.000000001", 1, "0.000000001"},
        Case{"-0.000000001", -1, "-0.000000001"}, Case{"0.1", 100'000'000, "0.10"},
        Case{"0.28", 280'000'000, "0.28"}, Case{"0.003625", 3'625'000, "0.003625"},
        Case{"1000000000", kMostMoney, "1000000000.00"}, Case{"007.10", 7'100'000'000, "7.10"}}) {
    EXPECT_EQ(parse_money(c.text, "amount"), c.nanos) << c.text;
    EXPECT_EQ(money_text(c.nanos), c.printed) << c.text;
    EXPECT_EQ(parse_money(money_text(c.nanos), "amount"), c.nanos);
  }
  EXPECT_EQ(money_text(INT64_MIN), "-9223372036.854775808");
  EXPECT_EQ(money_text(INT64_MAX), "9223372036.854775807");
}

TEST(Money, RefusesWhatIsNotAnAmount) {
  for (const char* text : {"", "-", ".", "1.", ".5", "1,5", "1e3", "+1", " 1", "1 ", "--1", "0x1", "1.2.3",
                           "0.0000000001", "1000000001", "99999999999999999999999999", "nan", "1.-5"}) {
    EXPECT_THROW(parse_money(text, "amount"), Error) << text;
  }
}

}  // namespace
}  // namespace hadal::ledger
