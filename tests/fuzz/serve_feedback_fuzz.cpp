// Bodies of POST /feedback and PUT /user/consent: what comes of them is within its bounds, or an ApiError
// that can be sent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/json.h"
#include "serve/api/api_error.h"
#include "serve/api/feedback_request.h"

namespace {

using namespace hadal::serve::api;

void check(bool condition) {
  if (!condition) std::abort();
}

template <typename Read>
void read(Read&& use) {
  try {
    use();
  } catch (const ApiError& e) {
    check(e.status() == 400 || e.status() == 413 || e.status() == 422);
    check(!error_response(e).body.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  read([&] {
    const auto feedback = read_feedback(body);
    check(size <= kMaxFeedbackBytes);
    check(!feedback.request_id.empty() && feedback.request_id.size() <= kMaxRequestIdBytes);
    check(feedback.rating == "up" || feedback.rating == "down");
    check(feedback.comment.size() <= kMaxCommentBytes);
    check(feedback.key_id.empty());  // nobody says whose it is
    check(feedback.conversation.empty() ||
          hadal::base::parse_json(feedback.conversation, "conversation").is_array());
  });
  read([&] { static_cast<void>(read_consent(body)); });
  return 0;
}
