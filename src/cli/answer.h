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
  std::string reasoning;  // of a chat model that thinks first
  std::vector<text::TokenId> tokens;
  engine::Finish finish = engine::Finish::kStop;
  engine::Usage usage;
};

// What arrives: text, or (first) the model's reasoning.
using TextHandler = std::function<void(std::string_view text, bool reasoning)>;
// For a terminal: text as it is, reasoning dimmed; elsewhere the reasoning is left out.
void print_text(std::string_view text, bool reasoning);

// on_text is called on this thread. Ctrl-C cancels the request (Finish::kCancelled; needs an InterruptGuard).
// Throws Error when the request is refused or fails.
Answer get_answer(engine::Engine& engine, engine::Request request, const TextHandler& on_text);

}  // namespace hadal::cli
