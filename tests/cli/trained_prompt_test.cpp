// What is served is what was trained on: the prompt of POST /chat/completions is, id by id, the beginning of
// the sample that `hadal sft` makes of the same conversation.
#include <gtest/gtest.h>

#include "posttrain/conversations.h"
#include "posttrain/samples.h"
#include "serve/api/chat_completions.h"

namespace hadal {
namespace {

using text::TokenId;

const text::Tokenizer& nano() {
  static const auto tokenizer =
      text::Tokenizer::load(std::string(HADAL_SOURCE_DIR) + "/models/hadal-nano/tokenizer.json");
  return *tokenizer;
}

std::vector<TokenId> served(const std::string& body) {
  const auto request = serve::api::read_chat_request(base::parse_json(body, "body"), body);
  std::vector<text::ToolDefinition> tools;
  for (const serve::api::Tool& tool : request.tools) tools.push_back(tool.definition);
  return render_prompt(text::find_chat_format("hadal-nano"), nano(), request.messages, {.tools = tools}).ids;
}

TEST(TrainedPrompt, IsTheServedOneWhateverTheOrderOfKeys) {
  const std::string tools =
      R"("tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object","required":["b","a"],"properties":{"z":{"type":"string","enum":["y","x"]},"a":{}}}}}])";
  const std::string turns =
      R"({"role":"user","content":"Look."},{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"look","arguments":"{\"z\": [1, \"y\"], \"a\": {}}"}}]},{"role":"tool","tool_call_id":"1","content":"sea"})";
  // As an object, the arguments are written as a model's own are.
  std::string as_object = turns;
  const std::string text = R"("{\"z\": [1, \"y\"], \"a\": {}}")";
  as_object.replace(as_object.find(text), text.size(), R"({"z":[1,"y"],"a":{}})");
  const std::vector<TokenId> prompt = served(R"({"model":"m",)" + tools + R"(,"messages":[)" + turns + "]}");
  for (const std::string& said : {turns, as_object}) {
    const auto samples = posttrain::render_samples(
        posttrain::parse_conversation("{" + tools + R"(,"messages":[)" + said +
                                      R"(,{"role":"assistant","content":"The sea."}]})"),
        text::find_chat_format("hadal-nano"), nano());
    ASSERT_FALSE(samples.empty());
    const std::vector<TokenId>& trained = samples.back().tokens;
    ASSERT_GT(trained.size(), prompt.size());
    EXPECT_EQ(nano().decode({trained.data(), prompt.size()}), nano().decode(prompt));
    EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), trained.begin())) << said;
  }
}

}  // namespace
}  // namespace hadal
