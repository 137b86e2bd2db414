// tokens.json: a JSON array of token ids, the input of `logits` and `grads`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hadal::cli {

// Throws Error{kBadInput} naming the file and the place for anything but at least `least` and at most `most`
// ids in [0, vocab_size).
std::vector<int32_t> read_tokens(const std::string& path, int64_t vocab_size, size_t least, size_t most);

}  // namespace hadal::cli
