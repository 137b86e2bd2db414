// Whether a normal user may make the namespaces that a sandbox needs. The kernel refuses them to whoever
// lives in a chroot, and where an administrator has turned them off.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hadal::test {

inline bool namespaces_are_allowed() {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    const bool normal = ::getuid() != 0 || ::setuid(kNobody) == 0;
    ::_exit(normal && ::unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
  }
  int status = 0;
  return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace hadal::test

// At the beginning of a test that runs the sandbox.
#define HADAL_NEEDS_NAMESPACES()                \
  if (!::hadal::test::namespaces_are_allowed()) \
  GTEST_SKIP() << "the kernel allows no namespaces here (a chroot?): nothing can be sandboxed"
