// The dense families of the R1 distills: grouped-query attention and SwiGLU layers.
#include "base/error.h"
#include "model/family.h"

namespace hadal::model {
namespace {

void parse_attention(const ConfigReader& reader, ModelConfig& config) {
  config.attention = AttentionKind::kGqa;
  config.num_key_value_heads =
      reader.integer("num_key_value_heads", 1, kMaxHeads, config.num_attention_heads);
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    reader.fail(ErrorCode::kBadInput, "num_key_value_heads", "{} does not divide num_attention_heads {}",
                config.num_key_value_heads, config.num_attention_heads);
  }
  const bool divides = config.hidden_size % config.num_attention_heads == 0;
  if (!divides && reader.find("head_dim") == nullptr) {
    reader.fail(ErrorCode::kBadInput, "head_dim",
                "missing, and num_attention_heads {} does not divide hidden_size {}",
                config.num_attention_heads, config.hidden_size);
  }
  config.head_dim =
      reader.integer("head_dim", 2, kMaxHeadDim, config.hidden_size / config.num_attention_heads);
  if (config.head_dim % 2 != 0) {
    reader.fail(ErrorCode::kBadInput, "head_dim", "{} is odd: RoPE turns pairs", config.head_dim);
  }
  // Files of llama.cpp store Llama's q and k in interleaved order; Hugging Face's never are.
  config.rope_interleave = reader.boolean("rope_interleave", false);
  if (reader.boolean("mlp_bias", false)) {
    reader.fail(ErrorCode::kUnsupported, "mlp_bias", "true is not supported");
  }
  if (reader.boolean("use_sliding_window", false)) {
    // Qwen's layers from max_window_layers on would see a window only.
    const int64_t from = reader.integer("max_window_layers", 0, kMaxLayers, 28);  // Qwen2Config's default
    if (from < config.num_hidden_layers) {
      reader.fail(ErrorCode::kUnsupported, "use_sliding_window", "true is not supported");
    }
  }
}

}  // namespace

void parse_qwen2(const ConfigReader& reader, ModelConfig& config) {
  parse_attention(reader, config);
  config.qkv_bias = true;
}

void parse_qwen3(const ConfigReader& reader, ModelConfig& config) {
  parse_attention(reader, config);
  if (reader.find("head_dim") == nullptr) config.head_dim = 128;  // Qwen3Config's default
  config.qkv_bias = config.o_bias = reader.boolean("attention_bias", false);
  config.qk_norm = true;
}

void parse_llama(const ConfigReader& reader, ModelConfig& config) {
  parse_attention(reader, config);
  config.qkv_bias = config.o_bias = reader.boolean("attention_bias", false);
}

void write_dense(const ModelConfig& config, base::Json& json) {
  json["num_key_value_heads"] = config.num_key_value_heads;
  json["head_dim"] = config.head_dim;
  if (config.rope_interleave) json["rope_interleave"] = true;
  if (config.model_type != "qwen2") json["attention_bias"] = config.qkv_bias;
}

}  // namespace hadal::model
