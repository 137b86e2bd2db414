#include "base/memory.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace hadal::base {

void keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_MAX, 0);         // no block of its own mapping
  mallopt(M_TRIM_THRESHOLD, -1);  // the heap never shrinks
#endif
}

}  // namespace hadal::base
