#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace hadal {

void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: internal error: %s\n", file, line, condition);
  std::abort();
}

}  // namespace hadal
