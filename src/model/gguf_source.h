// The tensors of a GGUF file under the names of Hugging Face checkpoints.
#pragma once

#include <memory>
#include <string>

#include "format/gguf.h"
#include "format/tensor_source.h"
#include "model/gguf_names.h"

namespace hadal::model {

// Besides the checkpoint's names it knows the two halves of a kv_b_proj that the file holds split:
// "...self_attn.k_b_proj.weight" [heads, kv_lora_rank, qk_nope_head_dim] (transposed) and
// "...self_attn.v_b_proj.weight" [heads, v_head_dim, kv_lora_rank].
class GgufSource : public format::TensorSource {
 public:
  GgufSource(std::shared_ptr<const format::GgufFile> file, std::string architecture)
      : file_(std::move(file)), architecture_(std::move(architecture)) {}

  std::optional<format::StoredTensor> find(const std::string& name) const override;
  void refuse_unused(const std::set<std::string>& used, const std::string& ignored) const override;
  const std::string& path() const override { return file_->path(); }
  int64_t bytes() const override;

 private:
  std::shared_ptr<const format::GgufFile> file_;
  std::string architecture_;  // GGUF's: "deepseek2"
};

}  // namespace hadal::model
