// Does the time of checking a key say anything about the secret? Four kinds of wrong keys, in random order:
// unknown beginning; a known beginning with the first, or only the last character behind it wrong; and right
// keys beside them. Prints the medians, and Welch's t between kinds on the times below the 90th percentile
// (what interrupts add is noise to both).
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "ledger/accounts.h"
#include "ledger/secrets.h"
#include "ledger/store.h"

namespace {

using namespace hadal::ledger;

struct Moments {
  double mean = 0, variance = 0;
  size_t count = 0;
};

Moments trimmed(std::vector<double> times) {
  std::ranges::sort(times);
  times.resize(times.size() * 9 / 10);
  Moments m;
  m.count = times.size();
  for (const double t : times) m.mean += t / static_cast<double>(m.count);
  for (const double t : times) m.variance += (t - m.mean) * (t - m.mean) / static_cast<double>(m.count - 1);
  return m;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 400'000;
  constexpr int kKeys = 1000;
  std::vector<Key> keys(kKeys);
  std::vector<std::string> secrets;
  for (int i = 0; i < kKeys; ++i) {
    keys[static_cast<size_t>(i)].id = fmt::format("key_{:010}", i);
    secrets.push_back(renew_secret(keys[static_cast<size_t>(i)], 0));
  }
  Accounts accounts;
  accounts.load(keys, {}, unix_ms());
  const char* names[] = {"unknown beginning", "first character wrong", "last character wrong", "right"};
  std::vector<double> times[4];
  std::mt19937 random(7);
  size_t right = 0;
  for (int i = 0; i < rounds; ++i) {
    std::string secret = secrets[random() % kKeys];
    const size_t kind = random() % 4;
    if (kind == 0) secret = make_secret();
    if (kind == 1) secret[kPrefixBytes] = secret[kPrefixBytes] == 'x' ? 'y' : 'x';
    if (kind == 2) secret.back() = secret.back() == 'x' ? 'y' : 'x';
    const auto begin = std::chrono::steady_clock::now();
    const bool ok = accounts.authenticate(secret, 1).has_value();
    const auto end = std::chrono::steady_clock::now();
    right += ok ? 1 : 0;
    times[kind].push_back(std::chrono::duration<double, std::nano>(end - begin).count());
  }
  Moments moments[4];
  for (int k = 0; k < 4; ++k) {
    moments[k] = trimmed(times[k]);
    fmt::print("{:<24} {:>8} checks  mean {:.1f} ns\n", names[k], times[k].size(), moments[k].mean);
  }
  for (const auto& [a, b] : {std::pair{1, 2}, std::pair{0, 2}, std::pair{2, 3}}) {
    const double spread = moments[a].variance / static_cast<double>(moments[a].count) +
                          moments[b].variance / static_cast<double>(moments[b].count);
    fmt::print("{} / {}: difference {:+.1f} ns, t = {:+.1f}\n", names[a], names[b],
               moments[b].mean - moments[a].mean, (moments[b].mean - moments[a].mean) / std::sqrt(spread));
  }
  fmt::print("{} of {} were right keys\n", right, rounds);
  return right == times[3].size() ? 0 : 1;
}
