// A tokenizer as GGUF's "tokenizer.*" keys, for llama.cpp and all that read its files.
#pragma once

#include <span>
#include <string>

#include "base/json.h"
#include "format/gguf_writer.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace hadal::model {

// `settings`: tokenizer_config.json, or null: its add_bos_token and its chat_template are kept. Ids from the
// tokenizer's last to config.vocab_size are written as unused. Throws Error for a tokenizer that GGUF has no
// name for, or with more ids than the model has embeddings. end_tokens: all that end an answer, at most three
// are kept; empty: the config's eos_token_id.
void tokenizer_to_gguf(const text::Tokenizer& tokenizer, const base::Json& settings,
                       const ModelConfig& config, std::span<const text::TokenId> end_tokens,
                       format::GgufWriter& writer);

}  // namespace hadal::model
