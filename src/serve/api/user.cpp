// What a key's owner asks about themselves: GET /user/balance and /user/consent, POST /feedback.
#include <fmt/format.h>

#include <array>

#include "ledger/ledger.h"
#include "serve/api/admin.h"
#include "serve/api/fields.h"

namespace hadal::serve::api {

using base::Json;

namespace {

constexpr size_t kMaxFeedbackBytes = 256 * 1024;
constexpr size_t kMaxIdBytes = 100;
constexpr size_t kMaxCommentBytes = 10'000;

void answer(const Call& call, const Json& json) {
  http::Response response;
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = base::dump_json(json);
  call.exchange->respond(std::move(response));
}

}  // namespace

void user_balance(const Call& call) {
  const ledger::Ledger& ledger = *call.service.ledger;
  const auto standing = ledger.standing(call.caller->key_id);
  if (!standing)
    throw ApiError(401, "invalid_request_error", "Authentication Fails, Your api key is no longer valid");
  answer(call, {{"is_available", standing->can_spend},
                {"balance_infos",
                 Json::array({{{"currency", ledger.currency()},
                               {"total_balance", ledger::money_text(standing->granted + standing->topped_up)},
                               {"granted_balance", ledger::money_text(standing->granted)},
                               {"topped_up_balance", ledger::money_text(standing->topped_up)}}})}});
}

void user_consent(const Call& call) { answer(call, {{"consent", call.caller && call.caller->consent}}); }

void post_feedback(const Call& call) {
  if (call.request.body.size() > kMaxFeedbackBytes) {
    throw ApiError(413, "request_too_large", fmt::format("feedback has at most {} bytes", kMaxFeedbackBytes));
  }
  const Json body = parse_body(call.request.body);
  const Fields fields(body);
  ledger::Feedback feedback;
  fields.required("request_id");
  fields.required("rating");
  feedback.request_id = *fields.string("request_id");
  if (feedback.request_id.empty() || feedback.request_id.size() > kMaxIdBytes) {
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
  if (!call.caller) return answer(call, {{"stored", false}, {"reason", "this server keeps no records"}});
  if (!call.caller->consent) {
    return answer(call, {{"stored", false}, {"reason", "the owner of this API key has not consented to it"}});
  }
  feedback.key_id = call.caller->key_id;
  feedback.at = ledger::unix_ms();
  answer_from_store(call, 200, [feedback = std::move(feedback)](ledger::Store& store) {
    // As the database has it now: consent may have been taken back a moment ago.
    const auto key = store.find_key(feedback.key_id);
    if (!key || !key->settings.consent) {
      return Json{{"stored", false}, {"reason", "the owner of this API key has not consented to it"}};
    }
    store.add_feedback(feedback);
    return Json{{"stored", true}};
  });
}

}  // namespace hadal::serve::api
