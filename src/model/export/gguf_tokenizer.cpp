#include "model/export/gguf_tokenizer.h"

#include <algorithm>

#include "text/gguf_vocabulary.h"

namespace hadal::model {

void tokenizer_to_gguf(const text::Tokenizer& tokenizer, const base::Json& settings,
                       const ModelConfig& config, std::span<const text::TokenId> end_tokens,
                       format::GgufWriter& writer) {
  const auto vocabulary = text::gguf_vocabulary(tokenizer, static_cast<int32_t>(config.vocab_size));
  writer.set("tokenizer.ggml.model", vocabulary.model);
  writer.set("tokenizer.ggml.pre", vocabulary.pre);
  writer.set("tokenizer.ggml.tokens", std::span<const std::string>(vocabulary.tokens));
  writer.set("tokenizer.ggml.token_type", std::span<const int32_t>(vocabulary.token_types));
  writer.set("tokenizer.ggml.merges", std::span<const std::string>(vocabulary.merges));
  writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(config.bos_token_id));
  // GGUF has a key each for what ends a text, a turn and a message: instruct models name two or three.
  constexpr const char* kEndKeys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                      "tokenizer.ggml.eom_token_id"};
  const text::TokenId only[] = {config.eos_token_id};
  if (end_tokens.empty()) end_tokens = only;
  for (size_t i = 0; i < std::min(end_tokens.size(), std::size(kEndKeys)); ++i) {
    writer.set(kEndKeys[i], static_cast<uint32_t>(end_tokens[i]));
  }
  bool add_bos = vocabulary.add_bos.value_or(false);
  if (settings.is_object()) {
    const auto flag = settings.find("add_bos_token");
    if (flag != settings.end() && flag->is_boolean()) add_bos = flag->get<bool>();
    const auto chat = settings.find("chat_template");
    if (chat != settings.end() && chat->is_string()) {
      writer.set("tokenizer.chat_template", chat->get<std::string>());
    }
  }
  writer.set("tokenizer.ggml.add_bos_token", add_bos);
  if (vocabulary.add_eos.value_or(false)) writer.set("tokenizer.ggml.add_eos_token", true);
}

}  // namespace hadal::model
