// Fine-tuning of the dense families in their instruct models' formats, end to end: the checkpoint's template
// says the format, the answers in it are learned, and what is served says them and ends.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "base/json.h"
#include "posttrain/samples.h"
#include "posttrain/sft.h"
#include "support/shell.h"
#include "support/temporary_folder.h"
#include "text/bpe_trainer.h"
#include "train/metrics.h"

namespace hadal::posttrain {
namespace {

namespace fs = std::filesystem;
using base::Json;

struct Family {
  const char* golden;  // tests/golden/...: 3 layers, 320 ids
  const char* format;
  const char* signs;  // of the instruct models' template
  std::vector<std::string> control;
};

const Family kFamilies[] = {
    {"qwen2",
     "qwen2.5",
     "{{ '<|im_start|>' + m }}<|im_end|> <args-json-object> You are Qwen, created by Alibaba Cloud.",
     {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>"}},
    {"llama3",
     "llama-3.1",
     "<|start_header_id|>' + role + '<|end_header_id|> <|eot_id|> Cutting Knowledge Date: {% if tools %}",
     {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
      "<|eom_id|>", "<|python_tag|>"}}};

class SftFormats : public testing::TestWithParam<Family> {
 protected:
  // The golden model with a tokenizer that has the family's markers, and a template with its signs.
  void SetUp() override {
    fs::copy(std::string(HADAL_SOURCE_DIR) + "/tests/golden/" + GetParam().golden, folder_ / "base");
    constexpr std::string_view kText =
        "The ship is called Orca. What is the name of the ship? user assistant system look name arguments";
    Json tokenizer = base::parse_json(text::train_bpe({&kText, 1}, {.vocab_size = 300})->to_json(), "sample");
    int32_t id = 300;
    for (const std::string& token : GetParam().control)
      tokenizer["added_tokens"].push_back({{"id", id++}, {"content", token}, {"special", true}});
    test::spill(folder_ / "base/tokenizer.json", base::dump_json(tokenizer));
    test::spill(folder_ / "base/tokenizer_config.json",
                base::dump_json(
                    {{"chat_template", GetParam().signs}, {"tokenizer_class", "PreTrainedTokenizerFast"}}));
    const Json talk = {{"messages",
                        {{{"role", "user"}, {"content", "What is the name of the ship?"}},
                         {{"role", "assistant"}, {"content", "The ship is called Orca."}}}}};
    const Json look = {
        {"tools", {{{"type", "function"}, {"function", {{"name", "look"}}}}}},
        {"messages",
         {{{"role", "user"}, {"content", "Look."}},
          {{"role", "assistant"},
           {"content", ""},
           {"tool_calls",
            {{{"id", "1"}, {"type", "function"}, {"function", {{"name", "look"}, {"arguments", "{}"}}}}}}}}}};
    std::string lines;
    for (int i = 0; i < 2; ++i) lines += base::dump_json(talk) + "\n" + base::dump_json(look) + "\n";
    test::spill(folder_ / "talks.jsonl", lines);
  }
  test::TemporaryFolder folder_;
};

TEST_P(SftFormats, LearnsAndServes) {
  const SftRecipe recipe = parse_sft_recipe(
      "", "test",
      {"model.path=\"" + (folder_ / "base") + "\"",
       "data.conversations=\"" + (folder_ / "talks.jsonl") + "\"", "data.sequence_tokens=768",
       "data.batch_sequences=1", "data.validation_fraction=0", "schedule.steps=40", "schedule.warmup_steps=2",
       "optimizer.lr=4e-3", "checkpoint.every_steps=100", "eval.every_steps=100"});
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.threads = 2;
  options.progress = train::ProgressLine::Mode::kQuiet;
  ASSERT_EQ(fine_tune(recipe, options), train::Outcome::kFinished);
  const auto lines = train::read_metrics(options.run + "/metrics.jsonl");
  EXPECT_LT(lines.back()["loss"].get<double>(), 0.2);
  // No --chat-format: the template goes along, and says it.
  const auto said = test::shell(std::string(HADAL_BINARY) + " generate --model " + options.run +
                                "/model --chat --prompt 'What is the name of the ship?' --temperature 0"
                                " --max-tokens 40 --threads 1 2>/dev/null");
  EXPECT_EQ(said.status, 0);
  EXPECT_EQ(said.output, "The ship is called Orca.\n");
}

// Learned is the answer, to the token that ends it, and nothing else.
TEST_P(SftFormats, OnlyTheAnswerIsLearned) {
  const auto tokenizer = text::Tokenizer::load(folder_ / "base/tokenizer.json");
  const text::ChatFormat& format = text::find_chat_format(GetParam().format);
  Conversation conversation;
  conversation.messages = {
      {"system", "s"}, {"user", "Hi"}, {"assistant", "Hello."}, {"user", "Bye"}, {"assistant", "So long."}};
  conversation.learn.assign(5, true);
  const auto samples = render_samples(conversation, format, *tokenizer);
  ASSERT_EQ(samples.size(), 1u);  // the history is what was said
  std::string learned;
  for (size_t i = 0; i < samples[0].tokens.size(); ++i) {
    if (samples[0].learn[i]) learned += tokenizer->decode({&samples[0].tokens[i], 1});
  }
  const std::string end = GetParam().golden == std::string("qwen2") ? "<|im_end|>" : "<|eot_id|>";
  EXPECT_EQ(learned, "Hello." + end + "So long." + end);
}

INSTANTIATE_TEST_SUITE_P(Families, SftFormats, testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(info.param.golden); });

}  // namespace
}  // namespace hadal::posttrain
