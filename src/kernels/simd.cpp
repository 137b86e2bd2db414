#include "kernels/simd.h"

#include <cstdio>
#include <cstdlib>

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
    case HWY_AVX3:
    case HWY_AVX3_DL:
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

}  // namespace

std::string simd_name() { return name_of(HWY_DYNAMIC_DISPATCH(current_target)()); }

std::vector<std::string> simd_names() {
  std::vector<std::string> names;
  const int64_t available = available_targets();
  for (int bit = 0; bit < 63; ++bit) {  // lower bits are better targets
    if (available & (int64_t{1} << bit)) names.push_back(name_of(int64_t{1} << bit));
  }
  return names;
}

bool limit_simd(std::string_view name) {
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
