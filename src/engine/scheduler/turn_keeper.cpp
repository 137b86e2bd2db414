#include "engine/scheduler/turn_keeper.h"

#include <algorithm>

#include "base/log.h"

namespace hadal::engine {

namespace {

constexpr size_t kMostTurns =
    64;  // waiting; the oldest is dropped: its prompt will be computed when it comes
constexpr int64_t kPieceTokens = 64;  // a request that arrives waits for at most so many

}  // namespace

void TurnKeeper::add(const Generation& finished) {
  const Request& request = finished.request();
  turns_.push_back({request.tenant, request.next_prompt, finished.answer()});
  if (turns_.size() > kMostTurns) turns_.pop_front();
}

void TurnKeeper::pause() {
  if (current_) current_->drop_pages();
}

void TurnKeeper::forget(const Fingerprint& fingerprint) {
  turns_.clear();
  current_.reset();
  fingerprint_ = fingerprint;
}

// Makes the oldest turn, or the one that was paused, the current one. False: it has no full page to compute.
bool TurnKeeper::start() {
  if (!current_) {
    const Turn turn = std::move(turns_.front());
    turns_.pop_front();
    auto sequence = std::make_unique<Sequence>();
    sequence->tenant = turn.tenant;
    try {
      sequence->tokens = turn.next_prompt(turn.answer);
    } catch (const std::exception& e) {  // an answer that has no place in a conversation
      spdlog::debug("[engine] a turn is not prepared: {}", e.what());
      return false;
    }
    sequence->tokens.resize(sequence->tokens.size() / kPageTokens * kPageTokens);
    current_ = std::move(sequence);
  }
  current_->table = std::make_unique<PageTable>(cache_, root_key(fingerprint_, current_->tenant));
  current_->load = std::make_unique<PrefixLoad>(cache_, *current_->table, current_->tokens);
  return true;
}

int64_t TurnKeeper::work(BatchStep& step, double now) {
  if (!current_ || !current_->table) {
    if (!start()) return 0;
  }
  if (current_->load) {
    if (!current_->load->poll(now)) return 0;
    current_->load.reset();
  }
  current_->table->take_from_memory(current_->tokens);
  BatchMember member{current_.get(), std::min(current_->pending(), kPieceTokens)};
  if (member.count == 0 || !current_->table->reserve(member.count)) {
    current_.reset();  // done, or no memory for it
    return 0;
  }
  try {
    step.run({&member, 1});
  } catch (const std::exception& e) {
    spdlog::error("[engine] preparing a turn failed: {}", e.what());
    current_.reset();
    return 0;
  }
  return member.count;
}

}  // namespace hadal::engine
