// What the model wrote around its tool calls, kept so that a conversation that sends them back goes on from
// the very tokens that are in the KV cache (ADR 0019): a client's JSON has other blanks, another order of
// keys or other spellings of numbers, and text need not become the tokens that were sampled. In memory,
// bounded: what is forgotten costs cache hits, nothing else.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "text/chat_template.h"

namespace hadal::serve::api {

// Any thread.
class CallMemory {
 public:
  struct Limits {
    size_t bytes = size_t{64} << 20;
    size_t tenant_bytes = size_t{8} << 20;  // of one tenant
  };
  // Only a conversation of the same tenant with the same model can have an answer back.
  struct Owner {
    std::string tenant;
    std::string model;
  };

  CallMemory() : CallMemory(Limits()) {}
  explicit CallMemory(const Limits& limits) : limits_(limits) {}

  // An answer with `tokens` and calls, whose ids are new; the ones that were used longest ago make room. One
  // that is larger than a tenant's share is not kept.
  void remember(const Owner& owner, text::Message answer);

  // Gives the assistant's messages that say what an answer said (its calls' ids and names, their arguments as
  // JSON values, its content and its reasoning) that answer's tokens, and returns how many those are without
  // reasoning. A conversation has an answer once: of the messages with an id only the first can have it, so
  // that many short ones do not become as many long ones.
  size_t recall(const Owner& owner, std::vector<text::Message>& messages);

  size_t bytes() const;
  size_t answers() const;

 private:
  struct Record;
  using Records = std::list<Record>;
  struct Tenant {
    std::list<Records::iterator> records;  // used last first
    size_t bytes = 0;
  };
  using Tenants = std::unordered_map<std::string, Tenant>;
  struct Record {
    std::string key;
    std::shared_ptr<const text::Message> answer;
    size_t bytes = 0;
    Tenants::value_type* tenant = nullptr;
    std::list<Records::iterator>::iterator in_tenant = {};
  };

  std::shared_ptr<const text::Message> find(const std::string& key);
  void drop(Records::iterator record);

  const Limits limits_;
  mutable std::mutex mutex_;  // guards what follows
  Records records_;           // used last first
  std::unordered_map<std::string, Records::iterator> by_key_;
  Tenants tenants_;  // those that have records
  size_t bytes_ = 0;
};

}  // namespace hadal::serve::api
