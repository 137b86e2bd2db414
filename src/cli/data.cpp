// hadal data: build the token shards that training reads.
#include <cstdio>
#include <memory>

#include "base/thread_pool.h"
#include "cli/command.h"
#include "train/corpus/pipeline.h"

namespace hadal::cli {

void add_data(CLI::App& app) {
  CLI::App* data =
      add_command(app, "data", "Build training data",
                  "  hadal data build recipes/nano/data.toml\n"
                  "  hadal data build recipes/nano/data.toml --out /tmp/nano --set data.vocab_size=8192\n");
  data->require_subcommand(1);
  CLI::App* build = add_command(
      *data, "build", "Fetch, clean, deduplicate, split and tokenize a corpus; continues where it stopped",
      "  hadal data build recipes/nano/data.toml\n"
      "  hadal data build recipes/nano/data.toml --out /tmp/nano --set dialogues.token_fraction=0.2\n");
  struct Options {
    std::string recipe;
    std::string out;
    std::vector<std::string> overrides;
    int threads = base::default_thread_count();
    bool offline = false;
  };
  auto options = std::make_shared<Options>();
  build->add_option("recipe", options->recipe, "TOML file")->required();
  build->add_option("--out", options->out, "output directory (default: the recipe's data.output)");
  build->add_option("--set", options->overrides, "section.key=value, over the recipe; repeatable")
      ->allow_extra_args(false);
  build->add_option("--threads", options->threads, "threads for tokenizing")->check(CLI::Range(1, 256));
  build->add_flag("--offline", options->offline, "fetch nothing: the cache must hold every package");
  add_data_worked(*data);
  build->callback([options] {
    train::corpus::DataRecipe recipe = train::corpus::load_data_recipe(options->recipe, options->overrides);
    if (!options->out.empty()) recipe.output = options->out;
    const train::corpus::BuildResult result =
        train::corpus::build_dataset(recipe, {options->threads, !options->offline});
    std::printf(
        "%s: %lld training tokens (%lld in dialogues), %lld validation tokens, %.1f MB of clean text%s\n",
        recipe.output.c_str(), static_cast<long long>(result.train_tokens),
        static_cast<long long>(result.dialogue_tokens), static_cast<long long>(result.validation_tokens),
        static_cast<double>(result.text_bytes) / 1e6, result.up_to_date ? " (up to date)" : "");
  });
}

}  // namespace hadal::cli
