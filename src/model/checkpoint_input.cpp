#include "model/checkpoint_input.h"

#include <filesystem>

#include "base/files.h"
#include "format/hf_directory.h"
#include "model/adapted_source.h"
#include "model/gguf_config.h"
#include "model/gguf_source.h"

namespace hadal::model {
namespace {

namespace fs = std::filesystem;

CheckpointInput open_gguf(const std::string& path) {
  CheckpointInput in;
  in.gguf = std::make_shared<const format::GgufFile>(path);
  in.config_json = config_from_gguf(*in.gguf);
  in.config = parse_config(in.config_json, path);
  in.source = std::make_unique<GgufSource>(in.gguf, std::string(gguf_architecture(in.config)));
  in.text = read_text(*in.gguf);
  if (const auto* flag = in.gguf->find_value("tokenizer.ggml.add_bos_token")) {
    in.tokenizer_settings["add_bos_token"] = flag->boolean();
  }
  return in;
}

CheckpointInput open_directory(const std::string& path) {
  CheckpointInput in;
  in.config_json = base::read_json_file(path + "/config.json");
  in.config = parse_config(in.config_json, path + "/config.json");
  in.source = std::make_unique<format::WeightSource>(format::WeightSource::open(path));
  in.text = read_text(path, in.config.vocab_size);
  const std::string settings = path + "/tokenizer_config.json";
  if (base::file_exists(settings)) in.tokenizer_settings = base::read_json_file(settings);
  return in;
}

void copy_side_files(const std::string& from, const std::string& to) {
  for (const char* name :
       {"tokenizer.json", "tiktoken.model", "tokenizer_config.json", "generation_config.json",
        "special_tokens_map.json", "chat_template.jinja", "vocab.json", "merges.txt", "LICENSE"}) {
    const std::string path = from + "/" + name;
    if (base::file_exists(path)) base::write_file_atomic(to + "/" + name, base::read_file(path));
  }
}

}  // namespace

CheckpointInput CheckpointInput::open(const std::string& path, const std::string& adapter) {
  CheckpointInput in = fs::is_directory(path) ? open_directory(path) : open_gguf(path);
  in.path = path;
  if (!adapter.empty()) {
    in.source = std::make_unique<AdaptedSource>(std::move(in.source), in.config, Adapter::load(adapter));
  }
  return in;
}

bool CheckpointInput::has_mtp() const {
  const std::string prefix = "model.layers." + std::to_string(config.num_hidden_layers) + ".";
  return config.num_nextn_predict_layers > 0 && source->find(prefix + "eh_proj.weight").has_value();
}

base::Json CheckpointInput::output_config(bool with_mtp) const {
  base::Json json = config_json;
  if (gguf) {
    ModelConfig as_directory = config;
    as_directory.rope_interleave = config.is_mla();  // Llama's q and k go back to Hugging Face's order
    json = config_to_json(as_directory);
    json["eos_token_id"] = config_json.value("eos_token_id", base::Json(config.eos_token_id));
  }
  if (!with_mtp && json.contains("num_nextn_predict_layers")) json["num_nextn_predict_layers"] = 0;
  return json;
}

base::Json CheckpointInput::settings() const {
  base::Json settings = tokenizer_settings;
  if (!text.chat_template.empty()) settings["chat_template"] = text.chat_template;
  return settings;
}

void CheckpointInput::write_side_files(const std::string& directory) const {
  if (!gguf) return copy_side_files(path, directory);
  if (!text.tokenizer) return;
  base::write_file_atomic(directory + "/tokenizer.json", text.tokenizer->to_json());
  base::Json config_file = settings();
  config_file["tokenizer_class"] = "PreTrainedTokenizerFast";
  const auto text_of = [&](int32_t id) { return std::string(text.tokenizer->token_bytes(id)); };
  config_file["bos_token"] = text_of(config.bos_token_id);
  config_file["eos_token"] = text_of(config.eos_token_id);
  base::write_file_atomic(directory + "/tokenizer_config.json", base::dump_json(config_file, 2) + "\n");
  const base::Json generation = {
      {"bos_token_id", config.bos_token_id},
      {"eos_token_id", config_json.value("eos_token_id", base::Json(config.eos_token_id))}};
  base::write_file_atomic(directory + "/generation_config.json", base::dump_json(generation, 2) + "\n");
}

}  // namespace hadal::model
