#include "train/checkpoint.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "format/safetensors.h"

namespace hadal::train {
namespace {

namespace fs = std::filesystem;
using base::Json;

constexpr int kFormatVersion = 1;
constexpr std::string_view kPrefix = "step-";

std::string state_file(const std::string& directory) { return directory + "/state/state.safetensors"; }
std::string state_json(const std::string& directory) { return directory + "/state/state.json"; }

uint64_t file_checksum(const base::MappedFile& file) {
  return XXH3_64bits(file.bytes().data(), file.bytes().size());
}

// The step of "step-00000200", or -1 for any other name ("step-00000200.new" too).
int64_t step_of(const std::string& name) {
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size() || name.size() > 24) return -1;
  int64_t step = 0;
  for (const char c : name.substr(kPrefix.size())) {
    if (c < '0' || c > '9') return -1;
    step = step * 10 + (c - '0');
  }
  return step;
}

std::vector<model::Parameter>& stored_parameters(model::Transformer& model) {
  return model.adapters().empty() ? model.parameters() : model.adapters();
}

std::vector<format::TensorToWrite> state_tensors(model::Transformer& model, Optimizer& optimizer) {
  std::vector<format::TensorToWrite> tensors;
  for (const model::Parameter& p : stored_parameters(model)) {
    tensors.push_back({fmt::format("weight.{}", p.name), tensor::DType::kF32, p.shape, p.value, {}});
  }
  for (const Optimizer::Moments& moments : optimizer.moments()) {
    const tensor::DType dtype = optimizer.moment_dtype();
    tensors.push_back(
        {fmt::format("m.{}", moments.name), dtype, moments.shape, nullptr, optimizer.first_moment(moments)});
    tensors.push_back(
        {fmt::format("v.{}", moments.name), dtype, moments.shape, nullptr, optimizer.second_moment(moments)});
  }
  return tensors;
}

// Copies one tensor's bytes, after checking type and shape.
void read_tensor(const format::SafetensorsFile& file, const std::string& name, tensor::DType dtype,
                 const tensor::Shape& shape, std::span<std::byte> out) {
  const format::TensorView* view = file.find(name);
  if (view == nullptr) throw_error(ErrorCode::kBadInput, "[checkpoint] {}: {} is missing", file.path(), name);
  if (view->dtype != dtype || view->shape != shape || view->bytes.size() != out.size()) {
    throw_error(ErrorCode::kBadInput, "[checkpoint] {}: {}: {} {} bytes, expected {} {} bytes", file.path(),
                name, tensor::dtype_name(view->dtype), view->bytes.size(), tensor::dtype_name(dtype),
                out.size());
  }
  if (!out.empty()) std::memcpy(out.data(), view->bytes.data(), out.size());
}

}  // namespace

void save_checkpoint(const std::string& run, const TrainingState& state, model::Transformer& model,
                     Optimizer& optimizer, const ExportOptions& options) {
  write_checkpoint(run, state, model, optimizer,
                   [&](const std::string& directory) { export_model(directory, model, options); });
}

void write_checkpoint(const std::string& run, const TrainingState& state, model::Transformer& model,
                      Optimizer& optimizer, const std::function<void(const std::string&)>& write_model) {
  const std::string directory = fmt::format("{}/checkpoints/{}{:08}", run, kPrefix, state.step);
  base::replace_directory(directory, [&](const std::string& aside) {
    fs::create_directories(aside + "/model");
    fs::create_directories(aside + "/state");
    write_model(aside + "/model");
    format::write_safetensors(state_file(aside), state_tensors(model, optimizer));
    const base::MappedFile written(state_file(aside));
    const Json json = {{"format", kFormatVersion},
                       {"step", state.step},
                       {"updates", optimizer.steps()},
                       {"tokens", state.tokens},
                       {"position",
                        {{"epoch", state.position.epoch},
                         {"piece", state.position.piece},
                         {"offset", state.position.offset}}},
                       {"dataset_xxh3", fmt::format("{:016x}", state.dataset_checksum)},
                       {"state_bytes", written.bytes().size()},
                       {"state_xxh3", fmt::format("{:016x}", file_checksum(written))},
                       {"recipe", state.recipe}};
    base::write_file_atomic(state_json(aside), base::dump_json(json, 2) + "\n");
  });
}

std::vector<std::string> list_checkpoints(const std::string& run) {
  std::vector<std::pair<int64_t, std::string>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints", error)) {
    const int64_t step = step_of(entry.path().filename().string());
    if (step >= 0 && fs::exists(state_json(entry.path().string()), error)) {
      found.emplace_back(step, entry.path().string());
    }
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

void prune_checkpoints(const std::string& run, int64_t saved_step, int64_t keep) {
  std::error_code error;
  int64_t earlier = 0;
  for (const std::string& path : list_checkpoints(run)) {
    const int64_t step = step_of(fs::path(path).filename().string());
    if (step == saved_step) continue;
    const bool stale = step > saved_step;
    if (!stale) ++earlier;
    if (stale || earlier >= keep) fs::remove_all(path, error);
  }
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::directory_iterator(run + "/checkpoints", error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".new" || extension == ".old") leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove_all(path, error);
}

TrainingState read_training_state(const std::string& directory) {
  const std::string path = state_json(directory);
  const Json json = base::read_json_file(path);
  TrainingState state;
  std::string expected;
  try {
    if (json.at("format").get<int>() != kFormatVersion) {
      throw_error(ErrorCode::kUnsupported, "[checkpoint] {}: format {}, this program reads {}", path,
                  json.at("format").dump(), kFormatVersion);
    }
    state.step = json.at("step").get<int64_t>();
    state.recipe = json.at("recipe");
    // Checkpoints before the key left no update out.
    const int64_t a_step = state.recipe.is_object()
                               ? state.recipe.value(Json::json_pointer("/data/minibatches"), int64_t{1})
                               : 1;
    if (a_step < 1 || state.step > std::numeric_limits<int64_t>::max() / a_step)
      throw_error(ErrorCode::kBadInput, "[checkpoint] {}: step {} of {} minibatches", path, state.step,
                  a_step);
    state.updates = json.value("updates", state.step * a_step);
    state.tokens = json.at("tokens").get<int64_t>();
    state.position.epoch = json.at("position").at("epoch").get<int64_t>();
    state.position.piece = json.at("position").at("piece").get<int64_t>();
    state.position.offset = json.at("position").at("offset").get<int64_t>();
    state.dataset_checksum = std::stoull(json.at("dataset_xxh3").get<std::string>(), nullptr, 16);
    expected = json.at("state_xxh3").get<std::string>();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw_error(ErrorCode::kBadInput, "[checkpoint] {}: {}", path, e.what());
  }
  if (state.step < 0 || state.updates < 0) {
    throw_error(ErrorCode::kBadInput, "[checkpoint] {}: step {}, {} updates", path, state.step,
                state.updates);
  }
  const base::MappedFile file(state_file(directory));
  const std::string actual = fmt::format("{:016x}", file_checksum(file));
  if (actual != expected) {
    throw_error(ErrorCode::kBadInput,
                "[checkpoint] {}: damaged: {} bytes with XXH3 {}, state.json says {} bytes with {}",
                file.path(), file.bytes().size(), actual, json.value("state_bytes", Json()).dump(), expected);
  }
  return state;
}

TrainingState load_checkpoint(const std::string& directory, model::Transformer& model, Optimizer& optimizer) {
  TrainingState state = read_training_state(directory);
  const format::SafetensorsFile file(state_file(directory));
  for (model::Parameter& p : stored_parameters(model)) {
    read_tensor(file, fmt::format("weight.{}", p.name), tensor::DType::kF32, p.shape,
                std::as_writable_bytes(std::span(p.value, static_cast<size_t>(p.size()))));
  }
  for (const Optimizer::Moments& moments : optimizer.moments()) {
    const tensor::DType dtype = optimizer.moment_dtype();
    read_tensor(file, fmt::format("m.{}", moments.name), dtype, moments.shape,
                optimizer.first_moment(moments));
    read_tensor(file, fmt::format("v.{}", moments.name), dtype, moments.shape,
                optimizer.second_moment(moments));
  }
  optimizer.set_steps(state.updates);
  return state;
}

}  // namespace hadal::train
