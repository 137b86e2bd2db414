// GET /metrics: what the engines and the transport count, in Prometheus' text format 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats): # HELP and # TYPE before each series, counters end
// in _total, a histogram's buckets are cumulative. Sums over all tenants: it shows no one's cache to anyone,
// but is meant for whoever runs the machine.
#pragma once

#include <span>
#include <string>

#include "engine/engine.h"
#include "serve/http/server.h"

namespace hadal::serve::api {

struct ServerFacts {
  double uptime_seconds = 0;
  http::ServerCounters transport;
};

struct ModelMetrics {
  std::string model;
  engine::EngineMetrics metrics;
};

// With several models the samples of engines have the label model="ID"; with one they have no such label.
std::string metrics_text(std::span<const ModelMetrics> models, const ServerFacts& facts);

}  // namespace hadal::serve::api
