#include "serve/api/output_format.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/raw_json.h"
#include "text/chat/markers.h"

namespace hadal::serve::api {

using base::Json;
using engine::GrammarSource;

namespace {

std::shared_ptr<const engine::Grammar> compile(engine::Engine& engine, const GrammarSource& source,
                                               const std::string& param) {
  try {
    return engine.compile(source);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::kBadInput && e.code() != ErrorCode::kUnsupported) throw;
    throw bad_value(param, without_area(e.what()));
  }
}

// How a model's calls are spelled in GBNF.
struct CallSyntax {
  std::string_view calls_begin, calls_end, call_begin, separator, call_end;
  std::string_view before_name = {};  // text
  std::string_view after_name = {};   // GBNF
  bool json = false;                  // the whole call is JSON between calls_begin and call_end
};

constexpr CallSyntax kPlain = {text::kToolCallsBegin, text::kToolCallsEnd, text::kToolCallBegin,
                               text::kToolSep, text::kToolCallEnd};
constexpr CallSyntax kKimi = {.calls_begin = text::kKimiCallsBegin,
                              .calls_end = text::kKimiCallsEnd,
                              .call_begin = text::kKimiCallBegin,
                              .separator = text::kKimiArgumentBegin,
                              .call_end = text::kKimiCallEnd,
                              .before_name = "functions.",
                              .after_name = "\":\" [0-9]{1,4}"};

constexpr CallSyntax kQwen = {.calls_begin = text::kTaggedCallBegin,
                              .calls_end = {},
                              .call_begin = text::kTaggedCallBegin,
                              .separator = {},
                              .call_end = text::kTaggedCallEnd,
                              .json = true};

const CallSyntax& syntax_of(text::ToolSyntax family) {
  if (family == text::ToolSyntax::kKimi) return kKimi;
  return family == text::ToolSyntax::kJsonTagged ? kQwen : kPlain;
}

// A control token, by its text.
std::string token(std::string_view text) { return fmt::format("<[\"{}\"]>", text); }

std::string arguments_rule(size_t index) { return fmt::format("arguments-{}", index); }

// In a block the name follows the separator.
std::string call_rule(bool block, const CallSyntax& syntax, const std::string& name,
                      const std::string& arguments) {
  if (syntax.json) {
    return fmt::format("\"\\n{{\\\"name\\\": \\\"{}\\\", \\\"arguments\\\": \" {} \"}}\\n\" {}", name,
                       arguments, token(syntax.call_end));
  }
  if (block) {
    return fmt::format("{} \"function\" {} \"{}\\n```json\\n\" {} \"\\n```\" {}", token(syntax.call_begin),
                       token(syntax.separator), name, arguments, token(syntax.call_end));
  }
  return fmt::format("{} \"{}{}\" {} {} {} {}", token(syntax.call_begin), syntax.before_name, name,
                     syntax.after_name, token(syntax.separator), arguments, token(syntax.call_end));
}

}  // namespace

OutputFormat read_output_format(const Json& format, std::string_view raw, const std::string& path) {
  const Fields fields(format, path + ".");
  const auto type = fields.string("type").value_or("text");
  if (type == "text") return {};
  if (type == "json_object") return {OutputFormat::Kind::kJsonObject, ""};
  if (type == "grammar") {
    fields.required("grammar");
    return {OutputFormat::Kind::kGrammar, *fields.string("grammar")};
  }
  if (type != "json_schema") {
    throw bad_value(path + ".type",
                    fmt::format("\"{}\" is not \"text\", \"json_object\" or \"json_schema\"", type));
  }
  const Json* inner = fields.find("json_schema");  // /responses has its members here
  const Fields members(inner != nullptr ? *inner : format,
                       inner != nullptr ? path + ".json_schema." : path + ".");
  const Json& schema = members.required("schema");
  if (!schema.is_object()) throw wrong_type(members.path("schema"), "object", schema);
  if (inner != nullptr) raw = base::raw_member(raw, "json_schema");
  const std::string_view text = base::raw_member(raw, "schema");
  return {OutputFormat::Kind::kJsonSchema, text.empty() ? base::dump_json(schema) : std::string(text)};
}

engine::Guidance guide_answer(engine::Engine& engine, const OutputFormat& format, const std::string& param) {
  GrammarSource source;
  switch (format.kind) {
    case OutputFormat::Kind::kText:
      return {};
    case OutputFormat::Kind::kJsonObject:
      break;
    case OutputFormat::Kind::kJsonSchema:
      source = {GrammarSource::Kind::kJsonSchema, format.source, false, {}};
      break;
    case OutputFormat::Kind::kGrammar:
      source = {GrammarSource::Kind::kGbnf, format.source, false, {}};
      break;
  }
  return {compile(engine, source, param), {}};
}

engine::Guidance guide_calls(engine::Engine& engine, const std::vector<Tool>& tools,
                             const ToolChoice& choice) {
  const text::ToolSyntax family = engine.chat_format()->tools;
  const CallSyntax& syntax = syntax_of(family);
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  bool can = family != text::ToolSyntax::kTagged && family != text::ToolSyntax::kJsonBare &&
             family != text::ToolSyntax::kNone;
  for (const auto marker :
       {syntax.calls_begin, syntax.calls_end, syntax.call_begin, syntax.separator, syntax.call_end}) {
    can = can && (marker.empty() || tokenizer.find(marker).has_value());
  }
  const bool named = choice.kind == ToolChoice::Kind::kNamed;
  const bool block = family == text::ToolSyntax::kJsonBlock;
  GrammarSource source{GrammarSource::Kind::kGbnf, "", true, {}};
  std::string calls;
  for (size_t i = 0; i < tools.size(); ++i) {
    const Tool& tool = tools[i];
    if (tool.strict && !can) {
      throw bad_value(fmt::format("tools[{}].strict", i),
                      "this model's tool calls cannot be held to a schema");
    }
    if (named && tool.definition.name != choice.name) continue;
    std::string arguments = "json-object";
    if (tool.strict && !tool.definition.parameters.empty()) {
      arguments = arguments_rule(i);
      source.schemas.emplace_back(arguments, tool.definition.parameters);
    }
    calls += fmt::format("{}{}", calls.empty() ? "" : "\n  | ",
                         call_rule(block, syntax, tool.definition.name, arguments));
  }
  if (!can) return {};
  std::string further = block ? " (\"\\n\" call)*" : " call*";
  if (syntax.json) further = fmt::format(" (\"\\n\" {} call)*", token(syntax.call_begin));
  source.text = fmt::format("root ::= call{} {}\ncall ::= {}\n", named ? "" : further,
                            syntax.calls_end.empty() ? "" : token(syntax.calls_end), calls);
  return {compile(engine, source, "tools"), tokenizer.find(syntax.calls_begin)};
}

}  // namespace hadal::serve::api
