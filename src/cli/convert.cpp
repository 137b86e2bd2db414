// hadal convert: a checkpoint into another type and another file format.
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/calibration.h"
#include "cli/command.h"
#include "cli/export_progress.h"
#include "engine/engine.h"
#include "eval/bits_per_byte.h"
#include "model/checkpoint_input.h"
#include "model/export/checkpoint_filler.h"
#include "model/export/gguf_tokenizer.h"
#include "model/gguf_config.h"

namespace hadal::cli {
namespace {

namespace fs = std::filesystem;

struct ConvertFlags {
  std::string model;
  std::string out;
  std::string type;
  std::string importance;
  std::string calibrate_text, importance_out;
  std::string text;
  std::string merge;
  bool mtp = false;
  int threads = 0;
};

void write_directory(const model::CheckpointInput& in, const ConvertFlags& flags,
                     const quant::WeightFormat& type, bool with_mtp, const model::ExportPlan& plan,
                     model::TensorFiller& filler, const model::ExportTools& tools) {
  base::replace_directory(flags.out, [&](const std::string& folder) {
    base::Json json = in.output_config(with_mtp);
    model::set_hf_type(json, type);
    base::write_file_atomic(folder + "/config.json", base::dump_json(json, 2) + "\n");
    in.write_side_files(folder);
    model::write_hf_weights(folder, plan, filler, tools);
  });
}

void write_file(const model::CheckpointInput& in, const ConvertFlags& flags, const quant::WeightFormat& type,
                bool with_mtp, const model::ExportPlan& plan, model::TensorFiller& filler,
                const model::ExportTools& tools) {
  const auto metadata = [&](format::GgufWriter& writer) {
    model::config_to_gguf(in.config, in.config.num_hidden_layers + (with_mtp ? 1 : 0), writer);
    writer.set("general.type", "model");
    writer.set("general.name", fs::path(flags.out).stem().string());
    writer.set("general.file_type", model::gguf_file_type(type));
    writer.set("general.quantization_version", uint32_t{2});
    if (in.text.tokenizer)
      model::tokenizer_to_gguf(*in.text.tokenizer, in.settings(), in.config, in.text.end_tokens, writer);
    else
      writer.set("tokenizer.ggml.model", "none");
  };
  model::write_gguf(flags.out, plan, metadata, filler, tools);
}

double perplexity(const std::string& path, const ConvertFlags& flags) {
  engine::EngineOptions options;
  options.threads = flags.threads;
  const auto engine = engine::Engine::open(path, options);
  eval::BitsPerByteOptions bpb;
  bpb.window_tokens = std::min<int64_t>(engine->info().context_tokens, 512);
  bpb.stride_tokens = std::max<int64_t>(1, bpb.window_tokens / 2);
  return std::exp(eval::bits_per_byte(*engine, base::read_file(flags.text), bpb).nats_per_token());
}

void run(const ConvertFlags& flags) {
  const double start = base::monotonic_seconds();
  const auto* type = quant::find_weight_format(flags.type);
  if (type == nullptr) {
    std::string known;
    for (const auto& format : quant::weight_formats())
      known += (known.empty() ? "" : ", ") + std::string(format.name);
    throw_error(ErrorCode::kBadInput, "[convert] --type: \"{}\" is unknown (known: {})", flags.type, known);
  }
  std::error_code ignored;
  if (fs::equivalent(flags.model, flags.out, ignored)) {
    throw_error(ErrorCode::kBadInput, "[convert] --out: {} is the model that is read", flags.out);
  }
  const model::CheckpointInput in = model::CheckpointInput::open(flags.model, flags.merge);
  const bool to_gguf = flags.out.ends_with(".gguf");
  const bool with_mtp = in.has_mtp() && (flags.mtp || !to_gguf);
  const auto plan =
      to_gguf ? model::plan_gguf(in.config, *type, with_mtp) : model::plan_hf(in.config, *type, with_mtp);
  std::unique_ptr<const model::Importance> importance;
  if (!flags.importance.empty()) importance = std::make_unique<model::Importance>(flags.importance);
  if (!flags.calibrate_text.empty()) {
    importance = calibrate(flags.model, base::read_file(flags.calibrate_text), flags.threads);
    if (!flags.importance_out.empty()) importance->write(flags.importance_out);
  }
  model::CheckpointFiller filler(*in.source, in.config, to_gguf, importance.get());
  base::ThreadPool pool(base::thread_count(flags.threads));
  {
    ExportProgressBar bar("[convert] " + flags.out);
    const model::ExportTools tools{pool, bar.callback()};
    if (to_gguf)
      write_file(in, flags, *type, with_mtp, plan, filler, tools);
    else
      write_directory(in, flags, *type, with_mtp, plan, filler, tools);
  }
  for (const auto& note : plan.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  if (in.has_mtp() && !with_mtp) {
    std::fprintf(stderr, "note: the MTP module is left out, since llama.cpp refuses it: --mtp keeps it\n");
  }
  if (to_gguf && !in.text.tokenizer)
    std::fprintf(stderr, "note: %s has no tokenizer: the file has none\n", flags.model.c_str());
  const auto bytes = static_cast<double>(plan.bytes());
  std::printf("%s: %.3f GB, %.2f bits per weight (was %.3f GB), %.1f s\n", flags.out.c_str(), bytes / 1e9,
              8.0 * bytes / static_cast<double>(plan.parameters()),
              static_cast<double>(in.source->bytes()) / 1e9, base::monotonic_seconds() - start);
  if (flags.text.empty()) return;
  const double before = perplexity(flags.model, flags);
  const double after = perplexity(flags.out, flags);
  std::printf("perplexity of %s: %.4f before, %.4f after (%+.2f %%)\n", flags.text.c_str(), before, after,
              100 * (after / before - 1));
}

}  // namespace

void add_convert(CLI::App& app) {
  auto* command = add_command(
      app, "convert", "Write a checkpoint in another type, or as GGUF or Hugging Face's layout",
      "  hadal convert --model DeepSeek-V2-Lite-Chat --out v2-lite.gguf --type q4_k\n"
      "  hadal convert --model models/hadal-nano --out nano.gguf --type q4_0 --calibrate-text book.txt\n"
      "  hadal convert --model model.gguf --out directory --type bf16\n"
      "  hadal convert --model models/hadal-nano --merge runs/tuned/model --out tuned --type bf16\n"
      "Router, norms and biases stay FP32 in GGUF; head and embedding at least q6_k.\n");
  const auto flags = std::make_shared<ConvertFlags>();
  command->add_option("--model", flags->model, "a Hugging Face directory or a GGUF file")->required();
  command->add_option("--out", flags->out, "a file that ends in .gguf, or a directory")->required();
  command
      ->add_option("--type", flags->type,
                   "f32, f16, bf16; fp8_block (directories only); q8_0, q6_k, q5_k, q4_k, q3_k, q2_k, q4_0, "
                   "q4_1, q5_0, "
                   "q5_1, iq4_nl, iq4_xs (GGUF only)")
      ->required();
  auto* importance = command->add_option(
      "--importance", flags->importance,
      "safetensors: for a weight's name its F32 importance per column (mean squared inputs)");
  auto* calibrate_text =
      command
          ->add_option("--calibrate-text", flags->calibrate_text,
                       "measure that importance: run this text (its first 65536 tokens) through the model")
          ->excludes(importance);
  command->add_option("--importance-out", flags->importance_out, "keep what was measured, for --importance")
      ->needs(calibrate_text);
  command->add_option("--merge", flags->merge, "merge this adapter (PEFT's layout) into the weights");
  command->add_option("--text", flags->text, "measure perplexity on this text, before and after");
  command->add_flag("--mtp", flags->mtp,
                    "keep the multi-token-prediction module in a GGUF (llama.cpp refuses it)");
  add_threads_option(*command, flags->threads);
  command->callback([flags] { run(*flags); });
}

}  // namespace hadal::cli
