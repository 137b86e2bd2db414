#include "train/export_model.h"

#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "text/chat_template.h"

namespace hadal::train {
namespace {

// text/chat_template.h in Jinja, for the programs that read it from here.
constexpr const char* kJinjaTemplate =
    "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{{ bos_token }}{% set ns = namespace(system='', found=false, results=false) %}"
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{% set ns.system = ns.system + ('\\n\\n' if ns.found else '') + m['content'] %}{% set ns.found = true %}"
    "{% endif %}{% endfor %}"
    "{{ ns.system }}"
    "{% if tools %}{{ ('\\n\\n' if ns.found else '') + 'You can call these functions:' }}"
    "{% for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}{% endif %}"
    "{% for m in messages %}"
    "{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% set ns.results = false %}"
    "{% elif m['role'] == 'tool' %}"
    "{{ '<｜tool▁output▁begin｜>' + m['content'] + '<｜tool▁output▁end｜>' }}{% set ns.results = true %}"
    "{% elif m['role'] == 'assistant' %}"
    "{{ ('' if ns.results else '<｜Assistant｜>') + (m['content'] or '') }}{% set ns.results = false %}"
    "{% if m['tool_calls'] %}{{ '<｜tool▁calls▁begin｜>' }}{% for call in m['tool_calls'] %}"
    "{% set arguments = call['function']['arguments'] %}"
    "{{ '<｜tool▁call▁begin｜>' + call['function']['name'] + '<｜tool▁sep｜>' }}"
    "{{ arguments if arguments is string else arguments | tojson }}{{ '<｜tool▁call▁end｜>' }}"
    "{% endfor %}{{ '<｜tool▁calls▁end｜>' }}{% endif %}"
    "{{ '<｜end▁of▁sentence｜>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt and not ns.results %}{{ '<｜Assistant｜>' }}{% endif %}";

base::Json tokenizer_config(const model::ModelConfig& config) {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"bos_token", text::kBos},
          {"eos_token", text::kEos},
          {"pad_token", text::kPad},
          {"add_bos_token", true},
          {"add_eos_token", false},
          {"clean_up_tokenization_spaces", false},
          {"model_max_length", config.max_position_embeddings},
          {"chat_template", kJinjaTemplate}};
}

base::Json generation_config(const model::ModelConfig& config) {
  return {{"bos_token_id", config.bos_token_id},
          {"eos_token_id", config.eos_token_id},
          {"do_sample", true},
          {"temperature", 0.6},
          {"top_p", 0.95}};
}

}  // namespace

void export_model(const std::string& directory, const model::Transformer& model,
                  const ExportOptions& options) {
  base::Json config = model::config_to_json(model.config());
  config["torch_dtype"] = options.bf16 ? "bfloat16" : "float32";
  base::write_file_atomic(directory + "/config.json", base::dump_json(config, 2) + "\n");
  base::write_file_atomic(directory + "/generation_config.json",
                          base::dump_json(generation_config(model.config()), 2) + "\n");
  if (!options.tokenizer.empty()) {
    base::write_file_atomic(directory + "/tokenizer_config.json",
                            base::dump_json(tokenizer_config(model.config()), 2) + "\n");
    base::write_file_atomic(directory + "/tokenizer.json", base::read_file(options.tokenizer));
  }
  write_weights(directory, model, options.bf16);
}

void write_weights(const std::string& directory, const model::Transformer& model, bool as_bf16) {
  std::vector<format::TensorToWrite> tensors;
  for (const model::Parameter& parameter : model.parameters()) {
    const bool bf16 = as_bf16 && parameter.trainable;
    tensors.push_back({parameter.name,
                       bf16 ? tensor::DType::kBF16 : tensor::DType::kF32,
                       parameter.shape,
                       parameter.value,
                       {}});
  }
  format::write_safetensors(directory + "/model.safetensors", tensors, {{"format", "pt"}});
}

}  // namespace hadal::train
