// Which model a request means. Besides its own name a model answers to its aliases, and to DeepSeek's names,
// which stand for modes: "deepseek-chat" is the first of the models that can answer without thinking,
// "deepseek-reasoner" and the V4 names the first that can think. Where none has the mode it is the first
// model, in the mode that it has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serve/api/service.h"

namespace hadal::serve::api {

struct NamedModel {
  const ServedModel& served;
  std::string id;                // for the answer's "model": the name asked for
  std::optional<bool> thinking;  // what the name asks for; none: the model's default
  std::string billed = id;  // the name that limits and prices go by: never one that this server does not know
};

// Throws ApiError 400 "Model Not Exist", as DeepSeek's API answers. An empty name is the first model.
NamedModel find_model(const Service& service, const std::string& asked);

// Anthropic clients have names of their own ("claude-..."), which mean what "deepseek-chat" does; so does any
// other name there, as in DeepSeek's first API for them.
NamedModel find_model_leniently(const Service& service, const std::string& asked);

// Nothing where there is no such model; GET /models/{id} says so in its own words.
std::optional<NamedModel> find_model_if_any(const Service& service, const std::string& asked);

// For GET /models: the models' own names, their aliases, then the names of modes that some model has.
std::vector<NamedModel> listed_models(const Service& service);

}  // namespace hadal::serve::api
