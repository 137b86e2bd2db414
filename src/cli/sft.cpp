// hadal sft: fine-tune a checkpoint on conversations.
#include "posttrain/sft.h"

#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/training_stage.h"

namespace hadal::cli {
namespace {

struct Options {
  std::string recipe;
  std::string run;
  bool resume = false;
  bool quiet = false;
  bool json = false;
  int threads = 0;
  std::vector<std::string> set;

  // As overrides of the recipe; empty or 0: not given.
  std::string model, data, validation, chat_format, targets;
  double epochs = 0, lr = 0, alpha = 0;
  int64_t rank = 0, sequence = 0, batch = 0, micro_batches = 0, steps = 0, seed = -1;
  bool skip_bad = false;

  std::vector<std::string> overrides() const {
    std::vector<std::string> out;
    const auto text = [&](const char* key, const std::string& value) {
      if (!value.empty()) out.push_back(std::string(key) + "=" + base::dump_json(value));
    };
    const auto number = [&](const char* key, auto value) {
      if (value > 0) out.push_back(fmt::format("{}={}", key, value));
    };
    text("model.path", model);
    text("model.chat_format", chat_format);
    text("data.conversations", data);
    text("data.validation", validation);
    number("data.epochs", epochs);
    number("data.sequence_tokens", sequence);
    number("data.batch_sequences", batch);
    number("data.micro_batches", micro_batches);
    number("schedule.steps", steps);
    number("optimizer.lr", lr);
    number("lora.rank", rank);
    number("lora.alpha", alpha);
    if (seed >= 0) out.push_back(fmt::format("seed={}", seed));
    if (skip_bad) out.push_back("data.skip_bad=true");
    if (!targets.empty()) {
      base::Json list = base::Json::array();
      for (size_t begin = 0; begin <= targets.size();) {
        const size_t end = std::min(targets.find(',', begin), targets.size());
        list.push_back(targets.substr(begin, end - begin));
        begin = end + 1;
      }
      out.push_back("lora.targets=" + base::dump_json(list));
    }
    out.insert(out.end(), set.begin(), set.end());
    return out;
  }
};

void run(const Options& options) {
  if (options.recipe.empty() && options.run.empty()) {
    throw_error(ErrorCode::kBadInput, "[sft] --out is missing: where the run shall be kept");
  }
  const posttrain::SftRecipe recipe =
      options.recipe.empty() ? posttrain::parse_sft_recipe("", "command line", options.overrides())
                             : posttrain::load_sft_recipe(options.recipe, options.overrides());
  train::TrainerOptions trainer =
      trainer_options(run_directory(options.run, options.recipe),
                      options.threads > 0 ? options.threads : recipe.threads, options.quiet || options.json);
  trainer.resume = options.resume;
  const train::Outcome outcome = posttrain::fine_tune(recipe, trainer);
  if (!options.json) return print_outcome(outcome, trainer.run);
  const bool finished = outcome == train::Outcome::kFinished;
  base::Json json = {{"run", trainer.run}, {"finished", finished}};
  if (finished) json["summary"] = base::read_json_file(trainer.run + "/summary.json");
  std::puts(base::dump_json(json).c_str());
}

}  // namespace

void add_sft(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "sft", "Fine-tune a checkpoint on conversations: all weights, or a LoRA adapter",
      "  hadal sft --model models/hadal-nano --data talks.jsonl --out runs/tuned\n"
      "  hadal sft --model DeepSeek-R1-Distill-Qwen-1.5B --data talks.jsonl --out runs/lora --lora-rank 16\n"
      "  hadal sft tuned.toml --set optimizer.lr=1e-4 --out runs/b --resume   (after Ctrl-C, a kill, a power "
      "cut)\n"
      "  hadal serve --model runs/tuned/model\n"
      "  hadal serve --model DeepSeek-R1-Distill-Qwen-1.5B --adapter runs/lora/model\n"
      "One conversation a line: {\"messages\": [{\"role\": \"user\", \"content\": \"...\"},\n"
      "  {\"role\": \"assistant\", \"content\": \"...\"}]}, with reasoning_content, tool_calls and tools "
      "where there "
      "are some.\n"
      "RUN/report.html shows the curves while it trains; RUN/model is the result.");
  command->add_option("recipe", options->recipe, "a TOML file; the flags below override it");
  command->add_option("--model", options->model, "a Hugging Face model directory or a GGUF file");
  command->add_option("--data", options->data, "conversations, JSONL");
  command->add_option("--out", options->run, "the run directory (default: runs/<name of the recipe>)");
  command->add_flag("--resume", options->resume, "continue from the newest checkpoint of the run directory");
  command->add_option("--validation", options->validation,
                      "conversations to measure on (default: 5 % of the data, by the hash of each line)");
  command->add_flag("--skip-bad", options->skip_bad, "leave bad lines out, and count them");
  command->add_option("--epochs", options->epochs, "times through the data (default 3)")
      ->check(CLI::PositiveNumber);
  command->add_option("--steps", options->steps, "optimizer steps, instead of epochs")
      ->check(CLI::PositiveNumber);
  command->add_option("--lr", options->lr, "peak learning rate (default 5e-5; with LoRA 5e-4)")
      ->check(CLI::PositiveNumber);
  command->add_option("--sequence", options->sequence, "tokens of a row (default: the model's, at most 1024)")
      ->check(CLI::PositiveNumber);
  command->add_option("--batch", options->batch, "rows of a step (default 8)")->check(CLI::PositiveNumber);
  command
      ->add_option("--micro-batches", options->micro_batches,
                   "passes that a step's rows are cut into (less memory)")
      ->check(CLI::PositiveNumber);
  command->add_option("--lora-rank", options->rank, "train an adapter of this rank instead of all weights")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--lora-alpha", options->alpha, "scale of the adapter times its rank (default: 2 * rank)")
      ->check(CLI::PositiveNumber);
  command->add_option("--lora-targets", options->targets,
                      "attention, mlp, experts, all, or module names, with commas (default attention,mlp)");
  command->add_option("--chat-format", options->chat_format, "instead of the checkpoint's own, by name");
  command->add_option("--seed", options->seed, "order of the data, start of the adapter")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--set", options->set, "change a value of the recipe: section.key=value (may be repeated)")
      ->allow_extra_args(false);
  add_threads_option(*command, options->threads);
  command->add_flag("--quiet", options->quiet, "no progress line");
  command->add_flag("--json", options->json, "one JSON object at the end");
  command->callback([options] { run(*options); });
}

}  // namespace hadal::cli
