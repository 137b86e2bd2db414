#include "serve/api/call_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace hadal::serve::api {

namespace {

constexpr size_t kRecordBytes = 512;  // of the lists and maps, and of a message without text

size_t bytes_of(const std::string& key, const text::Message& answer) {
  size_t bytes = kRecordBytes + 2 * key.size() + answer.content.size() + answer.reasoning_content.size();
  for (const text::ToolCall& call : answer.tool_calls) {
    bytes += sizeof call + call.id.size() + call.name.size() + call.arguments.size();
  }
  const auto& tokens = *answer.tokens;
  return bytes + (tokens.reasoning.size() + tokens.answer.size()) * sizeof(text::TokenId);
}

// Not two parts together make another: tenants and ids may be any text that a client sends, models' names are
// words.
std::string key_of(const CallMemory::Owner& owner, const std::string& call_id) {
  return fmt::format("{}:{}{} {}", owner.tenant.size(), owner.tenant, owner.model, call_id);
}

// Numbers are what a client's doubles make of them: 123456789012345678 comes back as 123456789012345680.
bool same_value(const base::Json& a, const base::Json& b) {
  if (a.is_number() && b.is_number()) return a.get<double>() == b.get<double>();
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_array()) return std::equal(a.begin(), a.end(), b.begin(), same_value);
  if (!a.is_object()) return a == b;
  return std::equal(a.items().begin(), a.items().end(), b.items().begin(), [](const auto& x, const auto& y) {
    return x.key() == y.key() && same_value(x.value(), y.value());
  });
}

bool same_json(const std::string& a, const std::string& b) {
  if (a == b) return true;
  try {
    return same_value(base::parse_json(a, "arguments"), base::parse_json(b, "arguments"));
  } catch (const Error&) {
    return false;
  }
}

bool says_the_same(const text::Message& message, const text::Message& answer) {
  const auto same_call = [](const text::ToolCall& a, const text::ToolCall& b) {
    return a.id == b.id && a.name == b.name && same_json(a.arguments, b.arguments);
  };
  return message.role == answer.role && !message.prefix && message.content == answer.content &&
         message.reasoning_content == answer.reasoning_content &&
         std::equal(message.tool_calls.begin(), message.tool_calls.end(), answer.tool_calls.begin(),
                    answer.tool_calls.end(), same_call);
}

}  // namespace

void CallMemory::remember(const Owner& owner, text::Message answer) {
  if (answer.tool_calls.empty() || !answer.tokens) return;
  std::string key = key_of(owner, answer.tool_calls[0].id);
  const size_t bytes = bytes_of(key, answer);
  if (bytes > std::min(limits_.bytes, limits_.tenant_bytes)) return;
  auto kept = std::make_shared<const text::Message>(std::move(answer));
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  // With its last record a tenant leaves too.
  for (auto mine = tenants_.find(owner.tenant);
       mine != tenants_.end() && mine->second.bytes + bytes > limits_.tenant_bytes;
       mine = tenants_.find(owner.tenant)) {
    drop(mine->second.records.back());
  }
  while (bytes_ + bytes > limits_.bytes) drop(std::prev(records_.end()));
  const auto tenant = tenants_.try_emplace(owner.tenant).first;
  records_.push_front({std::move(key), std::move(kept), bytes, &*tenant});
  const auto record = records_.begin();
  tenant->second.records.push_front(record);
  record->in_tenant = tenant->second.records.begin();
  by_key_[record->key] = record;
  tenant->second.bytes += bytes;
  bytes_ += bytes;
}

size_t CallMemory::recall(const Owner& owner, std::vector<text::Message>& messages) {
  size_t tokens = 0;
  std::unordered_set<std::string_view> seen;
  for (text::Message& message : messages) {
    if (message.tool_calls.empty() || message.tool_calls[0].id.empty()) continue;
    if (!seen.insert(message.tool_calls[0].id).second) continue;
    const auto answer = find(key_of(owner, message.tool_calls[0].id));
    if (!answer || !says_the_same(message, *answer)) continue;
    message.tokens = answer->tokens;
    tokens += answer->tokens->answer.size();
  }
  return tokens;
}

size_t CallMemory::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

size_t CallMemory::answers() const {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

std::shared_ptr<const text::Message> CallMemory::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto record = found->second;
  records_.splice(records_.begin(), records_, record);
  auto& mine = record->tenant->second.records;
  mine.splice(mine.begin(), mine, record->in_tenant);
  return record->answer;
}

void CallMemory::drop(Records::iterator record) {
  auto& [name, tenant] = *record->tenant;
  tenant.records.erase(record->in_tenant);
  tenant.bytes -= record->bytes;
  bytes_ -= record->bytes;
  if (tenant.records.empty()) tenants_.erase(tenants_.find(name));
  by_key_.erase(record->key);
  records_.erase(record);
}

}  // namespace hadal::serve::api
