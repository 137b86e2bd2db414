// Prepares conversations between turns. A chat format may render a finished turn otherwise than it was
// generated (without the reasoning, or with other token ids for the same text); while nobody waits, the pages
// of the next prompt's beginning are computed, so that the next turn hits whole. Used by the engine's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "engine/scheduler/batch_step.h"

namespace hadal::engine {

class TurnKeeper {
 public:
  TurnKeeper(PrefixCache& cache, const Fingerprint& fingerprint) : cache_(cache), fingerprint_(fingerprint) {}

  // A request with next_prompt that has ended well.
  void add(const Generation& finished);
  bool has_work() const { return current_ != nullptr || !turns_.empty(); }

  // A small piece of work; call only while nobody waits. Returns the tokens that were computed.
  int64_t work(BatchStep& step, double now);
  // Others need the model and the memory: pages that are full stay in the cache, and work goes on from them.
  void pause();
  // Drops all that is prepared: the model is another one now.
  void forget(const Fingerprint& fingerprint);
  // False: it waits for pages from disk.
  bool is_loading() const { return current_ && current_->load; }

 private:
  struct Turn {
    std::string tenant;
    std::function<std::vector<text::TokenId>(const text::Message&)> next_prompt;
    text::Message answer;
  };
  bool start();

  PrefixCache& cache_;
  Fingerprint fingerprint_;
  std::deque<Turn> turns_;
  std::unique_ptr<Sequence> current_;
};

}  // namespace hadal::engine
