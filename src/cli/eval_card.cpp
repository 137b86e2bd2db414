// hadal eval card: results of several models side by side.
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"
#include "eval/card.h"

namespace hadal::cli {
namespace {

struct CardFlags {
  std::vector<std::string> out;
  std::vector<std::string> stages;
  std::string title = "Report card";
};

// NAME=FILE.
eval::CardStage read_stage(const std::string& argument) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size())
    throw_error(ErrorCode::kBadInput, "[card] '{}': write NAME=FILE, such as zero=zero.json", argument);
  const std::string path = argument.substr(equals + 1);
  return eval::parse_card_stage(argument.substr(0, equals), base::read_json_file(path), path);
}

void write_card(const CardFlags& flags) {
  std::vector<eval::CardStage> stages;
  for (const std::string& argument : flags.stages) stages.push_back(read_stage(argument));
  for (const std::string& path : flags.out) {
    if (path.ends_with(".md"))
      base::write_file_atomic(path, card_markdown(stages, flags.title));
    else if (path.ends_with(".html"))
      base::write_file_atomic(path, card_html(stages, flags.title));
    else
      throw_error(ErrorCode::kBadInput, "[card] --out {}: write a name that ends in .html or .md", path);
  }
  if (flags.out.empty()) std::fputs(card_markdown(stages, flags.title).c_str(), stdout);
}

}  // namespace

void add_eval_card(CLI::App& eval) {
  CLI::App* command =
      add_command(eval, "card",
                  "The report card: results of `hadal eval tasks --out` side by side, as a page or Markdown",
                  "  hadal eval card base=base.json zero=zero.json distilled=distilled.json --out card.html "
                  "--out card.md\n"
                  "  hadal eval card base=base.json zero=zero.json");
  const auto flags = std::make_shared<CardFlags>();
  command
      ->add_option("--out", flags->out,
                   "card.html, card.md (may be given several times); none: Markdown to the terminal")
      ->allow_extra_args(false);
  command->add_option("--title", flags->title, "of the page")->capture_default_str();
  command->add_option("stages", flags->stages, "NAME=FILE, in the order of the card")->required();
  command->callback([flags] { write_card(*flags); });
}

}  // namespace hadal::cli
