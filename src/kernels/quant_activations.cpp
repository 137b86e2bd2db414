// The 8-bit form of activations: per 32 values, scale = max |x| / 127 and codes rounded to nearest even.
#include <algorithm>

#include "base/error.h"
#include "kernels/quant_gemm.h"
#include "kernels/simd.h"
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quant_activations.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x: `groups` times 32 values; codes as many; scales [groups]; sums [2 * groups].
void quantize_row(const float* HWY_RESTRICT x, int64_t groups, int8_t* HWY_RESTRICT codes,
                  float* HWY_RESTRICT scales, int32_t* HWY_RESTRICT sums) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<int32_t, decltype(d)> di;
  const hn::Rebind<int8_t, decltype(d)> d8;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(d));
  constexpr int kVectors = 32 / kLanes;
  for (int64_t g = 0; g < groups; ++g, x += 32, codes += 32) {
    // Magnitudes compare as integers do, and a NaN is the largest of all: so it reaches the scale.
    auto most = hn::Zero(di);
    for (int v = 0; v < kVectors; ++v) {
      most = hn::Max(most, hn::BitCast(di, hn::Abs(hn::LoadU(d, x + v * kLanes))));
    }
    const float largest = hn::GetLane(hn::BitCast(d, hn::MaxOfLanes(di, most)));
    // Below this, 127 / largest would not be finite.
    const bool nothing = largest < 1e-30f;
    scales[g] = nothing ? 0.0f : largest / 127.0f;
    const auto inverse = hn::Set(d, nothing ? 0.0f : 127.0f / largest);
    for (int half = 0; half < 2; ++half) {
      auto sum = hn::Zero(di);
      for (int v = 0; v < kVectors / 2; ++v) {
        const int at = half * 16 + v * kLanes;
        auto code = hn::NearestInt(hn::Mul(hn::LoadU(d, x + at), inverse));
        code = hn::Max(hn::Min(code, hn::Set(di, 127)), hn::Set(di, -127));
        sum = hn::Add(sum, code);
        hn::StoreU(hn::DemoteTo(d8, code), d8, codes + at);
      }
      sums[2 * g + half] = hn::GetLane(hn::SumOfLanes(di, sum));
    }
  }
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(quantize_row);

namespace {
[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();
}  // namespace

void Activations::prepare(tensor::ConstMatrix x, bool with_int8) {
  values_ = x;
  has_int8_ = with_int8;
  if (!with_int8) return;
  HADAL_CHECK(x.cols % kGroup == 0);
  const int64_t bytes = x.rows * x.cols;
  if (bytes > codes_capacity_) {
    const int64_t rounded = (bytes + 63) / 64 * 64;
    codes_.reset(static_cast<int8_t*>(std::aligned_alloc(64, static_cast<size_t>(rounded))));
    if (!codes_) throw_error(ErrorCode::kResource, "cannot allocate {} bytes", rounded);
    codes_capacity_ = rounded;
  }
  scales_.resize(static_cast<size_t>(bytes / kGroup));
  sums_.resize(static_cast<size_t>(bytes / kGroup * 2));
}

void Activations::quantize(int64_t begin, int64_t end) {
  const auto run = HWY_DYNAMIC_DISPATCH(quantize_row);
  for (int64_t i = begin; i < end; ++i) {
    run(values_.row(i), groups(), codes_.get() + i * values_.cols, scales_.data() + i * groups(),
        sums_.data() + i * 2 * groups());
  }
}

void Activations::assign(tensor::ConstMatrix x, bool with_int8, base::ThreadPool& pool) {
  prepare(x, with_int8);
  if (!with_int8 || x.rows == 0) return;
  // About 16,000 values a task: under that, handing out costs more than it saves.
  const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, x.cols));
  if (x.rows <= grain || pool.size() == 1) {
    quantize(0, x.rows);
    return;
  }
  base::parallel_for(pool, x.rows, grain, [&](int64_t begin, int64_t end) { quantize(begin, end); });
}

void Activations::assign(tensor::ConstMatrix x, bool with_int8) {
  prepare(x, with_int8);
  if (with_int8) quantize(0, x.rows);
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
