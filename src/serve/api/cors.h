// Cross-origin requests (fetch.spec.whatwg.org/#http-cors-protocol): which pages' scripts may call the API.
#pragma once

#include <string>
#include <vector>

#include "serve/http/message.h"

namespace hadal::serve::api {

// What `allowed` may hold: an origin as browsers send it ("https://chat.example.org"), "local" for every page
// on this machine whatever its port, "*" for every page. Throws Error{kBadInput} for what is none of these.
void check_cors_origin(const std::string& origin);

// For every answer to `request`: empty when it comes from no page or from one that is not allowed, whose
// browser then keeps the answer from it.
std::vector<http::Header> cors_headers(const http::Request& request, const std::vector<std::string>& allowed);

// The answer to OPTIONS, without cors_headers(). What a page may send is told to allowed ones only.
http::Response preflight(const http::Request& request, const std::vector<std::string>& allowed);

}  // namespace hadal::serve::api
