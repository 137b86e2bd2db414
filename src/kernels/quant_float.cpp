// Rows of floating-point formats as FP32, with vectors: the values of quant::row_to_float.
#include <algorithm>

#include "kernels/quant_int8.h"
#include "kernels/simd.h"
#include "kernels/simd_targets.h"
#include "quant/fp8_block.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quant_float.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace {

using DF = hn::ScalableTag<float>;
using DU = hn::ScalableTag<uint32_t>;
using D16 = hn::Rebind<uint16_t, DF>;
using D8 = hn::Rebind<uint8_t, DF>;
using DHalf = hn::Rebind<hwy::float16_t, DF>;
constexpr int64_t kLanes = HWY_LANES(float);

[[maybe_unused]] HWY_INLINE hn::Vec<DF> from_half(hn::Vec<D16> bits) {
  return hn::PromoteTo(DF(), hn::BitCast(DHalf(), bits));
}

// Whole vectors of [0, count); returns how many values that were.
int64_t expand_bf16(const uint8_t* from, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto bits = hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(from + 2 * i));
    hn::StoreU(hn::BitCast(DF(), hn::ShiftLeft<16>(hn::PromoteTo(DU(), bits))), DF(), out + i);
  }
  return i;
}

// Highway 1.0.3 makes numbers of FP16's infinities and NaN where the processor has no instruction for it:
// there the caller does all values.
#if HWY_TARGET <= HWY_AVX2 || HWY_TARGET == HWY_NEON
int64_t expand_f16(const uint8_t* from, int64_t count, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    hn::StoreU(from_half(hn::LoadU(D16(), reinterpret_cast<const uint16_t*>(from + 2 * i))), DF(), out + i);
  }
  return i;
}

// E4M3 shifted into FP16's fields is the value / 256, denormals included.
int64_t expand_fp8(const uint8_t* from, int64_t count, float scale, float* out) {
  const D16 d16;
  const auto times = hn::Set(DF(), 256.0f);
  const auto scales = hn::Set(DF(), scale);
  const auto magnitude = hn::Set(d16, 0x7F);
  const auto nan = hn::Set(d16, 0x7E00);
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const auto code = hn::PromoteTo(d16, hn::LoadU(D8(), from + i));
    const auto low = hn::And(code, magnitude);
    auto bits = hn::Or(hn::ShiftLeft<8>(hn::AndNot(magnitude, code)), hn::ShiftLeft<7>(low));
    bits = hn::IfThenElse(hn::Eq(low, magnitude), nan, bits);
    hn::StoreU(hn::Mul(hn::Mul(from_half(bits), times), scales), DF(), out + i);
  }
  return i;
}

#else
int64_t expand_f16(const uint8_t* /*from*/, int64_t /*count*/, float* /*out*/) { return 0; }
int64_t expand_fp8(const uint8_t* /*from*/, int64_t /*count*/, float /*scale*/, float* /*out*/) { return 0; }
#endif

}  // namespace

// Values [begin, begin + done) of a row; the caller does the rest.
int64_t expand_row_of_target(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count,
                             float* out) {
  const auto* from = reinterpret_cast<const uint8_t*>(w.data) + row * w.row_bytes() + w.format->bytes(begin);
  switch (w.format->type) {
    case quant::WeightType::kBF16:
      return expand_bf16(from, count, out);
    case quant::WeightType::kF16:
      return expand_f16(from, count, out);
    case quant::WeightType::kFp8Block: {
      // Up to the end of the block of scales that `begin` lies in.
      const int64_t end = std::min(count, (begin / w.block.cols + 1) * w.block.cols - begin);
      const float* scales = w.scale_inv + (w.first_row + row) / w.block.rows * w.scale_cols;
      return expand_fp8(from, end, scales[begin / w.block.cols], out);
    }
    default:
      return 0;
  }
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(expand_row_of_target);

namespace {
[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();
}  // namespace

void expand_row(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out) {
  const auto expand = HWY_DYNAMIC_DISPATCH(expand_row_of_target);
  const int64_t block = w.format->block_scaled ? w.block.cols : count;
  for (int64_t c = 0; c < count;) {
    const int64_t at = begin + c;
    const int64_t piece = std::min(count - c, block - (w.format->block_scaled ? at % block : 0));
    const int64_t done = expand(w, row, at, piece, out + c);
    quant::row_to_float(w, row, at + done, piece - done, out + c + done);
    c += piece;
  }
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
