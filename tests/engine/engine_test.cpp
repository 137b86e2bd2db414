#include "engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <future>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "engine/collector.h"
#include "engine/session.h"
#include "engine/tiny_model.h"
#include "format/hf_directory.h"

namespace hadal::engine {
namespace {

class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = new TinyModel(); }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

  static std::unique_ptr<Engine> open(EngineOptions options = {}) {
    if (options.context_tokens == 0) options.context_tokens = 512;
    return Engine::open(model_->directory(), options);
  }
  static std::string refused(Engine& engine, Request request) {
    try {
      engine.submit(std::move(request),
                    [](const Event&) { ADD_FAILURE() << "an event of a refused request"; });
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }

  static TinyModel* model_;
};
TinyModel* EngineTest::model_ = nullptr;

TEST_F(EngineTest, GreedyFollowsTheSessionsLogits) {
  const auto model = LoadedModel::load(model_->directory());
  base::ThreadPool pool(1);
  Session session(model, 64, Precision::kFast, KvType::kBf16, pool);
  const Request r = request(1, 20, 12, 0);
  std::vector<text::TokenId> expected;
  auto logits = session.append(r.prompt);
  for (int i = 0; i < 12; ++i) {
    expected.push_back(
        static_cast<text::TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    if (expected.back() == 1) break;  // config.json's end token
    logits = session.append({&expected.back(), 1});
  }
  const auto engine = open();
  Collector c;
  engine->submit(r, c.handler());
  const Event& last = c.wait();
  EXPECT_EQ(c.tokens, expected);
  EXPECT_EQ(*last.finish, expected.back() == 1 ? Finish::kStop : Finish::kLength);
  EXPECT_EQ(last.usage.prompt_tokens, 20);
  EXPECT_EQ(last.usage.completion_tokens, static_cast<int64_t>(expected.size()));
  EXPECT_GT(last.usage.prefill_seconds, 0);
}

TEST_F(EngineTest, TogetherTheyGetTheBitsTheyGetAlone) {
  EngineOptions options;
  options.threads = 2;
  options.max_running = 4;  // fewer than requests: some wait
  const auto engine = open(options);
  constexpr int kRequests = 9;
  // Prompts longer than one piece of prefill, of one token more than one, and short ones.
  const int lengths[] = {300, 3, 257, 40, 1, 258, 256, 90, 17};
  std::vector<std::vector<text::TokenId>> alone;
  for (int i = 0; i < kRequests; ++i) {
    Collector c;
    engine->submit(request(i, lengths[i], 30, i % 2 == 0 ? 1.0f : 0.0f), c.handler());
    c.wait();
    alone.push_back(c.tokens);
  }
  std::vector<Collector> together(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    engine->submit(request(i, lengths[i], 30, i % 2 == 0 ? 1.0f : 0.0f),
                   together[static_cast<size_t>(i)].handler());
  }
  for (size_t i = 0; i < kRequests; ++i) {
    together[i].wait();
    EXPECT_EQ(together[i].tokens, alone[i]) << "request " << i;
  }
  EXPECT_EQ(engine->metrics().requests_total, 18u);
}

TEST_F(EngineTest, TheSeedDecides) {
  const auto engine = open();
  const auto run = [&](std::optional<uint64_t> seed) {
    Request r = request(3, 10, 40, 1.5f);
    r.sampling.seed = seed;
    Collector c;
    engine->submit(r, c.handler());
    c.wait();
    return c.tokens;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_NE(run(std::nullopt), run(std::nullopt));
}

TEST_F(EngineTest, StopStringsEndTheTextBeforeThem) {
  const auto engine = open();
  Request r = request(4, 30, 60, 1.0f);
  Collector whole;
  engine->submit(r, whole.handler());
  whole.wait();
  ASSERT_GT(whole.text.size(), 20u);
  int tried = 0;
  for (size_t begin = 1; begin + 6 < whole.text.size(); begin += 5) {
    const std::string stop = whole.text.substr(begin, 6);  // crosses token boundaries
    if (text::valid_utf8_prefix(stop) != stop.size()) continue;
    ++tried;
    r.sampling.stop = {"never said", stop};
    Collector c;
    engine->submit(r, c.handler());
    EXPECT_EQ(*c.wait().finish, Finish::kStop);
    EXPECT_EQ(c.text, whole.text.substr(0, whole.text.find(stop))) << "stop \"" << stop << "\"";
  }
  EXPECT_GT(tried, 2);
}

TEST_F(EngineTest, EndTokensOfGenerationConfigEndTheAnswer) {
  const Request r = request(6, 12, 10, 0);
  Collector free_run;
  {
    const auto engine = open();
    engine->submit(r, free_run.handler());
    free_run.wait();
  }
  ASSERT_EQ(free_run.tokens.size(), 10u);
  const auto end = free_run.tokens[4];
  TinyModel model;
  base::write_file_atomic(model.path("generation_config.json"),
                          "{\"eos_token_id\": [319, " + std::to_string(end) + "]}");
  const auto engine = Engine::open(model.directory(), {});
  Collector c;
  engine->submit(r, c.handler());
  EXPECT_EQ(*c.wait().finish, Finish::kStop);
  const size_t first = static_cast<size_t>(std::find(free_run.tokens.begin(), free_run.tokens.end(), end) -
                                           free_run.tokens.begin());
  EXPECT_EQ(c.tokens,
            std::vector<text::TokenId>(free_run.tokens.begin(),
                                       free_run.tokens.begin() + static_cast<std::ptrdiff_t>(first + 1)));
}

TEST_F(EngineTest, CancelsWithinOneToken) {
  const auto engine = open();
  for (int round = 0; round < 5; ++round) {
    // Cancelled from its own handler, so that exactly the tokens after the call are counted.
    std::promise<RequestId> id;
    Collector c;
    auto on_event = [&engine, inner = c.handler(), own_id = id.get_future().share(),
                     seen = size_t{0}](const Event& event) mutable {
      seen += event.tokens.size();
      if (seen == 3 && !event.finish) engine->cancel(own_id.get());
      inner(event);  // the last thing: the test goes on from here
    };
    id.set_value(engine->submit(request(round, 20, 400, 1.0f), on_event));
    const Event& last = c.wait();
    EXPECT_EQ(*last.finish, Finish::kCancelled);
    EXPECT_EQ(c.tokens.size(), 3u);
    EXPECT_EQ(last.usage.completion_tokens, 3);
  }
  EXPECT_EQ(engine->metrics().running, 0);
  engine->cancel(12345);  // unknown: nothing happens
}

TEST_F(EngineTest, TheQueueHasALimitAndWaitingRequestsCanBeCancelled) {
  EngineOptions options;
  options.max_running = 1;
  options.max_queue = 3;
  const auto engine = open(options);
  Collector a, b, c;
  const auto first = engine->submit(request(1, 10, 0, 1.0f), a.handler());
  a.wait_for_tokens(1);
  const auto second = engine->submit(request(2, 10, 5, 1.0f), b.handler());
  engine->submit(request(3, 10, 5, 1.0f), c.handler());
  if (!a.finished()) {
    const auto status = engine->metrics();
    EXPECT_EQ(status.running, 1);
    EXPECT_EQ(status.waiting, 2);
    EXPECT_EQ(refused(*engine, request(4, 10, 5, 1.0f)),
              "[engine] 3 requests are waiting or running, at most 3: try again later");
  }
  engine->cancel(second);
  EXPECT_EQ(*b.wait().finish, Finish::kCancelled);
  EXPECT_TRUE(b.tokens.empty());
  engine->cancel(first);
  a.wait();
  EXPECT_NE(*c.wait().finish, Finish::kCancelled);
  EXPECT_FALSE(c.tokens.empty());
}

TEST_F(EngineTest, RefusesBadRequests) {
  const auto engine = open();
  EXPECT_EQ(refused(*engine, request(1, 0, 5, 1)), "[engine] the prompt is empty");
  EXPECT_EQ(
      refused(*engine, request(1, 512, 5, 1)),
      "[engine] the prompt has 512 tokens: with room for an answer, at most 511 fit the context of 512");
  Request r = request(1, 3, 5, 1);
  r.prompt[1] = 320;
  EXPECT_EQ(refused(*engine, r), "[engine] the prompt has token 320: the vocabulary is 0 to 319");
  r.prompt[1] = -1;
  EXPECT_EQ(refused(*engine, r), "[engine] the prompt has token -1: the vocabulary is 0 to 319");
  EXPECT_EQ(refused(*engine, request(1, 3, 5, -1)), "[sampling] temperature: -1 is not in [0, 100]");
  EXPECT_EQ(engine->metrics().requests_total, 0u);
}

TEST_F(EngineTest, TheContextEndsTheAnswer) {
  EngineOptions options;
  options.context_tokens = 40;
  const auto engine = open(options);
  EXPECT_EQ(engine->info().context_tokens, 40);
  for (const int max_tokens : {0, 1000}) {
    Request r = request(5, 30, max_tokens, 1.0f);
    Collector c;
    engine->submit(r, c.handler());
    const Event& last = c.wait();
    if (*last.finish == Finish::kStop) continue;  // it said its end token
    EXPECT_EQ(*last.finish, Finish::kLength);
    EXPECT_EQ(c.tokens.size(), 10u);
  }
  Collector c;
  engine->submit(request(5, 39, 0, 0), c.handler());
  c.wait();
  EXPECT_EQ(c.tokens.size(), 1u);
}

TEST_F(EngineTest, AContextBeyondTheTrainedOneIsServedWhereItIsAskedFor) {
  TinyModel model;
  std::string config = base::read_file(model.path("config.json"));
  const std::string key = "\"max_position_embeddings\": 163840";
  ASSERT_NE(config.find(key), std::string::npos);
  config.replace(config.find(key), key.size(), "\"max_position_embeddings\": 64");
  base::write_file_atomic(model.path("config.json"), config);
  EXPECT_EQ(Engine::open(model.directory(), {})->info().context_tokens, 64);
  EngineOptions options;
  options.context_tokens = 256;
  const auto engine = Engine::open(model.directory(), options);
  EXPECT_EQ(engine->info().context_tokens, 256);
  Collector c;
  engine->submit(request(1, 150, 20, 0), c.handler());
  const Event& last = c.wait();
  EXPECT_EQ(last.error, "");
  EXPECT_EQ(last.usage.prompt_tokens, 150);
  EXPECT_FALSE(c.tokens.empty());
}

TEST_F(EngineTest, AFailureInOneRequestIsItsOwn) {
  // The embedding of token 300 is NaN: prompts with it fail, the others never notice.
  TinyModel model;
  {
    const auto source = format::WeightSource::open(model.directory());
    std::vector<format::TensorToWrite> tensors;
    std::vector<std::vector<float>> values;
    for (const auto& name : source.names()) {
      const auto& shape = source.shape(name);
      values.emplace_back(static_cast<size_t>(tensor::element_count(shape)));
      source.read(name, shape, values.back().data());
      if (name == "model.embed_tokens.weight") values.back()[static_cast<size_t>(300 * shape[1])] = NAN;
      tensors.push_back({name, tensor::DType::kF32, shape, nullptr, {}});
    }
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].values = values[i].data();
    format::write_safetensors(model.path("model.safetensors"), tensors);
  }
  const auto engine = Engine::open(model.directory(), {});
  const auto good = [](Request r) {
    for (auto& id : r.prompt) id = id == 300 ? 299 : id;
    return r;
  };
  Collector before, broken, after;
  engine->submit(good(request(1, 20, 8, 0)), before.handler());
  Request bad = request(2, 20, 8, 0);
  bad.prompt[7] = 300;
  engine->submit(bad, broken.handler());
  engine->submit(good(request(3, 20, 8, 0)), after.handler());
  EXPECT_EQ(*broken.wait().finish, Finish::kError);
  EXPECT_NE(broken.wait().error.find("weights are damaged"), std::string::npos) << broken.wait().error;
  EXPECT_NE(*before.wait().finish, Finish::kError) << before.wait().error;
  EXPECT_NE(*after.wait().finish, Finish::kError) << after.wait().error;
}

TEST_F(EngineTest, AHandlerThatThrowsEndsItsRequestOnly) {
  const auto engine = open();
  std::atomic<int> calls{0};
  engine->submit(request(1, 10, 50, 1.0f), [&](const Event&) {
    ++calls;
    throw std::runtime_error("on purpose");
  });
  Collector c;
  engine->submit(request(2, 10, 5, 0), c.handler());
  EXPECT_NE(*c.wait().finish, Finish::kError);
  EXPECT_LE(calls.load(), 2);
}

TEST_F(EngineTest, ClosingCancelsWhatRuns) {
  Collector a, b;
  {
    EngineOptions options;
    options.max_running = 1;
    const auto engine = open(options);
    engine->submit(request(1, 10, 0, 1.0f), a.handler());
    engine->submit(request(2, 10, 0, 1.0f), b.handler());
  }
  EXPECT_TRUE(a.finished());
  EXPECT_TRUE(b.finished());
}

TEST(EngineOpen, NamesWhatIsWrong) {
  const auto message = [](const std::string& directory, EngineOptions options = {}) -> std::string {
    try {
      Engine::open(directory, options);
    } catch (const Error& e) {
      return e.what();
    }
    return "opened";
  };
  EXPECT_NE(message("/no/such/model").find("/no/such/model"), std::string::npos);
  TinyModel model;
  test::spill(model.path("empty.gguf"), "");
  EXPECT_NE(message(model.path("empty.gguf")).find("[gguf] "), std::string::npos);
  EngineOptions options;
  options.context_tokens = (1 << 20) + 1;
  EXPECT_EQ(message(model.directory(), options),
            "[engine] context of 1048577 tokens: it can be 2 to 1048576");
  EXPECT_EQ(message(model.directory() + "/"), "opened");
  base::write_file_atomic(model.path("generation_config.json"), "{\"eos_token_id\": 320}");
  EXPECT_NE(message(model.directory()).find("generation_config.json: eos_token_id: 320"), std::string::npos);
  base::write_file_atomic(model.path("generation_config.json"), "{}");
  // A config that contradicts its weights.
  std::string config = base::read_file(model.path("config.json"));
  const std::string key = "\"hidden_size\": 128";
  ASSERT_NE(config.find(key), std::string::npos);
  base::write_file_atomic(model.path("config.json"),
                          config.replace(config.find(key), key.size(), "\"hidden_size\": 64"));
  EXPECT_NE(message(model.directory()).find("has shape"), std::string::npos) << message(model.directory());
  std::filesystem::remove(model.path("tokenizer.json"));
  EXPECT_NE(message(model.directory()).find("tokenizer.json is not there"), std::string::npos);
}

TEST(EngineOpen, NamesTheModelByItsDirectory) {
  TinyModel model;
  const auto name = std::filesystem::path(model.directory()).filename().string();
  EXPECT_EQ(Engine::open(model.directory(), {})->info().name, name);
  EXPECT_EQ(Engine::open(model.directory() + "/", {})->info().name, name);
}

}  // namespace
}  // namespace hadal::engine
