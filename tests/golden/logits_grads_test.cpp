// `hadal logits` and `hadal grads` against what DeepSeek's reference code computed (README.md in this
// folder).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "format/safetensors.h"

namespace hadal {
namespace {

constexpr double kLogitBound = 5e-4;     // largest absolute difference
constexpr double kGradientBound = 2e-3;  // relative L2 per tensor

struct Case {
  const char* model;
  int threads;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.model << ", threads " << c.threads; }

std::string golden(const std::string& path) {
  return std::string(HADAL_SOURCE_DIR) + "/tests/golden/" + path;
}

class Golden : public testing::TestWithParam<Case> {
 protected:
  static bool is_gguf() { return std::string_view(GetParam().model).ends_with(".gguf"); }
  // A file that belongs to the model: in its directory, or beside a GGUF file.
  static std::string beside(const std::string& file) {
    const std::filesystem::path model = golden(GetParam().model);
    return ((is_gguf() ? model.parent_path() : model) / file).string();
  }
  static std::string logits_file() {
    if (!is_gguf()) return beside("logits.safetensors");
    return beside(std::filesystem::path(GetParam().model).stem().string() + ".logits.safetensors");
  }

  // Runs `hadal <command>` on the model and reads what it wrote.
  static format::SafetensorsFile run(const std::string& command) {
    const auto& info = *testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string(info.name()) + ".safetensors";
    for (char& c : name) {
      if (c == '/') c = '_';
    }
    const std::string out = (std::filesystem::temp_directory_path() / ("hadal-golden-" + name)).string();
    const std::string line = std::string(HADAL_BINARY) + " " + command + " --model " +
                             golden(GetParam().model) + " --tokens " + beside("tokens.json") + " --out " +
                             out + " --threads " + std::to_string(GetParam().threads);
    EXPECT_EQ(std::system(line.c_str()), 0) << line;
    format::SafetensorsFile file(out);
    std::filesystem::remove(out);  // stays mapped
    return file;
  }

  static std::vector<float> values(const format::SafetensorsFile& file, const std::string& name,
                                   const tensor::Shape& shape) {
    const auto* view = file.find(name);
    if (view == nullptr) {
      ADD_FAILURE() << file.path() << " has no " << name;
      return {};
    }
    EXPECT_EQ(view->dtype, tensor::DType::kF32) << name;
    EXPECT_EQ(view->shape, shape) << name;
    if (view->dtype != tensor::DType::kF32 || view->shape != shape) return {};
    std::vector<float> out(static_cast<size_t>(tensor::element_count(shape)));
    format::to_float(*view, out.data());
    return out;
  }

  static void expect_logits(const format::SafetensorsFile& actual) {
    const format::SafetensorsFile expected(logits_file());
    ASSERT_EQ(actual.tensors().size(), expected.tensors().size());
    for (const auto& [name, view] : expected.tensors()) {
      const auto a = values(actual, name, view.shape);
      const auto e = values(expected, name, view.shape);
      ASSERT_EQ(a.size(), e.size());
      double worst = 0;
      size_t where = 0;
      for (size_t i = 0; i < e.size(); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - e[i]);
        if (!(difference <= worst)) {  // NaN counts
          worst = difference;
          where = i;
        }
      }
      const auto vocab = static_cast<size_t>(view.shape[1]);
      EXPECT_LE(worst, kLogitBound) << name << " at position " << where / vocab << ", token "
                                    << where % vocab;
      RecordProperty(name + "_max_difference", std::to_string(worst));
    }
  }
};

TEST_P(Golden, PrefillLogits) { expect_logits(run("logits --exact")); }

TEST_P(Golden, DecodeLogits) { expect_logits(run("logits --exact --decode")); }

// Only for the models whose gradients the reference has.
class GoldenGradients : public Golden {};

TEST_P(GoldenGradients, Gradients) {
  const format::SafetensorsFile expected(beside("grads.safetensors"));
  const auto actual = run("grads");
  EXPECT_EQ(actual.tensors().size(), expected.tensors().size());
  double worst = 0;
  for (const auto& [name, view] : expected.tensors()) {
    const auto a = values(actual, name, view.shape);
    const auto e = values(expected, name, view.shape);
    ASSERT_EQ(a.size(), e.size()) << name;
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < e.size(); ++i) {
      difference += std::pow(static_cast<double>(a[i]) - e[i], 2);
      norm += std::pow(static_cast<double>(e[i]), 2);
    }
    const double relative = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
    EXPECT_LE(relative, kGradientBound) << name;
    worst = std::max(worst, relative);
  }
  RecordProperty("worst_relative_l2", std::to_string(worst));
}

std::vector<Case> with_threads(std::initializer_list<const char*> models) {
  std::vector<Case> out;
  for (const char* model : models) {
    for (const int threads : {1, 2}) out.push_back({model, threads});
  }
  return out;
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = std::string(info.param.model) + "_threads" + std::to_string(info.param.threads);
  for (char& c : name) {
    if (c == '-' || c == '/' || c == '.') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         testing::ValuesIn(with_threads({"deepseek-v3", "deepseek-v3-fp8", "deepseek-v2",
                                                         "deepseek-v2-lite", "moonlight", "deepseek-v3-mtp",
                                                         "qwen2", "llama3"})),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Gguf, Golden,
                         testing::ValuesIn(with_threads({"gguf/F16.gguf", "gguf/Q8_0.gguf", "gguf/Q6_K.gguf",
                                                         "gguf/Q5_K.gguf", "gguf/Q4_K.gguf", "gguf/Q4_0.gguf",
                                                         "gguf/Q3_K.gguf", "gguf/Q2_K.gguf",
                                                         "gguf/IQ4_XS.gguf"})),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Models, GoldenGradients,
                         testing::ValuesIn(with_threads({"deepseek-v3", "deepseek-v2", "deepseek-v2-lite",
                                                         "qwen2", "llama3"})),
                         case_name);

}  // namespace
}  // namespace hadal
