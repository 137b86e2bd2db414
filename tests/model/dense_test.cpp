// The dense families' gradients against differences (what tests/golden does not cover: q/k norms, biases of
// o_proj, tied embeddings), and loading them from either file format.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "format/safetensors.h"
#include "model/tiny_models.h"
#include "model/transformer.h"

namespace hadal {
namespace {

using test::batch_of;
using test::expect_gradients;
using test::tiny_qwen3;
using test::tokens_below;

TEST(DenseTransformer, GradientsOfQwen3MatchDifferences) {
  base::ThreadPool pool(2);
  const auto m = model::Transformer::create(tiny_qwen3(), 3, 0.25);
  m->enable_gradients();
  const auto tokens = tokens_below(40, 2 * 9);
  const auto batch = batch_of(tokens, 2);
  m->forward_backward(batch, {}, pool);
  expect_gradients(m->parameters(), [&] { return m->evaluate(batch, {}, pool).loss; });
}

TEST(DenseTransformer, SameBitsForAnyNumberOfThreads) {
  const auto tokens = tokens_below(40, 3 * 71);
  std::vector<std::vector<float>> gradients;
  for (const int threads : {1, 3}) {
    base::ThreadPool pool(threads);
    const auto m = model::Transformer::create(tiny_qwen3(), 3, 0.25);
    m->enable_gradients();
    m->forward_backward(batch_of(tokens, 3), {}, pool);
    std::vector<float> all;
    for (const auto& p : m->parameters()) all.insert(all.end(), p.grad, p.grad + p.size());
    gradients.push_back(std::move(all));
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

// Documents side by side in a row say what they say alone.
TEST(DenseTransformer, TheDocumentMaskKeepsDocumentsApart) {
  base::ThreadPool pool(2);
  const auto m = model::Transformer::create(tiny_qwen3(), 3, 0.25);
  auto first = tokens_below(40, 12), second = tokens_below(40, 20);
  std::reverse(second.begin(), second.end());
  std::vector<int32_t> packed = first;
  packed.insert(packed.end(), second.begin(), second.end());
  std::vector<int32_t> start(packed.size() - 1, 0);
  std::fill(start.begin() + 12, start.end(), 12);
  auto batch = batch_of(packed, 1);
  batch.document_start = start;
  std::vector<float> together, alone;
  m->evaluate(batch, {}, pool, &together);
  m->evaluate(batch_of(second, 1), {}, pool, &alone);
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(together[12 + i], alone[i], 1e-5) << i;
}

// The loss of the reference's logits, computed on the exactly dequantized weights.
TEST(DenseTransformer, LoadsEveryGgufTypeAsItsValues) {
  base::ThreadPool pool(2);
  const std::string folder = std::string(HADAL_SOURCE_DIR) + "/tests/golden/gguf/";
  const auto tokens = base::read_json_file(folder + "tokens.json").get<std::vector<int32_t>>();
  for (const char* type : {"F16", "Q8_0", "Q4_K", "IQ4_XS"}) {
    const auto m = model::Transformer::load(folder + type + ".gguf");
    std::vector<float> nats;
    m->evaluate(batch_of(tokens, 1), {}, pool, &nats);
    const format::SafetensorsFile file(folder + type + ".logits.safetensors");
    std::vector<float> logits(tokens.size() * static_cast<size_t>(m->config().vocab_size));
    format::to_float(*file.find("logits"), logits.data());
    for (size_t i = 0; i < nats.size(); ++i) {
      const float* row = logits.data() + i * static_cast<size_t>(m->config().vocab_size);
      double sum = 0;
      for (int64_t j = 0; j < m->config().vocab_size; ++j) sum += std::exp(static_cast<double>(row[j]));
      EXPECT_NEAR(nats[i], std::log(sum) - row[tokens[i + 1]], 5e-4) << type << " position " << i;
    }
  }
}

}  // namespace
}  // namespace hadal
