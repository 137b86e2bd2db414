// What tells one model's KV pages from another's.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/kvcache/page_key.h"

namespace hadal::engine {

// Hash over the content of a checkpoint's files: weights, config, tokenizer; of a Hugging Face directory or a
// GGUF file (all its parts). Reads every byte once; the result is remembered in `memory_directory` (one small
// file a checkpoint file, under what tells that the file has not changed: device, inode, size, mtime and
// ctime in nanoseconds), so that the next start need not read them again. An unusable memory is ignored.
// `progress` (bytes done, bytes in all) may be empty. `adapter`: a PEFT directory that is merged into the
// weights, or empty; its files count too. Throws Error{kIo} naming the file.
Digest checkpoint_digest(const std::string& path, const std::string& memory_directory,
                         const std::function<void(int64_t, int64_t)>& progress = {},
                         const std::string& adapter = "");

// The fingerprint of pages made from it in one cache layout and arithmetic, both as text.
Fingerprint page_fingerprint(const Digest& checkpoint, std::string_view layout, std::string_view arithmetic);

}  // namespace hadal::engine
