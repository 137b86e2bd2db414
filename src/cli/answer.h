// One request from a terminal: submits it, shows its text as it comes, and waits for the end.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace hadal::cli {

struct Answer {
  std::string text;
  std::vector<text::TokenId> tokens;
  engine::Finish finish = engine::Finish::kStop;
  engine::Usage usage;
};

// on_text is called on this thread. Ctrl-C cancels the request (Finish::kCancelled; needs an InterruptGuard).
// Throws Error when the request is refused or fails.
Answer get_answer(engine::Engine& engine, engine::Request request,
                  const std::function<void(std::string_view)>& on_text);

}  // namespace hadal::cli
