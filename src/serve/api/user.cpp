// What a key's owner asks and says about themselves: GET /user/balance, GET and PUT /user/consent, POST
// /feedback.
#include <fmt/format.h>

#include <array>

#include "base/error.h"
#include "ledger/ledger.h"
#include "serve/api/admin.h"
#include "serve/api/feedback_request.h"
#include "serve/api/fields.h"

namespace hadal::serve::api {

using base::Json;

namespace {

constexpr int64_t kRecentDays = 30;  // of requests that feedback may be about

constexpr const char* kNoConsent = "the owner of this API key has not consented to it";

void answer(const Call& call, const Json& json) {
  http::Response response;
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = base::dump_json(json);
  call.exchange->respond(std::move(response));
}

Json not_stored(const char* reason) { return {{"stored", false}, {"reason", reason}}; }

Json stored_json(ledger::Store& store, const std::string& key_id) {
  const ledger::FeedbackTotal total = store.feedback_total(key_id);
  return {{"entries", total.entries}, {"bytes", total.bytes}};
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

// {"consent": bool, "feedback": {"entries", "bytes"}}: whether feedback is stored, and how much was. The
// second is null where there is no database, or it does not answer.
void user_consent(const Call& call) {
  if (!call.caller) return answer(call, {{"consent", false}, {"feedback", nullptr}});
  answer_from_store(call, 200,
                    [id = call.caller->key_id, consent = call.caller->consent](ledger::Store& store) {
                      Json stored = nullptr;
                      try {
                        stored = stored_json(store, id);
                      } catch (const Error&) {
                      }
                      return Json{{"consent", consent}, {"feedback", std::move(stored)}};
                    });
}

// {"consent": bool, "delete_stored": bool}: the owner's own word, as binding as an operator's. Without
// consent nothing more is stored; what was stays, unless it is to be deleted.
void set_user_consent(const Call& call) {
  const ConsentRequest asked = read_consent(call.request.body);
  answer_from_store(
      call, 200, [&ledger = *call.service.ledger, id = call.caller->key_id, asked](ledger::Store& store) {
        const auto deleted = store.set_consent(id, asked.consent, asked.delete_stored);
        if (!deleted) throw ApiError(404, "key_not_found", "the key has gone");
        ledger.refresh(store);
        return Json{{"consent", asked.consent}, {"deleted", *deleted}, {"feedback", stored_json(store, id)}};
      });
}

void post_feedback(const Call& call) {
  ledger::Feedback feedback = read_feedback(call.request.body);
  if (!call.caller) return answer(call, not_stored("this server keeps no records"));
  if (!call.caller->consent) return answer(call, not_stored(kNoConsent));
  feedback.key_id = call.caller->key_id;
  feedback.at = ledger::unix_ms();
  // Before the database is asked: what is not known here any more is there then.
  const bool fresh = call.service.ledger->is_unsettled(feedback.request_id, feedback.key_id);
  answer_from_store(call, 200, [feedback = std::move(feedback), fresh](ledger::Store& store) {
    const int64_t since = feedback.at - kRecentDays * ledger::kDayMs;
    if (!fresh && !store.has_request(feedback.key_id, feedback.request_id, since)) {
      throw ApiError(
          404, "request_not_found",
          fmt::format("request_id: this API key made no such request in the last {} days; send the "
                      "answer's x-request-id",
                      kRecentDays),
          "request_id");
    }
    switch (store.add_feedback(feedback)) {
      case ledger::FeedbackFate::kNoConsent:
        return not_stored(kNoConsent);
      case ledger::FeedbackFate::kFull:
        return not_stored("this API key has stored as much feedback as it may; its owner can delete it");
      case ledger::FeedbackFate::kStored:
        break;
    }
    return Json{{"stored", true}};
  });
}

}  // namespace hadal::serve::api
