// The scheduler's inside, for its own files: scheduler.cpp (queue, thread, steps), scheduler_batch.cpp (who
// takes part in a step) and scheduler_metrics.cpp.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>

#include "engine/scheduler/batch_step.h"
#include "engine/scheduler/chunk_budget.h"
#include "engine/scheduler/fair_share.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/turn_keeper.h"

namespace hadal::engine {

Histogram latency_histogram();  // empty, from milliseconds to minutes

// Threads: `mutex` guards what stands above the line; the rest is the model's thread's own. That thread holds
// no lock while the model runs or a handler is called.
struct Scheduler::Impl {
  using Sequences = std::vector<std::unique_ptr<Sequence>>;

  Impl(const GenerationContext& generation_context, const SchedulerOptions& scheduler_options);

  mutable std::mutex mutex;
  std::condition_variable wake;
  Sequences inbox;
  std::unordered_map<RequestId, std::shared_ptr<Generation>> live;
  std::deque<std::packaged_task<void()>> tasks;
  bool stopping = false;
  bool store_has_news = false;
  RequestId next_id = 1;
  uint64_t refused = 0;
  std::random_device entropy;
  EngineMetrics published;
  // ---------------------------------------------------------------------------------------------------------
  const GenerationContext& context;
  SchedulerOptions options;  // the fingerprint may change: forget_pages
  KvLayout layout;
  PagePool pool;
  std::unique_ptr<PageStore> store;
  PrefixCache cache;
  BatchStep step;
  ChunkBudget budget;
  FairShare share;
  TurnKeeper keeper;
  Sequences waiting, running;
  EngineMetrics counted;
  std::thread thread;

  void run();
  bool wait_for_work(bool only_loading);
  void run_tasks();
  void end_unwanted(Sequences& sequences);
  void end(std::unique_ptr<Sequence> sequence, Finish finish, const std::string& error = "");
  void admit();
  void begin(Sequence& sequence);
  void poll_loads(double now);
  bool goes_before(const Sequence& a, const Sequence& b) const;
  void rank(Sequences& sequences) const;
  bool make_room(Sequence& sequence, int64_t count, std::vector<BatchMember>& batch);
  void count_late_hit(Sequence& sequence, int64_t tokens);
  std::unique_ptr<Sequence> take_out(Sequence& sequence);  // of `running`
  void preempt(Sequence& sequence);
  bool give_way(const Sequence& next);
  std::vector<BatchMember> choose_batch();
  bool run_batch(std::vector<BatchMember>& batch);
  void tell(const BatchMember& member);
  bool turn();
  void end_everything();
  void publish();
  void wake_up();
};

}  // namespace hadal::engine
