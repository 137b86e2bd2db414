#include "serve/api/model_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "serve/api/api_error.h"

namespace hadal::serve::api {

namespace {

struct ModeName {
  std::string_view name;
  bool thinking;
  bool listed;  // in GET /models, where a model has that mode
};

constexpr std::array<ModeName, 6> kModeNames = {{
    {"deepseek-chat", false, true},
    {"deepseek-reasoner", true, true},
    {"deepseek-coder", false, false},
    {"deepseek-flash", true, false},
    {"deepseek-v4-flash", true, false},
    {"deepseek-v4-pro", true, false},
}};

bool has_mode(const ServedModel& model, bool thinking) {
  const text::ChatFormat* format = model.engine.chat_format();
  if (format == nullptr) return !thinking;
  return format->thinking_switch || format->thinking_by_default == thinking;
}

// The first model with that mode.
const ServedModel* find_mode(const Service& service, bool thinking) {
  const auto found = std::find_if(service.models.begin(), service.models.end(),
                                  [&](const ServedModel& model) { return has_mode(model, thinking); });
  return found == service.models.end() ? nullptr : &*found;
}

const ServedModel& mode_or_first(const Service& service, bool thinking) {
  const ServedModel* model = find_mode(service, thinking);
  return model != nullptr ? *model : service.models.front();
}

// By its own name or an alias.
const ServedModel* find_own(const Service& service, const std::string& asked) {
  std::string id = asked;
  for (const ModelAlias& alias : service.aliases) {
    if (alias.name == asked) id = alias.model;
  }
  for (const ServedModel& model : service.models) {
    if (model.id == id) return &model;
  }
  return nullptr;
}

}  // namespace

std::optional<NamedModel> find_model_if_any(const Service& service, const std::string& asked) {
  if (asked.empty()) return NamedModel{service.models.front(), service.models.front().id, {}};
  if (const ServedModel* model = find_own(service, asked)) return NamedModel{*model, asked, {}};
  for (const ModeName& mode : kModeNames) {
    if (mode.name == asked) return NamedModel{mode_or_first(service, mode.thinking), asked, mode.thinking};
  }
  return {};
}

NamedModel find_model(const Service& service, const std::string& asked) {
  if (auto model = find_model_if_any(service, asked)) return *model;
  std::string names;
  for (const ServedModel& model : service.models) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", model.id);
  }
  throw ApiError(400, "invalid_request_error",
                 fmt::format("Model Not Exist: \"{}\"; this server has {}", asked, names), "model");
}

NamedModel find_model_leniently(const Service& service, const std::string& asked) {
  if (auto model = find_model_if_any(service, asked)) return *model;
  return {mode_or_first(service, false), asked, false, std::string(kModeNames.front().name)};
}

std::vector<NamedModel> listed_models(const Service& service) {
  std::vector<NamedModel> listed;
  for (const ServedModel& model : service.models) listed.push_back({model, model.id, {}});
  for (const ModelAlias& alias : service.aliases)
    listed.push_back({*find_own(service, alias.name), alias.name, {}});
  for (const ModeName& mode : kModeNames) {
    const std::string name(mode.name);
    if (!mode.listed || find_own(service, name) != nullptr) continue;
    if (const ServedModel* model = find_mode(service, mode.thinking))
      listed.push_back({*model, name, mode.thinking});
  }
  return listed;
}

}  // namespace hadal::serve::api
