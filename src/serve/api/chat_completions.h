// The request of POST /chat/completions, as values.
#pragma once

#include <vector>

#include "serve/api/completion_options.h"
#include "text/chat_template.h"

namespace hadal::serve::api {

struct ChatRequest {
  std::vector<text::Message> messages;
  CompletionOptions options;
};

// Throws ApiError naming the field. Content may be a string or an array of {"type": "text", "text": ...}
// parts.
ChatRequest read_chat_request(const base::Json& body);

}  // namespace hadal::serve::api
