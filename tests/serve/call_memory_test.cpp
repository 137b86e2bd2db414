// Tool calls that come back: whose they are, what counts as the same, and what is forgotten first.
#include "serve/api/call_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace hadal::serve::api {
namespace {

const CallMemory::Owner kOwner{"key\nuser", "model"};

text::Message answer(const std::string& id, const std::string& arguments = R"({"b": 1, "a": [2.50, "x"]})",
                     size_t tokens = 3) {
  text::Message message{"assistant", "Let me see.", "Hm.", {{id, "look", arguments}}};
  message.tokens = std::make_shared<const text::AnswerTokens>(
      text::AnswerTokens{{1}, std::vector<text::TokenId>(tokens, 7)});
  return message;
}

// As a client sends it.
text::Message sent(const std::string& id, const std::string& arguments) {
  text::Message message = answer(id, arguments);
  message.tokens = nullptr;
  return message;
}

bool recalled(CallMemory& memory, const text::Message& message, const CallMemory::Owner& owner = kOwner) {
  std::vector<text::Message> messages = {{"user", "Look."}, message, {"tool", "seen"}};
  memory.recall(owner, messages);
  EXPECT_FALSE(messages[0].tokens || messages[2].tokens);
  return messages[1].tokens != nullptr;
}

TEST(CallMemory, TakesTheSameValuesInAnyJson) {
  CallMemory memory;
  memory.remember(kOwner, answer("call_1"));
  for (const char* same :
       {R"({"b": 1, "a": [2.50, "x"]})", R"({"a":[2.5,"x"],"b":1})", R"({"a":[25e-1,"\u0078"],"b":1.0})"}) {
    EXPECT_TRUE(recalled(memory, sent("call_1", same))) << same;
  }
  for (const char* other :
       {R"({"b": 1})", R"({"b": 1, "a": ["x", 2.5]})", R"({"b": 1, "a": [2.5, "x"], "c": null})",
        R"({"b": "1", "a": [2.5, "x"]})", "{", ""}) {
    EXPECT_FALSE(recalled(memory, sent("call_1", other))) << other;
  }
}

TEST(CallMemory, TakesNumbersAsAClientsDoublesHaveThem) {
  CallMemory memory;
  memory.remember(kOwner, answer("call_1", R"({"id": 123456789012345678, "x": [-0.0, 1e2], "y": {}})"));
  EXPECT_TRUE(recalled(memory, sent("call_1", R"({"id":123456789012345680,"x":[0,100],"y":{}})")));
  EXPECT_FALSE(recalled(memory, sent("call_1", R"({"id":123456789012345780,"x":[0,100],"y":{}})")));
  EXPECT_FALSE(recalled(memory, sent("call_1", R"({"id":123456789012345680,"x":[0,100],"y":[]})")));
  EXPECT_FALSE(recalled(memory, sent("call_1", R"({"ie":123456789012345680,"x":[0,100],"y":{}})")));
}

TEST(CallMemory, WantsAllThatWasSaid) {
  CallMemory memory;
  text::Message two = answer("call_1");
  two.tool_calls.push_back({"call_2", "look", "{}"});
  memory.remember(kOwner, two);
  two.tokens = nullptr;
  EXPECT_TRUE(recalled(memory, two));
  const auto but = [&](auto change) {
    text::Message message = two;
    change(message);
    return recalled(memory, message);
  };
  EXPECT_FALSE(but([](auto& m) { m.content += "!"; }));
  EXPECT_FALSE(but([](auto& m) { m.reasoning_content.clear(); }));
  EXPECT_FALSE(but([](auto& m) { m.tool_calls.pop_back(); }));
  EXPECT_FALSE(but([](auto& m) { m.tool_calls[1].id = "call_3"; }));
  EXPECT_FALSE(but([](auto& m) { m.tool_calls[1].name = "leap"; }));
  EXPECT_FALSE(but([](auto& m) { m.tool_calls[0].id.clear(); }));
  EXPECT_FALSE(but([](auto& m) { std::swap(m.tool_calls[0], m.tool_calls[1]); }));
}

TEST(CallMemory, AnAnswerIsGivenOnceToAConversation) {
  CallMemory memory;
  memory.remember(kOwner, answer("call_1", "{" + std::string(1000, ' ') + "}", 5000));
  memory.remember(kOwner, answer("call_2", "{}", 7));
  std::vector<text::Message> messages(50'000, sent("call_1", "{}"));
  messages.push_back(sent("call_2", "{}"));
  EXPECT_EQ(memory.recall(kOwner, messages), 5007u);
  EXPECT_TRUE(messages[0].tokens);
  EXPECT_TRUE(messages[50'000].tokens);
  EXPECT_EQ(std::ranges::count_if(messages, [](const auto& m) { return m.tokens != nullptr; }), 2);
}

TEST(CallMemory, IsTheTenantsOwnAndTheModels) {
  CallMemory memory;
  memory.remember(kOwner, answer("call_1"));
  const auto message = sent("call_1", answer("").tool_calls[0].arguments);
  EXPECT_TRUE(recalled(memory, message));
  EXPECT_FALSE(recalled(memory, message, {"key\nother", "model"}));
  EXPECT_FALSE(recalled(memory, message, {"key\nuser", "models"}));
  EXPECT_FALSE(recalled(memory, message, {"key\nusermodel", ""}));
}

TEST(CallMemory, ForgetsWhatWasUsedLongestAgo) {
  CallMemory memory({.bytes = 1 << 20, .tenant_bytes = 20'000});
  const CallMemory::Owner other{"other", "model"};
  memory.remember(other, answer("call_other"));
  for (int i = 0; i < 100; ++i) {
    memory.remember(kOwner, answer("call_" + std::to_string(i), "{}", 500));
    ASSERT_TRUE(recalled(memory, sent("call_0", "{}"))) << i;  // in use
  }
  EXPECT_TRUE(recalled(memory, sent("call_99", "{}")));
  EXPECT_FALSE(recalled(memory, sent("call_1", "{}")));
  EXPECT_TRUE(recalled(memory, sent("call_other", answer("").tool_calls[0].arguments), other))
      << "one tenant's many calls are no other's business";
  EXPECT_LE(memory.bytes(), 22'000u);
}

TEST(CallMemory, HasABoundOverAllTenants) {
  CallMemory memory({.bytes = 50'000, .tenant_bytes = 20'000});
  for (int i = 0; i < 1000; ++i) {
    memory.remember({"tenant" + std::to_string(i), "model"}, answer("call", "{}", 500));
    ASSERT_LE(memory.bytes(), 50'000u);
  }
  EXPECT_GT(memory.answers(), 10u);
  EXPECT_TRUE(recalled(memory, sent("call", "{}"), {"tenant999", "model"}));
  EXPECT_FALSE(recalled(memory, sent("call", "{}"), {"tenant0", "model"}));
  memory.remember(kOwner, answer("call_large", "{}", 5001));  // over a tenant's share
  EXPECT_FALSE(recalled(memory, sent("call_large", "{}")));
  EXPECT_GT(memory.answers(), 10u);
}

TEST(CallMemory, AnyThread) {
  CallMemory memory({.bytes = 50'000, .tenant_bytes = 20'000});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        const CallMemory::Owner owner{"tenant" + std::to_string(i % 3), "model"};
        memory.remember(owner, answer(std::to_string(t) + "_" + std::to_string(i)));
        std::vector<text::Message> messages = {
            sent(std::to_string((t + 1) % 4) + "_" + std::to_string(i), "{}")};
        memory.recall(owner, messages);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(memory.bytes(), 50'000u);
}

}  // namespace
}  // namespace hadal::serve::api
