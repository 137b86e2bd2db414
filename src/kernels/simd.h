// Which instruction set the kernels use: the best that the processor has, or less when asked (tests,
// comparisons).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hadal::kernels {

// "amx" and "avx512vnni" (8-bit products; all else as "avx512"), "avx512", "avx2", "sse4", "neon", "scalar",
// ...: what a kernel called now would run as.
std::string simd_name();

// The names that this machine can run and this program holds, best first.
std::vector<std::string> simd_names();

// Uses nothing better than `name` from now on; "" is the best again. Returns false for a name that
// simd_names() does not hold. Not while kernels run on other threads. The environment variable HADAL_SIMD
// does the same at start.
bool limit_simd(std::string_view name);

// Whether kernels may use AMX tiles of 8-bit integers: the processor has them, the kernel lets this process
// use them, and limit_simd() does not forbid them.
bool amx_enabled();

// Reads HADAL_SIMD once. Kernel files hold its result in a static, so that it is done before any kernel runs.
bool apply_simd_environment();

}  // namespace hadal::kernels
