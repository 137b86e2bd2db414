#include "serve/api/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/clock.h"
#include "base/error.h"
#include "serve/api/anthropic_error.h"
#include "serve/api/api_error.h"
#include "serve/api/auth.h"
#include "serve/api/cors.h"
#include "serve/api/ids.h"

namespace hadal::serve::api {

namespace {

struct Route {
  std::string_view method;
  std::string_view path;  // without its base; a final '/' stands for everything below
  void (*handle)(const Call&);
  Dialect dialect = Dialect::kOpenAi;
  Access access = Access::kKey;
  std::optional<ledger::Purpose> work = {};  // it works on a prompt: the key's limits hold
};

// What clients' base URLs end in; the longer of two that fit.
constexpr std::string_view kBases[] = {"/anthropic/v1", "/anthropic", "/beta/v1", "/beta", "/v1"};

std::string_view base_of(std::string_view path) {
  for (const std::string_view base : kBases) {
    if (path.starts_with(base) && path.substr(base.size()).starts_with('/')) return base;
  }
  return {};
}

constexpr auto kGenerates = ledger::Purpose::kGenerate;
constexpr auto kCounts = ledger::Purpose::kTokenize;

constexpr Route kRoutes[] = {
    {"POST", "/chat/completions", chat_completions, Dialect::kOpenAi, Access::kKey, kGenerates},
    {"POST", "/completions", completions, Dialect::kOpenAi, Access::kKey, kGenerates},
    {"POST", "/messages", anthropic_messages, Dialect::kAnthropic, Access::kKey, kGenerates},
    {"POST", "/messages/count_tokens", anthropic_count_tokens, Dialect::kAnthropic, Access::kKey, kCounts},
    {"POST", "/responses", responses, Dialect::kOpenAi, Access::kKey, kGenerates},
    {"POST", "/tokenize", tokenize, Dialect::kOpenAi, Access::kKey, kCounts},
    {"POST", "/detokenize", detokenize, Dialect::kOpenAi, Access::kKey, kCounts},
    {"GET", "/models", list_models},
    {"GET", "/models/", show_model},
    {"GET", "/user/balance", user_balance, Dialect::kOpenAi, Access::kOwner},
    {"GET", "/user/consent", user_consent},
    {"PUT", "/user/consent", set_user_consent, Dialect::kOpenAi, Access::kOwner},
    {"POST", "/feedback", post_feedback},
    {"GET", "/admin/", admin_get, Dialect::kOpenAi, Access::kAdmin},
    {"POST", "/admin/", admin_post, Dialect::kOpenAi, Access::kAdmin},
    {"GET", "/health", health, Dialect::kOpenAi, Access::kOpen},
    {"GET", "/metrics", show_metrics, Dialect::kOpenAi, Access::kAdminIfKeys},
    {"GET", "/", page, Dialect::kOpenAi, Access::kOpen},
};

// Answered as they are and below no base: what a proxy keeps inside by its path must have one path.
bool has_one_path(const Route& route) {
  return route.path == "/metrics" || route.path == "/health" || route.path.starts_with("/admin/") ||
         route.handle == page;
}

constexpr size_t kMaxModelNameBytes = 256;

bool matches(const Route& route, std::string_view path) {
  return route.path.ends_with('/') ? path.starts_with(route.path) : path == route.path;
}

// Whose request it is, as it becomes known.
struct Note {
  std::string id, method, path;
  std::optional<ledger::Caller> caller;
};

// Adds the same headers to whatever an endpoint answers, and notes errors.
class WithHeaders final : public http::Exchange {
 public:
  WithHeaders(std::shared_ptr<http::Exchange> next, std::vector<http::Header> headers,
              std::shared_ptr<const Note> note, std::shared_ptr<ErrorLog> errors)
      : next_(std::move(next)),
        headers_(std::move(headers)),
        note_(std::move(note)),
        errors_(std::move(errors)) {}
  void respond(http::Response response) override {
    if (response.status >= 400) log(response);
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    next_->respond(std::move(response));
  }
  void hold(http::StreamHead head) override {
    head.headers.insert(head.headers.end(), headers_.begin(), headers_.end());
    next_->hold(std::move(head));
  }
  void begin_stream(http::StreamHead head) override {
    head.headers.insert(head.headers.end(), headers_.begin(), headers_.end());
    next_->begin_stream(std::move(head));
  }
  bool write(std::string bytes, std::shared_ptr<http::Receipt> receipt) override {
    return next_->write(std::move(bytes), std::move(receipt));
  }
  void end_stream() override { next_->end_stream(); }
  void on_hang_up(std::function<void()> callback) override { next_->on_hang_up(std::move(callback)); }

 private:
  void log(const http::Response& response) const {
    LoggedError error{static_cast<int64_t>(std::time(nullptr)),
                      note_->id,
                      "",
                      "",
                      note_->method,
                      note_->path,
                      response.status,
                      "",
                      ""};
    if (note_->caller) {
      error.key_id = note_->caller->key_id;
      error.key_name = note_->caller->name;
    }
    read_error_body(response.body, error);
    errors_->add(std::move(error));
  }

  std::shared_ptr<http::Exchange> next_;
  std::vector<http::Header> headers_;
  std::shared_ptr<const Note> note_;
  std::shared_ptr<ErrorLog> errors_;
};

// The route of a request; 404 or 405 when there is none, with the dialect of what stands at its path.
const Route& find_route(const http::Request& request, Dialect& dialect) {
  std::string_view path = request.path;
  const std::string_view base = base_of(path);
  path.remove_prefix(base.size());
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  dialect = base.starts_with("/anthropic") ? Dialect::kAnthropic : Dialect::kOpenAi;
  std::string allowed;
  for (const Route& route : kRoutes) {
    if (!matches(route, path) || (!base.empty() && has_one_path(route))) continue;
    if (route.handle != page || route.method == method) dialect = route.dialect;
    if (route.method == method) return route;
    if (route.handle != page) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
  }
  if (allowed.empty()) {
    throw ApiError(404, "unknown_url", fmt::format("{} {}: no such endpoint", request.method, request.path));
  }
  throw ApiError(405, "method_not_allowed",
                 fmt::format("{}: use {}, not {}", request.path, allowed, request.method))
      .with_header("Allow", allowed);
}

http::Response error_answer(const ApiError& error, Dialect dialect) {
  return dialect == Dialect::kAnthropic ? anthropic_error_response(error) : error_response(error);
}

void check_name(const Service& service, const std::string& name) {
  if (name.empty() || name.size() > kMaxModelNameBytes) {
    throw_error(ErrorCode::kBadInput, "[serve] a model's name has 1 to {} bytes, not {}", kMaxModelNameBytes,
                name.size());
  }
  bool taken = false;
  for (const ServedModel& model : service.models) taken = taken || model.id == name;
  for (const ModelAlias& alias : service.aliases) taken = taken || alias.name == name;
  if (taken) {
    throw_error(ErrorCode::kBadInput,
                "[serve] two models have the name \"{}\": give one another with --model NAME=PATH", name);
  }
}

}  // namespace

Service make_service() {
  Service service;
  service.created = static_cast<int64_t>(std::time(nullptr));
  service.started_seconds = base::monotonic_seconds();
  return service;
}

Service make_service(engine::Engine& engine, std::function<http::ServerCounters()> transport) {
  Service service = make_service();
  service.transport = std::move(transport);
  add_model(service, engine);
  return service;
}

void add_model(Service& service, engine::Engine& engine, const std::string& name) {
  const std::string id = name.empty() ? engine.info().name : name;
  check_name(service, id);
  ServedModel model{id, engine, 1};
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  for (text::TokenId token = 0; token < tokenizer.vocab_size(); ++token) {
    model.longest_token_bytes = std::max(model.longest_token_bytes, tokenizer.token_bytes(token).size());
  }
  service.models.push_back(model);
}

void add_alias(Service& service, const ModelAlias& alias) {
  check_name(service, alias.name);
  if (std::none_of(service.models.begin(), service.models.end(),
                   [&](const ServedModel& model) { return model.id == alias.model; })) {
    throw_error(ErrorCode::kBadInput, "[serve] alias \"{}\": no model \"{}\" is served", alias.name,
                alias.model);
  }
  service.aliases.push_back(alias);
}

http::Handler make_handler(const Service& service) {
  return [&service](http::Request request, std::shared_ptr<http::Exchange> exchange) {
    auto headers = cors_headers(request, service.cors_origins);
    const std::string id = make_uuid();
    headers.push_back({"x-request-id", id});
    headers.push_back({"request-id", id});  // where Anthropic's clients look
    const auto note = std::make_shared<Note>(Note{id, request.method, request.path, {}});
    exchange = std::make_shared<WithHeaders>(std::move(exchange), std::move(headers), note, service.errors);
    if (request.method == "OPTIONS") return exchange->respond(preflight(request, service.cors_origins));
    Dialect dialect = Dialect::kOpenAi;
    try {
      const Route& route = find_route(request, dialect);
      note->caller = authenticate(service, request, route.access);
      auto place = route.work ? enter(service, note->caller, *route.work) : nullptr;
      route.handle({service, request, exchange, id, route.path.substr(1), note->caller, std::move(place)});
    } catch (...) {
      exchange->respond(error_answer(current_api_error(), dialect));
    }
  };
}

http::Response refusal(int status, const std::string& message, std::string_view path) {
  const char* code = status == 413   ? "request_too_large"
                     : status == 431 ? "headers_too_large"
                     : status == 408 ? "request_timeout"
                     : status == 429 ? "rate_limit_reached"
                     : status == 503 ? "server_overloaded"
                     : status >= 500 ? "server_error"
                                     : "invalid_http";
  ApiError error(status, code, message);
  if (status == 503 || status == 429) error.with_header("Retry-After", "5");
  const std::string_view base = base_of(path);
  const bool anthropic = base.starts_with("/anthropic") || path.substr(base.size()).starts_with("/messages");
  http::Response response = error_answer(error, anthropic ? Dialect::kAnthropic : Dialect::kOpenAi);
  const std::string id = make_uuid();
  response.headers.push_back({"x-request-id", id});
  response.headers.push_back({"request-id", id});
  return response;
}

}  // namespace hadal::serve::api
