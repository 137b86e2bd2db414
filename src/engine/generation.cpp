#include "engine/generation.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

namespace hadal::engine {

namespace {

bool contains(const std::vector<text::TokenId>& ids, text::TokenId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

int64_t completion_limit(const GenerationContext& context, const Request& request) {
  const int64_t room = context.context_tokens - static_cast<int64_t>(request.prompt.size());
  const int64_t asked = request.sampling.max_tokens;
  return asked > 0 ? std::min(asked, room) : room;
}

}  // namespace

Generation::Generation(const GenerationContext& context, RequestId id, Request request, EventHandler on_event,
                       uint64_t seed)
    : context_(context),
      id_(id),
      request_(std::move(request)),
      on_event_(std::move(on_event)),
      sampler_(request_.sampling,
               std::min<int64_t>(context.model->config().vocab_size, context.tokenizer->vocab_size()), seed),
      stops_(request_.sampling.stop),
      decoder_(context.tokenizer),
      max_completion_tokens_(completion_limit(context, request_)),
      submitted_(base::monotonic_seconds()) {
  answer_.role = "assistant";
  usage_.prompt_tokens = static_cast<int64_t>(request_.prompt.size());
  if (request_.chat) {
    parser_.emplace(*context.chat_format, context.tokenizer,
                    text::OutputOptions{.starts_in_reasoning = request_.starts_in_reasoning,
                                        .tools = request_.tools,
                                        .stream_arguments = request_.stream_arguments,
                                        .definitions = request_.definitions});
  }
  if (request_.guidance.grammar) guided_.emplace(request_.guidance, !request_.starts_in_reasoning);
  const size_t forced = std::min(request_.forced_tokens, request_.prompt.size());
  for (const auto token : std::span(request_.prompt).last(forced)) {
    if (parser_) take(parser_->push(token), forced_);
    if (guided_) guided_->accept(token, is_answering());
    said_.push_back(token);
  }
}

void Generation::begin(double now, int64_t cached_tokens) {
  if (started_ > 0) return;  // it comes back after a pre-emption
  started_ = now;
  usage_.cached_tokens = cached_tokens;
  sampler_.observe(request_.prompt);
}

bool Generation::is_answering() const { return !parser_ || !parser_->in_reasoning(); }

text::TokenId Generation::choose(std::span<const float> logits) {
  if (!guided_) return sampler_.sample(logits, logits);
  const int64_t left = max_completion_tokens_ - usage_.completion_tokens;
  return sampler_.sample(guided_->masked(logits, left), logits);
}

bool Generation::accept(text::TokenId token, double now) {
  if (usage_.completion_tokens == 0) {
    first_token_ = now;
    usage_.prefill_seconds = now - started_;
  }
  since_last_token_ = now - (usage_.completion_tokens == 0 ? submitted_ : last_token_);
  last_token_ = now;
  ++usage_.completion_tokens;
  usage_.decode_seconds = now - first_token_;
  Event event = std::exchange(forced_, {});
  event.tokens.push_back(token);
  const bool is_end = contains(context_.end_tokens, token);
  if (auto logprob = sampler_.take_logprob(); logprob && (!is_end || request_.sampling.end_logprobs)) {
    logprob->reasoning = parser_ && parser_->in_reasoning();
    event.logprobs.push_back(std::move(*logprob));
  }
  if (!is_end) decode(token, event);
  if (guided_) guided_->accept(token, is_answering());
  // Where nothing can follow no end token is waited for.
  if (is_end || stops_.stopped() || (guided_ && guided_->finished()))
    event.finish = Finish::kStop;
  else if (usage_.completion_tokens >= max_completion_tokens_)
    event.finish = Finish::kLength;
  if (event.finish && !stops_.stopped()) {
    decode_rest(event);
    if (stops_.stopped())
      event.finish = Finish::kStop;
    else
      event.text += stops_.finish();
  }
  if (event.finish == Finish::kStop) event.stop_string = stops_.matched();
  if (request_.next_prompt) remember(event, is_end);
  if (event.finish) return keep_last(std::move(event));
  send(std::move(event));
  return true;
}

void Generation::remember(Event& event, bool is_end) {
  answer_.reasoning_content += event.reasoning;
  answer_.content += event.text;
  for (const text::OutputEvent& part : event.tool_calls) {
    if (part.kind == text::OutputEvent::Kind::kCallBegin) {
      answer_.tool_calls.push_back({{}, part.text, {}});
    } else if (part.kind == text::OutputEvent::Kind::kCallArguments && !answer_.tool_calls.empty()) {
      answer_.tool_calls.back().arguments += part.text;
    }
  }
  if (!request_.tools) return;
  if (!is_end) said_.insert(said_.end(), event.tokens.begin(), event.tokens.end());
  if (event.finish != Finish::kStop || stops_.stopped() || answer_.tool_calls.empty()) return;
  if (auto parted = text::part_answer(*context_.tokenizer, said_, parser_->reasoning_tokens() > 0)) {
    answer_.tokens = std::make_shared<const text::AnswerTokens>(std::move(*parted));
    event.answer_tokens = answer_.tokens;
  }
}

// Stop strings are looked for in the answer, not in the reasoning.
void Generation::decode(text::TokenId token, Event& event) {
  if (parser_) {
    take(parser_->push(token), event);
    usage_.reasoning_tokens = parser_->reasoning_tokens();
  } else if (!contains(context_.silent_tokens, token)) {
    event.text = stops_.push(decoder_.push(token));
  }
}

void Generation::decode_rest(Event& event) {
  if (parser_)
    take(parser_->finish(), event);
  else
    event.text += stops_.push(decoder_.finish());
}

void Generation::take(const std::vector<text::OutputEvent>& parts, Event& event) {
  for (const text::OutputEvent& part : parts) {
    if (part.kind == text::OutputEvent::Kind::kReasoning) {
      event.reasoning += part.text;
    } else if (part.kind == text::OutputEvent::Kind::kContent) {
      event.text += stops_.push(part.text);
    } else if (!stops_.stopped()) {
      event.text += stops_.finish();  // a call ends what could have become a stop string
      event.tool_calls.push_back(part);
    }
  }
}

bool Generation::keep_last(Event event) {
  last_event_ = std::move(event);
  return false;
}

void Generation::end(Finish finish, const std::string& error) {
  Event event;
  event.finish = finish;
  event.error = error;
  keep_last(std::move(event));
}

void Generation::send_last() { send(std::move(last_event_)); }

void Generation::send(Event event) {
  event.usage = usage_;
  try {
    on_event_(event);
  } catch (const std::exception& e) {
    // A broken promise of the caller: its request ends, the others go on.
    spdlog::error("[engine] the event handler of request {} threw: {}", id_, e.what());
    cancel();
  }
}

}  // namespace hadal::engine
