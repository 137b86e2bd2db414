#include "serve/api/admin.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <charconv>
#include <fstream>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/machine_memory.h"
#include "serve/api/api_error.h"
#include "serve/api/auth.h"
#include "serve/api/error_log.h"

namespace hadal::serve::api {

using base::Json;

namespace {

constexpr const char* kVersion = "0.1.0";

void answer(const std::shared_ptr<http::Exchange>& exchange, int status, const Json& json) {
  http::Response response;
  response.status = status;
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = base::dump_json(json);
  exchange->respond(std::move(response));
}

// In a catch block: the database's failures are no fault of the request.
ApiError store_error() {
  try {
    throw;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::kIo) return {503, "ledger_unavailable", without_area(e.what())};
    return current_api_error();
  } catch (...) {
    return current_api_error();
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(16 * high + low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

Json machine_json() {
  static const std::string cpu = cpu_name();
  std::array<double, 3> load{};
  if (::getloadavg(load.data(), 3) != 3) load = {};
  const base::MachineMemory memory = base::machine_memory();
  return {{"cpu", cpu},
          {"processors", std::thread::hardware_concurrency()},
          {"memory_bytes", memory.total_bytes},
          {"memory_available_bytes", memory.available_bytes},
          {"load", load}};
}

Json model_json(const ServedModel& model) {
  const engine::ModelInfo& info = model.engine.info();
  const engine::EngineMetrics metrics = model.engine.metrics();
  const engine::PageMetrics& pages = metrics.pages;
  return {{"id", model.id},
          {"architecture", info.architecture},
          {"parameters", info.parameters},
          {"active_parameters", info.active_parameters},
          {"context_length", info.context_tokens},
          {"running", metrics.running},
          {"waiting", metrics.waiting},
          {"requests_total", metrics.requests_total},
          {"prompt_tokens_total", metrics.prompt_tokens_total},
          {"cache_hit_memory_tokens_total", metrics.hit_memory_tokens_total},
          {"cache_hit_disk_tokens_total", metrics.hit_disk_tokens_total},
          {"cache_miss_tokens_total", metrics.miss_tokens_total},
          {"generated_tokens_total", metrics.generated_tokens_total},
          {"kv_pages", pages.total},
          {"kv_pages_used", pages.total - pages.free - pages.cached},
          {"kv_disk_bytes", metrics.disk.bytes}};
}

Json prices_json(const ledger::Ledger& ledger) {
  const auto table = ledger.prices();
  if (!table) return nullptr;
  const int64_t now = ledger::unix_ms() / 1000;
  Json models = Json::array();
  for (const ledger::ModelPrice& row : table->models) {
    const ledger::Price& price = ledger::price_at(row, now);
    models.push_back({{"model", row.model},
                      {"hit", ledger::money_text(price.hit)},
                      {"miss", ledger::money_text(price.miss)},
                      {"output", ledger::money_text(price.output)},
                      {"off_peak_now", ledger::is_off_peak(row, now)}});
  }
  return {{"currency", table->currency}, {"models", std::move(models)}};
}

void show_server(const Call& call) {
  const Service& service = call.service;
  Json models = Json::array();
  for (const ServedModel& model : service.models) models.push_back(model_json(model));
  Json json = {{"version", kVersion},
               {"uptime_seconds", base::monotonic_seconds() - service.started_seconds},
               {"connections", service.transport ? service.transport().connections : 0},
               {"machine", machine_json()},
               {"models", std::move(models)},
               {"prices", prices_json(*service.ledger)}};
  answer_from_store(call, 200,
                    [&ledger = *service.ledger, json = std::move(json)](ledger::Store& store) mutable {
                      const auto state = ledger.state();
                      int64_t feedback = 0;
                      try {
                        feedback = store.feedback_count();
                      } catch (const Error&) {
                      }  // the page is for looking at a server in trouble, too
                      json["ledger"] = {{"backend", state.backend},
                                        {"available", state.available},
                                        {"pending", state.pending},
                                        {"open_requests", state.open_requests},
                                        {"feedback", feedback}};
                      return json;
                    });
}

void show_errors(const Call& call) {
  const auto limit = static_cast<size_t>(query_number(call.request.query, "limit", 100, 1, ErrorLog::kMost));
  Json errors = Json::array();
  for (const LoggedError& error : call.service.errors->latest(limit)) errors.push_back(to_json(error));
  answer(call.exchange, 200, {{"errors", std::move(errors)}});
}

void who_am_i(const Call& call) {
  answer_from_store(call, 200,
                    [&ledger = *call.service.ledger, id = call.caller->key_id](ledger::Store& store) {
                      const auto key = store.find_key(id);
                      if (!key) throw ApiError(404, "key_not_found", "the key has gone");
                      return Json{{"key", key_json(ledger, *key)}};
                    });
}

[[noreturn]] void refuse_path(const Call& call) {
  throw ApiError(404, "unknown_url",
                 fmt::format("{} {}: no such endpoint", call.request.method, call.request.path));
}

}  // namespace

void answer_from_store(const Call& call, int status, std::function<Json(ledger::Store&)> work) {
  call.service.ledger->post([exchange = call.exchange, status, work = std::move(work)](ledger::Store& store) {
    try {
      answer(exchange, status, work(store));
    } catch (...) {
      exchange->respond(error_response(store_error()));
    }
  });
}

std::string query_value(const std::string& query, std::string_view name) {
  std::string_view rest = query;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return percent_decoded(pair.substr(equals + 1));
    }
  }
  return {};
}

int64_t query_number(const std::string& query, const char* name, int64_t fallback, int64_t low,
                     int64_t high) {
  const std::string text = query_value(query, name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    throw bad_value(name,
                    fmt::format("\"{}\" is not a whole number from {} to {}", text.substr(0, 40), low, high));
  }
  return value;
}

std::vector<std::string> admin_path(const std::string& path) {
  constexpr std::string_view kAdmin = "/admin/";
  std::vector<std::string> parts;
  std::string_view rest = path;
  rest.remove_prefix(std::min(rest.size(), rest.find(kAdmin) + kAdmin.size()));
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    parts.emplace_back(part);
  }
  return parts;
}

void admin_get(const Call& call) {
  const auto path = admin_path(call.request.path);
  const std::string first = path.empty() ? std::string() : path[0];
  if (first == "keys") return admin_get_keys(call, path);
  if (path.size() != 1) refuse_path(call);
  if (first == "whoami") return who_am_i(call);
  if (first == "usage") return admin_usage(call);
  if (first == "requests") return admin_requests(call);
  if (first == "feedback") return admin_feedback(call);
  if (first == "errors") return show_errors(call);
  if (first == "server") return show_server(call);
  refuse_path(call);
}

void admin_post(const Call& call) {
  const auto path = admin_path(call.request.path);
  if (path.empty() || path[0] != "keys") refuse_path(call);
  admin_post_keys(call, path);
}

}  // namespace hadal::serve::api
