#include "posttrain/base_corpus.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "base/toml_reader.h"
#include "eval/tasks/prompt_template.h"
#include "eval/tasks/task.h"
#include "text/bpe_trainer.h"
#include "text/chat_template.h"
#include "train/dataset.h"

namespace hadal::posttrain {

namespace {

constexpr int64_t kVocabularyDocuments = 5'000;  // enough to learn a handful of merges from

enum class Way { kThinking, kBare, kDirect };

struct Document {
  std::string question, answer;
  Way way;
};

Document draw(const BaseCorpusRecipe& recipe, const eval::Task& task, const eval::PromptTemplate& prompt,
              uint64_t index) {
  const eval::Problem problem = task.problem(eval::Split::kTrain, recipe.seed, index);
  uint64_t mix = recipe.seed ^ 0x626173652d636f72u;  // a stream apart from the problems'
  mix = base::splitmix64(mix) + index;
  const double u = base::Random(mix).uniform();
  Document out{prompt.render(problem), "", Way::kDirect};
  if (u < recipe.thinking && !problem.steps.empty()) {
    out.way = Way::kThinking;
    out.answer = eval::worked_completion(prompt, problem);
  } else if (u < recipe.thinking + recipe.bare) {
    out.way = Way::kBare;
    out.answer = problem.answer;
  } else {
    out.answer = "<answer>" + problem.answer + "</answer>";
  }
  return out;
}

// Text that tells the trainer of the vocabulary what there is besides control tokens.
std::string without_think(std::string text) {
  for (const std::string_view tag : {"<think>", "</think>"}) {
    if (const size_t at = text.find(tag); at != std::string::npos) text.replace(at, tag.size(), "\n");
  }
  return text;
}

class Encoder {
 public:
  Encoder(const text::Tokenizer& tokenizer, bool chat) : tokenizer_(tokenizer), chat_(chat) {}

  // As the engine will write the prompt, then the answer and the end.
  std::vector<int32_t> operator()(const Document& document) const {
    std::vector<int32_t> ids = {id(text::kBos)};
    if (chat_) ids.push_back(id(text::kUser));
    append(ids, tokenizer_.encode(document.question));
    if (chat_) ids.push_back(id(text::kAssistant));
    append(ids, tokenizer_.encode(document.answer, /*parse_special=*/true));
    ids.push_back(id(text::kEos));
    return ids;
  }

 private:
  int32_t id(std::string_view token) const { return tokenizer_.find(token).value(); }
  static void append(std::vector<int32_t>& to, const std::vector<text::TokenId>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  const text::Tokenizer& tokenizer_;
  bool chat_;
};

}  // namespace

BaseCorpusRecipe load_base_corpus_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  base::TomlTable root = base::TomlTable::parse(base::read_file(path), path);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  BaseCorpusRecipe r;
  const base::TomlTable t = root.section("corpus");
  const auto share = [&](const char* key, double fallback) {
    const double value = t.get_double(key, fallback);
    if (!(value >= 0 && value <= 1)) t.fail(key, fmt::format("is {}, must be 0 to 1", value));
    return value;
  };
  const auto whole = [&](const char* key, int64_t fallback, int64_t low, int64_t high) {
    const int64_t value = t.get_int(key, fallback);
    if (value < low || value > high) t.fail(key, fmt::format("is {}, must be {} to {}", value, low, high));
    return value;
  };
  r.output = t.require_string("output");
  r.task = t.get_string("task", r.task);
  r.skip_bad_lines = t.get_bool("skip_bad_lines", r.skip_bad_lines);
  r.prompt_template = t.get_string("template", r.prompt_template);
  r.documents = whole("documents", r.documents, 2, int64_t{1} << 32);
  r.thinking = share("thinking", r.thinking);
  r.bare = share("bare", r.bare);
  if (r.thinking + r.bare > 1) t.fail("bare", "and thinking are more than 1 together");
  r.vocab_size = static_cast<int32_t>(whole("vocab_size", r.vocab_size, 276, 1 << 20));
  r.validation_one_in = whole("validation_one_in", r.validation_one_in, 2, int64_t{1} << 32);
  r.seed = static_cast<uint64_t>(whole("seed", static_cast<int64_t>(r.seed), 0, INT64_MAX));
  root.reject_unknown();
  return r;
}

BaseCorpusResult build_base_corpus(const BaseCorpusRecipe& recipe) {
  const auto task = eval::open_task(recipe.task, {recipe.skip_bad_lines});
  const eval::PromptTemplate& prompt = eval::find_prompt_template(recipe.prompt_template);
  std::vector<std::string> sample;
  for (int64_t i = 0; i < std::min(recipe.documents, kVocabularyDocuments); ++i) {
    const Document document = draw(recipe, *task, prompt, static_cast<uint64_t>(i));
    sample.push_back(document.question);
    sample.push_back(without_think(document.answer));
  }
  const std::vector<std::string_view> chunks(sample.begin(), sample.end());
  const auto tokenizer = text::train_bpe(chunks, {.vocab_size = recipe.vocab_size});
  const Encoder encode(*tokenizer, prompt.chat);
  train::TokenShardWriter train(tokenizer->vocab_size()), validation(tokenizer->vocab_size());
  BaseCorpusResult result;
  for (int64_t i = 0; i < recipe.documents; ++i) {
    const Document document = draw(recipe, *task, prompt, static_cast<uint64_t>(i));
    auto& shard = i % recipe.validation_one_in == 0 ? validation : train;
    shard.add_document(encode(document),
                       static_cast<int64_t>(document.question.size() + document.answer.size()));
    ++result.documents;
    ++(document.way == Way::kThinking ? result.thinking
       : document.way == Way::kBare   ? result.bare
                                      : result.direct);
  }
  result.train_tokens = train.tokens();
  result.validation_tokens = validation.tokens();
  std::filesystem::create_directories(recipe.output);
  tokenizer->save(recipe.output + "/tokenizer.json");
  train.write(recipe.output + "/" + std::string(train::kTrainShard));
  validation.write(recipe.output + "/" + std::string(train::kValidationShard));
  const base::Json manifest = {{"task", task->name()},
                               {"side", "train"},
                               {"template", prompt.name},
                               {"seed", recipe.seed},
                               {"documents", result.documents},
                               {"thinking", result.thinking},
                               {"bare", result.bare},
                               {"direct", result.direct},
                               {"train_tokens", result.train_tokens},
                               {"validation_tokens", result.validation_tokens},
                               {"vocab_size", tokenizer->vocab_size()}};
  base::write_file_atomic(recipe.output + "/manifest.json", base::dump_json(manifest, 2) + "\n");
  return result;
}

}  // namespace hadal::posttrain
