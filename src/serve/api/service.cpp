#include "serve/api/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/clock.h"
#include "base/error.h"
#include "serve/api/api_error.h"

namespace hadal::serve::api {

namespace {

struct Route {
  std::string_view method;
  std::string_view path;  // without "/v1"; a final '/' stands for everything below
  void (*handle)(const Call&);
};

constexpr Route kRoutes[] = {
    {"POST", "/chat/completions", chat_completions},
    {"POST", "/completions", completions},
    {"GET", "/models", list_models},
    {"GET", "/models/", show_model},
    {"GET", "/health", health},
    {"GET", "/", page},
};

bool matches(const Route& route, std::string_view path) {
  return route.path.ends_with('/') ? path.starts_with(route.path) : path == route.path;
}

// Pages on this machine may call the API, whatever port they come from; others may not read its answers.
bool is_local_origin(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!origin.starts_with(scheme)) continue;
    const std::string_view host = origin.substr(scheme.size());
    for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
      if (host == name || (host.starts_with(name) && host[name.size()] == ':')) return true;
    }
  }
  return false;
}

std::vector<http::Header> cross_origin_headers(const http::Request& request) {
  const std::string* origin = request.header("Origin");
  if (origin == nullptr || !is_local_origin(*origin)) return {};
  return {{"Access-Control-Allow-Origin", *origin}, {"Vary", "Origin"}};
}

// Adds the same headers to whatever an endpoint answers.
class WithHeaders final : public http::Exchange {
 public:
  WithHeaders(std::shared_ptr<http::Exchange> next, std::vector<http::Header> headers)
      : next_(std::move(next)), headers_(std::move(headers)) {}
  void respond(http::Response response) override {
    response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
    next_->respond(std::move(response));
  }
  void begin_stream(http::StreamHead head) override {
    head.headers.insert(head.headers.end(), headers_.begin(), headers_.end());
    next_->begin_stream(std::move(head));
  }
  bool write(std::string bytes) override { return next_->write(std::move(bytes)); }
  void end_stream() override { next_->end_stream(); }
  void on_hang_up(std::function<void()> callback) override { next_->on_hang_up(std::move(callback)); }

 private:
  std::shared_ptr<http::Exchange> next_;
  std::vector<http::Header> headers_;
};

http::Response preflight(const http::Request& request) {
  http::Response response{204, "", {}, ""};
  const std::string* asked = request.header("Access-Control-Request-Headers");
  response.headers = {
      {"Allow", "GET, HEAD, POST, OPTIONS"},
      {"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
      {"Access-Control-Allow-Headers", asked != nullptr ? *asked : "Authorization, Content-Type"},
      {"Access-Control-Max-Age", "600"}};
  return response;
}

void dispatch(const Call& call) {
  std::string_view path = call.request.path;
  const bool versioned = path.starts_with("/v1/");
  if (versioned) path.remove_prefix(3);
  const std::string_view method =
      call.request.method == "HEAD" ? "GET" : std::string_view(call.request.method);
  std::string allowed;
  for (const Route& route : kRoutes) {
    if (!matches(route, path) || (versioned && route.handle == page)) continue;
    if (route.method == method) return route.handle(call);
    if (route.handle != page) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
  }
  if (allowed.empty()) {
    throw ApiError(404, "unknown_url",
                   fmt::format("{} {}: no such endpoint", call.request.method, call.request.path));
  }
  http::Response response = error_response(
      ApiError(405, "method_not_allowed",
               fmt::format("{}: use {}, not {}", call.request.path, allowed, call.request.method)));
  response.headers.push_back({"Allow", allowed});
  call.exchange->respond(std::move(response));
}

}  // namespace

Service make_service(engine::Engine& engine, std::function<size_t()> connections) {
  Service service{
      engine, engine.info().name,    static_cast<int64_t>(std::time(nullptr)), base::monotonic_seconds(),
      1,      std::move(connections)};
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  for (text::TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    service.longest_token_bytes = std::max(service.longest_token_bytes, tokenizer.token_bytes(id).size());
  }
  return service;
}

http::Handler make_handler(const Service& service) {
  return [&service](http::Request request, std::shared_ptr<http::Exchange> exchange) {
    if (auto headers = cross_origin_headers(request); !headers.empty()) {
      exchange = std::make_shared<WithHeaders>(std::move(exchange), std::move(headers));
    }
    if (request.method == "OPTIONS") return exchange->respond(preflight(request));
    try {
      dispatch({service, request, exchange});
    } catch (...) {
      exchange->respond(error_response(current_api_error()));
    }
  };
}

http::Response refusal(int status, const std::string& message) {
  const char* code = status == 413   ? "request_too_large"
                     : status == 431 ? "headers_too_large"
                     : status == 408 ? "request_timeout"
                     : status >= 500 ? "server_error"
                                     : "invalid_http";
  return error_response(ApiError(status, code, message));
}

void check_model(const Service& service, const std::string& asked) {
  if (asked.empty() || asked == service.model_id || asked == "deepseek-chat") return;
  throw ApiError(
      404, "model_not_found",
      fmt::format("model: \"{}\" does not exist here; this server has \"{}\"", asked, service.model_id),
      "model");
}

}  // namespace hadal::serve::api
