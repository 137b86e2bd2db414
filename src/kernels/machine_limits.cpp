#include "kernels/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "kernels/quant_int8.h"
#include "kernels/simd.h"
#include "kernels/simd_targets.h"
#include "tensor/tensor.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/machine_limits.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {
using D = hn::ScalableTag<float>;

// Twelve independent chains hide the latency of two FMA units and fit 16 registers.
constexpr int kChains = 12;
}  // namespace

// Returns the operations done; *sink keeps the compiler from dropping them.
double fma_loop(int64_t rounds, float* sink) {
  const D d;
  hn::Vec<D> acc[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) acc[i] = hn::Set(d, 1.0f + 0.01f * static_cast<float>(i));
  const auto mul = hn::Set(d, 0.999f + *sink * 1e-9f);
  const auto add = hn::Set(d, 0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], mul, add);
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], mul, add);
  }
  auto sum = acc[0];
  for (int i = 1; i < kChains; ++i) sum = hn::Add(sum, acc[i]);
  *sink = hn::GetLane(sum);
  return static_cast<double>(rounds) * 2 * kChains * 2 * HWY_LANES(float);
}

// Sums n floats (n a multiple of 8 vectors).
float read_loop(const float* x, int64_t n) {
  const D d;
  constexpr int64_t kLanes = HWY_LANES(float);
  hn::Vec<D> acc[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) acc[i] = hn::Zero(d);
  for (int64_t p = 0; p + 8 * kLanes <= n; p += 8 * kLanes) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) acc[i] = hn::Add(acc[i], hn::LoadU(d, x + p + i * kLanes));
  }
  auto sum = acc[0];
  for (int i = 1; i < 8; ++i) sum = hn::Add(sum, acc[i]);
  return hn::GetLane(sum);
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(fma_loop);
HWY_EXPORT(read_loop);

namespace {

[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();

// Runs body(thread) -> work done on `threads` threads, which start each round together; returns work per
// second of each round, in rising order. A round takes as long as its slowest thread.
std::vector<double> rates_of(int threads, int rounds, const std::function<double(int)>& body) {
  struct alignas(64) Slot {
    double seconds = 0;
    double work = 0;
  };
  std::vector<Slot> slots(static_cast<size_t>(threads));
  std::vector<double> rates;
  std::atomic<int> arrived{0};
  std::atomic<int> finished{0};
  const auto worker = [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      arrived.fetch_add(1);
      while (arrived.load() < threads * (round + 1)) std::this_thread::yield();
      const double begin = base::monotonic_seconds();
      auto& slot = slots[static_cast<size_t>(thread)];
      slot.work = body(thread);
      slot.seconds = base::monotonic_seconds() - begin;
      finished.fetch_add(1);
      if (thread == 0) {
        while (finished.load() < threads * (round + 1)) std::this_thread::yield();
        double work = 0;
        double seconds = 0;
        for (const auto& s : slots) {
          work += s.work;
          seconds = std::max(seconds, s.seconds);
        }
        rates.push_back(work / seconds);
      } else {
        while (finished.load() < threads * (round + 1)) std::this_thread::yield();
      }
    }
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(worker, thread);
  worker(0);
  for (auto& thread : others) thread.join();
  std::sort(rates.begin(), rates.end());
  return rates;
}

// The best of rounds of about 2 ms of loop(length, thread) -> operations: short enough that some of them pass
// undisturbed on a machine that others use too; a disturbance only ever makes a round slower.
double best_rate(int threads, int64_t trial, const std::function<double(int64_t, int)>& loop) {
  double seconds = 1.0;
  for (int i = 0; i < 5; ++i) {
    const double begin = base::monotonic_seconds();
    loop(trial, 0);
    seconds = std::min(seconds, base::monotonic_seconds() - begin);
  }
  const double rounds = static_cast<double>(trial) * 0.002 / std::max(1e-7, seconds);
  const auto length = std::max<int64_t>(1, static_cast<int64_t>(rounds));
  return 1e-9 * rates_of(threads, 60, [&](int thread) { return loop(length, thread); }).back();
}

}  // namespace

double measure_fma_peak(int threads) {
  const auto loop = HWY_DYNAMIC_DISPATCH(fma_loop);
  std::vector<float> sinks(static_cast<size_t>(threads) * 16, 0.0f);
  return best_rate(threads, 20000, [&](int64_t rounds, int thread) {
    return loop(rounds, &sinks[static_cast<size_t>(thread) * 16]);
  });
}

double measure_int8_peak(int threads) {
  std::vector<int32_t> sinks(static_cast<size_t>(threads) * 16, 0);
  return best_rate(threads, 20000, [&](int64_t rounds, int thread) {
    return int8_loop(rounds, &sinks[static_cast<size_t>(thread) * 16]);
  });
}

Bandwidth measure_bandwidth(int threads, int64_t bytes_per_thread) {
  const int64_t floats = bytes_per_thread / 4 / 256 * 256;
  std::vector<tensor::Buffer> from(static_cast<size_t>(threads));
  std::vector<tensor::Buffer> to(static_cast<size_t>(threads));
  std::vector<float> sinks(static_cast<size_t>(threads) * 16);
  for (auto& buffer : from) buffer.resize(floats), buffer.zero();  // touched: pages exist
  for (auto& buffer : to) buffer.resize(floats), buffer.zero();
  const auto bytes = static_cast<double>(floats * 4);
  const auto read = HWY_DYNAMIC_DISPATCH(read_loop);
  constexpr int kRounds = 9;
  const auto best = [](int count, const std::function<double(int)>& body) {
    return rates_of(count, kRounds, body).back();
  };
  Bandwidth result{};
  result.read_gb_per_s = 1e-9 * best(threads, [&](int thread) {
                           const auto t = static_cast<size_t>(thread);
                           sinks[t * 16] = read(from[t].data(), floats);
                           return bytes;
                         });
  result.copy_gb_per_s = 1e-9 * best(threads, [&](int thread) {
                           const auto t = static_cast<size_t>(thread);
                           std::memcpy(to[t].data(), from[t].data(), static_cast<size_t>(floats) * 4);
                           return 2 * bytes;
                         });
  volatile float keep = sinks[0];
  (void)keep;
  return result;
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
