// What a model says, token by token: reasoning, content, calls; and what is neither.
#include "text/output_parser.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "base/random.h"
#include "vocabularies.h"

namespace hadal::text {
namespace {

using Kind = OutputEvent::Kind;

const std::shared_ptr<const Tokenizer>& tokenizer() {
  static const auto trained = train_sample(600, 1);
  return trained;
}

// Events as text: r(...) c(...) call(name) args(...) end, with neighbours joined.
std::string told(const std::vector<OutputEvent>& events) {
  std::string out;
  Kind last = Kind::kCallEnd;
  const auto open = [&](Kind kind, const char* name) {
    if (last == kind && kind != Kind::kCallBegin) {
      out.pop_back();
    } else {
      out += std::string(out.empty() ? "" : " ") + name + "(";
    }
  };
  for (const OutputEvent& event : events) {
    switch (event.kind) {
      case Kind::kReasoning:
        open(event.kind, "r");
        break;
      case Kind::kContent:
        open(event.kind, "c");
        break;
      case Kind::kCallBegin:
        open(event.kind, "call");
        break;
      case Kind::kCallArguments:
        open(event.kind, "args");
        break;
      case Kind::kCallEnd:
        out += event.complete ? " end" : " cut";
        last = event.kind;
        continue;
    }
    out += event.text + ")";
    last = event.kind;
  }
  return out;
}

struct Setting {
  std::string_view format;
  OutputOptions options = {};
  bool spelled = false;  // markers as ordinary text
};

std::vector<OutputEvent> events_of(const Setting& setting, const std::string& output) {
  OutputParser parser(find_chat_format(setting.format), tokenizer(), setting.options);
  std::vector<OutputEvent> events;
  const auto add = [&](std::vector<OutputEvent> more) {
    events.insert(events.end(), more.begin(), more.end());
  };
  for (const TokenId id : tokenizer()->encode(output, !setting.spelled)) add(parser.push(id));
  add(parser.finish());
  return events;
}

std::string parsed(const Setting& setting, const std::string& output) {
  return told(events_of(setting, output));
}

const Setting kV3{"deepseek-v3", {.tools = true}};
const Setting kV31{"deepseek-v3.1", {.tools = true}};
const Setting kR1{"deepseek-r1", {.starts_in_reasoning = true, .tools = true}};
const Setting kR10528{"deepseek-r1-0528", {.tools = true}};

TEST(OutputParser, PlainContent) {
  EXPECT_EQ(parsed(kV3, " Hello, 它 \n"), "c( Hello, 它 \n)");
  EXPECT_EQ(parsed(kV3, "Hi<｜end▁of▁sentence｜>"), "c(Hi)");
  EXPECT_EQ(parsed(kV3, ""), "");
  EXPECT_EQ(parsed(kV3, "<think>a</think>b"), "c(<think>a</think>b)");  // a model that does not reason
}

TEST(OutputParser, Reasoning) {
  EXPECT_EQ(parsed(kR1, "Let me see.\nSo.\n</think>\n\nIt is 4."), "r(Let me see.\nSo.) c(It is 4.)");
  EXPECT_EQ(parsed(kR1, "<think>\nLet\n</think>\n4"), "r(Let) c(4)");  // opened twice
  EXPECT_EQ(parsed(kR1, "never closed \n"), "r(never closed \n)");
  EXPECT_EQ(parsed(kR1, "\n\n</think>\n\n4"), "c(4)");
  EXPECT_EQ(parsed(kR10528, "<think>\nLet\n</think>\n\n4"), "r(Let) c(4)");
  EXPECT_EQ(parsed(kR10528, " \n<think>a</think>b"), "r(a) c(b)");
  EXPECT_EQ(parsed(kR10528, "no thought"), "c(no thought)");
  EXPECT_EQ(parsed(kV31, "4 <think>"), "c(4 <think>)");
  EXPECT_EQ(parsed(kV31, "</think>4"), "c(4)");
}

TEST(OutputParser, CountsReasoningTokens) {
  OutputParser parser(find_chat_format("deepseek-r1"), tokenizer(), {.starts_in_reasoning = true});
  const auto reasoning = tokenizer()->encode("deep sea</think>", true);
  for (const TokenId id : reasoning) parser.push(id);
  EXPECT_FALSE(parser.in_reasoning());
  for (const TokenId id : tokenizer()->encode("the answer")) parser.push(id);
  EXPECT_EQ(parser.reasoning_tokens(), static_cast<int>(reasoning.size()));
}

const std::string kTwoBlocks =
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get\n```json\n{\"c\": "
    "\"`Rome`\"}\n```<｜tool▁call▁end｜>"
    "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>put\n```json\n{}\n```<｜tool▁call▁end｜><"
    "｜tool▁calls▁end｜>"
    "<｜end▁of▁sentence｜>";
const std::string kTwoPlain =
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"c\": \"`Rome`\"}<｜tool▁call▁end｜>"
    "<｜tool▁call▁begin｜>put<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>";

TEST(OutputParser, Calls) {
  const std::string two = "call(get) args({\"c\": \"`Rome`\"}) end call(put) args({}) end";
  for (const bool stream : {false, true}) {
    for (Setting setting : {kV3, kV31, kR10528}) {
      setting.options.stream_arguments = stream;
      EXPECT_EQ(parsed(setting, kTwoBlocks), two) << setting.format;  // either syntax is understood
      EXPECT_EQ(parsed(setting, kTwoPlain), two) << setting.format;
      EXPECT_EQ(parsed(setting, "I look. " + kTwoPlain), "c(I look. ) " + two);
    }
    Setting r1 = kR1;
    r1.options.stream_arguments = stream;
    EXPECT_EQ(parsed(r1, "I look.\n</think>\n\n" + kTwoBlocks), "r(I look.) " + two);
    EXPECT_EQ(parsed(r1, "I look.\n" + kTwoBlocks), "r(I look.) " + two);
  }
}

TEST(OutputParser, CallsAreNumbered) {
  const auto events = events_of(kV31, kTwoPlain);
  ASSERT_EQ(events.size(), 6u);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].call, i < 3 ? 0 : 1);
}

TEST(OutputParser, StreamedArgumentsComeInParts) {
  Setting setting = kV31;
  setting.options.stream_arguments = true;
  const auto events = events_of(setting, kTwoPlain);
  EXPECT_GT(std::count_if(events.begin(), events.end(),
                          [](const OutputEvent& e) { return e.kind == Kind::kCallArguments && e.call == 0; }),
            2);
}

TEST(OutputParser, WhatIsNoCallIsContent) {
  for (const std::string& output : {
           std::string("<｜tool▁calls▁begin｜>"),
           std::string("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"a\": "),
           std::string("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{]<｜tool▁call▁end｜><"
                       "｜tool▁calls▁end｜>"),
           std::string("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>[1]<｜tool▁call▁end｜>"),
           std::string("<｜tool▁call▁begin｜>no separator<｜tool▁call▁end｜>"),
           std::string("<｜tool▁call▁begin｜> <｜tool▁sep｜>{}<｜tool▁call▁end｜>"),
           std::string("<｜tool▁calls▁begin｜>text<｜tool▁calls▁end｜>"),
           std::string("<｜tool▁calls▁begin｜><｜tool▁calls▁end｜>"),
           std::string("a<｜tool▁sep｜>b<｜tool▁call▁end｜>c"),
       }) {
    EXPECT_EQ(parsed(kV31, output), "c(" + output + ")");
  }
  EXPECT_EQ(
      parsed({"deepseek-v3.1", {.tools = false}}, kTwoPlain.substr(0, kTwoPlain.size() - 25)).substr(0, 2),
      "c(");
}

TEST(OutputParser, ACutCallIsToldAsCutWhenStreamed) {
  Setting setting = kV31;
  setting.options.stream_arguments = true;
  EXPECT_EQ(parsed(setting, "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"a\": 1"),
            "call(get) args({\"a\": 1) cut");
  EXPECT_EQ(parsed(setting, "<｜tool▁call▁begin｜>get<｜tool▁sep｜>{\"a\"<｜tool▁call▁end｜>"),
            "call(get) args({\"a\") cut");
}

TEST(OutputParser, SpelledMarkersAreTextWhereTheyAreTokens) {
  for (const Setting& setting : {kV31, kV3, kR10528}) {
    EXPECT_EQ(parsed({setting.format, setting.options, true}, kTwoPlain), "c(" + kTwoPlain + ")");
  }
}

// Cut anywhere and pushed as any tokens, what is told is the same, and nothing of a plain answer is lost.
TEST(OutputParser, LosesNothing) {
  base::Random random(3);
  const std::vector<std::string> parts{"<think>",
                                       "</think>",
                                       "<｜tool▁calls▁begin｜>",
                                       "<｜tool▁calls▁end｜>",
                                       "<｜tool▁call▁begin｜>",
                                       "<｜tool▁call▁end｜>",
                                       "<｜tool▁sep｜>",
                                       "get",
                                       "\n```json\n",
                                       "{\"a\": 1}",
                                       "\n```",
                                       " ",
                                       "\n",
                                       "function",
                                       "它",
                                       "{"};
  for (int round = 0; round < 3000; ++round) {
    std::string output;
    for (uint64_t n = random.below(12); n > 0; --n) output += parts[random.below(parts.size())];
    for (const std::string_view format : chat_format_names()) {
      for (const bool stream : {false, true}) {
        const Setting setting{format,
                              {.starts_in_reasoning = random.below(2) == 0 && format == "deepseek-r1",
                               .tools = true,
                               .stream_arguments = stream}};
        const auto events = events_of(setting, output);
        int begun = 0;
        int ended = 0;
        for (const OutputEvent& event : events) {
          begun += event.kind == Kind::kCallBegin ? 1 : 0;
          ended += event.kind == Kind::kCallEnd ? 1 : 0;
          ASSERT_LE(begun - ended, 1);
          ASSERT_GE(begun - ended, 0);
        }
        ASSERT_EQ(begun, ended) << output;
        if (!find_chat_format(format).reasons && find_chat_format(format).tools == ToolSyntax::kNone) {
          ASSERT_EQ(told(events), output.empty() ? "" : "c(" + output + ")");
        }
      }
    }
  }
}

// Rendered as history, then parsed as an answer: the same calls.
TEST(OutputParser, ReadsWhatTheFormatWrites) {
  base::Random random(8);
  for (int round = 0; round < 200; ++round) {
    for (const std::string_view name : chat_format_names()) {
      const ChatFormat& format = find_chat_format(name);
      if (format.tools == ToolSyntax::kNone) continue;
      Message answer{"assistant", round % 2 == 0 ? "" : "I look. 它"};
      if (format.tools == ToolSyntax::kJsonBare) answer.content.clear();  // a call is the whole answer
      for (uint64_t n = format.one_call ? 1 : random.below(3) + 1; n > 0; --n) {
        const base::Json arguments = {{"text", random_unicode(random, 20)}, {"n", n}};
        answer.tool_calls.push_back({"", "f_" + std::to_string(n), base::dump_json(arguments)});
      }
      const std::vector<Message> messages{{"user", "Hi"}, answer};
      const auto vocabulary = tokenizer_for(name) ? tokenizer_for(name) : tokenizer();
      const auto all = render_prompt(format, *vocabulary, messages, {.add_generation_prompt = false}).ids;
      const auto before = render_prompt(format, *vocabulary, std::span(messages).first(1)).ids;
      size_t from = 0;
      while (from < before.size() && all[from] == before[from]) ++from;
      std::vector<ToolDefinition> definitions;
      for (const ToolCall& call : answer.tool_calls)
        definitions.push_back({call.name, "", R"({"properties": {"text": {"type": "string"}}})"});
      OutputParser parser(format, vocabulary,
                          {.tools = true, .stream_arguments = round % 3 == 0, .definitions = definitions});
      std::vector<OutputEvent> events;
      for (size_t i = from; i < all.size(); ++i) {
        for (OutputEvent& event : parser.push(all[i])) events.push_back(std::move(event));
      }
      for (OutputEvent& event : parser.finish()) events.push_back(std::move(event));
      std::string expected = answer.content.empty() ? "" : "c(" + answer.content + ")";
      for (const ToolCall& call : answer.tool_calls) {
        std::string arguments = call.arguments;
        if (format.tools == ToolSyntax::kTagged) {  // put together again
          const base::Json json = base::parse_json(arguments, "arguments");
          arguments =
              "{\"n\": " + base::dump_json(json["n"]) + ", \"text\": " + base::dump_json(json["text"]) + "}";
        }
        expected +=
            std::string(expected.empty() ? "" : " ") + "call(" + call.name + ") args(" + arguments + ") end";
      }
      ASSERT_EQ(told(events), expected) << name;
    }
  }
}

}  // namespace
}  // namespace hadal::text
