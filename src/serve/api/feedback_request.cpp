#include "serve/api/feedback_request.h"

#include <fmt/format.h>

#include "serve/api/fields.h"

namespace hadal::serve::api {

using base::Json;

ledger::Feedback read_feedback(const std::string& body) {
  if (body.size() > kMaxFeedbackBytes) {
    throw ApiError(413, "request_too_large", fmt::format("feedback has at most {} bytes", kMaxFeedbackBytes));
  }
  const Json json = parse_body(body);
  const Fields fields(json);
  ledger::Feedback feedback;
  fields.required("request_id");
  fields.required("rating");
  feedback.request_id = *fields.string("request_id");
  if (feedback.request_id.empty() || feedback.request_id.size() > kMaxRequestIdBytes) {
    throw bad_value("request_id", "the answer's x-request-id is wanted");
  }
  feedback.rating = *fields.string("rating");
  if (feedback.rating != "up" && feedback.rating != "down")
    throw bad_value("rating", "use \"up\" or \"down\"");
  feedback.comment = fields.string("comment").value_or("");
  if (feedback.comment.size() > kMaxCommentBytes) {
    throw bad_value("comment", fmt::format("at most {} bytes are kept", kMaxCommentBytes));
  }
  if (const Json* conversation = fields.find("conversation")) {
    if (!conversation->is_array()) throw wrong_type("conversation", "array of messages", *conversation);
    feedback.conversation = base::dump_json(*conversation);
  }
  return feedback;
}

ConsentRequest read_consent(const std::string& body) {
  const Json json = parse_body(body);
  const Fields fields(json);
  fields.required("consent");
  return {*fields.boolean("consent"), fields.boolean("delete_stored").value_or(false)};
}

}  // namespace hadal::serve::api
