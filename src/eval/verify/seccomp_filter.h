// The sandbox's list of refused system calls, as the BPF program that bwrap --seccomp takes (seccomp(2)).
#pragma once

#include <string>

namespace hadal::eval {

// Bytes of an array of struct sock_filter; empty on a processor that it is not written for.
std::string seccomp_filter();

}  // namespace hadal::eval
