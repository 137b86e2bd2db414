#include "engine/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/scheduler/scheduler_internal.h"

namespace hadal::engine {

namespace {

constexpr double kDecodeCost = 4;  // of a sampled token, in prompt tokens: FairShare's coin
// One part of so many of the queue is open only to tenants that hold less than such a part of it.
constexpr size_t kReserve = 8;
constexpr auto kLoadPause = std::chrono::milliseconds(20);  // between looks at a disk that says nothing
constexpr auto kDiskPause = std::chrono::seconds(2);  // between tries to write what the disk did not take

}  // namespace

Scheduler::Impl::Impl(const GenerationContext& generation_context, const SchedulerOptions& scheduler_options)
    : context(generation_context),
      options(scheduler_options),
      layout(context.model->config(), context.kv_type, context.model->config().num_hidden_layers),
      pool(layout.page_bytes(), options.pages),
      store(options.disk.directory.empty()
                ? nullptr
                : std::make_unique<PageStore>(options.disk, options.fingerprint, layout.page_bytes(),
                                              options.description)),
      cache(pool, store.get(), [this] { wake_up(); }),
      step(context, layout),
      budget(options.max_itl_ms),
      keeper(cache, options.fingerprint) {
  counted.ttft_seconds = latency_histogram();
  counted.inter_token_seconds = latency_histogram();
  publish();
}

// On a thread of the store.
void Scheduler::Impl::wake_up() {
  {
    const std::lock_guard lock(mutex);
    store_has_news = true;
  }
  wake.notify_all();
}

// False: the scheduler stops. Takes what has been submitted.
bool Scheduler::Impl::wait_for_work(bool only_loading) {
  std::unique_lock lock(mutex);
  const auto is_work = [&] { return stopping || store_has_news || !inbox.empty() || !tasks.empty(); };
  if (only_loading) {
    wake.wait_for(lock, kLoadPause, is_work);
  } else if (running.empty() && waiting.empty() && !keeper.has_work()) {
    if (cache.has_unwritten())
      wake.wait_for(lock, kDiskPause, is_work);
    else
      wake.wait(lock, is_work);
  }
  store_has_news = false;
  for (auto& sequence : inbox) {
    share.enter(sequence->tenant);
    waiting.push_back(std::move(sequence));
  }
  inbox.clear();
  return !stopping;
}

void Scheduler::Impl::run_tasks() {
  while (true) {
    std::packaged_task<void()> task;
    {
      const std::lock_guard lock(mutex);
      if (tasks.empty()) return;
      task = std::move(tasks.front());
      tasks.pop_front();
    }
    task();
  }
}

// Cancelled, or past their deadline.
void Scheduler::Impl::end_unwanted(Sequences& sequences) {
  const double now = base::monotonic_seconds();
  for (size_t i = 0; i < sequences.size();) {
    const Generation& generation = *sequences[i]->generation;
    if (!generation.is_cancelled() && !generation.is_overdue(now)) {
      ++i;
      continue;
    }
    auto sequence = std::move(sequences[i]);
    sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(i));
    const bool cancelled = generation.is_cancelled();
    end(std::move(sequence), cancelled ? Finish::kCancelled : Finish::kDeadline);
  }
}

// The request leaves, its pages first, before anyone hears of the end: whoever does can submit the next one.
void Scheduler::Impl::end(std::unique_ptr<Sequence> sequence, Finish finish, const std::string& error) {
  const std::shared_ptr<Generation> generation = sequence->generation;
  if (!generation->finish()) generation->end(finish, error);
  const bool well = finish == Finish::kStop || finish == Finish::kLength;
  if (well && generation->request().next_prompt) keeper.add(*generation);
  share.leave(sequence->tenant);
  sequence.reset();
  switch (finish) {
    case Finish::kStop:
      ++counted.stopped_total;
      break;
    case Finish::kLength:
      ++counted.length_total;
      break;
    case Finish::kCancelled:
      ++counted.cancelled_total;
      break;
    case Finish::kDeadline:
      ++counted.deadline_total;
      break;
    case Finish::kError:
      ++counted.error_total;
      break;
  }
  {
    const std::lock_guard lock(mutex);
    live.erase(generation->id());
  }
  publish();
  generation->send_last();
}

// False: the forward pass failed, and its members are to be ended.
bool Scheduler::Impl::run_batch(std::vector<BatchMember>& batch) {
  int decoding = 0;
  int64_t prompt_tokens = 0;
  for (const BatchMember& member : batch) {
    if (member.decodes())
      ++decoding;
    else
      prompt_tokens += member.count;
  }
  const double began = base::monotonic_seconds();
  double bookkeeping = 0;
  try {
    bookkeeping = step.run(batch);
  } catch (const std::exception& e) {
    spdlog::error("[engine] a step of {} requests failed: {}", batch.size(), e.what());
    for (BatchMember& member : batch) member.error = e.what();
    return false;
  }
  const double seconds = base::monotonic_seconds() - began - bookkeeping;
  budget.observe(decoding, prompt_tokens, seconds);
  ++counted.steps_total;
  counted.step_seconds_total += seconds;
  counted.bookkeeping_seconds_total += bookkeeping;
  counted.prefilled_tokens_total += static_cast<uint64_t>(prompt_tokens);
  for (const BatchMember& member : batch) {
    member.sequence->generation->reached(member.sequence->computed());
    share.charge(member.sequence->tenant, member.decodes() ? kDecodeCost : static_cast<double>(member.count));
  }
  return true;
}

// What the step means for one member: its token goes out, or its request ends.
void Scheduler::Impl::tell(const BatchMember& member) {
  Sequence& sequence = *member.sequence;
  bool goes_on = member.error.empty();
  Finish finish = Finish::kError;
  if (member.token) {
    sequence.tokens.push_back(*member.token);
    const bool first = !sequence.answering;
    sequence.answering = true;
    ++counted.generated_tokens_total;
    goes_on = sequence.generation->accept(*member.token, base::monotonic_seconds());
    (first ? counted.ttft_seconds : counted.inter_token_seconds)
        .add(sequence.generation->seconds_since_last_token());
    if (!goes_on) finish = *sequence.generation->finish();
  }
  if (goes_on) return;
  end(take_out(sequence), finish, member.error);
}

// One step of whoever can take one. False: everyone waits for the disk.
bool Scheduler::Impl::turn() {
  const double began = base::monotonic_seconds();
  cache.collect();
  end_unwanted(waiting);
  end_unwanted(running);
  if (waiting.empty() && running.empty()) {
    if (!keeper.has_work()) {
      publish();
      return true;
    }
    const auto computed = static_cast<uint64_t>(keeper.work(step, began));
    counted.kept_tokens_total += computed;
    counted.prefilled_tokens_total += computed;
    publish();
    return !keeper.is_loading();
  }
  keeper.pause();
  admit();
  poll_loads(began);
  std::vector<BatchMember> batch = choose_batch();
  if (batch.empty()) {
    publish();
    return false;
  }
  const double chosen = base::monotonic_seconds();
  if (!run_batch(batch)) {
    // Whoever is being answered is not to pay for what a prompt did.
    std::vector<BatchMember> streams;
    for (const BatchMember& member : batch) {
      if (member.decodes())
        streams.push_back({member.sequence, member.count});
      else
        tell(member);
    }
    batch = std::move(streams);
    if (!batch.empty()) run_batch(batch);
  }
  counted.bookkeeping_seconds_total += chosen - began;
  const double told = base::monotonic_seconds();
  publish();  // whoever hears of a token may look
  counted.bookkeeping_seconds_total += base::monotonic_seconds() - told;
  for (const BatchMember& member : batch) tell(member);
  return true;
}

void Scheduler::Impl::run() {
  bool only_loading = false;
  while (wait_for_work(only_loading)) {
    run_tasks();
    try {
      only_loading = !turn();
    } catch (const std::exception& e) {  // no memory for the scheduler's own lists, or a defect of ours
      spdlog::critical("[engine] a step failed: {}; all {} running requests end", e.what(), running.size());
      for (; !running.empty(); running.pop_back()) {
        auto sequence = std::move(running.back());
        end(std::move(sequence), Finish::kError, e.what());
      }
    }
  }
  end_everything();
}

void Scheduler::Impl::end_everything() {
  {
    const std::lock_guard lock(mutex);
    tasks.clear();  // their futures say broken_promise
  }
  for (Sequences* sequences : {&running, &waiting}) {
    while (!sequences->empty()) {
      auto sequence = std::move(sequences->back());
      sequences->pop_back();
      end(std::move(sequence), Finish::kCancelled);
    }
  }
}

Scheduler::Scheduler(const GenerationContext& context, const SchedulerOptions& options)
    : impl_(std::make_unique<Impl>(context, options)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

RequestId Scheduler::submit(Request request, EventHandler on_event) {
  Impl& impl = *impl_;
  const std::lock_guard lock(impl.mutex);
  const auto limit = static_cast<size_t>(impl.options.max_queue);
  const auto own = static_cast<size_t>(std::ranges::count_if(
      impl.live, [&](const auto& entry) { return entry.second->request().tenant == request.tenant; }));
  const bool is_full = impl.live.size() >= limit;
  if (is_full || (impl.live.size() >= limit - limit / kReserve && own >= limit / kReserve)) {
    ++impl.refused;
    throw_error(ErrorCode::kResource,
                "[engine] {} requests are waiting or running, at most {}{}: try again later",
                impl.live.size(), limit,
                is_full ? "" : fmt::format(", and {} of them are yours: the rest is for others", own));
  }
  const uint64_t seed = static_cast<uint64_t>(impl.entropy()) << 32 | impl.entropy();
  const RequestId id = impl.next_id++;
  auto sequence = std::make_unique<Sequence>();
  sequence->tenant = request.tenant;
  sequence->priority = request.priority;
  sequence->order = id;
  sequence->tokens.assign(request.prompt.begin(), request.prompt.end());
  sequence->generation =
      std::make_shared<Generation>(impl.context, id, std::move(request), std::move(on_event), seed);
  impl.live.emplace(id, sequence->generation);
  impl.inbox.push_back(std::move(sequence));
  impl.wake.notify_all();
  return id;
}

void Scheduler::cancel(RequestId id) {
  const std::lock_guard lock(impl_->mutex);
  if (const auto it = impl_->live.find(id); it != impl_->live.end()) it->second->cancel();
}

void Scheduler::run_between_steps(const std::function<void()>& task) {
  std::packaged_task<void()> packaged(task);
  auto done = packaged.get_future();
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) throw_error(ErrorCode::kResource, "[engine] it stops");
    impl_->tasks.push_back(std::move(packaged));
  }
  impl_->wake.notify_all();
  try {
    done.get();
  } catch (const std::future_error&) {
    throw_error(ErrorCode::kResource, "[engine] it stopped before the work was done");
  }
}

void Scheduler::forget_pages(const Fingerprint& fingerprint) {
  Impl& impl = *impl_;
  run_between_steps([&] {
    if (!impl.running.empty() || !impl.waiting.empty()) {
      throw_error(ErrorCode::kBadInput, "[engine] the weights changed while {} requests are under way",
                  impl.running.size() + impl.waiting.size());
    }
    impl.options.fingerprint = fingerprint;
    impl.keeper.forget(fingerprint);
    impl.cache.forget_idle();
  });
}

}  // namespace hadal::engine
