#include "serve/api/cors.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace hadal::serve::api {

namespace {

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

bool allows(const std::vector<std::string>& allowed, const std::string& origin) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& entry) {
    return entry == "*" || entry == origin || (entry == "local" && is_local_origin(origin));
  });
}

}  // namespace

void check_cors_origin(const std::string& origin) {
  if (origin == "*" || origin == "local") return;
  const size_t host = origin.find("://");
  const bool scheme = origin.starts_with("http://") || origin.starts_with("https://");
  if (!scheme || host + 3 == origin.size() || origin.find_first_of("/ ,*", host + 3) != std::string::npos) {
    throw_error(ErrorCode::kBadInput,
                "[serve] CORS origin \"{}\": give scheme and host as a browser sends them, such as "
                "https://chat.example.org, or local, or *",
                origin);
  }
}

std::vector<http::Header> cors_headers(const http::Request& request,
                                       const std::vector<std::string>& allowed) {
  const std::string* origin = request.header("Origin");
  if (origin == nullptr || !allows(allowed, *origin)) return {};
  return {{"Access-Control-Allow-Origin", *origin},
          {"Access-Control-Expose-Headers", "x-request-id, request-id, Retry-After"},
          {"Vary", "Origin"}};
}

http::Response preflight(const http::Request& request, const std::vector<std::string>& allowed) {
  http::Response response{204, "", {{"Allow", "GET, HEAD, POST, OPTIONS"}}, ""};
  const std::string* origin = request.header("Origin");
  if (origin == nullptr || !allows(allowed, *origin)) return response;
  const std::string* asked = request.header("Access-Control-Request-Headers");
  response.headers.push_back({"Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"});
  response.headers.push_back(
      {"Access-Control-Allow-Headers", asked != nullptr ? *asked : "Authorization, Content-Type"});
  response.headers.push_back({"Access-Control-Max-Age", "600"});
  return response;
}

}  // namespace hadal::serve::api
