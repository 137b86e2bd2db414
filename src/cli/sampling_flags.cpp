#include "cli/sampling_flags.h"

#include "cli/command.h"

namespace hadal::cli {

engine::SamplingOptions SamplingFlags::get() const {
  engine::SamplingOptions out = options;
  if (seed_option->count() > 0) out.seed = seed;
  return out;
}

void add_sampling_flags(CLI::App& command, SamplingFlags& flags) {
  auto& options = flags.options;
  command
      .add_option("--max-tokens", options.max_tokens, "most tokens to generate; 0: until the context is full")
      ->capture_default_str();
  command.add_option("--temperature", options.temperature, "0: always the likeliest token")
      ->capture_default_str();
  command.add_option("--top-k", options.top_k, "only the k likeliest tokens; 0: off")->capture_default_str();
  command
      .add_option("--top-p", options.top_p, "only the likeliest tokens that together reach this probability")
      ->capture_default_str();
  command.add_option("--min-p", options.min_p, "drop tokens less likely than this times the likeliest")
      ->capture_default_str();
  command.add_option("--repetition-penalty", options.repetition_penalty, "above 1: avoid tokens said before")
      ->capture_default_str();
  command.add_option("--stop", options.stop, "end before this text (may be given several times)")
      ->allow_extra_args(false);
  flags.seed_option =
      command.add_option("--seed", flags.seed, "same seed, same answer; none: a new one each time");
}

void add_engine_flags(CLI::App& command, EngineFlags& flags) {
  command.add_option("--model", flags.model, "a Hugging Face model directory or a GGUF file")->required();
  add_engine_options(command, flags.options);
}

void add_engine_options(CLI::App& command, engine::EngineOptions& options) {
  add_threads_option(command, options.threads);
  command.add_option("--chat-format", options.chat_format, "instead of the checkpoint's own, by name");
  command.add_option(
      "--adapter", options.adapter,
      "a LoRA adapter of this model, merged while it is loaded (a directory in PEFT's layout)");
  command.add_flag("--exact", options.exact, "FP32 arithmetic for quantized weights too (slow)");
  add_kv_type_option(command, options.kv_type);
  add_bytes_option(command, "--kv-memory", options.kv_memory_bytes,
                   "memory of the KV cache, such as 4G; 0: a quarter of what is free");
  command
      .add_option("--context", options.context_tokens,
                  "context in tokens; 0: the model's, at most 8192; more than it was trained for is allowed")
      ->capture_default_str();
}

}  // namespace hadal::cli
