#include "ledger/run_cost.h"

#include <ctime>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"

namespace hadal::ledger {
namespace {

using base::Json;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Json read_or_empty(const std::string& path) {
  if (base::file_exists(path)) {
    Json json = Json::parse(base::read_file(path), nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("sessions") && json["sessions"].is_array()) return json;
  }
  return {{"sessions", Json::array()}};
}

double number(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number() ? it->get<double>() : 0;
}

}  // namespace

RunCost::RunCost(const std::string& path, const std::string& stage, int64_t step, int64_t wasted_steps)
    : path_(path), document_(read_or_empty(path)), began_(base::monotonic_seconds()) {
  Json& sessions = document_["sessions"];
  if (!sessions.empty() && sessions.back().is_object() &&
      sessions.back().value("ended", Json()) == "running") {
    Json& last = sessions.back();
    last["ended"] = "killed";
    last["wasted_steps"] = wasted_steps;
  }
  document_["stage"] = stage;
  sessions.push_back(
      {{"started", utc_now()}, {"from_step", step}, {"ended", "running"}, {"wasted_steps", 0}});
}

void RunCost::add_step(int64_t tokens, double flops, double seconds) {
  ++steps_;
  tokens_ += tokens;
  flops_ += flops;
  step_seconds_ += seconds;
}

void RunCost::write(const std::string& ended) {
  Json& session = document_["sessions"].back();
  session["ended"] = ended;
  session["wall_seconds"] = base::monotonic_seconds() - began_;
  session["step_seconds"] = step_seconds_;
  session["overhead_seconds"] = overhead_seconds_;
  session["steps"] = steps_;
  session["tokens"] = tokens_;
  session["flops"] = flops_;

  Json total = {{"sessions", document_["sessions"].size()}};
  double interruptions = 0;
  for (const char* key :
       {"wall_seconds", "step_seconds", "overhead_seconds", "steps", "tokens", "flops", "wasted_steps"}) {
    double sum = 0;
    for (const Json& s : document_["sessions"]) sum += number(s, key);
    total[key] = sum;
  }
  for (const Json& s : document_["sessions"]) {
    if (s.value("ended", Json()) == "killed" || s.value("ended", Json()) == "stopped") ++interruptions;
  }
  total["interruptions"] = interruptions;
  document_["total"] = total;
  base::write_file_atomic(path_, base::dump_json(document_, 2) + "\n");
}

}  // namespace hadal::ledger
