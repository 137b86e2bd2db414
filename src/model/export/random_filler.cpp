#include "model/export/random_filler.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/random.h"

namespace hadal::model {
namespace {

constexpr int64_t kPoolPieces = 4096;
// What is drawn at once: a block of the format, or as many single values.
constexpr int64_t kPieceValues = 32;
// fp8_block: one scale for all blocks, so that E4M3 holds four standard deviations.
constexpr float kFp8Sigmas = 4;
constexpr float kFp8Largest = 448;

int64_t piece_values(const quant::WeightFormat& format) {
  return std::max(kPieceValues, format.block_elements);
}

uint64_t hash_name(const std::string& name) {
  uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

}  // namespace

void RandomFiller::begin(const PlannedTensor& tensor) {
  tensor_seed_ = seed_ ^ hash_name(tensor.name);
  auto [it, added] = pools_.try_emplace(tensor.format->type);
  pool_ = &it->second;
  if (!added) return;
  const quant::WeightFormat& format = *tensor.format;
  const int64_t count = piece_values(format) * kPoolPieces;
  base::Random random(seed_);
  std::vector<float> values(static_cast<size_t>(count));
  for (auto& v : values) v = static_cast<float>(random.normal() * sigma_);
  it->second.resize(static_cast<size_t>(format.bytes(count)));
  if (format.from_float != nullptr) {
    format.from_float(values.data(), count, it->second.data(), nullptr);
    return;
  }
  const float scale = static_cast<float>(sigma_) * kFp8Sigmas / kFp8Largest;
  for (size_t i = 0; i < values.size(); ++i) {
    it->second[i] = static_cast<std::byte>(tensor::float_to_e4m3(values[i] / scale));
  }
}

void RandomFiller::fill(const PlannedTensor& tensor, int64_t first, int64_t count, std::byte* bytes,
                        float* scales) const {
  const quant::WeightFormat& format = *tensor.format;
  const int64_t cols = tensor.cols();
  if (tensor.shape.size() == 1) {
    const bool norm = tensor.name.find("norm") != std::string::npos;
    const std::vector<float> values(static_cast<size_t>(cols * count), norm ? 1.0f : 0.0f);
    format.from_float(values.data(), cols * count, bytes, nullptr);
    return;
  }
  if (scales != nullptr) {
    const quant::Fp8BlockShape block;
    std::fill_n(scales, quant::fp8_block_count(count, block.rows) * quant::fp8_block_count(cols, block.cols),
                static_cast<float>(sigma_) * kFp8Sigmas / kFp8Largest);
  }
  const auto row_bytes = static_cast<size_t>(format.bytes(cols));
  const auto piece = static_cast<size_t>(format.bytes(piece_values(format)));
  for (int64_t row = first; row < first + count; ++row, bytes += row_bytes) {
    base::Random random(tensor_seed_ + static_cast<uint64_t>(row));
    for (size_t at = 0; at < row_bytes; at += piece) {
      std::memcpy(bytes + at, pool_->data() + random.below(kPoolPieces) * piece,
                  std::min(piece, row_bytes - at));
    }
  }
}

}  // namespace hadal::model
