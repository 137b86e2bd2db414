// GET /models and /models/{id}.
#include <string_view>

#include "serve/api/api_error.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

namespace {

base::Json describe(const Service& service) {
  const engine::ModelInfo& info = service.engine.info();
  return {{"id", service.model_id},
          {"object", "model"},
          {"created", service.created},
          {"owned_by", "hadal"},
          // Beyond OpenAI's fields:
          {"architecture", info.architecture},
          {"context_length", info.context_tokens},
          {"vocab_size", info.vocab_size},
          {"parameters", info.parameters},
          {"active_parameters", info.active_parameters}};
}

}  // namespace

void list_models(const Call& call) {
  http::Response response;
  response.body =
      base::dump_json({{"object", "list"}, {"data", base::Json::array({describe(call.service)})}});
  call.exchange->respond(std::move(response));
}

void show_model(const Call& call) {
  const std::string_view path = call.request.path;
  const std::string id(path.substr(path.find("/models/") + 8));
  check_model(call.service, id);
  http::Response response;
  response.body = base::dump_json(describe(call.service));
  call.exchange->respond(std::move(response));
}

}  // namespace hadal::serve::api
