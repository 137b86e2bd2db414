// Bodies of POST /feedback and PUT /user/consent. Throws ApiError for what is no such request.
#pragma once

#include <string>

#include "ledger/records.h"

namespace hadal::serve::api {

inline constexpr size_t kMaxFeedbackBytes = 256 * 1024;
inline constexpr size_t kMaxRequestIdBytes = 100;
inline constexpr size_t kMaxCommentBytes = 10'000;

// {"request_id", "rating": "up" or "down", "comment", "conversation"}; whose it is and when is not said
// there.
ledger::Feedback read_feedback(const std::string& body);

struct ConsentRequest {
  bool consent = false;
  bool delete_stored = false;  // what was stored so far
};

// {"consent": bool, "delete_stored": bool}
ConsentRequest read_consent(const std::string& body);

}  // namespace hadal::serve::api
