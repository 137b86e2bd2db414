// The transport against clients that are slow, rude, large or gone. Timeouts are short here; what happens at
// their end is the same as with the real ones.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "serve/http/server.h"
#include "serve/raw_client.h"

namespace hadal::serve::http {
namespace {

using test::eventually;
using test::RawClient;

class HttpServer : public testing::Test {
 protected:
  void SetUp() override {
    options_.head_timeout = 0.4;
    options_.body_timeout = 0.4;
    options_.idle_timeout = 5;
    options_.max_head_bytes = 4096;
    options_.max_body_bytes = 100'000;
    options_.stream_idle_seconds = 0.1;
    options_.drain_timeout = 1;
  }

  void TearDown() override { stop(); }

  void start() {
    server_ = std::make_unique<Server>(options_);
    server_->listen();
    thread_ = std::thread(
        [this] { server_->run([this](Request r, std::shared_ptr<Exchange> e) { handle(r, e); }); });
  }

  void stop() {
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
    const std::lock_guard lock(mutex_);
    held_.reset();
  }

  void handle(const Request& request, std::shared_ptr<Exchange> exchange) {
    ++handled_;
    if (request.path == "/throw") throw std::runtime_error("broken on purpose");
    if (request.path == "/drop") return;
    if (request.path == "/slow") ::usleep(200'000);
    if (request.path == "/hold" || request.path == "/stream") {
      if (request.path == "/stream") exchange->begin_stream({});
      exchange->on_hang_up([this] { ++hang_ups_; });
      const std::lock_guard lock(mutex_);
      held_ = std::move(exchange);
      last_ = request;
      return;
    }
    exchange->respond({200,
                       "text/plain",
                       {},
                       request.method + " " + request.path + " " + request.query + " " +
                           std::to_string(request.body.size())});
  }

  std::shared_ptr<Exchange> held() {
    EXPECT_TRUE(eventually([this] {
      const std::lock_guard lock(mutex_);
      return held_ != nullptr;
    }));
    const std::lock_guard lock(mutex_);
    return std::exchange(held_, nullptr);
  }

  void expect_alive() {
    RawClient client(server_->port());
    ASSERT_TRUE(client.send(test::get("/alive?x=1")));
    EXPECT_NE(client.read_response().find("GET /alive x=1 0"), std::string::npos);
  }

  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::shared_ptr<Exchange> held_;
  Request last_;  // that held_ is of
  std::atomic<int> handled_{0};
  std::atomic<int> hang_ups_{0};
};

TEST_F(HttpServer, KeepsConnectionsAndAnswersPipelinedRequestsInOrder) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/1") + test::post("/2", "abc") + test::get("/3")));
  EXPECT_NE(client.read_response().find("GET /1  0"), std::string::npos);
  EXPECT_NE(client.read_response().find("POST /2  3"), std::string::npos);
  EXPECT_NE(client.read_response().find("GET /3  0"), std::string::npos);
  ASSERT_TRUE(client.send(test::get("/4")));
  EXPECT_NE(client.read_response().find("GET /4  0"), std::string::npos);
  EXPECT_FALSE(client.closed_by_server());
}

TEST_F(HttpServer, HonoursConnectionCloseHeadAndChunkedBodies) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(
      "HEAD /h HTTP/1.1\r\nHost: t\r\n\r\nPOST /c HTTP/1.1\r\nHost: t\r\n"
      "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"));
  const std::string all = client.read_all();
  EXPECT_NE(all.find("Content-Length: 10\r\n"), std::string::npos);  // of the body that HEAD leaves out
  EXPECT_EQ(all.find("HEAD /h"), std::string::npos);
  EXPECT_NE(all.find("POST /c  7"), std::string::npos);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServer, RefusesWhatIsNotHttp) {
  start();
  for (const char* bytes : {"nonsense\r\n\r\n", "\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n",
                            "GET / HTTP/9.9\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    RawClient client(server_->port());
    ASSERT_TRUE(client.send(bytes));
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 4")) << bytes;
    EXPECT_TRUE(client.closed_by_server());
  }
  EXPECT_EQ(handled_, 0);
  expect_alive();
}

TEST_F(HttpServer, WantsAHostAndTakesWholeUrls) {
  start();
  const auto answer = [&](const std::string& bytes) {
    RawClient client(server_->port());
    client.send(bytes);
    return client.read_response();
  };
  EXPECT_TRUE(answer("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(answer("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(answer("GET http://t:80/a?b=/c HTTP/1.1\r\nHost: t\r\n\r\n").ends_with("GET /a b=/c 0"));
  EXPECT_TRUE(answer("GET HTTPS://t?b HTTP/1.1\r\nHost: t\r\n\r\n").ends_with("GET / b 0"));
}

TEST_F(HttpServer, LetsSlowReadersTakeLongWhoKeepReading) {
  options_.write_timeout = 0.5;
  options_.send_buffer_bytes = 16 * 1024;
  start();
  RawClient client(server_->port());
  const int small = 16 * 1024;
  ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ASSERT_TRUE(client.send(test::get("/hold")));
  const double before = base::monotonic_seconds();
  held()->respond({200, "text/plain", {}, std::string(2'000'000, 'x')});
  size_t got = 0;
  std::vector<char> buffer(100'000);
  while (got < 2'000'000) {  // some 2 s in all, four times the limit
    const ssize_t n = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_WAITALL);
    if (n <= 0) break;
    got += static_cast<size_t>(n);
    ::usleep(100'000);
  }
  EXPECT_GE(got, 2'000'000u);
  EXPECT_GT(base::monotonic_seconds() - before, 1);
  EXPECT_EQ(server_->counters().slow_readers_total, 0u);
}

TEST_F(HttpServer, RefusesLargeHeaders) {
  start();
  RawClient client(server_->port());
  client.send("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 431"));
  expect_alive();
}

TEST_F(HttpServer, RefusesLargeBodiesBeforeAndWhileReadingThem) {
  start();
  const std::string big(300'000, 'x');
  {
    RawClient client(server_->port());
    client.send(
        test::post("/", big));  // the answer must not be lost in the reset of a socket with unread bytes
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 413"));
  }
  {
    RawClient client(server_->port());
    client.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n" + big +
                "\r\n0\r\n\r\n");
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 413"));
  }
  {
    RawClient client(server_->port());
    ASSERT_TRUE(
        client.send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n"));
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 413"));
  }
  EXPECT_EQ(handled_, 0);
  expect_alive();
}

TEST_F(HttpServer, SaysContinueToThoseWhoAsk) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(
      client.send("POST /c HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_TRUE(client.send("abc"));
  EXPECT_NE(client.read_response().find("POST /c  3"), std::string::npos);
}

TEST_F(HttpServer, TimesOutSlowHeadersAndBodies) {
  start();
  RawClient slow_head(server_->port());
  RawClient slow_body(server_->port());
  ASSERT_TRUE(slow_head.send("GET / HTTP/1.1\r\nHo"));
  ASSERT_TRUE(slow_body.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc"));
  expect_alive();
  EXPECT_TRUE(slow_head.read_all().starts_with("HTTP/1.1 408"));
  EXPECT_TRUE(slow_body.read_all().starts_with("HTTP/1.1 408"));
  EXPECT_EQ(handled_, 1);
}

TEST_F(HttpServer, LetsBodiesTakeLongThatKeepComing) {
  options_.body_timeout = 20;
  options_.body_window = 0.2;
  options_.min_body_bytes_per_second = 100;
  start();
  RawClient steady(server_->port());
  RawClient trickle(server_->port());
  const std::string head = "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n";
  ASSERT_TRUE(steady.send(head));
  ASSERT_TRUE(trickle.send(head));
  const double before = base::monotonic_seconds();
  std::string refused;
  for (int i = 0; i < 10; ++i) {  // a second: five times the window
    EXPECT_TRUE(steady.send(std::string(100, 'x')));
    if (refused.empty()) {
      trickle.send("x");
      refused = trickle.read_until("\r\n\r\n", 0.1);
    } else {
      ::usleep(100'000);
    }
  }
  EXPECT_GT(base::monotonic_seconds() - before, 0.9);
  EXPECT_TRUE(steady.read_response().starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 408")) << refused;
  EXPECT_EQ(handled_, 1);
}

TEST_F(HttpServer, BoundsTheMemoryOfAllBodiesTogether) {
  options_.max_held_bytes = 150'000;
  options_.body_timeout = 20;
  start();
  const std::string head = "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 90000\r\n\r\n";
  RawClient first(server_->port());
  ASSERT_TRUE(first.send(head + std::string(80'000, 'x')));
  RawClient second(server_->port());
  second.send(head + std::string(90'000, 'x'));
  EXPECT_TRUE(second.read_all().starts_with("HTTP/1.1 503"));
  ASSERT_TRUE(first.send(std::string(10'000, 'x')));
  EXPECT_TRUE(first.read_response().starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(eventually([&] {  // what was held is free again, once its handler has returned
    RawClient third(server_->port());
    third.send(head + std::string(90'000, 'x'));
    return third.read_response().starts_with("HTTP/1.1 200");
  }));
}

TEST_F(HttpServer, UnfinishedBodiesDoNotKeepOthersOut) {
  options_.max_held_bytes = 800'000;
  options_.body_timeout = 20;
  start();
  const std::string head = "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 90000\r\n\r\n";
  std::vector<std::unique_ptr<RawClient>> silent;
  const auto hold = [&](const char* from) {
    silent.push_back(std::make_unique<RawClient>(server_->port(), from));
    silent.back()->send(head + std::string(89'990, 'x'));
    return silent.back()->read_until("\r\n\r\n", 0.15).substr(0, 12);
  };
  const auto finish = [&](const char* from, size_t bytes) {
    RawClient client(server_->port(), from);
    client.send(test::post("/b", std::string(bytes, 'x')));
    return client.read_response().substr(0, 12);
  };
  // One address has room for one body of the largest size; with another one it is over.
  EXPECT_EQ(hold("127.0.0.2"), "");
  EXPECT_EQ(hold("127.0.0.2"), "HTTP/1.1 429");
  EXPECT_EQ(finish("127.0.0.2", 60'000), "HTTP/1.1 200");
  EXPECT_EQ(finish("127.0.0.3", 90'000), "HTTP/1.1 200");
  // Many addresses fill the room of all: small requests pass all the same.
  for (int i = 3; i < 10; ++i) EXPECT_EQ(hold(("127.0.0." + std::to_string(i)).c_str()), "");
  EXPECT_EQ(finish("127.0.0.20", 90'000), "HTTP/1.1 503");
  EXPECT_EQ(finish("127.0.0.20", 60'000), "HTTP/1.1 200");
  silent.clear();
  EXPECT_TRUE(eventually([&] { return finish("127.0.0.2", 90'000) == "HTTP/1.1 200"; }));
}

TEST_F(HttpServer, SmallRequestsDoNotWaitForLargeOnes) {
  start();
  std::vector<std::unique_ptr<RawClient>> large;
  for (int i = 0; i < 8; ++i) {
    large.push_back(std::make_unique<RawClient>(server_->port()));
    ASSERT_TRUE(large.back()->send(test::post("/slow", std::string(90'000, 'x'))));
  }
  ASSERT_TRUE(eventually([this] { return server_->counters().requests_total == 8; }));
  const double before = base::monotonic_seconds();
  expect_alive();
  EXPECT_LT(base::monotonic_seconds() - before, 0.2);  // each large one takes that long
  for (auto& client : large) EXPECT_TRUE(client->read_response().starts_with("HTTP/1.1 200"));
}

TEST_F(HttpServer, AnswersUnfinishedBodies) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc"));
  client.finish_sending();
  const std::string answer = client.read_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400"));
  EXPECT_NE(answer.find("the request's body is not complete"), std::string::npos);
  EXPECT_EQ(handled_, 0);
  expect_alive();
}

TEST_F(HttpServer, AnswersForHandlersThatThrowOrForget) {
  start();
  for (const char* path : {"/throw", "/drop"}) {
    RawClient client(server_->port());
    ASSERT_TRUE(client.send(test::get(path)));
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 500")) << path;
  }
  expect_alive();
}

TEST_F(HttpServer, StreamsInChunksAndKeepsTheConnection) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/stream")));
  EXPECT_NE(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  const auto exchange = held();
  EXPECT_TRUE(exchange->write("data: one\n\n"));
  EXPECT_EQ(client.read_until("\n\n\r\n"), "b\r\ndata: one\n\n\r\n");
  EXPECT_EQ(client.read_until("\n\n\r\n"),
            "e\r\n: keep-alive\n\n\r\n");  // nothing came for stream_idle_seconds
  EXPECT_TRUE(exchange->write("data: two\n\n"));
  exchange->end_stream();
  EXPECT_NE(client.read_until("0\r\n\r\n").find("b\r\ndata: two\n\n\r\n0\r\n\r\n"), std::string::npos);
  ASSERT_TRUE(client.send(test::get("/next")));
  EXPECT_NE(client.read_response().find("GET /next"), std::string::npos);
  EXPECT_FALSE(exchange->write("data: late\n\n"));
  EXPECT_EQ(hang_ups_, 0);
}

TEST_F(HttpServer, BoundsHeadsThatComeALineAtATime) {
  options_.head_timeout = 20;
  start();
  RawClient client(server_->port());
  const std::string line = "X-More: " + std::string(90, 'x') + "\r\n";
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\n"));
  size_t sent = 0;
  std::string answer;
  while (sent < 10 * options_.max_head_bytes && answer.empty()) {
    if (!client.send(line)) break;
    sent += line.size();
    answer = client.read_until("", 0.005);  // each line is a piece of its own
  }
  EXPECT_LT(sent, 2 * options_.max_head_bytes);
  answer += client.read_all(2);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 431 ")) << answer;
  EXPECT_EQ(handled_, 0);
}

TEST_F(HttpServer, DropsTrailersAndBoundsThem) {
  start();
  RawClient client(server_->port());
  const std::string head =
      "POST /hold HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n";
  ASSERT_TRUE(client.send(head + "X-Late: 1\r\n\r\n"));
  held()->respond({200, "text/plain", {}, "ok"});
  EXPECT_TRUE(client.read_response().ends_with("ok"));
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(last_.header("X-Late"), nullptr);
    EXPECT_NE(last_.header("Host"), nullptr);
  }
  RawClient other(server_->port());
  std::string many = head;
  for (int i = 0; i < 1000; ++i) many += "X-Late: 1\r\n";
  ASSERT_TRUE(other.send(many + "\r\n"));
  EXPECT_TRUE(other.read_response().starts_with("HTTP/1.1 4"));
}

TEST_F(HttpServer, HoldsSlowAnswersWithEmptyLines) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/hold")));
  auto exchange = held();
  exchange->hold({"application/json", {{"X-Id", "5"}}, "\n"});
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 "));
  EXPECT_NE(head.find("X-Id: 5"), std::string::npos);
  EXPECT_EQ(client.read_until("\n\r\n"), "1\r\n\n\r\n");
  EXPECT_EQ(client.read_until("\n\r\n"), "1\r\n\n\r\n");  // and so on, each stream_idle_seconds
  exchange->respond({503, "text/plain", {}, "{}"});
  EXPECT_TRUE(client.read_until("0\r\n\r\n").ends_with("2\r\n{}\r\n0\r\n\r\n"));
  ASSERT_TRUE(client.send(test::get("/next")));
  EXPECT_NE(client.read_response().find("GET /next"), std::string::npos);
}

TEST_F(HttpServer, HoldsNothingWhereTheAnswerComesSoon) {
  options_.stream_idle_seconds = 10;
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/hold")));
  auto exchange = held();
  exchange->hold({"application/json", {}, "\n"});
  exchange->respond({404, "application/json", {}, "{}"});
  const std::string answer = client.read_response();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n{}"));
}

TEST_F(HttpServer, HearsOfClientsThatLeaveAHeldAnswer) {
  start();
  std::shared_ptr<Exchange> exchange;
  {
    RawClient client(server_->port());
    ASSERT_TRUE(client.send(test::get("/hold")));
    exchange = held();
    exchange->hold({"application/json", {}, "\n"});
    client.read_until("\n\r\n");
  }
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
}

TEST_F(HttpServer, StreamsToHttp10WithoutChunks) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("GET /stream HTTP/1.0\r\n\r\n"));
  const auto exchange = held();
  exchange->write("data: one\n\n");
  exchange->end_stream();
  const std::string all = client.read_all();
  EXPECT_TRUE(all.ends_with("\r\n\r\ndata: one\n\n"));
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServer, NoticesClientsThatLeave) {
  start();
  for (const char* path : {"/hold", "/stream"}) {
    hang_ups_ = 0;
    auto client = std::make_unique<RawClient>(server_->port());
    ASSERT_TRUE(client->send(test::get(path)));
    const auto exchange = held();
    EXPECT_EQ(hang_ups_, 0);
    client.reset();
    EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; })) << path;
    EXPECT_FALSE(exchange->write("data: for nobody\n\n"));
    std::atomic<bool> told{false};
    exchange->on_hang_up([&] { told = true; });  // too late to be told later: told at once
    EXPECT_TRUE(told);
    exchange->respond({});  // does nothing
  }
  expect_alive();
}

TEST_F(HttpServer, CutsStreamsThatNobodyReads) {
  options_.max_unsent_bytes = 200'000;
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/stream")));
  const auto exchange = held();
  const std::string piece(50'000, 'x');
  size_t sent = 0;
  // The kernel's buffers hold some megabytes; beyond them, at most max_unsent_bytes wait here.
  while (exchange->write(piece) && sent < 200'000'000) sent += piece.size();
  EXPECT_LT(sent, 200'000'000u);
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  expect_alive();
}

TEST_F(HttpServer, DropsReadersThatStall) {
  options_.write_timeout = 0.3;
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/stream")));
  const auto exchange = held();
  const double before = base::monotonic_seconds();
  // Less than max_unsent_bytes, more than the kernel's buffers of both sides hold.
  for (int i = 0; i < 200 && exchange->write(std::string(50'000, 'x')); ++i) ::usleep(1000);
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  EXPECT_LT(base::monotonic_seconds() - before, 10);
  EXPECT_FALSE(exchange->write("more"));
  EXPECT_EQ(server_->counters().slow_readers_total, 1u);
  expect_alive();
}

TEST_F(HttpServer, CutsStreamsThatAreBehindWhenAllTogetherHoldTooMuch) {
  options_.max_held_bytes = 1'000'000;
  options_.send_buffer_bytes = 16 * 1024;
  start();
  // One that is far behind, and fills the memory of all; another that reads.
  RawClient stalled(server_->port());
  ASSERT_TRUE(stalled.send(test::get("/stream")));
  const auto behind = held();
  while (behind->write(std::string(50'000, 'x'))) {
  }
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  RawClient reader(server_->port());
  ASSERT_TRUE(reader.send(test::get("/stream")));
  const auto exchange = held();
  EXPECT_TRUE(exchange->write("data: one\n\n"));
  EXPECT_NE(reader.read_until("one\n\n\r\n").find("data: one"), std::string::npos);
}

TEST_F(HttpServer, DroppingAStreamCutsIt) {
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/stream")));
  held()->write("data: one\n\n");
  const std::string all = client.read_all();
  EXPECT_NE(all.find("data: one"), std::string::npos);
  EXPECT_EQ(all.find("0\r\n\r\n"), std::string::npos);  // no proper end: the client can tell
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServer, RefusesConnectionsBeyondTheLimit) {
  options_.max_connections = 3;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->send(test::get("/"));
    clients.back()->read_response();
  }
  RawClient extra(server_->port());
  EXPECT_TRUE(extra.read_all().starts_with("HTTP/1.1 503"));
  clients.clear();
  EXPECT_TRUE(eventually([this] { return server_->connections() == 0; }));
  expect_alive();
}

TEST_F(HttpServer, RefusesConnectionsBeyondTheLimitOfOneAddress) {
  options_.max_connections_per_address = 3;
  options_.proxies = {"127.0.0.9"};
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto connect = [&](const char* from) {
    clients.push_back(std::make_unique<RawClient>(server_->port(), from));
    clients.back()->send(test::get("/"));
    return clients.back()->read_response().substr(9, 3);
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(connect("127.0.0.2"), "200");
  EXPECT_EQ(connect("127.0.0.2"), "429");
  EXPECT_EQ(connect("127.0.0.3"), "200");                              // others are not concerned
  for (int i = 0; i < 5; ++i) EXPECT_EQ(connect("127.0.0.9"), "200");  // a proxy speaks for many
  EXPECT_EQ(server_->counters().refused_connections_total, 1u);
  clients.clear();
  EXPECT_TRUE(eventually([this] { return server_->connections() == 0; }));
  EXPECT_EQ(connect("127.0.0.2"), "200");
}

TEST_F(HttpServer, DropsFloodsOfRefusedConnections) {
  options_.max_connections = 2;
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 300; ++i) clients.push_back(std::make_unique<RawClient>(server_->port()));
  // Those that are told why wait for their answer to be read; there are not more than some of them.
  EXPECT_TRUE(eventually([this] { return server_->counters().refused_connections_total == 298; }));
  EXPECT_LT(server_->connections(), 100u);
  clients.clear();
  EXPECT_TRUE(eventually([this] { return server_->connections() == 0; }));
  expect_alive();
}

TEST_F(HttpServer, FinishesRunningAnswersBeforeItStops) {
  options_.drain_timeout = 20;
  start();
  RawClient busy(server_->port());
  RawClient idle(server_->port());
  ASSERT_TRUE(busy.send(test::get("/hold")));
  ASSERT_TRUE(idle.send(test::get("/")));
  idle.read_response();
  auto exchange = held();
  server_->stop();
  // Who comes now is told to come back; those who have the connection already too.
  EXPECT_TRUE(eventually([this] {
    RawClient late(server_->port());
    return late.send(test::get("/late")) && late.read_response().starts_with("HTTP/1.1 503");
  }));
  const int handled = handled_;
  ASSERT_TRUE(idle.send(test::get("/late")));
  const std::string refused = idle.read_all();
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503")) << refused;
  EXPECT_NE(refused.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_EQ(handled_, handled);
  exchange->respond({200, "text/plain", {}, "late but whole"});
  exchange.reset();
  const std::string answer = busy.read_all();
  EXPECT_NE(answer.find("late but whole"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(hang_ups_, 0);
  stop();
  EXPECT_FALSE(RawClient(server_->port()).connected());
}

TEST_F(HttpServer, StopsAtOnceWhenOnlyIdleConnectionsAreLeft) {
  options_.drain_timeout = 60;
  start();
  RawClient idle(server_->port());
  ASSERT_TRUE(idle.send(test::get("/")));
  idle.read_response();
  RawClient silent(server_->port());
  RawClient half(server_->port());
  ASSERT_TRUE(half.send("GET / HTT"));
  ASSERT_TRUE(eventually([this] { return server_->connections() == 3; }));
  const double before = base::monotonic_seconds();
  stop();
  EXPECT_LT(base::monotonic_seconds() - before, 5);
  idle.read_all();
  EXPECT_TRUE(idle.closed_by_server());
}

TEST_F(HttpServer, CutsAnswersThatOutlastTheDrain) {
  options_.drain_timeout = 0.2;
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send(test::get("/hold")));
  const auto exchange = held();
  const double before = base::monotonic_seconds();
  stop();
  EXPECT_LT(base::monotonic_seconds() - before, 5);
  EXPECT_EQ(hang_ups_, 1);
}

TEST_F(HttpServer, NamesAPortInUse) {
  start();
  ServerOptions same = options_;
  same.port = server_->port();
  try {
    Server second(same);
    FAIL() << "two servers on one port";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(e.what()).find(std::to_string(same.port)), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("in use"), std::string::npos);
  }
  same.host = "no such host";
  EXPECT_THROW(Server{same}, Error);
}

TEST_F(HttpServer, ServesManyAtOnce) {
  start();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        RawClient client(server_->port());
        const std::string path = "/" + std::to_string(t * 1000 + i);
        client.send(test::get(path));
        if (i % 5 == 0) continue;  // leaves without waiting
        if (client.read_response().find("GET " + path + "  0") != std::string::npos) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8 * 40);
  EXPECT_TRUE(eventually([this] { return server_->connections() == 0; }));
}

}  // namespace
}  // namespace hadal::serve::http
