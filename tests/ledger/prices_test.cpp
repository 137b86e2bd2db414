#include "ledger/prices.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hadal::ledger {
namespace {

constexpr const char* kTable = R"(
currency = "USD"
[[model]]
name = "deepseek-chat"
hit = "0.07"
miss = "0.27"
output = "1.10"
[[model.off_peak]]          # DeepSeek's of 2025
from = "16:30"
to = "00:30"
hit = "0.035"
miss = "0.135"
output = "0.55"
[[model]]
name = "weekdays"
hit = "1"
miss = "2"
output = "3"
[[model.off_peak]]
from = "22:00"
to = "06:00"
days = ["fri", "sat"]
output = "0"
[[model]]
name = "*"
hit = "0.000000001"
miss = "0.5"
output = "2"
)";

constexpr int64_t kSunday = 1795305600;  // 2026-11-22T00:00:00Z

int64_t at(int day, int hour, int minute) { return kSunday + ((day * 24 + hour) * 60 + minute) * 60; }

TEST(Prices, CostIsExactAndRoundedOnce) {
  const Price price{70'000'000, 270'000'000, 1'100'000'000};  // 0.07, 0.27, 1.10 a million
  EXPECT_EQ(cost_of(price, {1'000'000, 0, 0, 0}), 270'000'000);
  EXPECT_EQ(cost_of(price, {1'000'000, 1'000'000, 1'000'000, 5}), 1'170'000'000);
  EXPECT_EQ(cost_of(price, {100, 64, 10, 0}), 70 * 64 + 270 * 36 + 1100 * 10);
  EXPECT_EQ(cost_of({3'625'000, 0, 0}, {1, 1, 0, 0}), 4);  // 3.625 nano-units
  EXPECT_EQ(cost_of({3'499'999, 0, 0}, {1, 1, 0, 0}), 3);
  EXPECT_EQ(cost_of({3'500'000, 0, 0}, {1, 1, 0, 0}), 4);  // a half goes up
  EXPECT_EQ(cost_of({3'625'000, 0, 0}, {1000, 1000, 0, 0}), 3625);
  EXPECT_EQ(cost_of(price, {}), 0);
  // Nothing wraps: a hundred million units for a million tokens, a trillion of them.
  EXPECT_EQ(cost_of({0, 0, 100'000'000 * kNanosPerUnit}, {0, 0, 1'000'000'000'000, 0}), kMostMoney);
}

TEST(Prices, WindowsAreInUtcAndGoOverMidnight) {
  const PriceTable table = PriceTable::parse(kTable, "prices.toml");
  const ModelPrice& chat = *table.find("deepseek-chat", "x");
  EXPECT_EQ(price_at(chat, at(0, 12, 0)).miss, 270'000'000);
  EXPECT_EQ(price_at(chat, at(0, 16, 29)).miss, 270'000'000);
  EXPECT_EQ(price_at(chat, at(0, 16, 30)).miss, 135'000'000);
  EXPECT_EQ(price_at(chat, at(0, 23, 59)).output, 550'000'000);
  EXPECT_EQ(price_at(chat, at(1, 0, 0)).hit, 35'000'000);
  EXPECT_EQ(price_at(chat, at(1, 0, 29)).hit, 35'000'000);
  EXPECT_EQ(price_at(chat, at(1, 0, 30)).hit, 70'000'000);
  EXPECT_TRUE(is_off_peak(chat, at(1, 0, 0)));
  EXPECT_FALSE(is_off_peak(chat, at(1, 0, 30)));
}

TEST(Prices, WindowsBelongToTheDayTheyBeginOn) {
  const PriceTable table = PriceTable::parse(kTable, "prices.toml");
  const ModelPrice& model = *table.find("weekdays", "");
  EXPECT_EQ(price_at(model, at(-2, 21, 59)).output, 3'000'000'000);  // Friday
  EXPECT_EQ(price_at(model, at(-2, 22, 0)).output, 0);
  EXPECT_EQ(price_at(model, at(-2, 22, 0)).miss, 2'000'000'000);  // what a window does not name stays
  EXPECT_EQ(price_at(model, at(-1, 5, 59)).output, 0);
  EXPECT_EQ(price_at(model, at(0, 5, 59)).output, 0);              // Saturday night's
  EXPECT_EQ(price_at(model, at(0, 22, 0)).output, 3'000'000'000);  // Sunday has none
  EXPECT_EQ(price_at(model, at(1, 5, 0)).output, 3'000'000'000);
}

TEST(Prices, TheNameAskedForComesFirst) {
  const PriceTable table = PriceTable::parse(kTable, "prices.toml");
  EXPECT_EQ(table.find("deepseek-chat", "weekdays")->model, "deepseek-chat");
  EXPECT_EQ(table.find("other", "weekdays")->model, "weekdays");
  EXPECT_EQ(table.find("other", "another")->model, "*");
  EXPECT_EQ(table.find("other", "another")->price.hit, 1);
  EXPECT_EQ(PriceTable::parse("", "x").find("a", "b"), nullptr);
}

TEST(Prices, RefusesWhatIsWrong) {
  const std::string row = "[[model]]\nname = \"m\"\nhit = \"1\"\nmiss = \"1\"\n";
  for (const std::string& text :
       {row, row + "output = 1.5\n", row + "output = \"-1\"\n", row + "output = \"1e3\"\n",
        row + "output = \"1\"\nouput = \"2\"\n", row + "output = \"1\"\n" + row + "output = \"1\"\n",
        std::string("currency = \"dollars\"\n"),
        row + "output = \"1\"\n[[model.off_peak]]\nfrom = \"24:00\"\nto = \"01:00\"\n",
        row + "output = \"1\"\n[[model.off_peak]]\nfrom = \"1:00\"\nto = \"02:00\"\n",
        row +
            "output = \"1\"\n[[model.off_peak]]\nfrom = \"01:00\"\nto = \"02:00\"\ndays = [\"monday\"]\n"}) {
    try {
      PriceTable::parse(text, "prices.toml");
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_TRUE(std::string(e.what()).starts_with("[prices] prices.toml")) << e.what();
    }
  }
}

}  // namespace
}  // namespace hadal::ledger
