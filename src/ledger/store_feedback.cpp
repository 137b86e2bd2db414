// Store: feedback, and the consent that lets it be stored.
#include "base/error.h"
#include "ledger/secrets.h"
#include "ledger/store.h"

namespace hadal::ledger {

namespace {

int64_t bytes_of(const std::string& comment, const std::string& conversation) {
  return static_cast<int64_t>(comment.size() + conversation.size());
}

}  // namespace

bool Store::has_request(const std::string& key_id, const std::string& request_id, int64_t since) {
  return !database_
              ->run("SELECT 1 FROM usage_records WHERE request_id = $1 AND key_id = $2 AND ended >= $3",
                    {request_id, key_id, since})
              .rows.empty();
}

FeedbackFate Store::add_feedback(const Feedback& feedback) {
  Transaction transaction(*database_);
  // Takes the key's row until the end: another server's withdrawal comes before or after, never in between.
  if (database_->run("UPDATE api_keys SET consent = 1 WHERE id = $1 AND consent = 1", {feedback.key_id})
          .changed == 0) {
    return FeedbackFate::kNoConsent;
  }
  FeedbackTotal total = feedback_total(feedback.key_id);
  const std::vector<Value> place = {feedback.key_id, feedback.request_id};
  for (const Row& row :
       database_
           ->run("SELECT comment, conversation FROM feedback WHERE key_id = $1 AND request_id = $2", place)
           .rows) {
    --total.entries;
    total.bytes -= bytes_of(text_at(row, 0), text_at(row, 1));
  }
  database_->run("DELETE FROM feedback WHERE key_id = $1 AND request_id = $2", place);
  ++total.entries;
  total.bytes += bytes_of(feedback.comment, feedback.conversation);
  if (total.entries > kMostFeedbackEntries || total.bytes > kMostFeedbackBytes) return FeedbackFate::kFull;
  database_->run("INSERT INTO feedback VALUES ($1, $2, $3, $4, $5, $6, $7)",
                 {make_key_id() + make_key_id(), feedback.at, feedback.key_id, feedback.request_id,
                  feedback.rating, feedback.comment, feedback.conversation});
  database_->run(
      "INSERT INTO feedback_totals VALUES ($1, $2, $3) ON CONFLICT (key_id) DO UPDATE SET"
      " entries = excluded.entries, bytes = excluded.bytes",
      {feedback.key_id, total.entries, total.bytes});
  transaction.commit();
  return FeedbackFate::kStored;
}

FeedbackTotal Store::feedback_total(const std::string& key_id) {
  const Result result =
      database_->run("SELECT entries, bytes FROM feedback_totals WHERE key_id = $1", {key_id});
  if (result.rows.empty()) return {};
  return {number_at(result.rows[0], 0), number_at(result.rows[0], 1)};
}

std::optional<int64_t> Store::set_consent(const std::string& key_id, bool consent, bool delete_stored) {
  Transaction transaction(*database_);
  const int64_t keys =
      database_->run("UPDATE api_keys SET consent = $2 WHERE id = $1", {key_id, int64_t{consent}}).changed;
  if (keys == 0) return {};
  int64_t deleted = 0;
  if (delete_stored) {
    deleted = database_->run("DELETE FROM feedback WHERE key_id = $1", {key_id}).changed;
    database_->run("DELETE FROM feedback_totals WHERE key_id = $1", {key_id});
  }
  next_generation();
  transaction.commit();
  return deleted;
}

std::vector<Feedback> Store::feedback(int64_t limit) {
  const Result result = database_->run(
      "SELECT at, key_id, request_id, rating, comment, conversation FROM feedback"
      " ORDER BY at DESC, id LIMIT $1",
      {limit});
  std::vector<Feedback> all;
  for (const Row& row : result.rows) {
    all.push_back({number_at(row, 0), text_at(row, 1), text_at(row, 2), text_at(row, 3), text_at(row, 4),
                   text_at(row, 5)});
  }
  return all;
}

int64_t Store::feedback_count() {
  return number_at(database_->run("SELECT COUNT(*) FROM feedback").rows.at(0), 0);
}

}  // namespace hadal::ledger
