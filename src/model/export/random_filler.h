// Random weights in any format, at the speed of a memory copy: for benchmarks and tests on checkpoints of
// true shape without true weights.
#pragma once

#include <map>
#include <vector>

#include "model/export/export_file.h"

namespace hadal::model {

// Matrices: N(0, sigma). For each format a pool of blocks is quantized from normal values once; the file's
// blocks are drawn from the pool, so that their codes and scales are those of real quantized weights. Norms
// are 1, biases 0. The values depend on the seed, the tensor's name and the row, not on the threads.
class RandomFiller : public TensorFiller {
 public:
  RandomFiller(uint64_t seed, double sigma) : seed_(seed), sigma_(sigma) {}

  void begin(const PlannedTensor& tensor) override;
  void fill(const PlannedTensor& tensor, int64_t first, int64_t count, std::byte* bytes,
            float* scales) const override;

 private:
  uint64_t seed_;
  double sigma_;
  std::map<quant::WeightType, std::vector<std::byte>> pools_;
  uint64_t tensor_seed_ = 0;
  const std::vector<std::byte>* pool_ = nullptr;  // of the current tensor
};

}  // namespace hadal::model
