// Decoders of the integer formats, once per instruction set: 32 values of as many rows of W as a vector has
// 32-bit lanes, one lane a row, four codes a lane. Nothing but vectors, so that a format is written once for
// all instruction sets. The layouts are those of src/quant/<format>.h.
//
// A decoder turns the blocks at rows->base into calls of sink.group(codes, scale, bias), in the order of k:
//   codes[8]: codes[i] lane r holds values 4 i .. 4 i + 3 of row r, lowest byte first
//   scale, bias [kSubs]: lane r; w = scale[s] * (code - kOffset) + bias[s] for the s-th part of the 32 values
// Codes are unsigned below 1 << kBits, or (kSigned) signed bytes with kOffset 0.

// Per-target include guard.
#if defined(HADAL_KERNELS_QUANT_FORMATS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HADAL_KERNELS_QUANT_FORMATS_INL_H_
#undef HADAL_KERNELS_QUANT_FORMATS_INL_H_
#else
#define HADAL_KERNELS_QUANT_FORMATS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "quant/iq4_nl.h"
#include "quant/registry.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DU = hn::ScalableTag<uint32_t>;
using DI = hn::ScalableTag<int32_t>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;
using VI = hn::Vec<DI>;
constexpr int kLanes = HWY_LANES(float);

// kLanes rows of bytes, `stride` apart.
struct Rows {
  const uint8_t* base;
  int64_t stride;
  VI offsets;  // lane r: r * stride
};

HWY_INLINE Rows rows_at(const std::byte* base, int64_t stride) {
  return {reinterpret_cast<const uint8_t*>(base), stride,
          hn::Mul(hn::Iota(DI(), 0), hn::Set(DI(), static_cast<int32_t>(stride)))};
}

// Four bytes of each row.
HWY_INLINE VU load_dword(const Rows& rows, int64_t at) {
#if HWY_TARGET <= HWY_AVX2
  return hn::GatherOffset(DU(), reinterpret_cast<const uint32_t*>(rows.base + at), rows.offsets);
#else
  HWY_ALIGN uint32_t lanes[kLanes];
  for (int r = 0; r < kLanes; ++r) std::memcpy(&lanes[r], rows.base + at + r * rows.stride, 4);
  return hn::Load(DU(), lanes);
#endif
}

#if HWY_TARGET != HWY_SCALAR
// 16 bytes at `from` and at every fourth row after it, side by side.
template <class D>
HWY_INLINE hn::Vec<D> load_every_fourth_row(D d, const uint8_t* HWY_RESTRICT from, int64_t stride) {
  constexpr int64_t kCount = hn::MaxLanes(D());
  if constexpr (kCount <= 4) {
    const hn::Repartition<uint8_t, D> d8;
    return hn::BitCast(d, hn::LoadU(d8, from));
  } else {
    const hn::Half<D> half;
    return hn::Combine(d, load_every_fourth_row(half, from + kCount / 2 * stride, stride),
                       load_every_fourth_row(half, from, stride));
  }
}
#endif

// 16 bytes of each row: out[q] lane r is bytes 4 q .. 4 q + 3 of row r.
HWY_INLINE void load_16_bytes(const Rows& rows, int64_t at, VU* HWY_RESTRICT out) {
  const uint8_t* base = rows.base + at;
#if HWY_TARGET == HWY_SCALAR
  for (int q = 0; q < 4; ++q) {
    uint32_t word = 0;
    std::memcpy(&word, base + 4 * q, 4);
    out[q] = hn::Set(DU(), word);
  }
#else
  const DU d;
  VU r[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) r[j] = load_every_fourth_row(d, base + j * rows.stride, rows.stride);
  const hn::RepartitionToWide<DU> d64;
  const auto t0 = hn::BitCast(d64, hn::InterleaveLower(d, r[0], r[1]));
  const auto t1 = hn::BitCast(d64, hn::InterleaveUpper(d, r[0], r[1]));
  const auto t2 = hn::BitCast(d64, hn::InterleaveLower(d, r[2], r[3]));
  const auto t3 = hn::BitCast(d64, hn::InterleaveUpper(d, r[2], r[3]));
  out[0] = hn::BitCast(d, hn::InterleaveLower(d64, t0, t2));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(d64, t0, t2));
  out[2] = hn::BitCast(d, hn::InterleaveLower(d64, t1, t3));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(d64, t1, t3));
#endif
}

HWY_INLINE void load_32_bytes(const Rows& rows, int64_t at, VU* HWY_RESTRICT out) {
  load_16_bytes(rows, at, out);
  load_16_bytes(rows, at + 16, out + 4);
}

HWY_INLINE VU low_bits(VU v, uint32_t mask) { return hn::And(v, hn::Set(DU(), mask)); }

// FP16 in the low (high) half of each lane.
HWY_INLINE VF half_to_float(VU bits) {
  const hn::Rebind<uint16_t, DU> d16;
  const hn::Rebind<hwy::float16_t, DU> half;
  const VF value = hn::PromoteTo(DF(), hn::BitCast(half, hn::DemoteTo(d16, hn::BitCast(DI(), bits))));
#if HWY_TARGET <= HWY_AVX2
  return value;
#else
  // Where the processor has no such instruction, Highway 1.0.3 makes numbers of infinities and NaN.
  const VU sign = hn::ShiftLeft<16>(low_bits(bits, 0x8000));
  const VU special =
      hn::Or(hn::Or(sign, hn::Set(DU(), 0x7F800000)), hn::ShiftLeft<13>(low_bits(bits, 0x3FF)));
  const auto is_special = hn::Eq(low_bits(bits, 0x7C00), hn::Set(DU(), 0x7C00));
  return hn::BitCast(DF(), hn::IfThenElse(is_special, special, hn::BitCast(DU(), value)));
#endif
}
HWY_INLINE VF low_half(VU v) { return half_to_float(low_bits(v, 0xFFFF)); }
HWY_INLINE VF high_half(VU v) { return half_to_float(hn::ShiftRight<16>(v)); }

HWY_INLINE VF to_float(VU v) { return hn::ConvertTo(DF(), hn::BitCast(DI(), v)); }
HWY_INLINE VF to_float(VI v) { return hn::ConvertTo(DF(), v); }

constexpr uint32_t kNibbles = 0x0F0F0F0F;

// 16 bytes a row: low nibbles are the first 16 values, high nibbles the others.
HWY_INLINE void split_nibbles(const VU* HWY_RESTRICT q, VU* HWY_RESTRICT codes) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    codes[i] = low_bits(q[i], kNibbles);
    codes[i + 4] = low_bits(hn::ShiftRight<4>(q[i]), kNibbles);
  }
}

// Bits 4 i .. 4 i + 3 of each lane, one a byte, at bit 4 of the byte.
template <int kNibble>
HWY_INLINE VU fifth_bits(VU bits) {
  const VU four = low_bits(hn::ShiftRight<4 * kNibble>(bits), 15);
  // 1 + 2^7 + 2^14 + 2^21 moves bit b to bit 8 b, among others.
  return low_bits(hn::Mul(four, hn::Set(DU(), 0x00204081u << 4)), 0x10101010);
}

HWY_INLINE void add_fifth_bits(VU bits, VU* HWY_RESTRICT codes) {
  codes[0] = hn::Or(codes[0], fifth_bits<0>(bits));
  codes[1] = hn::Or(codes[1], fifth_bits<1>(bits));
  codes[2] = hn::Or(codes[2], fifth_bits<2>(bits));
  codes[3] = hn::Or(codes[3], fifth_bits<3>(bits));
  codes[4] = hn::Or(codes[4], fifth_bits<4>(bits));
  codes[5] = hn::Or(codes[5], fifth_bits<5>(bits));
  codes[6] = hn::Or(codes[6], fifth_bits<6>(bits));
  codes[7] = hn::Or(codes[7], fifth_bits<7>(bits));
}

// IQ4's levels in place of the codes 0..15.
HWY_INLINE void look_up_levels(VU* HWY_RESTRICT codes) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 8; ++i) {
    const uint32_t word = hn::GetLane(codes[i]);
    uint32_t out = 0;
    for (int b = 0; b < 32; b += 8) {
      out |= static_cast<uint32_t>(static_cast<uint8_t>(quant::kIq4Levels[word >> b & 15])) << b;
    }
    codes[i] = hn::Set(DU(), out);
  }
#else
  const hn::Repartition<int8_t, DU> d8;
  const auto table = hn::LoadDup128(d8, quant::kIq4Levels);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    codes[i] = hn::BitCast(DU(), hn::TableLookupBytes(table, hn::BitCast(d8, codes[i])));
  }
#endif
}

// What a kernel must know of a format; formats of one kind share it.
template <int kSubsValue, int kBitsValue, int kOffsetValue, bool kSignedValue, bool kMinimaValue>
struct Kind {
  static constexpr int kSubs = kSubsValue;
  static constexpr int kBits = kBitsValue;
  static constexpr int kOffset = kOffsetValue;
  static constexpr bool kSigned = kSignedValue;
  static constexpr bool kMinima = kMinimaValue;
};
template <class F>
using KindOf = Kind<F::kSubs, F::kBits, F::kOffset, F::kSigned, F::kMinima>;

template <quant::WeightType kType>
struct Decoder;

struct Simple32 {
  static constexpr int kSubs = 1;
  static constexpr int kBits = 4;
  static constexpr int kOffset = 0;
  static constexpr bool kSigned = false;
  static constexpr bool kMinima = false;
  static constexpr int64_t kElements = 32;
};

template <>
struct Decoder<quant::WeightType::kQ4_0> : Simple32 {
  static constexpr int kOffset = 8;
  static constexpr int64_t kBytes = 18;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU q[4];
    VU codes[8];
    load_16_bytes(rows, 2, q);
    split_nibbles(q, codes);
    const VF scale = low_half(load_dword(rows, 0));
    sink.group(codes, &scale, nullptr);
  }
};

template <>
struct Decoder<quant::WeightType::kQ4_1> : Simple32 {
  static constexpr bool kMinima = true;
  static constexpr int64_t kBytes = 20;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU q[4];
    VU codes[8];
    load_16_bytes(rows, 4, q);
    split_nibbles(q, codes);
    const VU head = load_dword(rows, 0);
    const VF scale = low_half(head);
    const VF bias = high_half(head);
    sink.group(codes, &scale, &bias);
  }
};

template <>
struct Decoder<quant::WeightType::kQ5_0> : Simple32 {
  static constexpr int kBits = 5;
  static constexpr int kOffset = 16;
  static constexpr int64_t kBytes = 22;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU q[4];
    VU codes[8];
    load_16_bytes(rows, 6, q);
    split_nibbles(q, codes);
    add_fifth_bits(load_dword(rows, 2), codes);
    const VF scale = low_half(load_dword(rows, 0));
    sink.group(codes, &scale, nullptr);
  }
};

template <>
struct Decoder<quant::WeightType::kQ5_1> : Simple32 {
  static constexpr int kBits = 5;
  static constexpr bool kMinima = true;
  static constexpr int64_t kBytes = 24;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU q[4];
    VU codes[8];
    load_16_bytes(rows, 8, q);
    split_nibbles(q, codes);
    add_fifth_bits(load_dword(rows, 4), codes);
    const VU head = load_dword(rows, 0);
    const VF scale = low_half(head);
    const VF bias = high_half(head);
    sink.group(codes, &scale, &bias);
  }
};

template <>
struct Decoder<quant::WeightType::kQ8_0> : Simple32 {
  static constexpr int kBits = 8;
  static constexpr bool kSigned = true;
  static constexpr int64_t kBytes = 34;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU codes[8];
    load_32_bytes(rows, 2, codes);
    const VF scale = low_half(load_dword(rows, 0));
    sink.group(codes, &scale, nullptr);
  }
};

template <>
struct Decoder<quant::WeightType::kIQ4_NL> : Simple32 {
  static constexpr int kBits = 8;
  static constexpr bool kSigned = true;
  static constexpr int64_t kBytes = 18;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VU q[4];
    VU codes[8];
    load_16_bytes(rows, 2, q);
    split_nibbles(q, codes);
    look_up_levels(codes);
    const VF scale = low_half(load_dword(rows, 0));
    sink.group(codes, &scale, nullptr);
  }
};

template <>
struct Decoder<quant::WeightType::kIQ4_XS> : Simple32 {
  static constexpr int kBits = 8;
  static constexpr bool kSigned = true;
  static constexpr int64_t kElements = 256;
  static constexpr int64_t kBytes = 136;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    const VU head = load_dword(rows, 0);
    const VF d = low_half(head);
    VU high = hn::ShiftRight<16>(head);
    VU low = load_dword(rows, 4);
#pragma GCC unroll 1
    for (int g = 0; g < 8; ++g) {
      const VU six = hn::Or(low_bits(low, 15), hn::ShiftLeft<4>(low_bits(high, 3)));
      const VF scale = hn::Mul(d, to_float(hn::Sub(hn::BitCast(DI(), six), hn::Set(DI(), 32))));
      low = hn::ShiftRight<4>(low);
      high = hn::ShiftRight<2>(high);
      VU q[4];
      VU codes[8];
      load_16_bytes(rows, 8 + 16 * g, q);
      split_nibbles(q, codes);
      look_up_levels(codes);
      sink.group(codes, &scale, nullptr);
    }
  }
};

// The scales and minima of q4_k and q5_k: lane r of vector g.
HWY_INLINE void k_scales(const Rows& rows, VF* HWY_RESTRICT scale, VF* HWY_RESTRICT bias) {
  VU head[4];  // d and dmin, then the 12 bytes of k_scales.h
  load_16_bytes(rows, 0, head);
  const VF d = low_half(head[0]);
  const VF minus_dmin = hn::Neg(high_half(head[0]));
  VU s = head[1];
  VU m = head[2];
  VU both = head[3];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    scale[g] = hn::Mul(d, to_float(low_bits(s, 63)));
    bias[g] = hn::Mul(minus_dmin, to_float(low_bits(m, 63)));
    const VU s4 = hn::Or(low_bits(both, 15), low_bits(hn::ShiftRight<2>(s), 48));
    const VU m4 = hn::Or(low_bits(hn::ShiftRight<4>(both), 15), low_bits(hn::ShiftRight<2>(m), 48));
    scale[g + 4] = hn::Mul(d, to_float(s4));
    bias[g + 4] = hn::Mul(minus_dmin, to_float(m4));
    s = hn::ShiftRight<8>(s);
    m = hn::ShiftRight<8>(m);
    both = hn::ShiftRight<8>(both);
  }
}

template <>
struct Decoder<quant::WeightType::kQ4_K> : Simple32 {
  static constexpr bool kMinima = true;
  static constexpr int64_t kElements = 256;
  static constexpr int64_t kBytes = 144;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VF scale[8];
    VF bias[8];
    k_scales(rows, scale, bias);
#pragma GCC unroll 1
    for (int j = 0; j < 4; ++j) {
      VU q[8];
      VU codes[8];
      load_32_bytes(rows, 16 + 32 * j, q);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) codes[i] = low_bits(q[i], kNibbles);
      sink.group(codes, scale + 2 * j, bias + 2 * j);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) codes[i] = low_bits(hn::ShiftRight<4>(q[i]), kNibbles);
      sink.group(codes, scale + 2 * j + 1, bias + 2 * j + 1);
    }
  }
};

template <>
struct Decoder<quant::WeightType::kQ5_K> : Simple32 {
  static constexpr int kBits = 5;
  static constexpr bool kMinima = true;
  static constexpr int64_t kElements = 256;
  static constexpr int64_t kBytes = 176;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    VF scale[8];
    VF bias[8];
    k_scales(rows, scale, bias);
    VU fifth[8];  // bit g of a byte: group g
    load_32_bytes(rows, 16, fifth);
#pragma GCC unroll 1
    for (int j = 0; j < 4; ++j) {
      VU q[8];
      VU codes[8];
      load_32_bytes(rows, 48 + 32 * j, q);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const VU bit = hn::ShiftLeft<4>(low_bits(fifth[i], 0x01010101));
        codes[i] = hn::Or(low_bits(q[i], kNibbles), bit);
      }
      sink.group(codes, scale + 2 * j, bias + 2 * j);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        const VU bit = hn::ShiftLeft<3>(low_bits(fifth[i], 0x02020202));
        codes[i] = hn::Or(low_bits(hn::ShiftRight<4>(q[i]), kNibbles), bit);
        fifth[i] = hn::ShiftRight<2>(fifth[i]);
      }
      sink.group(codes, scale + 2 * j + 1, bias + 2 * j + 1);
    }
  }
};

struct Sub16 : Simple32 {
  static constexpr int kSubs = 2;
  static constexpr int64_t kElements = 256;
};

template <>
struct Decoder<quant::WeightType::kQ2_K> : Sub16 {
  static constexpr int kBits = 2;
  static constexpr bool kMinima = true;
  static constexpr int64_t kBytes = 84;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    const VU head = load_dword(rows, 80);
    const VF d = low_half(head);
    const VF minus_dmin = hn::Neg(high_half(head));
    VU scales[4];  // byte i of the 16: scale and minimum of values 16 i ...
    load_16_bytes(rows, 0, scales);
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
      VU q[8];
      load_32_bytes(rows, 16 + 32 * half, q);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        VU codes[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          codes[i] = low_bits(q[i], 0x03030303);
          q[i] = hn::ShiftRight<2>(q[i]);
        }
        VU& pair = scales[2 * half + j / 2];
        VF scale[2];
        VF bias[2];
#pragma GCC unroll 2
        for (int s = 0; s < 2; ++s) {
          scale[s] = hn::Mul(d, to_float(low_bits(pair, 15)));
          bias[s] = hn::Mul(minus_dmin, to_float(low_bits(hn::ShiftRight<4>(pair), 15)));
          pair = hn::ShiftRight<8>(pair);
        }
        sink.group(codes, scale, bias);
      }
    }
  }
};

template <>
struct Decoder<quant::WeightType::kQ3_K> : Sub16 {
  static constexpr int kBits = 3;
  static constexpr int kOffset = 4;
  static constexpr int64_t kBytes = 110;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    const VF d = high_half(load_dword(rows, 106));
    const VU low0 = load_dword(rows, 96);
    const VU low1 = load_dword(rows, 100);
    VU high = load_dword(rows, 104);  // bits 2 (i / 4) of byte i % 4
    VU third[8];                      // bit g of a byte: values 32 g ...
    load_32_bytes(rows, 0, third);
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
      VU q[8];
      load_32_bytes(rows, 32 + 32 * half, q);
      VU low[2] = {low0, low1};
      if (half == 1) {
        low[0] = hn::ShiftRight<4>(low0);
        low[1] = hn::ShiftRight<4>(low1);
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        VU codes[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          codes[i] = hn::Or(low_bits(q[i], 0x03030303), hn::ShiftLeft<2>(low_bits(third[i], 0x01010101)));
          q[i] = hn::ShiftRight<2>(q[i]);
          third[i] = hn::ShiftRight<1>(third[i]);
        }
        VF scale[2];
#pragma GCC unroll 2
        for (int s = 0; s < 2; ++s) {
          const int i = (2 * j + s) % 4;  // byte of the scale
          const VU four = hn::ShiftRightSame(low[j / 2], 8 * i);
          const VU two = hn::ShiftRightSame(high, 8 * i + (j / 2) * 2);
          const VU six = hn::Or(low_bits(four, 15), hn::ShiftLeft<4>(low_bits(two, 3)));
          scale[s] = hn::Mul(d, to_float(hn::Sub(hn::BitCast(DI(), six), hn::Set(DI(), 32))));
        }
        sink.group(codes, scale, nullptr);
      }
      high = hn::ShiftRight<4>(high);
    }
  }
};

template <>
struct Decoder<quant::WeightType::kQ6_K> : Sub16 {
  static constexpr int kBits = 6;
  static constexpr int kOffset = 32;
  static constexpr int64_t kBytes = 210;
  template <class Sink>
  static HWY_INLINE void block(const Rows& rows, Sink& sink) {
    const VF d = high_half(load_dword(rows, 206));
    VU scales[4];  // signed bytes
    load_16_bytes(rows, 192, scales);
#pragma GCC unroll 1
    for (int half = 0; half < 2; ++half) {
      VU high[8];
      load_32_bytes(rows, 128 + 32 * half, high);
#pragma GCC unroll 1
      for (int part = 0; part < 2; ++part) {  // low nibbles, then high nibbles
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          VU q[8];
          VU codes[8];
          load_32_bytes(rows, 64 * half + 32 * j, q);
#pragma GCC unroll 8
          for (int i = 0; i < 8; ++i) {
            const VU four = part == 0 ? q[i] : hn::ShiftRight<4>(q[i]);
            codes[i] = hn::Or(low_bits(four, kNibbles), hn::ShiftLeft<4>(low_bits(high[i], 0x03030303)));
            high[i] = hn::ShiftRight<2>(high[i]);
          }
          VU& pair = scales[2 * half + part];
          VF scale[2];
#pragma GCC unroll 2
          for (int s = 0; s < 2; ++s) {
            scale[s] = hn::Mul(d, to_float(hn::ShiftRight<24>(hn::BitCast(DI(), hn::ShiftLeft<24>(pair)))));
            pair = hn::ShiftRight<8>(pair);
          }
          sink.group(codes, scale, nullptr);
        }
      }
    }
  }
};

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
