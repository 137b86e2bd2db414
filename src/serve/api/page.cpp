// GET / and what the page loads.
#include <fmt/format.h>

#include "serve/api/api_error.h"
#include "serve/api/service.h"
#include "serve/api/web_assets.h"

namespace hadal::serve::api {

namespace {

// The page loads from here alone, and a model's answer can run or load nothing.
constexpr const char* kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

}  // namespace

void page(const Call& call) {
  for (const WebAsset& asset : web_assets()) {
    if (asset.path != call.request.path) continue;
    http::Response response;
    response.content_type = std::string(asset.content_type);
    response.headers = {
        {"Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache"},
        {"Content-Security-Policy", kContentPolicy},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"}};
    response.body = std::string(asset.bytes);
    return call.exchange->respond(std::move(response));
  }
  throw ApiError(404, "unknown_url",
                 fmt::format("{} {}: no such page or endpoint", call.request.method, call.request.path));
}

}  // namespace hadal::serve::api
