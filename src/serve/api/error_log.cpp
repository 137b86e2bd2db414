#include "serve/api/error_log.h"

#include <algorithm>

namespace hadal::serve::api {

using base::Json;

namespace {

constexpr size_t kMostPathBytes = 200;
constexpr size_t kMostMessageBytes = 500;
constexpr size_t kMostBodyBytes = 16 * 1024;

std::string member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

void ErrorLog::add(LoggedError error) {
  error.method = error.method.substr(0, 16);
  error.path = error.path.substr(0, kMostPathBytes);
  error.message = error.message.substr(0, kMostMessageBytes);
  const std::lock_guard lock(mutex_);
  errors_.push_back(std::move(error));
  if (errors_.size() > kMost) errors_.pop_front();
}

std::vector<LoggedError> ErrorLog::latest(size_t limit) const {
  const std::lock_guard lock(mutex_);
  const size_t count = std::min(limit, errors_.size());
  return {errors_.rbegin(), errors_.rbegin() + static_cast<std::ptrdiff_t>(count)};
}

void read_error_body(const std::string& body, LoggedError& error) {
  if (body.size() > kMostBodyBytes) return;
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return;
  const Json& inner = json["error"];
  error.code = member(inner, "code");
  if (error.code.empty()) error.code = member(inner, "type");
  error.message = member(inner, "message");
}

Json to_json(const LoggedError& error) {
  return {{"at", error.at},
          {"request_id", error.request_id},
          {"key", text_or_null(error.key_id)},
          {"key_name", text_or_null(error.key_name)},
          {"method", error.method},
          {"path", error.path},
          {"status", error.status},
          {"code", error.code},
          {"message", error.message}};
}

}  // namespace hadal::serve::api
