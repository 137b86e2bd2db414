// hadal eval bpb
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "engine/engine.h"
#include "eval/bits_per_byte.h"

namespace hadal::cli {
namespace {

struct BpbOptions {
  std::string model;
  std::string text;
  int64_t window = 0;
  int64_t stride = 0;
  int64_t max_bytes = 0;
  int threads = 0;
  bool exact = false;
  std::string kv_type;
  bool json = false;
};

// The longest prefix of at most `bytes` that does not end inside a UTF-8 character.
std::string_view prefix(std::string_view text, int64_t bytes) {
  if (bytes <= 0 || static_cast<size_t>(bytes) >= text.size()) return text;
  auto end = static_cast<size_t>(bytes);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

void run_bpb(const BpbOptions& o) {
  const std::string all = base::read_file(o.text);
  const std::string_view text = prefix(all, o.max_bytes);
  engine::EngineOptions engine_options;
  engine_options.threads = o.threads;
  engine_options.exact = o.exact;
  engine_options.kv_type = o.kv_type;
  const auto engine = engine::Engine::open(o.model, engine_options);
  const int64_t longest = engine->info().context_tokens;
  if (o.window > longest) {
    throw_error(ErrorCode::kBadInput,
                "[eval] --window {}: {} has {} positions; take a window of at most that", o.window, o.model,
                longest);
  }
  eval::BitsPerByteOptions options;
  options.window_tokens = o.window > 0 ? o.window : std::min<int64_t>(longest, 512);
  options.stride_tokens = o.stride > 0 ? o.stride : std::max<int64_t>(1, options.window_tokens / 2);
  if (::isatty(STDERR_FILENO) != 0) {
    options.progress = [](int64_t done, int64_t total) {
      std::fprintf(stderr, "\r%lld/%lld windows%s", static_cast<long long>(done),
                   static_cast<long long>(total), done == total ? "\n" : "");
    };
  }
  const double began = base::monotonic_seconds();
  const eval::BitsPerByte result = eval::bits_per_byte(*engine, text, options);
  const double seconds = base::monotonic_seconds() - began;
  if (o.json) {
    const base::Json json = {{"bits_per_byte", result.bits_per_byte},
                             {"nats_per_token", result.nats_per_token()},
                             {"tokens", result.tokens},
                             {"bytes", result.bytes},
                             {"window_tokens", options.window_tokens},
                             {"stride_tokens", options.stride_tokens},
                             {"seconds", seconds}};
    std::printf("%s\n", base::dump_json(json).c_str());
    return;
  }
  std::printf(
      "%.4f bits per byte (%lld bytes, %lld tokens, %.4f nats per token, window %lld, stride %lld, %.1f s)\n",
      result.bits_per_byte, static_cast<long long>(result.bytes), static_cast<long long>(result.tokens),
      result.nats_per_token(), static_cast<long long>(options.window_tokens),
      static_cast<long long>(options.stride_tokens), seconds);
}

}  // namespace

void add_eval(CLI::App& app) {
  CLI::App* command = add_command(app, "eval", "Measure a model",
                                  "  hadal eval bpb --model M --text FILE\n"
                                  "  hadal eval tasks --model M --task sums:2 --samples 16");
  command->require_subcommand(1);
  add_eval_tasks(*command);
  add_eval_card(*command);
  auto options = std::make_shared<BpbOptions>();
  CLI::App* bpb =
      add_command(*command, "bpb", "Bits per byte of a text",
                  "  hadal eval bpb --model models/hadal-nano --text book.txt\n"
                  "  hadal eval bpb --model runs/nano/model --text validation.txt --max-bytes 200000 --json");
  bpb->add_option("--model", options->model, "a Hugging Face model directory")->required();
  bpb->add_option("--text", options->text, "a text file")->required();
  bpb->add_option("--window", options->window,
                  "tokens of one forward pass (default: the model's positions, at most 512)")
      ->check(CLI::PositiveNumber);
  bpb->add_option("--stride", options->stride, "distance between windows (default: half a window)")
      ->check(CLI::PositiveNumber);
  bpb->add_option("--max-bytes", options->max_bytes, "only the beginning of the text")
      ->check(CLI::PositiveNumber);
  add_kv_type_option(*bpb, options->kv_type);
  bpb->add_flag("--exact", options->exact, "FP32 arithmetic for quantized weights too");
  add_threads_option(*bpb, options->threads);
  bpb->add_flag("--json", options->json, "print one JSON object");
  bpb->callback([options] { run_bpb(*options); });
}

}  // namespace hadal::cli
