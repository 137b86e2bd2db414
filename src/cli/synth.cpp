// hadal synth: a checkpoint of a known model's shape with random weights, for benchmarks.
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/export_progress.h"
#include "model/export/export_file.h"
#include "model/export/gguf_tokenizer.h"
#include "model/export/random_filler.h"
#include "model/export/shapes.h"
#include "model/gguf_config.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer_writer.h"

namespace hadal::cli {
namespace {

using model::ModelConfig;

struct SynthFlags {
  std::string shape;
  std::string type = "q4_0";
  std::string out;
  std::string tokenizer;
  int64_t layers = 0;
  uint64_t seed = 1;
  double sigma = 0.02;
  int threads = 0;
};

// Control tokens, the 256 bytes, every pair of printable ASCII, then pairs with a third: a byte-level BPE
// that encodes any text, of exactly `size` tokens.
text::Vocabulary make_vocabulary(int64_t size) {
  text::Vocabulary v;
  v.tokens = {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<｜User｜>",
              "<｜Assistant｜>"};
  v.control_tokens = v.tokens.size();
  if (size < static_cast<int64_t>(v.control_tokens) + 256) {
    throw_error(ErrorCode::kBadInput,
                "[synth] a vocabulary of {} has no room for 256 bytes and {} control tokens", size,
                v.control_tokens);
  }
  const auto byte_id = [&](int byte) { return static_cast<text::TokenId>(v.control_tokens) + byte; };
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, static_cast<char>(byte));
  const auto full = [&] { return static_cast<int64_t>(v.tokens.size()) >= size; };
  size_t left = v.control_tokens + 32;  // from ' ' on; later the pairs, then the triples, ...
  const size_t last_byte = v.control_tokens + 126;
  for (; !full(); left = left == last_byte ? v.control_tokens + 256 : left + 1) {
    for (int byte = ' '; byte <= '~' && !full(); ++byte) {
      v.merges.emplace_back(static_cast<text::TokenId>(left), byte_id(byte));
      v.tokens.push_back(v.tokens[left] + static_cast<char>(byte));
    }
  }
  return v;
}

struct TokenizerText {
  std::string json;
  std::string where;
};

TokenizerText tokenizer_text(const SynthFlags& flags, ModelConfig& config) {
  if (!flags.tokenizer.empty()) return {base::read_file(flags.tokenizer), flags.tokenizer};
  config.bos_token_id = 0;
  config.eos_token_id = 1;
  return {text::write_tokenizer_json(make_vocabulary(config.vocab_size)), "synthetic tokenizer"};
}

void refuse_too_large(const std::string& out, int64_t bytes) {
  const auto slash = out.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : out.substr(0, slash + 1);
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return;  // the writer will say what is wrong
  const double free_bytes = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize);
  if (static_cast<double>(bytes) > 0.98 * free_bytes) {
    throw_error(ErrorCode::kResource,
                "[synth] {}: {:.1f} GiB are needed, {:.1f} GiB are free: use fewer --layers", out,
                static_cast<double>(bytes) / 0x1p30, free_bytes / 0x1p30);
  }
}

void run(const SynthFlags& flags) {
  const double start = base::monotonic_seconds();
  const auto* type = quant::find_weight_format(flags.type);
  if (type == nullptr) throw_error(ErrorCode::kBadInput, "[synth] --type: \"{}\" is unknown", flags.type);
  ModelConfig config = model::parse_config(model::shape_config(flags.shape), "shape " + flags.shape);
  if (flags.layers > 0) config.num_hidden_layers = flags.layers;
  config.first_k_dense_replace = std::min(config.first_k_dense_replace, config.num_hidden_layers);
  config.num_nextn_predict_layers = 0;
  const bool gguf = flags.out.ends_with(".gguf");
  if (gguf) config.rope_interleave = true;  // nothing to rearrange in random rows
  const TokenizerText tokenizer = tokenizer_text(flags, config);
  const auto plan = gguf ? model::plan_gguf(config, *type, false) : model::plan_hf(config, *type, false);
  refuse_too_large(flags.out, plan.bytes());

  model::RandomFiller filler(flags.seed, flags.sigma);
  base::ThreadPool pool(base::thread_count(flags.threads));
  {
    ExportProgressBar bar("writing");
    const model::ExportTools tools{pool, bar.callback()};
    if (gguf) {
      const auto metadata = [&](format::GgufWriter& writer) {
        model::config_to_gguf(config, config.num_hidden_layers, writer);
        writer.set("general.name", "synthetic " + flags.shape);
        writer.set("general.file_type", model::gguf_file_type(*type));
        writer.set("general.quantization_version", uint32_t{2});
        model::tokenizer_to_gguf(*text::Tokenizer::parse(tokenizer.json, tokenizer.where), {}, config, {},
                                 writer);
      };
      model::write_gguf(flags.out, plan, metadata, filler, tools);
    } else {
      base::replace_directory(flags.out, [&](const std::string& folder) {
        base::Json json = model::config_to_json(config);
        model::set_hf_type(json, *type);
        base::write_file_atomic(folder + "/config.json", base::dump_json(json, 2) + "\n");
        base::write_file_atomic(folder + "/tokenizer.json", tokenizer.json);
        model::write_hf_weights(folder, plan, filler, tools);
      });
    }
  }
  const double gigabytes = static_cast<double>(plan.bytes()) / 0x1p30;
  for (const auto& note : plan.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
  std::printf("%s: %.2f B parameters, %.2f GiB, %.2f bits per weight, %.1f s\n", flags.out.c_str(),
              static_cast<double>(plan.parameters()) / 1e9, gigabytes,
              8.0 * static_cast<double>(plan.bytes()) / static_cast<double>(plan.parameters()),
              base::monotonic_seconds() - start);
}

}  // namespace

void add_synth(CLI::App& app) {
  auto* command = add_command(app, "synth", "Write a random checkpoint of a known model's true shape",
                              "  hadal synth --shape v2-lite --type q4_0 --out v2-lite.gguf\n"
                              "  hadal synth --shape v3 --layers 4 --type fp8_block --out v3-4-layers\n"
                              "llama.cpp loads the .gguf too. The text it writes is noise.\n");
  const auto flags = std::make_shared<SynthFlags>();
  std::string shapes;
  for (const auto& shape : model::known_shapes())
    shapes += "\n  " + std::string(shape.name) + ": " + std::string(shape.what);
  command->add_option("--shape", flags->shape, "the model:" + shapes)->required();
  command->add_option("--type", flags->type, "the weights' type: f16, bf16, q8_0, q4_0, q4_k, fp8_block, ...")
      ->capture_default_str();
  command
      ->add_option("--out", flags->out, "a file that ends in .gguf, or a directory in Hugging Face's layout")
      ->required();
  command->add_option("--layers", flags->layers, "the first N layers only; 0: all")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--tokenizer", flags->tokenizer,
                      "a tokenizer.json to put in (default: one made for the size)");
  command->add_option("--seed", flags->seed, "seed of the weights")->capture_default_str();
  command->add_option("--sigma", flags->sigma, "standard deviation of the weights")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_threads_option(*command, flags->threads);
  command->callback([flags] { run(*flags); });
}

}  // namespace hadal::cli
