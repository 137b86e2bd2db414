// A model directory with everything in it and random weights: real tokenizer, real architecture, nothing
// learned. What it says is noise, which is all that the tests of a server need.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/transformer.h"
#include "text/bpe_trainer.h"
#include "train/export_model.h"

namespace hadal::test {

// Text enough to learn 256 merges from.
inline std::shared_ptr<const text::Tokenizer> tiny_tokenizer() {
  const std::vector<std::string_view> texts = {
      "The hadal zone is the deepest part of the ocean, below six thousand metres, where trenches cut the "
      "floor of the "
      "sea. There is no light there, the water is near freezing, and the pressure is six hundred times that "
      "of the air. "
      "And yet there is life: fish, shrimps, worms and other animals that eat what sinks from above.",
      "What does the word abyss mean? An abyss is a very deep hole, or the deep sea. What is seven and "
      "twelve? Seven and "
      "twelve is nineteen. What is another word for happy? Glad is another word for happy. How do you spell "
      "necessary? "
      "You spell it with one c and two s: necessary."};
  text::TrainOptions options;
  options.vocab_size = 512;
  return text::train_bpe(texts, options);
}

// Random weights would sample the end token now and then, and a test that wants a long answer would not get
// one. So: the first number of every hidden state is made large, and the control tokens' logits go down with
// it.
inline void never_end(model::Transformer& model) {
  const int64_t width = model.config().hidden_size;
  for (model::Parameter& parameter : model.parameters()) {
    const auto rows = static_cast<int64_t>(parameter.size() / width);
    if (parameter.name == "model.embed_tokens.weight") {
      for (int64_t row = 0; row < rows; ++row) parameter.value[row * width] = 0.5f;
    }
    if (parameter.name == "lm_head.weight") {
      const auto control = static_cast<int64_t>(text::control_tokens().size());
      for (int64_t row = 0; row < control; ++row) parameter.value[row * width] = -8.0f;
    }
  }
}

// `width` sets the speed: 64 makes thousands of tokens a second, 512 a hundred or so.
inline void make_tiny_model(const std::string& directory, int64_t width = 64, int64_t context = 4096) {
  const auto tokenizer = tiny_tokenizer();
  const base::Json json = {{"architectures", {"DeepseekV3ForCausalLM"}},
                           {"model_type", "deepseek_v3"},
                           {"vocab_size", tokenizer->vocab_size()},
                           {"hidden_size", width},
                           {"intermediate_size", 2 * width},
                           {"moe_intermediate_size", width / 2},
                           {"num_hidden_layers", 3},
                           {"first_k_dense_replace", 1},
                           {"num_attention_heads", 4},
                           {"num_key_value_heads", 4},
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
                           {"kv_lora_rank", 32},
                           {"qk_nope_head_dim", 16},
                           {"qk_rope_head_dim", 16},
                           {"v_head_dim", 16},
                           {"rope_theta", 10000.0},
                           {"max_position_embeddings", context},
                           {"rms_norm_eps", 1e-6},
                           {"bos_token_id", 0},
                           {"eos_token_id", 1},
                           {"hidden_act", "silu"}};
  const auto model = model::Transformer::create(model::parse_config(json, "tiny_model.h"), 1, 0.02);
  never_end(*model);
  std::filesystem::create_directories(directory);
  tokenizer->save(directory + "/tokenizer.json");
  train::ExportOptions options;
  options.tokenizer = directory + "/tokenizer.json";
  train::export_model(directory, *model, options);
}

}  // namespace hadal::test
