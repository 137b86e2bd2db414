// One request's side of the model: what it samples, how its tokens become text, what it is told. Knows
// nothing of pages and batches: the scheduler brings it logits. Used by the engine's thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "engine/engine.h"
#include "engine/forward.h"
#include "engine/guided_output.h"
#include "engine/sampler.h"
#include "engine/stop_matcher.h"
#include "text/output_parser.h"

namespace hadal::engine {

// What all requests of one engine share.
struct GenerationContext {
  std::shared_ptr<const LoadedModel> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  base::ThreadPool* pool = nullptr;
  Precision precision = Precision::kFast;
  KvType kv_type = KvType::kBf16;
  int64_t context_tokens = 0;
  const text::ChatFormat* chat_format = nullptr;
  std::vector<text::TokenId> end_tokens;
  std::vector<text::TokenId> silent_tokens;  // control tokens without text of their own
};

class Generation {
 public:
  Generation(const GenerationContext& context, RequestId id, Request request, EventHandler on_event,
             uint64_t seed);

  RequestId id() const { return id_; }
  const Request& request() const { return request_; }
  void cancel() { cancelled_.store(true, std::memory_order_relaxed); }  // from any thread
  bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // The scheduler's marks on the clock (base::monotonic_seconds()).
  double submitted() const { return submitted_; }
  bool is_overdue(double now) const {
    return request_.deadline_seconds > 0 && now > submitted_ + request_.deadline_seconds;
  }
  void begin(double now, int64_t cached_tokens);  // the first work on it
  void add_cached_tokens(int64_t tokens) { usage_.cached_tokens += tokens; }
  // A step has brought it so far; what a pre-emption makes it do again counts once.
  void reached(int64_t position) {
    usage_.prefilled_tokens = std::max(usage_.prefilled_tokens, std::min(position, usage_.prompt_tokens));
  }

  // The next token from logits [vocab_size]. Touches nothing that another Generation has: several may choose
  // at once on different threads. Throws what Sampler::sample and
  // Constraint::mask throw.
  text::TokenId choose(std::span<const float> logits);
  // Takes the token that was chosen and sends its event. False: it was the last, and its event waits for
  // send_last(), so that the engine can let go of the request first.
  bool accept(text::TokenId token, double now);
  void end(Finish finish, const std::string& error = "");  // for a request that will run no more
  void send_last();

  const Usage& usage() const { return usage_; }
  std::optional<Finish> finish() const { return last_event_.finish; }
  // Since the token before this one; since submit for the first. Of the last accept().
  double seconds_since_last_token() const { return since_last_token_; }
  // What it answered, as a client would send it back. For a request with next_prompt.
  const text::Message& answer() const { return answer_; }

 private:
  bool is_answering() const;  // not within the reasoning
  bool keep_last(Event event);
  void send(Event event);
  void decode(text::TokenId token, Event& event);
  void decode_rest(Event& event);
  void take(const std::vector<text::OutputEvent>& parts, Event& event);
  void remember(Event& event, bool is_end);

  const GenerationContext& context_;
  const RequestId id_;
  Request request_;
  EventHandler on_event_;
  std::atomic<bool> cancelled_{false};
  Sampler sampler_;
  StopMatcher stops_;
  text::StreamDecoder decoder_;
  std::optional<text::OutputParser> parser_;  // of a chat request; decoder_ is for the others
  std::optional<GuidedOutput> guided_;
  int64_t max_completion_tokens_ = 0;
  text::Message answer_;
  std::vector<text::TokenId> said_;  // of a request with tools: its tokens, the forced ones too
  Usage usage_;
  Event last_event_;
  Event forced_;  // of the prompt's forced tokens; leaves with the first sampled one's
  double submitted_ = 0;
  double started_ = 0;      // first work on it
  double first_token_ = 0;  // end of prefill
  double last_token_ = 0;
  double since_last_token_ = 0;
};

}  // namespace hadal::engine
