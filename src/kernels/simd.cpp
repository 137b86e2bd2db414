#include "kernels/simd.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL  // so that it can be told apart: quant_int8.cpp has it
#endif
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
int64_t current_target() { return HWY_TARGET; }
}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {
HWY_EXPORT(current_target);

namespace {

std::string name_of(int64_t target) {
  switch (target) {
    case HWY_AVX3_DL:
      return "avx512vnni";
    case HWY_AVX3:
      return "avx512";
    case HWY_AVX2:
      return "avx2";
    case HWY_SSE4:
      return "sse4";
    case HWY_SSSE3:
      return "ssse3";
    case HWY_NEON:
      return "neon";
    case HWY_EMU128:
    case HWY_SCALAR:
      return "scalar";
    default:
      return hwy::TargetName(target);
  }
}

// What the processor has and this file was compiled for, before any limit.
int64_t available_targets() {
  static const int64_t available = [] {
    hwy::SetSupportedTargetsForTest(0);
    return hwy::SupportedTargets() & HWY_TARGETS;
  }();
  return available;
}

// AMX is no Highway target: a processor that has it has AVX3_DL, and kernels for that ask amx_enabled().
constexpr const char* kAmx = "amx";
std::atomic<bool> amx_allowed{true};

bool amx_available() {
#if defined(__x86_64__) && defined(__linux__)
  static const bool available = [] {
    constexpr long kRequestFeature = 0x1023;  // ARCH_REQ_XCOMP_PERM
    constexpr long kTileData = 18;            // XFEATURE_XTILEDATA
    constexpr unsigned kTileAndInt8 = 3u << 24;
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (!(available_targets() & HWY_AVX3_DL)) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kTileAndInt8) != kTileAndInt8) return false;
    // The kernel of Linux gives tiles to a process that asks; one without AMX support refuses.
    return syscall(SYS_arch_prctl, kRequestFeature, kTileData) == 0;
  }();
  return available;
#else
  return false;
#endif
}

}  // namespace

bool amx_enabled() { return amx_allowed.load(std::memory_order_relaxed) && amx_available(); }

std::string simd_name() { return amx_enabled() ? kAmx : name_of(HWY_DYNAMIC_DISPATCH(current_target)()); }

std::vector<std::string> simd_names() {
  std::vector<std::string> names;
  if (amx_available()) names.push_back(kAmx);
  const int64_t available = available_targets();
  for (int bit = 0; bit < 63; ++bit) {  // lower bits are better targets
    if (available & (int64_t{1} << bit)) names.push_back(name_of(int64_t{1} << bit));
  }
  return names;
}

bool limit_simd(std::string_view name) {
  if (name == kAmx && !amx_available()) return false;
  const bool amx = name.empty() || name == kAmx;
  if (amx) name = "";
  const int64_t available = available_targets();
  int64_t allowed = 0;
  for (int bit = 62; bit >= 0; --bit) {
    const int64_t target = int64_t{1} << bit;
    if (!(available & target)) continue;
    allowed |= target;
    if (!name.empty() && name_of(target) == name) break;
  }
  if (!name.empty()) {
    bool known = false;
    for (const auto& candidate : simd_names()) known = known || candidate == name;
    if (!known) return false;
  }
  amx_allowed = amx;
  hwy::SetSupportedTargetsForTest(name.empty() ? 0 : allowed);
  hwy::GetChosenTarget().DeInit();  // the next dispatch looks again
  return true;
}

bool apply_simd_environment() {
  static const bool applied = [] {
    const char* name = std::getenv("HADAL_SIMD");
    if (name == nullptr || *name == '\0') return false;
    if (limit_simd(name)) return true;
    std::fprintf(stderr, "hadal: HADAL_SIMD=%s: not one of this machine's instruction sets; ignored\n", name);
    return false;
  }();
  return applied;
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
