// What the scheduler and the cache promise together, through the engine's own door: hits save work and change
// nothing, tenants stay apart, pressure and restarts lose nothing, everything comes back.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "engine/collector.h"
#include "engine/kvcache/kv_layout.h"
#include "engine/loaded_model.h"
#include "engine/tiny_model.h"

namespace hadal::engine {
namespace {

class SchedulerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { model_ = new TinyModel(); }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

  std::unique_ptr<Engine> open(EngineOptions options = {}) {
    if (options.context_tokens == 0) options.context_tokens = 512;
    if (options.threads == 0) options.threads = 2;
    return Engine::open(model_->directory(), options);
  }
  EngineOptions on_disk() {
    EngineOptions options;
    options.kv_directory = folder_ / "kv";
    return options;
  }
  static int64_t page_bytes() {
    const auto model = LoadedModel::load(model_->directory());
    return KvLayout(model->config(), KvType::kBf16, model->config().num_hidden_layers).page_bytes();
  }
  static std::vector<text::TokenId> run(Engine& engine, Request request, Usage* usage = nullptr) {
    Collector c;
    engine.submit(std::move(request), c.handler());
    const Event& last = c.wait();
    EXPECT_NE(*last.finish, Finish::kError) << last.error;
    if (usage != nullptr) *usage = last.usage;
    return c.tokens;
  }
  // Every page is free or cached again.
  static void expect_all_pages_back(Engine& engine) {
    EngineMetrics m;
    for (int i = 0; i < 500; ++i) {
      m = engine.metrics();
      if (m.pages.free + m.pages.cached == m.pages.total) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(m.pages.free + m.pages.cached, m.pages.total);
    EXPECT_EQ(m.running, 0);
  }
  static void wait_until_written(Engine& engine, uint64_t pages) {
    for (int i = 0; i < 1000 && engine.metrics().disk.pages_written_total < pages; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      engine.score(std::vector<text::TokenId>{5, 6});  // the counters are those of the last step
    }
    EXPECT_GE(engine.metrics().disk.pages_written_total, pages);
  }

  static TinyModel* model_;
  test::TemporaryFolder folder_;
};
TinyModel* SchedulerTest::model_ = nullptr;

TEST_F(SchedulerTest, ASecondTimeIsAHitAndTheSameAnswer) {
  const auto engine = open();
  for (const int prompt : {200, 192, 193, 64, 63, 1}) {
    const Request r = request(prompt, prompt, 70, 0);
    Usage cold, warm;
    const auto first = run(*engine, r, &cold);
    EXPECT_EQ(run(*engine, r, &warm), first);
    EXPECT_EQ(cold.cached_tokens, 0) << prompt;
    // Whole pages; of a prompt that is all whole pages, all but the token whose logits are needed.
    EXPECT_EQ(warm.cached_tokens, prompt % 64 == 0 ? prompt - 1 : prompt / 64 * 64) << prompt;
  }
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, AnswersAreCachedToo) {
  const auto engine = open();
  Request r = request(1, 100, 100, 0);
  const auto answer = run(*engine, r);
  ASSERT_GT(answer.size(), 60u);
  r.prompt.insert(r.prompt.end(), answer.begin(), answer.end());
  r.prompt.push_back(9);
  Usage usage;
  const auto warm = run(*engine, r, &usage);
  // The last sampled token was never computed.
  EXPECT_EQ(usage.cached_tokens, (100 + static_cast<int64_t>(answer.size()) - 1) / 64 * 64);
  EXPECT_EQ(run(*open(), r), warm);  // an engine that has never seen it
}

TEST_F(SchedulerTest, ARestartLosesNothing) {
  const Request r = request(2, 300, 40, 0);
  std::vector<text::TokenId> cold;
  {
    const auto engine = open(on_disk());
    cold = run(*engine, r);
    wait_until_written(*engine, 5);
  }
  const auto engine = open(on_disk());
  Usage usage;
  EXPECT_EQ(run(*engine, r, &usage), cold);
  EXPECT_EQ(usage.cached_tokens, 256);
  const EngineMetrics m = engine->metrics();
  EXPECT_EQ(m.hit_disk_tokens_total, 256u);
  EXPECT_EQ(m.miss_tokens_total, 44u);
  EXPECT_EQ(m.disk.pages_read_total, 4u);
  EXPECT_EQ(m.disk.bad_pages_total, 0u);
}

TEST_F(SchedulerTest, AnotherCacheTypeOrModelNeverHits) {
  const Request r = request(3, 200, 4, 0);
  {
    const auto engine = open(on_disk());
    run(*engine, r);
    wait_until_written(*engine, 3);
  }
  for (const char* type : {"fp8", "f32"}) {
    auto options = on_disk();
    options.kv_type = type;
    const auto engine = open(options);
    Usage usage;
    run(*engine, r, &usage);
    EXPECT_EQ(usage.cached_tokens, 0) << type;
  }
  auto exact = on_disk();
  exact.exact = true;
  exact.kv_type = "bf16";
  Usage usage;
  run(*open(exact), r, &usage);
  EXPECT_EQ(usage.cached_tokens, 0);

  // Another model under the same name: one weight byte differs.
  TinyModel other;
  {
    std::fstream file(other.path("model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(-2, std::ios::end);
    const int byte = file.peek();
    file.seekp(-2, std::ios::end);
    file.put(static_cast<char>(byte ^ 1));
  }
  auto options = on_disk();
  options.context_tokens = 512;
  run(*Engine::open(other.directory(), options), r, &usage);
  EXPECT_EQ(usage.cached_tokens, 0);
  run(*open(on_disk()), r, &usage);  // and the first one's pages are still there
  EXPECT_EQ(usage.cached_tokens, 192);
}

TEST_F(SchedulerTest, TenantsDoNotShare) {
  const auto engine = open(on_disk());
  Request r = request(4, 200, 4, 0);
  r.tenant = "one";
  Usage usage;
  const auto answer = run(*engine, r, &usage);
  r.tenant = "two";
  EXPECT_EQ(run(*engine, r, &usage), answer);
  EXPECT_EQ(usage.cached_tokens, 0);
  r.tenant = "one";
  run(*engine, r, &usage);
  EXPECT_EQ(usage.cached_tokens, 192);
}

// A pool of one context and a half for eight requests: they take turns, by way of the cache and the disk.
TEST_F(SchedulerTest, PressureChangesNoAnswer) {
  constexpr int kRequests = 8;
  std::vector<std::vector<text::TokenId>> alone;
  {
    const auto engine = open();
    for (int i = 0; i < kRequests; ++i)
      alone.push_back(run(*engine, request(i, 60 + 20 * i, 180, i % 2 ? 1.0f : 0.0f)));
  }
  for (const bool disk : {false, true}) {
    auto options = disk ? on_disk() : EngineOptions{};
    options.kv_memory_bytes = 13 * page_bytes();
    const auto engine = open(options);
    std::vector<Collector> together(kRequests);
    for (int i = 0; i < kRequests; ++i) {
      engine->submit(request(i, 60 + 20 * i, 180, i % 2 ? 1.0f : 0.0f),
                     together[static_cast<size_t>(i)].handler());
    }
    for (int i = 0; i < kRequests; ++i) {
      together[static_cast<size_t>(i)].wait();
      EXPECT_EQ(together[static_cast<size_t>(i)].tokens, alone[static_cast<size_t>(i)]) << i;
    }
    EXPECT_GT(engine->metrics().preemptions_total, 0u);
    expect_all_pages_back(*engine);
  }
}

TEST_F(SchedulerTest, AContextThatDoesNotFitTheMemoryIsRefusedAtOnce) {
  EngineOptions options;
  options.kv_memory_bytes = 3 * page_bytes();
  try {
    open(options);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("a context of 512 needs"), std::string::npos) << e.what();
  }
}

TEST_F(SchedulerTest, CancellationFreesPagesWithinAStep) {
  const auto engine = open();
  std::vector<Collector> listeners(6);
  std::vector<RequestId> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(engine->submit(request(i, 250, 250, 1), listeners[static_cast<size_t>(i)].handler()));
  }
  listeners[0].wait_for_tokens(1);
  for (const RequestId id : ids) engine->cancel(id);
  for (auto& listener : listeners) EXPECT_TRUE(listener.wait().finish);
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, ADeadlineEndsARequestWhereverItIs) {
  EngineOptions options;
  options.max_running = 1;
  const auto engine = open(options);
  Request slow = request(1, 10, 500, 1);
  slow.sampling.stop.clear();
  slow.deadline_seconds = 0.05;
  slow.sampling.logit_bias = {{1, -100}};  // no end token
  Request waits = slow;
  Collector a, b;
  engine->submit(slow, a.handler());
  engine->submit(waits, b.handler());
  EXPECT_EQ(*b.wait().finish, Finish::kDeadline);
  const Finish first = *a.wait().finish;  // a fast machine may be through
  EXPECT_TRUE(first == Finish::kDeadline || first == Finish::kLength);
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, PriorityGoesFirst) {
  EngineOptions options;
  options.max_running = 1;
  const auto engine = open(options);
  Collector busy, low, high;
  Request r = request(1, 20, 300, 1);
  r.sampling.logit_bias = {{1, -100}};  // no end token: what runs keeps running
  engine->submit(r, busy.handler());
  engine->submit(r, low.handler());
  r.priority = 1;
  r.sampling.max_tokens = 5;
  engine->submit(r, high.handler());
  high.wait();
  EXPECT_FALSE(low.finished());
  low.wait();
}

TEST_F(SchedulerTest, WhatRunsGivesWayToAHigherPriorityAndComesBack) {
  EngineOptions options;
  options.max_running = 2;
  const auto engine = open(options);
  Request r = request(1, 70, 300, 0);
  r.sampling.logit_bias = {{1, -100}};  // no end token: what runs keeps running
  const auto alone = run(*engine, r);
  std::array<Collector, 2> low;
  for (Collector& c : low) engine->submit(r, c.handler());
  for (Collector& c : low) c.wait_for_tokens(3);
  Request urgent = request(2, 20, 5, 0);
  urgent.priority = 1;
  Collector high;
  engine->submit(urgent, high.handler());
  high.wait();
  for (Collector& c : low) EXPECT_FALSE(c.finished());
  for (Collector& c : low) {
    c.wait();
    EXPECT_EQ(c.tokens, alone);
  }
  EXPECT_EQ(engine->metrics().preemptions_total, 1u);
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, OneTenantCannotFillTheQueue) {
  EngineOptions options;
  options.max_running = 1;
  options.max_queue = 16;
  const auto engine = open(options);
  std::vector<Collector> collectors(16);
  size_t taken = 0;
  Request r = request(1, 20, 300, 1);
  r.sampling.logit_bias = {{1, -100}};
  r.tenant = "crowd";
  try {
    while (taken < collectors.size()) {
      engine->submit(r, collectors[taken].handler());
      ++taken;
    }
    ADD_FAILURE() << "the queue took all of them";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kResource);
    EXPECT_NE(std::string(e.what()).find("14 of them are yours"), std::string::npos) << e.what();
  }
  EXPECT_EQ(taken, 14u);
  r.tenant = "one";
  r.sampling.max_tokens = 1;
  for (; taken < 16; ++taken) engine->submit(r, collectors[taken].handler());
  EXPECT_THROW(engine->submit(r, {}), Error);
  for (size_t i = 14; i < 16; ++i) collectors[i].wait();
  EXPECT_FALSE(collectors[13].finished());
  for (size_t i = 0; i < 14; ++i) engine->cancel(static_cast<RequestId>(i + 1));
  for (size_t i = 0; i < 14; ++i) collectors[i].wait();
}

// One tenant has filled the queue; another's single request does not wait for all of it.
TEST_F(SchedulerTest, AQueueOfOneTenantDoesNotStarveAnother) {
  EngineOptions options;
  options.max_running = 1;
  const auto engine = open(options);
  std::vector<Collector> crowd(10);
  for (int i = 0; i < 10; ++i) {
    Request r = request(i, 150, 20, 1);
    r.tenant = "crowd";
    engine->submit(r, crowd[static_cast<size_t>(i)].handler());
  }
  Request r = request(99, 20, 5, 0);
  r.tenant = "one";
  Collector one;
  engine->submit(r, one.handler());
  one.wait();
  int finished = 0;
  for (auto& c : crowd) finished += c.finished() ? 1 : 0;
  EXPECT_LE(finished, 3);
  for (auto& c : crowd) c.wait();
}

TEST_F(SchedulerTest, TheNextTurnIsPreparedWhileNobodyWaits) {
  const auto engine = open();
  Request r = request(5, 150, 30, 1);
  // A format that drops everything of the answer but its length: other tokens than were generated.
  const auto canonical = request(6, 300, 1, 0).prompt;
  r.next_prompt = [&](const text::Message&) { return canonical; };
  run(*engine, r);
  for (int i = 0; i < 500 && engine->metrics().kept_tokens_total < 256; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  Request next = request(6, 300, 4, 0);
  Usage usage;
  run(*engine, next, &usage);
  EXPECT_EQ(usage.cached_tokens, 256);
  EXPECT_EQ(engine->metrics().kept_tokens_total, 256u);
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, ATurnThatCannotBePreparedHurtsNobody) {
  const auto engine = open();
  Request r = request(5, 50, 10, 1);
  r.next_prompt = [](const text::Message&) -> std::vector<text::TokenId> {
    throw_error(ErrorCode::kBadInput, "on purpose");
  };
  run(*engine, r);
  run(*engine, request(6, 50, 10, 1));
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, ADirectoryThatCannotBeUsedOnlyCostsTheHits) {
  EngineOptions options;
  options.kv_directory = folder_ / "a file/kv";
  test::spill(folder_ / "a file", "not a directory");
  const auto engine = open(options);
  const Request r = request(7, 200, 10, 0);
  const auto first = run(*engine, r);
  Usage usage;
  EXPECT_EQ(run(*engine, r, &usage), first);
  EXPECT_EQ(usage.cached_tokens, 192);  // memory goes on
  const DiskMetrics disk = engine->metrics().disk;
  EXPECT_TRUE(disk.configured);
  EXPECT_FALSE(disk.available);
  EXPECT_FALSE(disk.trouble.empty());
  expect_all_pages_back(*engine);
}

TEST_F(SchedulerTest, CountersAddUp) {
  const auto engine = open();
  for (int i = 0; i < 4; ++i) run(*engine, request(i % 2, 130, 20, 0));
  const EngineMetrics m = engine->metrics();
  EXPECT_EQ(m.requests_total, 4u);
  EXPECT_EQ(m.prompt_tokens_total, 4u * 130);
  EXPECT_EQ(m.hit_memory_tokens_total + m.hit_disk_tokens_total + m.miss_tokens_total, m.prompt_tokens_total);
  EXPECT_EQ(m.hit_memory_tokens_total, 2u * 128);
  EXPECT_EQ(m.prefilled_tokens_total, m.miss_tokens_total);
  EXPECT_EQ(m.ttft_seconds.count, 4u);
  EXPECT_EQ(m.ttft_seconds.count + m.inter_token_seconds.count, m.generated_tokens_total);
  EXPECT_EQ(m.stopped_total + m.length_total, 4u);
}

}  // namespace
}  // namespace hadal::engine
