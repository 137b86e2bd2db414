#include "serve/api/openai_writer.h"

#include <algorithm>
#include <ctime>

#include "serve/api/ids.h"

namespace hadal::serve::api {

using base::Json;
using engine::Finish;

namespace {

constexpr const char* kFingerprint = "fp_hadal_0_1";
// "choices" comes first of a chunk's members.
constexpr std::string_view kChunkBegin = "data: {\"choices\":[";

// What follows the choices in a chunk; `usage` discarded: without it.
std::string chunk_end(Json envelope, Json usage) {
  if (!usage.is_discarded()) envelope["usage"] = std::move(usage);
  std::string text = base::dump_json(envelope);
  text[0] = ',';  // was '{'
  return "]" + text + "\n\n";
}

bool all_complete(const std::vector<Choice>& choices) {
  return std::all_of(choices.begin(), choices.end(),
                     [](const Choice& choice) { return choice.finish.has_value(); });
}

}  // namespace

const char* finish_reason(const Choice& choice) {
  switch (choice.finish.value_or(Finish::kStop)) {
    case Finish::kLength:
      return "length";
    case Finish::kCancelled:
    case Finish::kDeadline:
    case Finish::kError:
      return "insufficient_system_resource";
    case Finish::kStop:
      break;
  }
  return choice.calls.empty() ? "stop" : "tool_calls";
}

Json usage_json(const std::vector<Choice>& choices) {
  const int64_t prompt = choices[0].usage.prompt_tokens;
  const int64_t cached = choices[0].usage.cached_tokens;
  int64_t completion = 0;
  int64_t reasoning = 0;
  for (const Choice& choice : choices) {
    completion += choice.usage.completion_tokens;
    reasoning += choice.usage.reasoning_tokens;
  }
  return {{"prompt_tokens", prompt},
          {"completion_tokens", completion},
          {"total_tokens", prompt + completion},
          {"prompt_cache_hit_tokens", cached},
          {"prompt_cache_miss_tokens", prompt - cached},
          {"prompt_tokens_details", {{"cached_tokens", cached}}},
          {"completion_tokens_details", {{"reasoning_tokens", reasoning}}}};
}

OpenAiWriter::OpenAiWriter(const OpenAiEnvelope& envelope, const char* object)
    : envelope_({{"id", make_uuid()},
                 {"object", object},
                 {"created", static_cast<int64_t>(std::time(nullptr))},
                 {"model", envelope.model},
                 {"system_fingerprint", kFingerprint}}),
      include_usage_(envelope.include_usage),
      chunk_end_(chunk_end(envelope_, include_usage_ ? Json() : Json(Json::value_t::discarded))) {}

std::string OpenAiWriter::whole(const std::vector<Choice>& choices) {
  Json json = envelope_;
  json["usage"] = usage_json(choices);
  std::string text = base::dump_json(json);
  text.back() = ',';  // for '}'
  text += "\"choices\":[";
  for (size_t i = 0; i < choices.size(); ++i) {
    text += base::dump_json(whole_choice(choices[i], i));
    text.back() = ',';
    text += "\"logprobs\":" + whole_logprobs(i) + (i + 1 < choices.size() ? "}," : "}");
  }
  return text += "]}";
}

std::string OpenAiWriter::chunk(std::string_view choice) const {
  std::string bytes;
  bytes.reserve(kChunkBegin.size() + choice.size() + chunk_end_.size());
  return bytes.append(kChunkBegin).append(choice).append(chunk_end_);
}

std::string OpenAiWriter::last_chunk(std::string_view choice, const std::vector<Choice>& choices) const {
  if (include_usage_ || !all_complete(choices)) return chunk(choice);
  return std::string(kChunkBegin).append(choice) + chunk_end(envelope_, usage_json(choices));
}

std::string OpenAiWriter::closing(const std::vector<Choice>& choices) {
  std::string bytes;
  if (include_usage_) {
    Json json = envelope_;
    json["choices"] = Json::array();
    json["usage"] = usage_json(choices);
    bytes = server_sent_event(json);
  }
  return bytes + "data: [DONE]\n\n";
}

// No [DONE]: clients take its absence for a broken stream, and this error names why.
std::string OpenAiWriter::broken(const ApiError& error) {
  return server_sent_event(error_body(error.status(), error.code(), error.what(), error.param()));
}

}  // namespace hadal::serve::api
