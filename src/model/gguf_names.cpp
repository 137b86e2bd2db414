#include "model/gguf_names.h"

#include <charconv>

namespace hadal::model {
namespace {

struct Row {
  std::string_view hf;
  std::string_view gguf;
};

constexpr Row kGlobal[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

// After "model.layers.N." and "blk.N.".
constexpr Row kLayer[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"mlp.gate.weight", "ffn_gate_inp.weight"},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
    // The multi-token-prediction module.
    {"eh_proj.weight", "nextn.eh_proj.weight"},
    {"enorm.weight", "nextn.enorm.weight"},
    {"hnorm.weight", "nextn.hnorm.weight"},
    {"embed_tokens.weight", "nextn.embed_tokens.weight"},
    {"shared_head.norm.weight", "nextn.shared_head_norm.weight"},
    {"shared_head.head.weight", "nextn.shared_head_head.weight"},
};

constexpr Row kExperts[] = {
    {"gate_proj.weight", "ffn_gate_exps.weight"},
    {"up_proj.weight", "ffn_up_exps.weight"},
    {"down_proj.weight", "ffn_down_exps.weight"},
};

constexpr std::string_view kKvBProj = "self_attn.kv_b_proj.weight";
constexpr std::string_view kKvBTensors[] = {"attn_k_b.weight", "attn_v_b.weight", "attn_kv_b.weight"};
constexpr std::string_view kRotatedTensors[] = {"attn_q.weight", "attn_q.bias", "attn_k.weight",
                                                "attn_k.bias"};

// "PREFIX.N.rest" -> N and rest; false when it does not begin so.
bool split_number(std::string_view name, std::string_view prefix, int64_t& number, std::string_view& rest) {
  if (!name.starts_with(prefix)) return false;
  const char* begin = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  const auto [after, error] = std::from_chars(begin, end, number);
  if (error != std::errc{} || after == begin || after == end || *after != '.' || number < 0) return false;
  rest = name.substr(static_cast<size_t>(after + 1 - name.data()));
  return true;
}

GgufLayout layout_of(std::string_view gguf_tensor, std::string_view architecture) {
  if (architecture == "llama") {
    for (const auto rotated : kRotatedTensors) {
      if (gguf_tensor == rotated) return GgufLayout::kRotated;
    }
  }
  return GgufLayout::kPlain;
}

}  // namespace

std::optional<GgufPlace> gguf_place(const std::string& hf_name, std::string_view architecture) {
  for (const Row& row : kGlobal) {
    if (hf_name == row.hf) return GgufPlace{GgufLayout::kPlain, std::string(row.gguf), "", "", -1};
  }
  int64_t layer = 0;
  std::string_view rest;
  if (!split_number(hf_name, "model.layers.", layer, rest)) return std::nullopt;
  const std::string block = "blk." + std::to_string(layer) + ".";
  const auto in_block = [&](std::string_view tensor) { return block + std::string(tensor); };
  for (const Row& row : kLayer) {
    if (rest == row.hf) return GgufPlace{layout_of(row.gguf, architecture), in_block(row.gguf), "", "", -1};
  }
  if (rest == kKvBProj) {
    return GgufPlace{GgufLayout::kKvB, in_block(kKvBTensors[2]), in_block(kKvBTensors[0]),
                     in_block(kKvBTensors[1]), -1};
  }
  int64_t expert = 0;
  if (!split_number(rest, "mlp.experts.", expert, rest)) return std::nullopt;
  for (const Row& row : kExperts) {
    if (rest == row.hf) return GgufPlace{GgufLayout::kExpert, in_block(row.gguf), "", "", expert};
  }
  return std::nullopt;
}

std::optional<HfPlace> hf_place(const std::string& gguf_name, std::string_view architecture) {
  for (const Row& row : kGlobal) {
    if (gguf_name == row.gguf) return HfPlace{GgufLayout::kPlain, std::string(row.hf)};
  }
  int64_t layer = 0;
  std::string_view rest;
  if (!split_number(gguf_name, "blk.", layer, rest)) return std::nullopt;
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  for (const Row& row : kLayer) {
    if (rest == row.gguf) return HfPlace{layout_of(rest, architecture), prefix + std::string(row.hf)};
  }
  for (const auto tensor : kKvBTensors) {
    if (rest == tensor) return HfPlace{GgufLayout::kKvB, prefix + std::string(kKvBProj)};
  }
  for (const Row& row : kExperts) {
    if (rest == row.gguf)
      return HfPlace{GgufLayout::kExpert, prefix + "mlp.experts.{}." + std::string(row.hf)};
  }
  return std::nullopt;
}

}  // namespace hadal::model
