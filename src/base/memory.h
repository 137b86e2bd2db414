// The allocator's habits, for programs that allocate the same large buffers again and again.
#pragma once

namespace hadal::base {

// Freed memory stays with the process (glibc would give large blocks back and pay for fresh, zeroed pages on
// the next step: about 6 % of a training step here). Call once, before the work.
void keep_freed_memory();

}  // namespace hadal::base
