// From a prompt to an answer, streamed or whole: the part that the generating endpoints share.
#pragma once

#include <memory>
#include <string>

#include "serve/api/completion_options.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// How one endpoint writes its answers; the envelope (id, created, model, usage) is common.
struct Said {
  std::string text;
  std::string reasoning;  // comes first; of chat models that think
};

struct AnswerShape {
  const char* id_prefix;     // "chatcmpl-"
  const char* object;        // "chat.completion"
  const char* chunk_object;  // "chat.completion.chunk"
  // choices[0] of a whole answer.
  base::Json (*whole)(const Said& said, const char* finish_reason);
  // choices[0] of a chunk; `finish_reason` is null in all but the last.
  base::Json (*piece)(const std::string& text, const char* finish_reason);
  // The same with more of the reasoning; null for endpoints that have none.
  base::Json (*reasoning_piece)(const std::string& reasoning);
  // choices[0] of a chunk that comes before any text, or null for none.
  base::Json (*opening)();
};

// Throws ApiError when a text of that many bytes cannot fit the context however its bytes are split: huge
// prompts are refused without tokenizing them.
void check_prompt_bytes(const Service& service, size_t bytes);

// Submits `request` (its sampling comes from `options`) and answers `call` as it is generated; the client
// leaving cancels it. `echo` comes before the generated text. Throws ApiError or Error when the request is
// refused; nothing has been answered then.
void generate(const Call& call, engine::Request request, CompletionOptions options, const AnswerShape& shape,
              std::string echo = {});

}  // namespace hadal::serve::api
