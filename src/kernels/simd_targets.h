// Included before Highway in every kernel file. The kernels keep vectors in arrays, which the sizeless vector
// types of SVE and RVV do not allow: on those machines the fixed-size target (NEON) or scalar code is used.
#pragma once

#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3)
#endif
