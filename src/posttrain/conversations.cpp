#include "posttrain/conversations.h"

#include <xxhash.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/raw_json.h"
#include "text/chat/tool_json.h"

namespace hadal::posttrain {
namespace {

using base::Json;

template <typename... Args>
[[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorCode::kBadInput, fmt::format(format, std::forward<Args>(args)...));
}

const Json* field(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::string string_field(const Json& object, const char* key, const std::string& where, bool required) {
  const Json* value = field(object, key);
  if (value == nullptr) {
    if (required) bad("{}: {} is missing", where, key);
    return {};
  }
  if (!value->is_string()) bad("{}: {} is no string", where, key);
  return value->get<std::string>();
}

// A string, or an array of {"type": "text", "text": ...} parts.
std::string content_of(const Json& message, const std::string& where) {
  const Json* value = field(message, "content");
  if (value == nullptr || value->is_string()) return string_field(message, "content", where, false);
  if (!value->is_array()) bad("{}: content is neither a string nor a list of text parts", where);
  std::string content;
  for (const Json& part : *value) {
    if (!part.is_object() || part.value("type", Json()) != "text") {
      bad("{}: content: a part is not of the type \"text\"", where);
    }
    content += string_field(part, "text", where + ": content", true);
  }
  return content;
}

void check_keys(const Json& object, const char* key, const std::string& where) {
  if (base::has_too_many_keys(object))
    bad("{}: {}: an object of it has over {} keys", where, key, base::kMaxOrderedKeys);
}

// JSON text of what may be an object already, as some files have it: with its keys in the order of the line
// `raw`, spaced as templates and models space them.
std::string arguments_of(const Json& function, std::string_view raw, const std::string& where) {
  const Json* value = field(function, "arguments");
  if (value != nullptr && value->is_object()) {
    check_keys(*value, "arguments", where);
    return text::respaced_json(base::raw_member(raw, "arguments"));
  }
  const std::string arguments = string_field(function, "arguments", where, true);
  const Json parsed = Json::parse(arguments, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) bad("{}: arguments are no JSON object", where);
  return arguments;
}

std::vector<text::ToolCall> calls_of(const Json& message, std::string_view raw, const std::string& where) {
  std::vector<text::ToolCall> calls;
  const Json* list = field(message, "tool_calls");
  if (list == nullptr) return calls;
  if (!list->is_array()) bad("{}: tool_calls is no list", where);
  const auto raws = base::raw_elements(base::raw_member(raw, "tool_calls"));
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string here = fmt::format("{}: tool_calls[{}]", where, i);
    const Json& call = (*list)[i];
    const Json* function = call.is_object() ? field(call, "function") : nullptr;
    if (function == nullptr || !function->is_object()) bad("{}: function is missing", here);
    const std::string name = string_field(*function, "name", here, true);
    if (name.empty()) bad("{}: name is empty", here);
    calls.push_back({string_field(call, "id", here, false), name,
                     arguments_of(*function, base::raw_member(raws.at(i), "function"), here)});
  }
  return calls;
}

std::vector<text::ToolDefinition> tools_of(const Json& line, std::string_view raw) {
  std::vector<text::ToolDefinition> tools;
  const Json* list = field(line, "tools");
  if (list == nullptr) return tools;
  if (!list->is_array()) bad("tools is no list");
  const auto raws = base::raw_elements(base::raw_member(raw, "tools"));
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string here = fmt::format("tools[{}]", i);
    const Json* function = (*list)[i].is_object() ? field((*list)[i], "function") : nullptr;
    if (function == nullptr || !function->is_object()) bad("{}: function is missing", here);
    text::ToolDefinition tool;
    tool.name = string_field(*function, "name", here, true);
    tool.description = string_field(*function, "description", here, false);
    if (const Json* parameters = field(*function, "parameters")) {
      if (!parameters->is_object()) bad("{}: parameters are no JSON object", here);
      check_keys(*parameters, "parameters", here);
      tool.parameters = base::raw_member(base::raw_member(raws.at(i), "function"), "parameters");
    }
    tools.push_back(std::move(tool));
  }
  return tools;
}

bool learns(const Json& message, const std::string& where) {
  const Json* weight = field(message, "weight");
  if (weight == nullptr) return true;
  if (*weight != 0 && *weight != 1) bad("{}: weight is {}, must be 0 or 1", where, base::dump_json(*weight));
  return *weight == 1;
}

// What comes before a message decides what it may be.
class OrderCheck {
 public:
  void next(const text::Message& message, const std::string& where) {
    const std::string& role = message.role;
    if (role != "tool" && open_calls_ > 0) {
      bad("{}: {} where {} of the calls before it has no result yet", where, role, open_calls_);
    }
    if (role == "system") {
      if (!last_.empty() && last_ != "system") bad("{}: a system message in the middle", where);
    } else if (role == "user") {
      if (last_ == "user") bad("{}: user follows user", where);
    } else if (role == "assistant") {
      if (last_ != "user" && last_ != "tool") {
        bad("{}: assistant {}", where, last_.empty() ? "comes first" : "follows " + last_);
      }
      open_calls_ = message.tool_calls.size();
    } else if (role == "tool") {
      if (open_calls_ == 0) bad("{}: a tool result without a call", where);
      --open_calls_;
    } else {
      bad("{}: role \"{}\" is not system, user, assistant or tool", where, role);
    }
    last_ = role;
  }
  void end() const {
    if (last_ != "assistant") bad("the last message is {}'s: nothing answers it", last_);
  }

 private:
  std::string last_;
  size_t open_calls_ = 0;
};

}  // namespace

Conversation parse_conversation(std::string_view line) {
  const Json json = base::parse_json(line, "json");
  if (!json.is_object()) bad("no JSON object");
  const Json* messages = field(json, "messages");
  if (messages == nullptr || !messages->is_array() || messages->empty())
    bad("messages is no list of messages");
  Conversation conversation;
  conversation.tools = tools_of(json, line);
  const auto raws = base::raw_elements(base::raw_member(line, "messages"));
  OrderCheck order;
  bool any = false;
  for (size_t i = 0; i < messages->size(); ++i) {
    const Json& from = (*messages)[i];
    const std::string where = fmt::format("messages[{}]", i);
    if (!from.is_object()) bad("{}: no JSON object", where);
    text::Message message;
    message.role = string_field(from, "role", where, true);
    if (message.role == "developer") message.role = "system";
    message.content = content_of(from, where);
    const bool assistant = message.role == "assistant";
    message.tool_calls = calls_of(from, raws.at(i), where);
    if (assistant) {
      message.reasoning_content = string_field(from, "reasoning_content", where, false);
      if (message.content.empty() && message.tool_calls.empty()) bad("{}: assistant says nothing", where);
    } else if (!message.tool_calls.empty()) {
      bad("{}: a {} message has tool_calls", where, message.role);
    }
    if (message.role == "tool") message.tool_call_id = string_field(from, "tool_call_id", where, false);
    order.next(message, where);
    conversation.learn.push_back(assistant && learns(from, where));
    any = any || conversation.learn.back();
    conversation.messages.push_back(std::move(message));
  }
  if (!any) bad("no assistant turn to learn from");
  order.end();
  return conversation;
}

ConversationFile read_conversations(const std::string& path, bool skip_bad) {
  const base::MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  constexpr std::string_view kBlank = " \t\r";
  ConversationFile out;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (number == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    const size_t first = line.find_first_not_of(kBlank);
    if (first == std::string_view::npos) continue;
    line = line.substr(first, line.find_last_not_of(kBlank) - first + 1);
    try {
      if (line.size() > kMostLineBytes) bad("{} bytes, at most {}", line.size(), kMostLineBytes);
      Conversation conversation = parse_conversation(line);
      conversation.line = number;
      conversation.hash = XXH3_64bits(line.data(), line.size());
      out.conversations.push_back(std::move(conversation));
    } catch (const Error& e) {
      if (!skip_bad) {
        throw_error(ErrorCode::kBadInput, "[sft] {}:{}: {} (--skip-bad leaves such lines out)", path, number,
                    e.what());
      }
      out.skipped.push_back({number, e.what()});
    }
  }
  return out;
}

}  // namespace hadal::posttrain
