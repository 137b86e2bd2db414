// Bodies of API requests: whatever the bytes, the answer is a request within its bounds or an ApiError that
// can be sent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/api/api_error.h"
#include "serve/api/chat_completions.h"
#include "serve/api/completions.h"

namespace {

using namespace hadal::serve::api;

void check(bool condition) {
  if (!condition) std::abort();
}

void check_options(const CompletionOptions& options) {
  const auto& sampling = options.sampling;
  check(sampling.temperature >= 0 && sampling.temperature <= 2);
  check(sampling.top_p > 0 && sampling.top_p <= 1);
  check(sampling.top_k >= 0);
  check(sampling.min_p >= 0 && sampling.min_p < 1);
  check(sampling.repetition_penalty > 0);
  check(sampling.max_tokens >= 1);
  check(sampling.stop.size() <= 16);
  for (const std::string& stop : sampling.stop) check(!stop.empty());
}

template <typename Read>
void read(const std::string& body, Read&& check_request) {
  try {
    check_request(parse_body(body));
  } catch (const ApiError& e) {
    check(e.status() == 400 || e.status() == 422);
    check(!error_response(e).body.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  read(body, [](const hadal::base::Json& json) {
    const ChatRequest request = read_chat_request(json);
    check(!request.messages.empty());
    check_options(request.options);
  });
  read(body, [](const hadal::base::Json& json) {
    const TextRequest request = read_text_request(json);
    for (const auto id : request.tokens) check(id >= 0);
    check_options(request.options);
  });
  return 0;
}
