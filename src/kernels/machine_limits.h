// What this machine can do at best, as the yardstick of every other measurement: multiply-adds per second in
// FP32 with the best instruction set that the kernels use, and memory bandwidth.
#pragma once

#include <cstdint>

namespace hadal::kernels {

// GFLOP/s (a fused multiply-add counts two) of `threads` threads that only multiply and add in registers: the
// median of a few rounds. Takes under 0.3 s.
double measure_fma_peak(int threads);

// The same for the 8-bit multiply-add that the kernels of integer weight formats use (AMX, VNNI, maddubs).
double measure_int8_peak(int threads);

// GB/s over buffers of `bytes_per_thread`, the median of a few rounds. Copy counts bytes read plus bytes
// written.
struct Bandwidth {
  double read_gb_per_s;
  double copy_gb_per_s;
};
inline constexpr int64_t kBandwidthBytes = int64_t{128}
                                           << 20;  // beyond the share of the last cache of most machines
Bandwidth measure_bandwidth(int threads, int64_t bytes_per_thread = kBandwidthBytes);

}  // namespace hadal::kernels
