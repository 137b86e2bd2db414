// Sums of four products of bytes a lane: the primitive that Highway 1.0.3 lacks, per instruction set.
//   Dot<kBits, kSigned>::Part part = Dot::begin(); part = Dot::step(part, codes, x), at most Dot::kSteps
//   times; sum = Dot::end(sum, part)
// codes: four W codes a lane as a decoder gives them (quant_formats-inl.h); x: four signed codes, broadcast.
// sum is exact, but for kBias (VNNI takes signed codes + 128): the sum of (code + kBias) * x.

// Per-target include guard.
#if defined(HADAL_KERNELS_QUANT_DOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HADAL_KERNELS_QUANT_DOT_INL_H_
#undef HADAL_KERNELS_QUANT_DOT_INL_H_
#else
#define HADAL_KERNELS_QUANT_DOT_INL_H_
#endif

#include "kernels/quant_formats-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL

constexpr const char* kInt8Name = "vnni";

template <int kBits, bool kSigned>
struct Dot {
  using Part = VI;
  static constexpr int kSteps = 8;
  static constexpr int kBias = kSigned ? 128 : 0;
  static HWY_INLINE Part begin() { return hn::Zero(DI()); }
  static HWY_INLINE Part step(Part part, VU codes, VI x) {
    if (kSigned) codes = hn::Xor(codes, hn::Set(DU(), 0x80808080));
    // Highway's AVX3_DL asks the processor for AVX512-VNNI but not the compiler: hence no intrinsic.
    __asm__("vpdpbusd %2, %1, %0" : "+v"(part.raw) : "v"(codes.raw), "v"(x.raw));
    return part;
  }
  static HWY_INLINE VI end(VI sum, Part part) { return hn::Add(sum, part); }
};

#elif HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4

constexpr const char* kInt8Name = "maddubs";

#if HWY_TARGET == HWY_AVX3
HWY_INLINE __m512i multiply_bytes(__m512i u, __m512i s) { return _mm512_maddubs_epi16(u, s); }
#elif HWY_TARGET == HWY_AVX2
HWY_INLINE __m256i multiply_bytes(__m256i u, __m256i s) { return _mm256_maddubs_epi16(u, s); }
HWY_INLINE __m256i give_sign(__m256i x, __m256i sign) { return _mm256_sign_epi8(x, sign); }
#else
HWY_INLINE __m128i multiply_bytes(__m128i u, __m128i s) { return _mm_maddubs_epi16(u, s); }
HWY_INLINE __m128i give_sign(__m128i x, __m128i sign) { return _mm_sign_epi8(x, sign); }
#endif

// Products of two neighbours are added in 16 bits, which hold |sum| <= 32767: with x in [-127, 127], eight
// steps of 4-bit codes (8 * 2 * 15 * 127 = 30480), four of 5 bits, two of 6 bits, one of 8 signed bits
// (2 * 128 * 127). Only then are they widened.
template <int kBits, bool kSigned>
struct Dot {
  using D16 = hn::Repartition<int16_t, DI>;
  using D8 = hn::Repartition<int8_t, DI>;
  using Part = hn::Vec<D16>;
  static constexpr int kSteps = kBits <= 4 ? 8 : kBits == 5 ? 4 : kBits == 6 ? 2 : 1;
  static constexpr int kBias = 0;
  static HWY_INLINE Part begin() { return hn::Zero(D16()); }
  static HWY_INLINE Part step(Part part, VU codes, VI x) {
    Part products = part;
    if constexpr (kSigned) {
      const auto signs = hn::BitCast(D8(), codes);
#if HWY_TARGET == HWY_AVX3
      const auto s8 = hn::BitCast(D8(), x);
      const auto signed_x = hn::IfThenElse(hn::Lt(signs, hn::Zero(D8())), hn::Sub(hn::Zero(D8()), s8), s8);
      products.raw = multiply_bytes(hn::Abs(signs).raw, signed_x.raw);
#else
      products.raw = multiply_bytes(hn::Abs(signs).raw, give_sign(x.raw, signs.raw));
#endif
    } else {
      products.raw = multiply_bytes(codes.raw, x.raw);
    }
    return hn::Add(part, products);
  }
  static HWY_INLINE VI end(VI sum, Part part) {
    VI pairs = sum;
#if HWY_TARGET == HWY_AVX3
    pairs.raw = _mm512_madd_epi16(part.raw, _mm512_set1_epi16(1));
#elif HWY_TARGET == HWY_AVX2
    pairs.raw = _mm256_madd_epi16(part.raw, _mm256_set1_epi16(1));
#else
    pairs.raw = _mm_madd_epi16(part.raw, _mm_set1_epi16(1));
#endif
    return hn::Add(sum, pairs);
  }
};

#else

constexpr const char* kInt8Name = "portable";

template <int kBits, bool kSigned>
struct Dot {
  using Part = VI;
  static constexpr int kSteps = 8;
  static constexpr int kBias = 0;
  static HWY_INLINE Part begin() { return hn::Zero(DI()); }
  // Byte b of each lane as a number.
  template <int kByte>
  static HWY_INLINE VI x_byte(VI x) {
    return hn::ShiftRight<24>(hn::ShiftLeft<24 - 8 * kByte>(x));
  }
  template <int kByte>
  static HWY_INLINE VI code_byte(VU codes) {
    if (kSigned) return x_byte<kByte>(hn::BitCast(DI(), codes));
    return hn::BitCast(DI(), low_bits(hn::ShiftRight<8 * kByte>(codes), 255));
  }
  static HWY_INLINE Part step(Part part, VU codes, VI x) {
    part = hn::Add(part, hn::Mul(code_byte<0>(codes), x_byte<0>(x)));
    part = hn::Add(part, hn::Mul(code_byte<1>(codes), x_byte<1>(x)));
    part = hn::Add(part, hn::Mul(code_byte<2>(codes), x_byte<2>(x)));
    return hn::Add(part, hn::Mul(code_byte<3>(codes), x_byte<3>(x)));
  }
  static HWY_INLINE VI end(VI sum, Part part) { return hn::Add(sum, part); }
};

#endif

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
