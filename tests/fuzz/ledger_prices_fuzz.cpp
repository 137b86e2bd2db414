// Price files: whatever the bytes, a table whose prices can be asked for at any time, or one line that names
// the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "ledger/prices.h"

namespace {

using namespace hadal;

void check(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto table = ledger::PriceTable::parse({reinterpret_cast<const char*>(data), size}, "prices.toml");
    check(table.currency.size() == 3);
    for (const ledger::ModelPrice& model : table.models) {
      check(table.find(model.model, "") == &model);
      for (const int64_t time : {int64_t{0}, int64_t{1'700'000'000}, int64_t{1'700'043'210}}) {
        const ledger::Price& price = ledger::price_at(model, time);
        check(price.hit >= 0 && price.miss >= 0 && price.output >= 0);
        check(ledger::cost_of(price, {1'000'000'000, 500'000'000, 1'000'000'000, 0}) >= 0);
        if (!ledger::is_off_peak(model, time)) check(&price == &model.price);
      }
    }
  } catch (const Error& e) {
    check(e.code() == ErrorCode::kBadInput);
    check(std::string_view(e.what()).starts_with("[prices] prices.toml"));
    check(std::string_view(e.what()).find('\n') == std::string_view::npos);
  }
  return 0;
}
