#include "model/export/shapes.h"

#include "base/error.h"

namespace hadal::model {

// From the models' config.json files on the hub.
const std::vector<KnownShape>& known_shapes() {
  static const std::vector<KnownShape> shapes = {
      {"nano", "Hadal's own size: 2 layers, for tests", R"({"architectures":["DeepseekV3ForCausalLM"],
  "model_type":"deepseek_v3","vocab_size":4096,"hidden_size":256,"intermediate_size":1024,
  "moe_intermediate_size":256,"num_hidden_layers":2,"first_k_dense_replace":1,"num_attention_heads":4,
  "n_routed_experts":8,"n_shared_experts":1,"num_experts_per_tok":2,"n_group":1,"topk_group":1,
  "topk_method":"noaux_tc","scoring_func":"sigmoid","norm_topk_prob":true,"routed_scaling_factor":1.0,
  "q_lora_rank":null,"kv_lora_rank":256,"qk_nope_head_dim":32,"qk_rope_head_dim":32,"v_head_dim":64,
  "rope_theta":10000.0,"max_position_embeddings":2048,"rms_norm_eps":1e-6,"bos_token_id":0,"eos_token_id":1})"},
      {"v2-lite", "DeepSeek-V2-Lite: 15.7 B parameters", R"({"architectures":["DeepseekV2ForCausalLM"],
  "model_type":"deepseek_v2","vocab_size":102400,"hidden_size":2048,"intermediate_size":10944,
  "moe_intermediate_size":1408,"num_hidden_layers":27,"first_k_dense_replace":1,"num_attention_heads":16,
  "n_routed_experts":64,"n_shared_experts":2,"num_experts_per_tok":6,"n_group":1,"topk_group":1,
  "topk_method":"greedy","scoring_func":"softmax","norm_topk_prob":false,"routed_scaling_factor":1.0,
  "q_lora_rank":null,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
  "rope_theta":10000.0,"max_position_embeddings":163840,"rms_norm_eps":1e-6,"bos_token_id":100000,
  "eos_token_id":100001,"rope_scaling":{"type":"yarn","factor":40,"original_max_position_embeddings":4096,
  "beta_fast":32,"beta_slow":1,"mscale":0.707,"mscale_all_dim":0.707}})"},
      {"v2", "DeepSeek-V2: 236 B parameters", R"({"architectures":["DeepseekV2ForCausalLM"],
  "model_type":"deepseek_v2","vocab_size":102400,"hidden_size":5120,"intermediate_size":12288,
  "moe_intermediate_size":1536,"num_hidden_layers":60,"first_k_dense_replace":1,"num_attention_heads":128,
  "n_routed_experts":160,"n_shared_experts":2,"num_experts_per_tok":6,"n_group":8,"topk_group":3,
  "topk_method":"group_limited_greedy","scoring_func":"softmax","norm_topk_prob":false,
  "routed_scaling_factor":16.0,"q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,
  "qk_rope_head_dim":64,"v_head_dim":128,"rope_theta":10000.0,"max_position_embeddings":163840,
  "rms_norm_eps":1e-6,"bos_token_id":100000,"eos_token_id":100001,"rope_scaling":{"type":"yarn","factor":40,
  "original_max_position_embeddings":4096,"beta_fast":32,"beta_slow":1,"mscale":0.707,"mscale_all_dim":0.707}})"},
      {"v3", "DeepSeek-V3 and R1: 671 B parameters", R"({"architectures":["DeepseekV3ForCausalLM"],
  "model_type":"deepseek_v3","vocab_size":129280,"hidden_size":7168,"intermediate_size":18432,
  "moe_intermediate_size":2048,"num_hidden_layers":61,"first_k_dense_replace":3,"num_attention_heads":128,
  "n_routed_experts":256,"n_shared_experts":1,"num_experts_per_tok":8,"n_group":8,"topk_group":4,
  "topk_method":"noaux_tc","scoring_func":"sigmoid","norm_topk_prob":true,"routed_scaling_factor":2.5,
  "q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
  "rope_theta":10000.0,"max_position_embeddings":163840,"rms_norm_eps":1e-6,"bos_token_id":0,"eos_token_id":1,
  "num_nextn_predict_layers":1,"rope_scaling":{"type":"yarn","factor":40,
  "original_max_position_embeddings":4096,"beta_fast":32,"beta_slow":1,"mscale":1.0,"mscale_all_dim":1.0}})"},
      {"moonlight", "Moonlight-16B-A3B: 16 B parameters", R"({"architectures":["DeepseekV3ForCausalLM"],
  "model_type":"deepseek_v3","vocab_size":163840,"hidden_size":2048,"intermediate_size":11264,
  "moe_intermediate_size":1408,"num_hidden_layers":27,"first_k_dense_replace":1,"num_attention_heads":16,
  "n_routed_experts":64,"n_shared_experts":2,"num_experts_per_tok":6,"n_group":1,"topk_group":1,
  "topk_method":"noaux_tc","scoring_func":"sigmoid","norm_topk_prob":true,"routed_scaling_factor":2.446,
  "q_lora_rank":null,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
  "rope_theta":50000.0,"max_position_embeddings":8192,"rms_norm_eps":1e-5,"bos_token_id":163584,
  "eos_token_id":163585})"},
      {"kimi-k2", "Kimi-K2: 1 T parameters", R"({"architectures":["DeepseekV3ForCausalLM"],
  "model_type":"deepseek_v3","vocab_size":163840,"hidden_size":7168,"intermediate_size":18432,
  "moe_intermediate_size":2048,"num_hidden_layers":61,"first_k_dense_replace":1,"num_attention_heads":64,
  "n_routed_experts":384,"n_shared_experts":1,"num_experts_per_tok":8,"n_group":1,"topk_group":1,
  "topk_method":"noaux_tc","scoring_func":"sigmoid","norm_topk_prob":true,"routed_scaling_factor":2.827,
  "q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
  "rope_theta":50000.0,"max_position_embeddings":131072,"rms_norm_eps":1e-6,"bos_token_id":163584,
  "eos_token_id":163585,"rope_scaling":{"type":"yarn","factor":32,"original_max_position_embeddings":4096,
  "beta_fast":1,"beta_slow":1,"mscale":1.0,"mscale_all_dim":1.0}})"},
      {"qwen2.5-7b", "DeepSeek-R1-Distill-Qwen-7B: 7.6 B parameters",
       R"({"architectures":["Qwen2ForCausalLM"],
  "model_type":"qwen2","vocab_size":152064,"hidden_size":3584,"intermediate_size":18944,
  "num_hidden_layers":28,"num_attention_heads":28,"num_key_value_heads":4,"rope_theta":10000.0,
  "max_position_embeddings":131072,"rms_norm_eps":1e-6,"bos_token_id":151643,"eos_token_id":151643})"},
      {"llama-8b", "DeepSeek-R1-Distill-Llama-8B: 8 B parameters", R"({"architectures":["LlamaForCausalLM"],
  "model_type":"llama","vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,
  "num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"rope_theta":500000.0,
  "max_position_embeddings":131072,"rms_norm_eps":1e-5,"bos_token_id":128000,"eos_token_id":128001,
  "rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
  "original_max_position_embeddings":8192}})"},
  };
  return shapes;
}

base::Json shape_config(const std::string& name) {
  std::string known;
  for (const auto& shape : known_shapes()) {
    if (shape.name == name) return base::parse_json(shape.config, "shape " + name);
    known += (known.empty() ? "" : ", ") + std::string(shape.name);
  }
  throw_error(ErrorCode::kBadInput, "[synth] shape \"{}\" is unknown (known: {})", name, known);
}

}  // namespace hadal::model
