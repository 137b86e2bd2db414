// What every endpoint works with, and the table that finds an endpoint for a request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "ledger/ledger.h"
#include "serve/api/call_memory.h"
#include "serve/api/error_log.h"
#include "serve/api/large_answers.h"
#include "serve/http/server.h"

namespace hadal::serve::api {

// One of the models that are served, with the engine that runs it.
struct ServedModel {
  std::string id;  // the name in requests, /models and answers
  engine::Engine& engine;
  size_t longest_token_bytes = 1;  // of the vocabulary: bounds the tokens of a text from below
};

// A name besides the model's own.
struct ModelAlias {
  std::string name;
  std::string model;  // a ServedModel::id
};

// Outlives every request. Immutable while requests are served: any thread may read it.
struct Service {
  std::vector<ServedModel> models;  // at least one; the first is meant where a request names none
  std::vector<ModelAlias> aliases;
  int64_t created = 0;                                // Unix seconds when the service started
  double started_seconds = 0;                         // base::monotonic_seconds() then
  std::function<http::ServerCounters()> transport;    // for /health and /metrics; may be empty
  std::vector<std::string> cors_origins = {"local"};  // whose pages may call: cors.h
  double request_seconds = 0;        // for requests that do not set a time limit of their own; 0: none
  ledger::Ledger* ledger = nullptr;  // keys, prices and usage; null: the server is open to everybody
  std::shared_ptr<ErrorLog> errors = std::make_shared<ErrorLog>();
  std::shared_ptr<LargeAnswers> large_answers = std::make_shared<LargeAnswers>();  // outlives the engines
  std::shared_ptr<CallMemory> calls = std::make_shared<CallMemory>();
};

// Without a model yet.
Service make_service();
// With one, by the engine's own name.
Service make_service(engine::Engine& engine, std::function<http::ServerCounters()> transport);

// One more model. Throws Error{kBadInput} when the name (empty: the engine's own) is in use or not a plain
// word.
void add_model(Service& service, engine::Engine& engine, const std::string& name = {});
// Throws Error{kBadInput} when the name is in use, or there is no such model.
void add_alias(Service& service, const ModelAlias& alias);

// Whose words an endpoint speaks where it refuses.
enum class Dialect { kOpenAi, kAnthropic };

// Who may call an endpoint of a server with a ledger.
enum class Access {
  kOpen,         // anybody
  kKey,          // whoever has a key
  kAdmin,        // whoever has an admin's key; without a ledger there is no such endpoint
  kAdminIfKeys,  // the same, but without a ledger anybody
  kOwner,        // whoever has a key; without a ledger there is no such endpoint
};

struct Call {
  const Service& service;
  const http::Request& request;
  const std::shared_ptr<http::Exchange>& exchange;
  std::string request_id = {};                // the answer's x-request-id
  std::string_view endpoint = {};             // its path without base: "chat/completions"
  std::optional<ledger::Caller> caller = {};  // of a server with a ledger, where the endpoint wants a key
  std::shared_ptr<ledger::Place> place = {};  // its place among the key's requests, where it makes work
};

// Endpoints: each answers through call.exchange, now or later, or throws ApiError or Error.
void chat_completions(const Call& call);    // chat_completions.cpp
void completions(const Call& call);         // completions.cpp
void anthropic_messages(const Call& call);  // anthropic_messages.cpp
void anthropic_count_tokens(const Call& call);
void responses(const Call& call);  // responses.cpp
void tokenize(const Call& call);   // tokenize.cpp
void detokenize(const Call& call);
void list_models(const Call& call);  // models.cpp
void show_model(const Call& call);
void health(const Call& call);        // health.cpp
void show_metrics(const Call& call);  // metrics.cpp
void page(const Call& call);          // page.cpp
void user_balance(const Call& call);  // user.cpp
void user_consent(const Call& call);
void set_user_consent(const Call& call);
void post_feedback(const Call& call);
void admin_get(const Call& call);  // admin.cpp
void admin_post(const Call& call);

// The transport's handler. `service` must outlive it. Paths work below "/v1", "/beta", "/anthropic" and
// "/anthropic/v1" too, so that every client's base URL does; but /metrics, /health, /admin/ and pages, which
// a proxy may keep inside. Answers have an x-request-id.
http::Handler make_handler(const Service& service);

// The transport's own refusals in the API's shape.
http::Response refusal(int status, const std::string& message, std::string_view path);

}  // namespace hadal::serve::api
