// Who takes part in a step: order, admission, hits, memory.
#include <algorithm>

#include "engine/scheduler/scheduler_internal.h"

namespace hadal::engine {

namespace {

constexpr int64_t kLeastPiece = 16;  // of a prompt, unless it ends there

// Of a sequence that runs: pages for its prompt that it does not have yet.
int64_t pages_still_needed(const Sequence& sequence) {
  const auto present = sequence.table ? static_cast<int64_t>(sequence.table->pages().size()) : 0;
  return std::max<int64_t>(0, pages_for(sequence.size() + 1) - present);
}

}  // namespace

bool Scheduler::Impl::goes_before(const Sequence& a, const Sequence& b) const {
  if (a.priority != b.priority) return a.priority > b.priority;
  const double a_served = share.served(a.tenant), b_served = share.served(b.tenant);
  if (a_served != b_served) return a_served < b_served;
  return a.order < b.order;
}

void Scheduler::Impl::rank(Sequences& sequences) const {
  std::stable_sort(sequences.begin(), sequences.end(),
                   [&](const auto& a, const auto& b) { return goes_before(*a, *b); });
}

// From the queue to those who share the model, as long as their prompts find room beside what the others'
// prompts still need and a page for everyone's growth. Where there is none, whoever has a lower priority
// gives way.
void Scheduler::Impl::admit() {
  if (waiting.empty()) return;
  rank(waiting);
  const auto has_room = [&](const Sequence& next) {
    if (running.empty()) return true;
    if (running.size() >= static_cast<size_t>(options.max_running)) return false;
    int64_t promised = 0;
    for (const auto& sequence : running) promised += pages_still_needed(*sequence) + 1;
    const PageKey root = root_key(options.fingerprint, next.tenant);
    const int64_t needed = pages_for(next.size() + 1) - cache.pages_in_use(root, next.tokens);
    return needed + promised <= cache.available();
  };
  while (!waiting.empty()) {
    while (!has_room(*waiting.front())) {
      if (!give_way(*waiting.front())) return;
    }
    running.push_back(std::move(waiting.front()));
    waiting.erase(waiting.begin());
    begin(*running.back());
  }
}

// Takes the last in order of those that run back to the queue, when `next` goes before it by priority.
bool Scheduler::Impl::give_way(const Sequence& next) {
  rank(running);
  if (running.back()->priority >= next.priority) return false;
  preempt(*running.back());
  return true;
}

void Scheduler::Impl::begin(Sequence& sequence) {
  sequence.table = std::make_unique<PageTable>(cache, root_key(options.fingerprint, sequence.tenant));
  sequence.load = std::make_unique<PrefixLoad>(cache, *sequence.table, sequence.tokens);
}

void Scheduler::Impl::poll_loads(double now) {
  counted.loading = 0;
  for (const auto& sequence : running) {
    if (!sequence->load) continue;
    if (!sequence->load->poll(now)) {
      ++counted.loading;
      continue;
    }
    PageTable& table = *sequence->table;
    if (table.tokens() == sequence->size()) table.truncate(sequence->size() - 1);  // its logits are needed
    if (!sequence->was_counted) {
      sequence->was_counted = true;
      const int64_t from_memory = std::min(sequence->load->memory_tokens(), table.tokens());
      counted.prompt_tokens_total += static_cast<uint64_t>(sequence->size());
      counted.hit_memory_tokens_total += static_cast<uint64_t>(from_memory);
      counted.hit_disk_tokens_total += static_cast<uint64_t>(table.tokens() - from_memory);
      counted.miss_tokens_total += static_cast<uint64_t>(sequence->pending());
    }
    sequence->load.reset();
    sequence->generation->begin(now, table.tokens());
  }
}

// A prompt's tokens that another request has computed since this one began.
void Scheduler::Impl::count_late_hit(Sequence& sequence, int64_t tokens) {
  sequence.generation->add_cached_tokens(tokens);
  counted.hit_memory_tokens_total += static_cast<uint64_t>(tokens);
  counted.miss_tokens_total -= static_cast<uint64_t>(tokens);
}

std::unique_ptr<Sequence> Scheduler::Impl::take_out(Sequence& sequence) {
  const auto it = std::find_if(running.begin(), running.end(),
                               [&](const auto& other) { return other.get() == &sequence; });
  auto owned = std::move(*it);
  running.erase(it);
  return owned;
}

void Scheduler::Impl::preempt(Sequence& sequence) {
  sequence.drop_pages();
  sequence.was_preempted = true;
  ++counted.preemptions_total;
  waiting.push_back(take_out(sequence));
}

// Rows for `count` more tokens. Under pressure, whoever is last in order gives way, also out of the batch;
// that may be the sequence itself: false then.
bool Scheduler::Impl::make_room(Sequence& sequence, int64_t count, std::vector<BatchMember>& batch) {
  while (!sequence.table->reserve(count)) {
    Sequence& victim = *running.back();  // in rank order
    const bool itself = &victim == &sequence;
    std::erase_if(batch, [&](const BatchMember& member) { return member.sequence == &victim; });
    preempt(victim);
    if (itself) return false;
  }
  return true;
}

// `running` is in rank order. Streams that are being answered first, one token each; then prompts, as much as
// the budget gives.
std::vector<BatchMember> Scheduler::Impl::choose_batch() {
  rank(running);
  std::vector<BatchMember> batch;
  std::vector<Sequence*> answering, prompts;
  for (const auto& sequence : running) {
    if (sequence->load) continue;
    (sequence->answering && sequence->pending() == 1 ? answering : prompts).push_back(sequence.get());
  }
  const auto still_runs = [&](const Sequence* sequence) {
    return std::any_of(running.begin(), running.end(), [&](const auto& s) { return s.get() == sequence; });
  };
  for (Sequence* sequence : answering) {
    if (still_runs(sequence) && make_room(*sequence, 1, batch)) batch.push_back({sequence, 1});
  }
  counted.batch = static_cast<int>(batch.size());
  int64_t left = budget.tokens(static_cast<int>(batch.size()));
  for (Sequence* sequence : prompts) {
    if (!still_runs(sequence)) continue;
    // Another request with the same beginning may have computed it meanwhile.
    const int64_t before = sequence->computed();
    sequence->table->take_from_memory(sequence->tokens);
    if (sequence->pending() == 0) sequence->table->truncate(sequence->size() - 1);
    if (!sequence->was_preempted) count_late_hit(*sequence, sequence->computed() - before);
    const int64_t count = std::min(sequence->pending(), left);
    if (count < std::min(sequence->pending(), kLeastPiece)) break;
    if (!make_room(*sequence, count, batch)) continue;
    batch.push_back({sequence, count});
    left -= count;
    if (left <= 0) break;
  }
  return batch;
}

}  // namespace hadal::engine
