// hadal logits: what the model says at every position, for comparison with other implementations.
#include <cstring>

#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/token_file.h"
#include "engine/session.h"
#include "format/safetensors.h"

namespace hadal::cli {

namespace {

struct Flags {
  std::string model;
  std::string adapter;
  std::string tokens;
  std::string out;
  bool decode = false;
  bool exact = false;  // the default, said aloud
  bool fast = false;
  std::string kv_type;  // empty: f32, or bf16 with --fast
  int threads = 0;
};

void run(const Flags& flags) {
  const auto model = engine::LoadedModel::load(flags.model, flags.adapter);
  const auto& config = model->config();
  const auto tokens =
      read_tokens(flags.tokens, config.vocab_size, 1, static_cast<size_t>(config.max_position_embeddings));
  const auto count = static_cast<int64_t>(tokens.size());
  base::ThreadPool pool(base::thread_count(flags.threads));
  const auto precision = flags.fast ? engine::Precision::kFast : engine::Precision::kExact;
  const auto kv_type = flags.kv_type.empty() ? (flags.fast ? engine::KvType::kBf16 : engine::KvType::kF32)
                                             : engine::parse_kv_type(flags.kv_type);

  tensor::Buffer logits(count * config.vocab_size);  // [tokens, vocab_size]
  tensor::Buffer mtp_logits;                         // [tokens - 1, vocab_size], where there is a module
  std::vector<format::TensorToWrite> tensors;
  tensors.push_back({"logits", tensor::DType::kF32, {count, config.vocab_size}, logits.data(), {}});
  tensor::Matrix mtp_view;
  if (config.num_nextn_predict_layers > 0 && count > 1) {
    mtp_logits.resize((count - 1) * config.vocab_size);
    mtp_view = mtp_logits.view(count - 1, config.vocab_size);
    tensors.push_back(
        {"mtp_logits", tensor::DType::kF32, {count - 1, config.vocab_size}, mtp_logits.data(), {}});
  }
  if (!flags.decode || mtp_view.rows > 0) {
    engine::Session session(model, count, precision, kv_type, pool);
    session.append_all(tokens, logits.view(count, config.vocab_size), mtp_view);
  }
  if (flags.decode) {
    engine::Session session(model, count, precision, kv_type, pool);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = session.append({&tokens[static_cast<size_t>(i)], 1});
      std::memcpy(logits.data() + i * config.vocab_size, row.data(), row.size_bytes());
    }
  }
  format::write_safetensors(flags.out, tensors, {{"format", "pt"}});
}

}  // namespace

void add_logits(CLI::App& app) {
  auto* command = add_command(
      app, "logits", "Write the logits at every position of a token sequence (FP32 arithmetic and cache).",
      "  hadal logits --model M --tokens tokens.json --out logits.safetensors\n"
      "  hadal logits --model M --tokens tokens.json --out decode.safetensors --decode --threads 1\n"
      "tokens.json is an array of ids. The file holds `logits` [tokens, vocab] and, where the checkpoint has "
      "an MTP\n"
      "module, `mtp_logits` [tokens - 1, vocab] (row i predicts token i + 2; always from a prefill).\n");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->model, "a Hugging Face model directory or a GGUF file")->required();
  command->add_option("--adapter", flags->adapter, "a LoRA adapter of this model, merged (PEFT's layout)");
  command->add_option("--tokens", flags->tokens, "JSON array of token ids")->required();
  command->add_option("--out", flags->out, "the safetensors file to write")->required();
  command->add_flag("--decode", flags->decode, "token by token through the KV cache instead of one prefill");
  auto* exact = command->add_flag("--exact", flags->exact, "FP32 arithmetic throughout (the default)");
  command->add_flag("--fast", flags->fast, "as the server computes: 8-bit activations for integer weights")
      ->excludes(exact);
  add_kv_type_option(*command, flags->kv_type);
  add_threads_option(*command, flags->threads);
  command->callback([flags] { run(*flags); });
}

}  // namespace hadal::cli
