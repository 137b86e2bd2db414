// hadal data worked: the corpus of a tiny base model, made from a task.
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/training_stage.h"
#include "posttrain/base_corpus.h"

namespace hadal::cli {

void add_data_worked(CLI::App& data) {
  struct Options {
    std::string recipe;
    std::string out;
    std::vector<std::string> overrides;
    bool skip_bad_lines = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      data, "worked",
      "Make the corpus of a tiny base model from a task: most documents answer at once, some think",
      "  hadal data worked recipes/r1-zero/corpus.toml\n"
      "  hadal data worked recipes/r1-zero/corpus.toml --out /tmp/corpus --set corpus.thinking=0.2\n");
  command->add_option("recipe", options->recipe, "TOML file")->required();
  command->add_option("--out", options->out, "output directory (default: the recipe's corpus.output)");
  command->add_option("--set", options->overrides, "section.key=value, over the recipe; repeatable")
      ->allow_extra_args(false);
  add_skip_bad_lines(*command, options->skip_bad_lines, "corpus.skip_bad_lines");
  command->callback([options] {
    posttrain::BaseCorpusRecipe recipe =
        posttrain::load_base_corpus_recipe(options->recipe, options->overrides);
    if (options->skip_bad_lines) recipe.skip_bad_lines = true;
    if (!options->out.empty()) recipe.output = options->out;
    const posttrain::BaseCorpusResult r = posttrain::build_base_corpus(recipe);
    std::printf(
        "%s: %lld documents (%lld think, %lld answer at once, %lld without tags), %lld training tokens\n",
        recipe.output.c_str(), static_cast<long long>(r.documents), static_cast<long long>(r.thinking),
        static_cast<long long>(r.direct), static_cast<long long>(r.bare),
        static_cast<long long>(r.train_tokens));
  });
}

}  // namespace hadal::cli
