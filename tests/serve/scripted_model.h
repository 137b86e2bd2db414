// A model that says what it is told to, for what a random one never says: reasoning, tool calls, the middle
// of a text. Real tokenizer, real architecture, real engine; the weights are set by hand. Embeddings are
// one-hot, attention is uniform, the feed-forward is zero: so lm_head maps each token to the one that follows
// it. One branch looks back: where the conversation has the word "weather", the model calls a tool instead of
// answering (attention carries a mark from that word's tokens).
//   <think>     -> The user wants facts.</think>       </think> -> Hadal trenches are deep<eos>
//   </think>, with "weather" -> <calls begin><call begin>get_weather<sep>{"city": "Paris"}<call end><calls
//   end><eos> <tool output end> -> It rains there<eos>            <fim end> -> return left + right<eos>
//   "Once" -> upon a time<eos>
// With a Script of its own it calls that function in every turn but after a tool's output, however long the
// prompt. Its chat format is DeepSeek-V3.1's: serve it with --chat-format deepseek-v3.1.
#pragma once

#include <cmath>
#include <map>
#include <stdexcept>

#include "serve/tiny_model.h"
#include "text/chat_template.h"

namespace hadal::test {

class ScriptedModel {
 public:
  static constexpr std::string_view kReasoning = "The user wants facts.";
  static constexpr std::string_view kAnswer = "Hadal trenches are deep";
  static constexpr std::string_view kArguments = "{\"city\": \"Paris\"}";
  static constexpr std::string_view kAfterTool = "It rains there";
  static constexpr std::string_view kMiddle = "return left + right";
  static constexpr std::string_view kOnce = "Once";
  static constexpr std::string_view kUpon = " upon a time";

  struct Script {
    std::string_view function = "get_weather";
    std::string_view arguments = kArguments;
    std::string_view after_tool = kAfterTool;
    bool always = false;  // calls, instead of answering
    int64_t context_tokens = 4096;
  };

  static void make(const std::string& directory) { make(directory, Script{}); }
  static void make(const std::string& directory, const Script& script) {
    ScriptedModel(script).write(directory);
  }

 private:
  explicit ScriptedModel(const Script& script) : script_(script) {
    const std::vector<std::string_view> words = {kReasoning,       kAnswer,
                                                 script.arguments, script.after_tool,
                                                 kMiddle,          "Once upon a time",
                                                 script.function,  "the weather weather\nweather"};
    std::vector<std::string_view> texts;
    for (int i = 0; i < 4; ++i) texts.insert(texts.end(), words.begin(), words.end());
    text::TrainOptions options;
    options.vocab_size = 512;
    tokenizer_ = text::train_bpe(texts, options);
    width_ =
        (tokenizer_->vocab_size() / 64 + 1) * 64;  // a place for each token, and one for the mark at least

    say("<think>", kReasoning, "</think>");
    if (script.always)
      say("</think>", "", "<｜tool▁calls▁begin｜>");
    else
      say("</think>", kAnswer, text::kEos);
    say("<｜tool▁calls▁begin｜>", "", "<｜tool▁call▁begin｜>");
    say("<｜tool▁call▁begin｜>", script.function, "<｜tool▁sep｜>");
    say("<｜tool▁sep｜>", script.arguments, "<｜tool▁call▁end｜>");
    say("<｜tool▁call▁end｜>", "", "<｜tool▁calls▁end｜>");
    say("<｜tool▁calls▁end｜>", "", text::kEos);
    say("<｜tool▁output▁end｜>", script.after_tool, text::kEos);
    say("<｜fim▁end｜>", kMiddle, text::kEos);
    const auto once = tokenizer_->encode(kOnce);
    chain(once.back(), kUpon, text::kEos);
  }

  text::TokenId control(std::string_view name) const { return tokenizer_->find(name).value(); }
  void say(std::string_view from, std::string_view words, std::string_view end) {
    chain(control(from), words, end);
  }

  void chain(text::TokenId from, std::string_view words, std::string_view end) {
    for (const text::TokenId id : tokenizer_->encode(words)) {
      follow(from, id);
      from = id;
    }
    follow(from, control(end));
  }

  void follow(text::TokenId from, text::TokenId to) {
    if (!next_.emplace(from, to).second) {
      throw std::logic_error("scripted model: two scripts use the token " +
                             std::string(tokenizer_->token_bytes(from)));
    }
  }

  // Values are chosen so that the likeliest token wins by e^13 at least, for prompts with the word of 110 to
  // 900 tokens (a tool's definition alone is longer than 110).
  void write(const std::string& directory) const {
    constexpr float kNext = 10, kTool = 9.5f, kMark = 40, kMarkSum = 1000;
    const base::Json json = {{"architectures", {"DeepseekV3ForCausalLM"}},
                             {"model_type", "deepseek_v3"},
                             {"vocab_size", tokenizer_->vocab_size()},
                             {"hidden_size", width_},
                             {"intermediate_size", 64},
                             {"moe_intermediate_size", 32},
                             {"num_hidden_layers", 1},
                             {"first_k_dense_replace", 1},
                             {"num_attention_heads", 2},
                             {"num_key_value_heads", 2},
                             {"n_routed_experts", 8},
                             {"n_shared_experts", 1},
                             {"num_experts_per_tok", 2},
                             {"n_group", 1},
                             {"topk_group", 1},
                             {"topk_method", "noaux_tc"},
                             {"scoring_func", "sigmoid"},
                             {"norm_topk_prob", true},
                             {"routed_scaling_factor", 1.0},
                             {"q_lora_rank", nullptr},
                             {"kv_lora_rank", kLatent},
                             {"qk_nope_head_dim", kNope},
                             {"qk_rope_head_dim", 16},
                             {"v_head_dim", kValue},
                             {"rope_theta", 10000.0},
                             {"max_position_embeddings", script_.context_tokens},
                             {"rms_norm_eps", 1e-6},
                             {"bos_token_id", 0},
                             {"eos_token_id", 1},
                             {"hidden_act", "silu"}};
    const auto model = model::Transformer::create(model::parse_config(json, "scripted_model.h"), 1, 0.02);
    const int64_t mark = width_ - 1;
    for (model::Parameter& parameter : model->parameters()) {
      if (parameter.name.ends_with("norm.weight")) continue;
      for (int64_t i = 0; i < static_cast<int64_t>(parameter.size()); ++i) parameter.value[i] = 0;
      const auto set = [&](int64_t row, int64_t column, int64_t columns, float value) {
        parameter.value[row * columns + column] = value;
      };
      if (parameter.name == "model.embed_tokens.weight") {
        for (int64_t id = 0; id < tokenizer_->vocab_size(); ++id) set(id, id, width_, 1);
      } else if (parameter.name == "lm_head.weight") {
        for (const auto& [from, to] : next_) set(to, from, width_, kNext);
        const int64_t call = control("<｜tool▁calls▁begin｜>");
        set(call, control("</think>"), width_, kTool);
        set(call, mark, width_, kMark);
      } else if (parameter.name.ends_with("kv_a_proj_with_mqa.weight")) {
        for (const char* word : {"weather", " weather"}) {
          const auto ids = tokenizer_->encode(word);
          if (ids.size() != 1) throw std::logic_error("scripted model: \"weather\" is not a token");
          set(0, ids[0], width_, 1);
        }
      } else if (parameter.name.ends_with("kv_b_proj.weight")) {
        set(kNope, 0, kLatent, 1);  // the first head's first value
      } else if (parameter.name.ends_with("o_proj.weight")) {
        set(mark, 0, 2 * kValue, kMarkSum / kMark / std::sqrt(static_cast<float>(kLatent)));
      }
    }
    std::filesystem::create_directories(directory);
    tokenizer_->save(directory + "/tokenizer.json");
    train::ExportOptions options;
    options.tokenizer = directory + "/tokenizer.json";
    train::export_model(directory, *model, options);
  }

  static constexpr int64_t kLatent = 32, kNope = 16, kValue = 16;
  const Script script_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  int64_t width_ = 0;
  std::map<text::TokenId, text::TokenId> next_;
};

}  // namespace hadal::test
