// The request of POST /responses (OpenAI's), as values.
#pragma once

#include <map>
#include <string>

#include "serve/api/chat_request.h"

namespace hadal::serve::api {

struct ResponsesRequest {
  ChatRequest chat;
  // What the answer repeats of the request.
  base::Json echo;
  // Functions that were offered in a namespace, and it: their calls name it.
  std::map<std::string, std::string> namespaces = {};
};

// Throws ApiError naming the field. Nothing is kept between requests: "store" has no effect, and a
// previous_response_id or an item_reference is refused. Reasoning items of earlier turns are read past. Tools
// that OpenAI's own servers would run (web_search, ...) are left out: the model is not told of them.
// `raw` is the text that the body was parsed from.
ResponsesRequest read_responses_request(const base::Json& body, std::string_view raw = {});

}  // namespace hadal::serve::api
