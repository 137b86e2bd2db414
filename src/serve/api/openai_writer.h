// What OpenAI's two generating endpoints have in common in their answers: the envelope, usage, chunks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/api/generation.h"

namespace hadal::serve::api {

struct OpenAiEnvelope {
  std::string model;
  bool stream = false;
  bool include_usage = false;  // a chunk of its own at the end; else the last chunk has it, as DeepSeek's
};

class OpenAiWriter : public AnswerWriter {
 public:
  std::string whole(const std::vector<Choice>& choices) final;
  std::string closing(const std::vector<Choice>& choices) final;
  std::string broken(const ApiError& error) final;
  http::Response refusal(const ApiError& error) final { return error_response(error); }

 protected:
  OpenAiWriter(const OpenAiEnvelope& envelope, const char* object);

  // Without its "logprobs", which are JSON text already.
  virtual base::Json whole_choice(const Choice& choice, size_t index) = 0;
  virtual std::string whole_logprobs(size_t index) = 0;

  // A chunk with one choice, which is JSON text. The one that completes the last choice has the usage.
  std::string chunk(std::string_view choice) const;
  std::string last_chunk(std::string_view choice, const std::vector<Choice>& choices) const;

 private:
  base::Json envelope_;
  bool include_usage_;
  std::string chunk_end_;  // behind the choice
};

// "stop", "length", "tool_calls" or "insufficient_system_resource" (the server stopped it half-way).
const char* finish_reason(const Choice& choice);

// OpenAI's counts, and DeepSeek's split of the prompt. The prompt counts once, however many choices.
base::Json usage_json(const std::vector<Choice>& choices);

}  // namespace hadal::serve::api
