// GET /health: that the server lives, and its counters.
#include "base/clock.h"
#include "base/json.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// The counters of all models together, then each model's own. A server with keys tells the world only whether
// it lives and how busy it is: from counted tokens anybody could follow the others' answers.
void health(const Call& call) {
  const Service& service = call.service;
  base::Json models = base::Json::array();
  int running = 0, waiting = 0;
  uint64_t requests = 0, tokens = 0;
  for (const ServedModel& model : service.models) {
    const engine::EngineMetrics metrics = model.engine.metrics();
    running += metrics.running;
    waiting += metrics.waiting;
    requests += metrics.requests_total;
    tokens += metrics.generated_tokens_total;
    models.push_back({{"id", model.id},
                      {"requests_running", metrics.running},
                      {"requests_waiting", metrics.waiting},
                      {"requests_total", metrics.requests_total},
                      {"tokens_generated_total", metrics.generated_tokens_total}});
  }
  base::Json body = {{"status", "ok"},
                     {"model", service.models.front().id},
                     {"uptime_seconds", base::monotonic_seconds() - service.started_seconds},
                     {"requests_running", running},
                     {"requests_waiting", waiting}};
  if (service.ledger == nullptr) {
    body["models"] = std::move(models);
    body["connections"] = service.transport ? service.transport().connections : 0;
    body["requests_total"] = requests;
    body["tokens_generated_total"] = tokens;
  }
  http::Response response;
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = base::dump_json(body);
  call.exchange->respond(std::move(response));
}

}  // namespace hadal::serve::api
