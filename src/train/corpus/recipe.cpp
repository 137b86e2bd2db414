#include "train/corpus/recipe.h"

#include <fmt/format.h>

#include <set>

#include "base/toml_reader.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

double bounded(const base::TomlTable& table, const std::string& key, double fallback, double least,
               double most) {
  const double value = table.get_double(key, fallback);
  if (!(value >= least && value <= most))
    table.fail(key, fmt::format("is {}, must be in [{}, {}]", value, least, most));
  return value;
}

int64_t bounded_int(const base::TomlTable& table, const std::string& key, int64_t fallback, int64_t least,
                    int64_t most) {
  const int64_t value = table.get_int(key, fallback);
  if (value < least || value > most)
    table.fail(key, fmt::format("is {}, must be in [{}, {}]", value, least, most));
  return value;
}

Source read_source(const base::TomlTable& table) {
  Source out;
  out.recipe_text = table.dump();
  out.name = table.require_string("name");
  if (out.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") != std::string::npos)
    table.fail("name", "may hold a-z, 0-9, - _ . only: it names a file");
  const std::string apt = table.get_string("apt", "");
  const std::string npm = table.get_string("npm", "");
  if (apt.empty() == npm.empty())
    table.fail("name", "needs one of apt = \"package\" and npm = \"package@version\"");
  out.package.manager = apt.empty() ? "npm" : "apt";
  out.package.name = apt.empty() ? npm : apt;
  if (out.package.name.starts_with('-')) table.fail("name", "names a package that begins with a dash");
  out.package.only = table.get_strings("only");
  out.extractor = table.require_string("extractor");
  find_extractor(out.extractor);
  out.path = table.require_string("path");
  if (out.path.starts_with('/') || out.path.find("..") != std::string::npos)
    table.fail("path", "must stay inside the package");
  out.skip = table.get_strings("skip");
  out.licence = table.require_string("licence");
  out.weight = bounded(table, "weight", out.weight, 0.0, 16.0);
  out.min_document_bytes = bounded_int(table, "min_document_bytes", out.min_document_bytes, 1, 1 << 20);
  out.filter.min_words = static_cast<int>(bounded_int(table, "min_words", out.filter.min_words, 1, 1000));
  out.filter.min_letters = bounded(table, "min_letters", out.filter.min_letters, 0.0, 1.0);
  out.filter.min_stopwords = bounded(table, "min_stopwords", out.filter.min_stopwords, 0.0, 1.0);
  out.filter.max_identifiers = bounded(table, "max_identifiers", out.filter.max_identifiers, 0.0, 1.0);
  out.filter.require_sentence_end = table.get_bool("require_sentence_end", true);
  return out;
}

}  // namespace

DataRecipe load_data_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  base::TomlTable root = base::TomlTable::load(path);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  DataRecipe out;
  const base::TomlTable data = root.section("data");
  out.output = data.require_string("output");
  out.cache = data.get_string("cache", "data/cache");
  out.seed = static_cast<uint64_t>(bounded_int(data, "seed", 1, 0, INT64_MAX));
  out.validation_fraction = bounded(data, "validation_fraction", out.validation_fraction, 0.0, 0.5);
  out.vocab_size = bounded_int(data, "vocab_size", out.vocab_size, 300, 1 << 20);
  out.tokenizer_megabytes = bounded_int(data, "tokenizer_megabytes", out.tokenizer_megabytes, 1, 1 << 20);
  out.single_digits = data.get_bool("single_digits", out.single_digits);

  const base::TomlTable dedup = root.section("dedup");
  out.dedup.threshold = bounded(dedup, "threshold", out.dedup.threshold, 0.1, 1.0);
  out.dedup.min_words = static_cast<int>(bounded_int(dedup, "min_words", out.dedup.min_words, 1, 1000));

  const base::TomlTable dialogues = root.section("dialogues");
  out.dialogues.token_fraction =
      bounded(dialogues, "token_fraction", out.dialogues.token_fraction, 0.0, 0.95);
  out.dialogues.wordnet = dialogues.get_string("wordnet", "");
  out.dialogues.words = bounded_int(dialogues, "words", out.dialogues.words, 10, 100000);
  out.dialogues.held_out = bounded(dialogues, "held_out", out.dialogues.held_out, 0.0, 0.5);
  out.dialogues.validation_dialogues =
      bounded_int(dialogues, "validation_dialogues", out.dialogues.validation_dialogues, 0, 1000000);

  std::set<std::string> names;
  for (const base::TomlTable& table : root.tables("source")) {
    out.sources.push_back(read_source(table));
    if (!names.insert(out.sources.back().name).second) table.fail("name", "is used twice");
  }
  root.reject_unknown();
  if (out.sources.empty()) root.fail("source", "is missing: a corpus needs at least one [[source]]");
  if (!out.dialogues.wordnet.empty() && !names.contains(out.dialogues.wordnet))
    dialogues.fail("wordnet", "= \"" + out.dialogues.wordnet + "\" names no source");
  return out;
}

}  // namespace hadal::train::corpus
