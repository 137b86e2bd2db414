// One thread owns the model. Requests come through a queue; those that run share every step: one token of
// each stream that is being answered, and pieces of the prompts that are not through, as many as the time
// between tokens allows (continuous batching with chunked prefill: Orca, Yu et al. 2022; Sarathi, Agrawal et
// al. 2024). A batch never changes a member's bits (forward.h), so nothing decided here can change an answer.
//
// Order: by priority, then the least served tenant (fair_share.h), then arrival. When pages run out, unused
// ones leave the cache; then the request that is last in order goes back to the queue, and comes back from
// its pages in memory or on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/generation.h"
#include "engine/kvcache/page_store.h"

namespace hadal::engine {

struct SchedulerOptions {
  int max_queue = 256;
  int max_running = 32;
  double max_itl_ms = 200;
  int64_t pages = 0;  // of the pool
  Fingerprint fingerprint{};
  PageStoreOptions disk;    // directory empty: memory only
  std::string description;  // of the model, for whoever lists the directory
};

class Scheduler {
 public:
  // context: outlives the scheduler. Starts the thread.
  Scheduler(const GenerationContext& context, const SchedulerOptions& options);
  ~Scheduler();  // cancels what runs, then joins

  // Any thread. Throws Error{kResource} when the queue is full.
  RequestId submit(Request request, EventHandler on_event);
  void cancel(RequestId id);
  // Runs `task` on the model's thread between two steps and waits for it. Throws Error{kResource} when the
  // scheduler stops first, and what the task throws.
  void run_between_steps(const std::function<void()>& task);
  // From now on pages have this fingerprint: none of before is used again. Throws Error{kBadInput} when a
  // request is waiting or running.
  void forget_pages(const Fingerprint& fingerprint);
  EngineMetrics metrics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::engine
