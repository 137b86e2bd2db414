#include "serve/api/completion_options.h"

#include <fmt/format.h>

#include <limits>

namespace hadal::serve::api {

using base::Json;

namespace {

using engine::kMaxStopBytes;
using engine::kMaxStops;

void add_stop(const Json& value, const std::string& path, std::vector<std::string>& stops) {
  if (!value.is_string()) throw wrong_type(path, "string", value);
  const auto& stop = value.get_ref<const std::string&>();
  if (stop.empty()) throw bad_value(path, "a stop string must not be empty");
  if (stop.size() > kMaxStopBytes)
    throw bad_value(path,
                    fmt::format("a string of {} bytes; at most {} are allowed", stop.size(), kMaxStopBytes));
  stops.push_back(stop);
}

std::vector<std::string> read_stop(const Fields& fields) {
  std::vector<std::string> stops;
  const Json* stop = fields.find("stop");
  if (stop == nullptr) return stops;
  if (stop->is_string()) {
    if (!stop->get_ref<const std::string&>().empty()) add_stop(*stop, "stop", stops);
    return stops;
  }
  if (!stop->is_array()) throw wrong_type("stop", "string or array of strings", *stop);
  if (stop->size() > kMaxStops) {
    throw bad_value("stop", fmt::format("{} strings; at most {} are allowed", stop->size(), kMaxStops));
  }
  for (size_t i = 0; i < stop->size(); ++i) add_stop((*stop)[i], fmt::format("stop[{}]", i), stops);
  return stops;
}

engine::SamplingOptions read_sampling(const Fields& fields) {
  constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
  engine::SamplingOptions sampling;
  if (const auto value = fields.number("temperature", 0, 2))
    sampling.temperature = static_cast<float>(*value);
  if (const auto value = fields.number("top_p", 0, 1)) {
    sampling.top_p =
        std::max(static_cast<float>(*value), 1e-6f);  // 0 keeps the likeliest token, as 1e-6 does
  }
  if (const auto value = fields.integer("top_k", -1, kMaxInt)) {
    sampling.top_k = static_cast<int>(std::max<int64_t>(*value, 0));  // -1 is how some clients say "off"
  }
  // Compared as the floats that they become: 0.99999999999 is 1 there, and 1e-300 is 0.
  if (const auto value = fields.number("min_p", 0, 1)) {
    sampling.min_p = static_cast<float>(*value);
    if (sampling.min_p >= 1) throw bad_value("min_p", "1 would drop every token; give a number below 1");
  }
  if (const auto value = fields.number("repetition_penalty", 0, 10)) {
    sampling.repetition_penalty = static_cast<float>(*value);
    if (sampling.repetition_penalty <= 0)
      throw bad_value("repetition_penalty", "0 is not allowed; 1 turns it off");
  }
  if (const auto value = fields.integer("seed")) sampling.seed = static_cast<uint64_t>(*value);
  sampling.stop = read_stop(fields);
  sampling.max_tokens = kDefaultMaxTokens;
  for (const char* name : {"max_tokens", "max_completion_tokens"}) {  // the newer name wins
    if (const auto value = fields.integer(name, 1, kMaxInt)) sampling.max_tokens = static_cast<int>(*value);
  }
  return sampling;
}

}  // namespace

CompletionOptions read_completion_options(const Fields& fields) {
  CompletionOptions options;
  options.model = fields.string("model").value_or("");
  options.sampling = read_sampling(fields);
  options.stream = fields.boolean("stream").value_or(false);
  if (const Json* stream_options = fields.find("stream_options")) {
    const Fields inner(*stream_options, "stream_options.");
    options.include_usage = inner.boolean("include_usage").value_or(false);
    if (!options.stream) throw bad_value("stream_options", "only allowed with \"stream\": true");
  }
  refuse_unsupported(fields);
  return options;
}

void refuse_unsupported(const Fields& fields) {
  const auto refuse = [](const std::string& param, const std::string& what) {
    throw ApiError(400, "unsupported_parameter", fmt::format("{}: {}", param, what), param);
  };
  if (fields.integer("n", 1, 128).value_or(1) != 1) refuse("n", "this server makes one answer per request");
  for (const char* name : {"tools", "functions"}) {
    if (const Json* tools = fields.find(name)) {
      if (!tools->is_array()) throw wrong_type(name, "array", *tools);
      if (!tools->empty()) refuse(name, "this server does not call tools");
    }
  }
  if (const Json* logprobs = fields.find("logprobs")) {
    if (!(logprobs->is_boolean() && !logprobs->get<bool>()))
      refuse("logprobs", "this server does not return them");
  }
  if (const Json* format = fields.find("response_format")) {
    const auto type = Fields(*format, "response_format.").string("type").value_or("text");
    if (type != "text")
      refuse("response_format.type", fmt::format("\"{}\" is not supported; use \"text\"", type));
  }
  for (const char* name : {"frequency_penalty", "presence_penalty"}) {
    if (fields.number(name, -2, 2).value_or(0) != 0)
      refuse(name, "this server does not have it; leave it out or give 0 (repetition_penalty is here)");
  }
  if (const Json* bias = fields.find("logit_bias")) {
    if (!bias->is_object()) throw wrong_type("logit_bias", "object", *bias);
    if (!bias->empty()) refuse("logit_bias", "this server does not have it; leave it out or give {}");
  }
  if (fields.integer("best_of", 1, 128).value_or(1) != 1)
    refuse("best_of", "this server makes one answer per request");
}

}  // namespace hadal::serve::api
