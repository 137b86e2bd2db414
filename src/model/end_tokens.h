// The tokens that end an answer, as a Hugging Face directory names them.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::model {

// eos_token_id of generation_config.json, else of config.json: an id or a list of ids; empty when neither has
// one. Throws Error{kBadInput} naming the file for anything else and for ids outside [0, vocab_size).
std::vector<text::TokenId> read_end_tokens(const std::string& model_directory, int64_t vocab_size);

}  // namespace hadal::model
