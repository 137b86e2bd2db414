#include "ledger/records.h"

#include <chrono>

namespace hadal::ledger {

UsageRow& UsageRow::operator+=(const UsageRow& other) {
  requests += other.requests;
  failed += other.failed;
  tokens.prompt += other.tokens.prompt;
  tokens.cached += other.tokens.cached;
  tokens.completion += other.tokens.completion;
  tokens.reasoning += other.tokens.reasoning;
  cost += other.cost;
  return *this;
}

int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

int64_t first_day_of_month(int64_t day) {
  using namespace std::chrono;
  const year_month_day date{sys_days{days{day}}};
  return sys_days{date.year() / date.month() / 1}.time_since_epoch().count();
}

}  // namespace hadal::ledger
