#include "posttrain/rewards/reward_sum.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace hadal::posttrain {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<std::shared_ptr<const Reward>> make_all(const std::vector<RewardPart>& parts) {
  std::vector<std::shared_ptr<const Reward>> out;
  for (const RewardPart& part : parts) out.push_back(make_reward(part.name, part.options));
  return out;
}

std::string_view failure_text(RewardFailure failure) {
  switch (failure) {
    case RewardFailure::kThrew:
      return "failed";
    case RewardFailure::kHung:
      return "did not come back in time";
    case RewardFailure::kNoNumber:
      break;
  }
  return "returned no number in [0, 1]";
}

// A completion that lives as long as a call that may never come back.
struct OwnedCompletion {
  eval::Problem problem;
  std::string text, reasoning, answer;
  Completion view;

  explicit OwnedCompletion(const Completion& c)
      : problem(*c.problem), text(c.text), reasoning(c.parsed.reasoning), answer(c.parsed.answer), view(c) {
    view.problem = &problem;
    view.text = text;
    view.parsed.reasoning = reasoning;
    view.parsed.answer = answer;
  }
  OwnedCompletion(const OwnedCompletion&) = delete;
  OwnedCompletion& operator=(const OwnedCompletion&) = delete;
};

// The length of the name, of the JSON object, or of the weight at the front of `text`.
size_t option_length(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text[i] == '{')
      ++depth;
    else if (!quoted && text[i] == '}' && --depth == 0)
      return i + 1;
  }
  throw_error(ErrorCode::kBadInput, "[reward] '{}': the options' braces are not closed", text);
}

}  // namespace

std::vector<RewardPart> parse_reward_parts(std::string_view text) {
  std::vector<RewardPart> out;
  std::string_view rest = text;
  while (true) {
    RewardPart part;
    const size_t name = std::min(rest.find_first_of("{}=,"), rest.size());
    part.name = rest.substr(0, name);
    rest.remove_prefix(name);
    if (part.name.empty())
      throw_error(ErrorCode::kBadInput, "[reward] '{}': a name is missing; write correct=1,format=0.2", text);
    if (rest.starts_with('{')) {
      const size_t length = option_length(rest);
      part.options = base::parse_json(rest.substr(0, length), "reward " + part.name);
      rest.remove_prefix(length);
    }
    if (rest.starts_with('=')) {
      rest.remove_prefix(1);
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), part.weight);
      if (error != std::errc() || !std::isfinite(part.weight))
        throw_error(ErrorCode::kBadInput, "[reward] '{}': the weight of {} is no number", text, part.name);
      rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    }
    out.push_back(std::move(part));
    if (rest.empty()) return out;
    if (rest.front() != ',')
      throw_error(ErrorCode::kBadInput, "[reward] '{}': a comma is missing before '{}'", text, rest);
    rest.remove_prefix(1);
  }
}

struct RewardSum::Outcome {
  double value = 0;
  std::optional<RewardFailure> failure;
  std::string detail;
};

RewardSum::RewardSum(const std::vector<RewardPart>& parts, const RewardLimits& limits)
    : RewardSum(parts, make_all(parts), limits) {}

RewardSum::RewardSum(std::vector<RewardPart> parts, std::vector<std::shared_ptr<const Reward>> rewards,
                     const RewardLimits& limits)
    : parts_(std::move(parts)),
      rewards_(std::move(rewards)),
      limits_(limits),
      reports_(parts_.size()),
      logged_(parts_.size()),
      hanging_(parts_.size()) {
  for (auto& hanging : hanging_) hanging = std::make_shared<std::atomic<int>>(0);
  if (parts_.empty())
    throw_error(ErrorCode::kBadInput, "[reward] none; name at least one, such as correct=1");
  for (size_t i = 0; i < parts_.size(); ++i) reports_[i].name = parts_[i].name;
}

RewardSum::~RewardSum() = default;

RewardSum::Outcome RewardSum::call(const Reward& reward, const Completion& completion) {
  try {
    const double value = reward.score(completion);
    if (value >= 0 && value <= 1) return {value, std::nullopt, ""};
    return {0, RewardFailure::kNoNumber, fmt::format("{}", value)};
  } catch (const std::exception& error) {
    return {0, RewardFailure::kThrew, error.what()};
  } catch (...) {
    return {0, RewardFailure::kThrew, "an exception without a message"};
  }
}

void RewardSum::settle(size_t part, const Outcome& outcome, RewardValue* value) {
  ++reports_[part].calls;
  value->parts[part] = outcome.value;
  value->total += parts_[part].weight * outcome.value;
  if (!outcome.failure) return;
  ++value->failed;
  const auto kind = static_cast<size_t>(*outcome.failure);
  ++reports_[part].failures[kind];
  if (logged_[part][kind]) return;
  logged_[part][kind] = true;
  spdlog::warn("[reward] {} {}: {}; it counts 0 there. Further cases are counted, not logged",
               parts_[part].name, failure_text(*outcome.failure), outcome.detail);
}

std::vector<RewardValue> RewardSum::score(std::span<const Completion> completions) {
  std::vector<RewardValue> values(completions.size());
  for (RewardValue& value : values) value.parts.resize(parts_.size());
  for (size_t part = 0; part < parts_.size(); ++part) {
    if (!rewards_[part]->immediate()) {
      score_waiting(part, completions, &values);
      continue;
    }
    for (size_t i = 0; i < completions.size(); ++i)
      settle(part, call(*rewards_[part], completions[i]), &values[i]);
  }
  return values;
}

// The calls of one reward over one batch, shared with the threads that make them: whoever hangs keeps it
// alive.
struct RewardSum::Waiting {
  struct Slot {
    std::unique_ptr<OwnedCompletion> input;
    enum class State { kWaiting, kRunning, kDone, kLost } state = State::kWaiting;
    Clock::time_point began;
    size_t thread = 0;
    Outcome outcome;
  };
  std::shared_ptr<const Reward> reward;
  std::shared_ptr<std::atomic<int>> hanging;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Slot> slots;
  size_t next = 0;
  size_t settled = 0;  // kDone or kLost

  // Makes calls until there are none left, or until its own was given up.
  static void work(const std::shared_ptr<Waiting>& self, size_t thread) {
    std::unique_lock lock(self->mutex);
    while (self->next < self->slots.size()) {
      Slot& slot = self->slots[self->next++];
      slot.state = Slot::State::kRunning;
      slot.began = Clock::now();
      slot.thread = thread;
      self->changed.notify_one();  // another deadline
      lock.unlock();
      Outcome outcome = call(*self->reward, slot.input->view);
      lock.lock();
      if (slot.state == Slot::State::kLost) {
        --*self->hanging;
        return;
      }
      slot.outcome = std::move(outcome);
      slot.state = Slot::State::kDone;
      ++self->settled;
      self->changed.notify_one();
    }
  }
};

void RewardSum::score_waiting(size_t part, std::span<const Completion> completions,
                              std::vector<RewardValue>* values) {
  using State = Waiting::Slot::State;
  const auto shared = std::make_shared<Waiting>();
  shared->reward = rewards_[part];
  shared->hanging = hanging_[part];
  const std::atomic<int>& hanging = *shared->hanging;
  shared->slots.resize(completions.size());
  for (size_t i = 0; i < completions.size(); ++i)
    shared->slots[i].input = std::make_unique<OwnedCompletion>(completions[i]);

  std::vector<std::thread> threads;
  std::vector<bool> lost;
  const auto start = [&] {
    const size_t number = threads.size();
    threads.emplace_back([shared, number] { Waiting::work(shared, number); });
    lost.push_back(false);
  };
  const double seconds = std::max(limits_.seconds, rewards_[part]->most_seconds());
  const auto limit = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const auto give_up = [&](Waiting::Slot& slot, const std::string& detail) {
    slot.state = State::kLost;
    slot.outcome = {0, RewardFailure::kHung, detail};
    ++shared->settled;
  };

  std::unique_lock lock(shared->mutex);
  const auto want = std::min(static_cast<size_t>(std::max(1, limits_.threads)), completions.size());
  while (shared->settled < shared->slots.size()) {
    auto working = static_cast<size_t>(std::count(lost.begin(), lost.end(), false));
    for (; shared->next < shared->slots.size() && working < want && hanging < limits_.max_hung; ++working)
      start();
    if (working == 0) {  // nobody is left to make the calls that wait
      for (Waiting::Slot& slot : shared->slots) {
        if (slot.state == State::kWaiting)
          give_up(slot, fmt::format("not called while {} calls have not come back", hanging.load()));
      }
      shared->next = shared->slots.size();
      break;
    }
    auto deadline = Clock::now() + limit;
    for (const Waiting::Slot& slot : shared->slots)
      if (slot.state == State::kRunning) deadline = std::min(deadline, slot.began + limit);
    shared->changed.wait_until(lock, deadline);
    for (Waiting::Slot& slot : shared->slots) {
      if (slot.state != State::kRunning || Clock::now() < slot.began + limit) continue;
      give_up(slot, fmt::format("{} s", seconds));
      lost[slot.thread] = true;
      ++*shared->hanging;
    }
  }
  for (size_t i = 0; i < completions.size(); ++i) settle(part, shared->slots[i].outcome, &(*values)[i]);
  lock.unlock();
  for (size_t i = 0; i < threads.size(); ++i) {
    if (lost[i])
      threads[i].detach();
    else
      threads[i].join();
  }
}

std::vector<RewardPartReport> RewardSum::report() const {
  std::vector<RewardPartReport> out = reports_;
  for (size_t i = 0; i < out.size(); ++i) out[i].events = rewards_[i]->events();
  return out;
}

}  // namespace hadal::posttrain
