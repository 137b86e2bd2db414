// hadal grads: the loss of a token sequence and its gradient for every weight, for comparison with autograd.
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/token_file.h"
#include "format/safetensors.h"
#include "model/transformer.h"

namespace hadal::cli {

namespace {

struct Flags {
  std::string model;
  std::string tokens;
  std::string out;
  int threads = 0;
};

void run(const Flags& flags) {
  const auto model = model::Transformer::load(flags.model);
  const auto& config = model->config();
  const auto tokens = read_tokens(flags.tokens, config.vocab_size, 2,
                                  static_cast<size_t>(config.max_position_embeddings) + 1);
  base::ThreadPool pool(base::thread_count(flags.threads));
  model->enable_gradients();
  const model::TokenBatch batch{1, static_cast<int64_t>(tokens.size()) - 1, tokens, {}};
  const auto result = model->forward_backward(batch, {}, pool);

  const auto loss = static_cast<float>(result.loss);
  std::vector<format::TensorToWrite> tensors;
  tensors.push_back({"loss", tensor::DType::kF32, {1}, &loss, {}});
  for (const auto& parameter : model->parameters()) {
    if (parameter.grad == nullptr || !parameter.trainable) continue;
    tensors.push_back({"grad." + parameter.name, tensor::DType::kF32, parameter.shape, parameter.grad, {}});
  }
  format::write_safetensors(flags.out, tensors, {{"format", "pt"}});
}

}  // namespace

void add_grads(CLI::App& app) {
  auto* command = add_command(app, "grads",
                              "Write the loss of a token sequence and its gradient for every weight (FP32).",
                              "  hadal grads --model M --tokens tokens.json --out grads.safetensors\n"
                              "The file holds `loss` [1] (mean cross-entropy of predicting tokens[1:] from "
                              "tokens[:-1]) and `grad.<weight>`.\n");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->model, "a Hugging Face model directory or a GGUF file")->required();
  command->add_option("--tokens", flags->tokens, "JSON array of at least two token ids")->required();
  command->add_option("--out", flags->out, "the safetensors file to write")->required();
  add_threads_option(*command, flags->threads);
  command->callback([flags] { run(*flags); });
}

}  // namespace hadal::cli
