#include "cli/answer.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>

#include "base/error.h"
#include "cli/interrupt.h"

namespace hadal::cli {

namespace {
constexpr auto kInterruptPoll = std::chrono::milliseconds(50);
}

void print_text(std::string_view text, bool reasoning) {
  static const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  if (reasoning && !terminal) return;
  if (reasoning) std::fputs("\033[2m", stdout);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (reasoning) std::fputs("\033[0m", stdout);
  std::fflush(stdout);
}

Answer get_answer(engine::Engine& engine, engine::Request request, const TextHandler& on_text) {
  // Shared with the handler, which may outlive this call when on_text throws.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable arrived;
    std::deque<engine::Event> events;
  };
  const auto inbox = std::make_shared<Inbox>();
  const auto id = engine.submit(std::move(request), [inbox](const engine::Event& event) {
    const std::lock_guard lock(inbox->mutex);
    inbox->events.push_back(event);
    inbox->arrived.notify_one();
  });
  Answer answer;
  try {
    while (true) {
      engine::Event event;
      {
        std::unique_lock lock(inbox->mutex);
        if (!inbox->arrived.wait_for(lock, kInterruptPoll, [&] { return !inbox->events.empty(); })) {
          if (InterruptGuard::interrupted()) engine.cancel(id);
          continue;
        }
        event = std::move(inbox->events.front());
        inbox->events.pop_front();
      }
      if (InterruptGuard::interrupted()) engine.cancel(id);
      if (!event.reasoning.empty()) on_text(event.reasoning, true);
      if (!event.text.empty()) on_text(event.text, false);
      answer.reasoning += event.reasoning;
      answer.text += event.text;
      answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
      answer.usage = event.usage;
      if (!event.finish) continue;
      if (*event.finish == engine::Finish::kError) throw_error(ErrorCode::kInternal, "{}", event.error);
      answer.finish = *event.finish;
      return answer;
    }
  } catch (...) {
    engine.cancel(id);
    throw;
  }
}

}  // namespace hadal::cli
