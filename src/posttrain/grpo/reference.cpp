#include "posttrain/grpo/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "train/export_model.h"

namespace hadal::posttrain {

namespace fs = std::filesystem;

Reference::Reference(std::string run, const std::string& base, int64_t every)
    : run_(std::move(run)), every_(every), model_(model::Transformer::load(base)) {}

void Reference::go_to(int64_t step) {
  if (since(step) > 0) model_ = model::Transformer::load(directory(since(step)));
}

std::string Reference::directory(int64_t step) const {
  return fmt::format("{}/reference/step-{:08}", run_, step);
}

int64_t Reference::since(int64_t step) const { return every_ == 0 ? 0 : step / every_ * every_; }

void Reference::after_step(int64_t step, const model::Transformer& policy) {
  if (since(step) != step || step == 0) return;
  fs::create_directories(run_ + "/reference");
  base::replace_directory(directory(step), [&](const std::string& aside) {
    train::export_model(aside, policy, {.tokenizer = "", .bf16 = false});
  });
  auto& to = model_->parameters();
  const auto& from = policy.parameters();
  for (size_t i = 0; i < to.size(); ++i) std::copy_n(from[i].value, from[i].size(), to[i].value);
}

void Reference::prune(int64_t oldest_step) const {
  std::error_code error;
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(run_ + "/reference", error)) {
    // Names have eight digits: their order is that of the steps.
    if (entry.path().filename().string() < fmt::format("step-{:08}", since(oldest_step)))
      old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove_all(path, error);
}

std::vector<float> Reference::logprobs(const model::TokenBatch& batch, base::ThreadPool& pool) {
  std::vector<float> logprobs;
  model_->forward(batch, pool, logprobs);
  return logprobs;
}

}  // namespace hadal::posttrain
