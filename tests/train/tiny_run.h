// A dataset and a recipe so small that a training run takes about a second: the real tokenizer, shards and
// trainer on sentences that are made here.
#pragma once

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "support/temporary_folder.h"
#include "text/bpe_trainer.h"
#include "train/dataset.h"

namespace hadal::test {

inline std::vector<std::string> tiny_documents(int count, uint64_t seed) {
  const char* subjects[] = {"the cat", "a dog", "my aunt", "the old king", "one bird"};
  const char* verbs[] = {"sees", "likes", "paints", "follows", "remembers"};
  const char* objects[] = {"the river", "a small house", "green apples", "the moon", "nobody"};
  base::Random random(seed);
  std::vector<std::string> documents;
  for (int d = 0; d < count; ++d) {
    std::string text;
    const uint64_t sentences = 1 + random.below(8);
    for (uint64_t s = 0; s < sentences; ++s) {
      text += std::string(subjects[random.below(5)]) + " " + verbs[random.below(5)] + " " +
              objects[random.below(5)] + ". ";
    }
    documents.push_back(text);
  }
  return documents;
}

inline void write_shard(const text::Tokenizer& tokenizer, const std::vector<std::string>& documents,
                        const std::string& path) {
  train::TokenShardWriter writer(tokenizer.vocab_size());
  for (const std::string& document : documents) {
    std::vector<int32_t> ids = {0};
    for (const int32_t id : tokenizer.encode(document)) ids.push_back(id);
    ids.push_back(1);
    writer.add_document(ids, static_cast<int64_t>(document.size()));
  }
  writer.write(path);
}

// tokenizer.json, train.bin, validation.bin and validation.txt in `folder`. The vocabulary has at most 320
// ids.
inline void make_tiny_dataset(const std::string& folder) {
  std::filesystem::create_directories(folder);
  const std::vector<std::string> training = tiny_documents(400, 1);
  const std::vector<std::string> held_out = tiny_documents(40, 2);
  const std::vector<std::string_view> chunks(training.begin(), training.end());
  text::TrainOptions options;
  options.vocab_size = 320;
  const auto tokenizer = text::train_bpe(chunks, options);
  tokenizer->save(folder + "/tokenizer.json");
  write_shard(*tokenizer, training, folder + "/train.bin");
  write_shard(*tokenizer, held_out, folder + "/validation.bin");
  write_shard(*tokenizer, tiny_documents(20, 3), folder + "/validation_dialogues.bin");
  std::string text;
  for (const std::string& document : held_out) text += document + "\n\n";
  spill(folder + "/validation.txt", text);
}

// MLA, experts with sigmoid gates and an MTP module, 32 wide.
inline std::string tiny_recipe(const std::string& dataset, int steps = 30, int checkpoint_every = 5) {
  std::ostringstream toml;
  toml << "seed = 7\n"
          "[model]\n"
          "vocab_size = 320\nhidden_size = 32\nintermediate_size = 64\nmoe_intermediate_size = 16\n"
          "num_hidden_layers = 2\nfirst_k_dense_replace = 1\nnum_attention_heads = 2\n"
          "n_routed_experts = 8\nn_shared_experts = 1\nnum_experts_per_tok = 2\n"
          "kv_lora_rank = 16\nqk_nope_head_dim = 16\nqk_rope_head_dim = 8\nv_head_dim = 16\n"
          "num_nextn_predict_layers = 1\nmax_position_embeddings = 64\n"
          "[data]\n"
          "dataset = \""
       << dataset
       << "\"\nsequence_tokens = 32\nbatch_sequences = 4\nmicro_batches = 2\npiece_tokens = 40\n"
          "[optimizer]\nlr = 1e-2\nmoments = \"bf16\"\n"
          "[schedule]\nsteps = "
       << steps << "\nwarmup_steps = 3\n[checkpoint]\nevery_steps = " << checkpoint_every
       << "\nkeep = 2\n[eval]\nevery_steps = 10\nsequences = 8\nfinal_sequences = 16\nload_every_steps = 5\n";
  return toml.str();
}

}  // namespace hadal::test
