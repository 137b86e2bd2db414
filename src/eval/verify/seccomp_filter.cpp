#include "eval/verify/seccomp_filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace hadal::eval {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// Memory that no process's resident set shows, and doors to the kernel that a test program does not need.
constexpr int kRefused[] = {
    SYS_memfd_create,
    SYS_shmget,
    SYS_shmat,
    SYS_msgget,
    SYS_semget,
    SYS_mq_open,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_ptrace,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_kexec_load,
    SYS_finit_module,
    SYS_delete_module,
    SYS_swapon,
    SYS_open_by_handle_at,
    SYS_fanotify_init,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_vmsplice,
    SYS_acct,
    SYS_quotactl,
    SYS_reboot,
    SYS_personality,
};

// Of mmap's flags: in MAP_SHARED and MAP_SHARED_VALIDATE, not in MAP_PRIVATE. The low half of the argument,
// which comes first on both processors.
constexpr uint32_t kSharedBit = MAP_SHARED & ~MAP_PRIVATE;
static_assert(kSharedBit == 1 && (MAP_SHARED_VALIDATE & kSharedBit) != 0);

sock_filter statement(uint16_t code, uint32_t k) { return {code, 0, 0, k}; }
sock_filter jump(uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false) {
  return {code, if_true, if_false, k};
}

}  // namespace

std::string seccomp_filter() {
  if (kArchitecture == 0) return "";
  constexpr uint32_t kDeny = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> program = {
    statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    jump(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
    statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),  // 32-bit calls would slip past the numbers below
    statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
#if defined(__x86_64__)
    jump(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),  // and so would the x32 ABI's
    statement(BPF_RET | BPF_K, kDeny),
#endif
  };
  // Shared mappings: pages of no file that stay when nobody maps them. Where libraries want one (glibc's
  // gconv cache), they can do without.
  program.insert(program.end(), {
                                    jump(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
                                    statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])),
                                    jump(BPF_JMP | BPF_JSET | BPF_K, kSharedBit, 0, 1),
                                    statement(BPF_RET | BPF_K, kDeny),
                                    statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                                });
  for (const int call : kRefused) {
    program.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    program.push_back(statement(BPF_RET | BPF_K, kDeny));
  }
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  return {reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)};
}

}  // namespace hadal::eval
