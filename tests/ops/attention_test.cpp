#include "ops/attention.h"

#include "ops/finite_difference.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

ops::AttentionShape small_shape(int64_t sequences, int64_t length) {
  ops::AttentionShape s;
  s.sequences = sequences;
  s.queries = s.keys = length;
  s.heads = 2;
  s.nope = 3;
  s.rope = 2;
  s.v = 4;
  s.scale = 0.4f;
  return s;
}

// The definition, term by term, in double.
std::vector<float> reference(const ops::AttentionShape& s, const std::vector<float>& q,
                             const std::vector<float>& kv, const std::vector<float>& k_pe) {
  std::vector<float> out(static_cast<size_t>(s.sequences * s.queries * s.heads * s.v));
  const int64_t past = s.keys - s.queries;
  for (int64_t b = 0; b < s.sequences; ++b) {
    for (int64_t i = 0; i < s.queries; ++i) {
      for (int64_t h = 0; h < s.heads; ++h) {
        const float* query = &q[static_cast<size_t>(((b * s.queries + i) * s.heads + h) * (s.nope + s.rope))];
        const int64_t first =
            s.document_start.empty() ? 0 : s.document_start[static_cast<size_t>(b * s.keys + past + i)];
        std::vector<double> weights;
        double sum = 0;
        for (int64_t j = first; j <= past + i; ++j) {
          const float* key = &kv[static_cast<size_t>(((b * s.keys + j) * s.heads + h) * (s.nope + s.v))];
          const float* pe = &k_pe[static_cast<size_t>((b * s.keys + j) * s.rope)];
          double score = 0;
          for (int64_t d = 0; d < s.nope; ++d) score += static_cast<double>(query[d]) * key[d];
          for (int64_t d = 0; d < s.rope; ++d) score += static_cast<double>(query[s.nope + d]) * pe[d];
          weights.push_back(std::exp(s.scale * score));
          sum += weights.back();
        }
        for (int64_t d = 0; d < s.v; ++d) {
          double value = 0;
          for (int64_t j = first; j <= past + i; ++j) {
            value += weights[static_cast<size_t>(j - first)] / sum *
                     kv[static_cast<size_t>(((b * s.keys + j) * s.heads + h) * (s.nope + s.v) + s.nope + d)];
          }
          out[static_cast<size_t>(((b * s.queries + i) * s.heads + h) * s.v + d)] = static_cast<float>(value);
        }
      }
    }
  }
  return out;
}

struct Inputs {
  std::vector<float> q, kv, k_pe, out;
  explicit Inputs(const ops::AttentionShape& s)
      : q(random_values(s.sequences * s.queries * s.heads * (s.nope + s.rope), 1)),
        kv(random_values(s.sequences * s.keys * s.heads * (s.nope + s.v), 2)),
        k_pe(random_values(s.sequences * s.keys * s.rope, 3)),
        out(static_cast<size_t>(s.sequences * s.queries * s.heads * s.v)) {}
  tensor::Matrix q_view(const ops::AttentionShape& s) {
    return view(q, s.sequences * s.queries, s.heads * (s.nope + s.rope));
  }
  tensor::Matrix kv_view(const ops::AttentionShape& s) {
    return view(kv, s.sequences * s.keys, s.heads * (s.nope + s.v));
  }
  tensor::Matrix pe_view(const ops::AttentionShape& s) { return view(k_pe, s.sequences * s.keys, s.rope); }
  tensor::Matrix out_view(const ops::AttentionShape& s) {
    return view(out, s.sequences * s.queries, s.heads * s.v);
  }
};

void expect_close(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 2e-5) << i;
}

TEST(Attention, EqualsItsDefinitionAcrossQueryBlocks) {
  base::ThreadPool pool(2);
  const auto s = small_shape(2, 70);  // two query blocks, the second one short
  Inputs in(s);
  ops::attention(s, in.q_view(s), in.kv_view(s), in.pe_view(s), in.out_view(s), nullptr, pool);
  expect_close(in.out, reference(s, in.q, in.kv, in.k_pe));
}

TEST(Attention, QueriesMayFollowAPast) {
  base::ThreadPool pool(1);
  auto s = small_shape(1, 30);
  s.queries = 5;
  Inputs in(s);
  ops::attention(s, in.q_view(s), in.kv_view(s), in.pe_view(s), in.out_view(s), nullptr, pool);
  expect_close(in.out, reference(s, in.q, in.kv, in.k_pe));
}

TEST(Attention, DocumentsDoNotSeeEachOther) {
  base::ThreadPool pool(1);
  auto s = small_shape(1, 20);
  std::vector<int32_t> starts(20);
  for (int i = 8; i < 20; ++i) starts[static_cast<size_t>(i)] = 8;
  s.document_start = starts;
  Inputs in(s);
  ops::attention(s, in.q_view(s), in.kv_view(s), in.pe_view(s), in.out_view(s), nullptr, pool);
  expect_close(in.out, reference(s, in.q, in.kv, in.k_pe));
}

TEST(Attention, GradientsMatchDifferences) {
  base::ThreadPool pool(2);
  auto s = small_shape(2, 66);
  std::vector<int32_t> starts(2 * 66);
  for (int i = 40; i < 66; ++i) starts[static_cast<size_t>(i)] = 40;
  s.document_start = starts;
  Inputs in(s);
  auto direction = random_values(static_cast<int64_t>(in.out.size()), 4);
  std::vector<float> lse(static_cast<size_t>(s.sequences * s.queries * s.heads));
  const auto loss = [&] {
    ops::attention(s, in.q_view(s), in.kv_view(s), in.pe_view(s), in.out_view(s), lse.data(), pool);
    return project(in.out, direction);
  };
  loss();
  std::vector<float> dq(in.q.size()), dkv(in.kv.size()), dk_pe(in.k_pe.size(), 0.0f);
  const auto dout = tensor::matrix(direction.data(), s.sequences * s.queries, s.heads * s.v);
  ops::attention_backward(s, in.q_view(s), in.kv_view(s), in.pe_view(s), in.out_view(s), lse.data(), dout,
                          tensor::matrix(dq.data(), s.sequences * s.queries, s.heads * (s.nope + s.rope)),
                          tensor::matrix(dkv.data(), s.sequences * s.keys, s.heads * (s.nope + s.v)),
                          tensor::matrix(dk_pe.data(), s.sequences * s.keys, s.rope), pool);
  expect_gradient(in.q, dq, loss);
  expect_gradient(in.kv, dkv, loss);
  expect_gradient(in.k_pe, dk_pe, loss);
}

}  // namespace
}  // namespace hadal
