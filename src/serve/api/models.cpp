// GET /models and /models/{id}.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "serve/api/api_error.h"
#include "serve/api/model_names.h"

namespace hadal::serve::api {

namespace {

base::Json describe(const Service& service, const NamedModel& model) {
  const engine::ModelInfo& info = model.served.engine.info();
  return {{"id", model.id},
          {"object", "model"},
          {"created", service.created},
          {"owned_by", "hadal"},
          // Beyond OpenAI's fields:
          {"root", model.served.id},  // the model behind an alias or a mode
          {"architecture", info.architecture},
          {"context_length", info.context_tokens},
          {"vocab_size", info.vocab_size},
          {"parameters", info.parameters},
          {"active_parameters", info.active_parameters}};
}

}  // namespace

void list_models(const Call& call) {
  base::Json data = base::Json::array();
  for (const NamedModel& model : listed_models(call.service)) data.push_back(describe(call.service, model));
  http::Response response;
  response.body = base::dump_json({{"object", "list"}, {"data", std::move(data)}});
  call.exchange->respond(std::move(response));
}

void show_model(const Call& call) {
  const std::string_view path = call.request.path;
  const std::string id(path.substr(path.find("/models/") + 8));
  const std::vector<NamedModel> listed = listed_models(call.service);
  const auto found =
      std::find_if(listed.begin(), listed.end(), [&](const NamedModel& model) { return model.id == id; });
  if (found == listed.end()) {
    throw ApiError(404, "model_not_found", fmt::format("\"{}\" does not exist here", id), "model");
  }
  http::Response response;
  response.body = base::dump_json(describe(call.service, *found));
  call.exchange->respond(std::move(response));
}

}  // namespace hadal::serve::api
