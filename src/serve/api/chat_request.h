// A conversation's request as every dialect means it, and how it becomes the engine's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serve/api/completion_options.h"
#include "serve/api/model_names.h"
#include "serve/api/output_format.h"
#include "serve/api/service.h"
#include "serve/api/tools.h"
#include "text/chat_template.h"

namespace hadal::serve::api {

struct ChatRequest {
  std::vector<text::Message> messages;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  OutputFormat format;
  std::optional<bool> thinking;  // as asked; none: what the model's name says, else its default
  CompletionOptions options;
};

struct PreparedChat {
  engine::Request request;  // with its sampling
  bool thinks = false;      // the answer begins with reasoning
};

// Renders the conversation for the model, where the caller's own calls come back in the tokens that they were
// made of (call_memory.h). A model that has one mode only answers in that one. tool_choice "required" and a
// named function begin the call for the model, which then cannot think first. Throws ApiError or Error for
// what has no place in the model's format.
PreparedChat prepare_chat(const Call& call, const NamedModel& model, ChatRequest& request);

// "low", "high", "max" and OpenAI's words for them; "none" turns thinking off. The models that are served
// have no levels of effort: any of them is thinking. Throws ApiError 400 for other words.
bool effort_thinks(const std::string& effort, const std::string& param);

// {"type": "enabled"} or {"type": "disabled"}; "adaptive" (Anthropic's) is the model's default.
std::optional<bool> read_thinking(const Fields& fields);

// A string, or an array of {"type": "text", "text": ...} parts. Throws ApiError.
std::string read_text_parts(const base::Json& content, const std::string& path);

}  // namespace hadal::serve::api
