// Answers on their way: streams, answers that take long, readers that are slow or leave, and the drain.
#include "serve/http_server_fixture.h"

namespace hadal::serve::http {
namespace {

void make_receive_buffer_small(const RawClient& client) {
  const int bytes = 16 * 1024;
  ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

TEST_F(HttpServer, LetsSlowReadersTakeLongWhoKeepReading) {
  options_.write_timeout = 1;
  options_.send_buffer_bytes = 16 * 1024;
  start();
  RawClient client(server_->port());
  make_receive_buffer_small(client);
  ASSERT_TRUE(client.send(test::get("/hold")));
  const double before = base::monotonic_seconds();
  held()->respond({200, "text/plain", {}, std::string(2'000'000, 'x')});
  size_t got = 0;
  std::vector<char> buffer(100'000);
  while (got < 2'000'000) {  // some 3 s in all, three times the limit
    const ssize_t n = ::recv(client.fd(), buffer.data(), buffer.size(), MSG_WAITALL);
    if (n <= 0) break;
    got += static_cast<size_t>(n);
    ::usleep(130'000);
  }
  EXPECT_GE(got, 2'000'000u);
  EXPECT_GT(base::monotonic_seconds() - before, 2);
  EXPECT_EQ(server_->counters().slow_readers_total, 0u);
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
  options_.send_buffer_bytes = 16 * 1024;
  start();
  RawClient client(server_->port());
  make_receive_buffer_small(client);
  ASSERT_TRUE(client.send(test::get("/stream")));
  const auto exchange = held();
  // Less than max_unsent_bytes, more than the kernel's buffers of both sides hold.
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(exchange->write(std::string(50'000, 'x')));
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  EXPECT_FALSE(exchange->write("more"));
  EXPECT_EQ(server_->counters().slow_readers_total, 1u);
  expect_alive();
}

// Who takes a little now and then: his answer waits, and its memory.
TEST_F(HttpServer, DropsReadersThatOnlyDribble) {
  options_.write_timeout = 0.5;
  options_.min_answer_bytes_per_second = 100'000;
  options_.send_buffer_bytes = 16 * 1024;
  start();
  RawClient client(server_->port());
  make_receive_buffer_small(client);
  ASSERT_TRUE(client.send(test::get("/hold")));
  held()->respond({200, "text/plain", {}, std::string(8'000'000, 'x')});
  char buffer[2048];
  size_t got = 0;
  // Some 20 KB/s: it would take minutes.
  for (int i = 0; i < 200 && hang_ups_ == 0; ++i) {
    const ssize_t n = ::recv(client.fd(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    got += static_cast<size_t>(n);
    ::usleep(100'000);
  }
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  EXPECT_EQ(server_->counters().slow_readers_total, 1u);
  EXPECT_LT(got, 4'000'000u);
}

TEST_F(HttpServer, BoundsTheMemoryOfWholeAnswers) {
  options_.max_held_bytes = 6'000'000;
  options_.write_timeout = 60;
  start();
  const std::string large(4'000'000, 'x');
  RawClient stalled(server_->port());
  make_receive_buffer_small(stalled);
  ASSERT_TRUE(stalled.send(test::get("/hold")));
  held()->respond({200, "text/plain", {}, large});
  EXPECT_TRUE(stalled.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  // No room for a second one; small ones have it always.
  RawClient second(server_->port());
  ASSERT_TRUE(second.send(test::get("/hold")));
  held()->respond({200, "text/plain", {}, large});
  EXPECT_TRUE(second.read_response().starts_with("HTTP/1.1 503"));
  ASSERT_TRUE(second.send(test::get("/hold")));
  held()->respond({200, "text/plain", {}, std::string(60'000, 'y')});
  EXPECT_TRUE(second.read_response().starts_with("HTTP/1.1 200"));
  // One that idle bytes have begun already can only be cut.
  ASSERT_TRUE(second.send(test::get("/hold")));
  auto begun = held();
  begun->hold({"application/json", {}, "\n"});
  second.read_until("\n\r\n");
  begun->respond({200, "application/json", {}, large});
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 1; }));
  // The room is there again when the first is gone, however often.
  stalled.close();
  EXPECT_TRUE(eventually([this] { return hang_ups_ == 2; }));
  for (int i = 0; i < 3; ++i) {
    RawClient third(server_->port());
    ASSERT_TRUE(third.send(test::get("/hold")));
    held()->respond({200, "text/plain", {}, large});
    EXPECT_EQ(third.read_response().substr(0, 12), "HTTP/1.1 200");
  }
}

// What the strand writes and what leaves at once, in order and whole, whatever the reader's pace.
TEST_F(HttpServer, KeepsTheOrderOfPieces) {
  options_.stream_idle_seconds = 0.01;
  options_.send_buffer_bytes = 8 * 1024;
  options_.max_unsent_bytes = 16 * 1024 * 1024;
  start();
  RawClient client(server_->port());
  ASSERT_TRUE(client.send("GET /stream HTTP/1.0\r\n\r\n"));  // no chunks: the pieces as they are
  std::thread writer([exchange = held()] {
    for (int i = 0; i < 1500; ++i) {
      const std::string number = std::to_string(i);
      exchange->write("<" + number + ">" + std::string(static_cast<size_t>(i % 7) * 200, '.') + "</" +
                      number + ">");
      if (i % 5 == 0) ::usleep(static_cast<useconds_t>(i % 3) * 700);
      if (i % 500 == 250) ::usleep(30'000);
    }
    exchange->end_stream();
  });
  std::string all;
  for (;;) {
    char buffer[3000];
    const ssize_t n = ::recv(client.fd(), buffer, sizeof buffer, 0);
    if (n <= 0) break;
    all.append(buffer, static_cast<size_t>(n));
    if (all.size() % 11 == 0) ::usleep(1000);
  }
  writer.join();
  all.erase(0, all.find("\r\n\r\n") + 4);
  const std::string idle = ": keep-alive\n\n";
  for (size_t at = 0; (at = all.find(idle, at)) != std::string::npos;) all.erase(at, idle.size());
  std::string expected;
  for (int i = 0; i < 1500; ++i) {
    const std::string number = std::to_string(i);
    expected += "<" + number + ">" + std::string(static_cast<size_t>(i % 7) * 200, '.') + "</" + number + ">";
  }
  EXPECT_TRUE(all == expected) << all.size() << " bytes, not " << expected.size();
  EXPECT_EQ(hang_ups_, 0);
}

// Connections that close while another thread writes to them: their sockets' numbers are soon somebody
// else's.
TEST_F(HttpServer, ClientsLeaveWhileTheirStreamsAreWritten) {
  start();
  for (int i = 0; i < 60; ++i) {
    auto client = std::make_unique<RawClient>(server_->port());
    ASSERT_TRUE(client->send(test::get("/stream")));
    std::thread writer([exchange = held()] {
      while (exchange->write("data: mine\n\n")) std::this_thread::yield();
    });
    client->read_until("mine\n\n\r\n");
    client.reset();
    RawClient next(server_->port());
    ASSERT_TRUE(next.send(test::get("/next")));
    const std::string answer = next.read_response();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200") && answer.find("mine") == std::string::npos) << answer;
    writer.join();
    EXPECT_TRUE(eventually([this, i] { return hang_ups_ == i + 1; }));
  }
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

}  // namespace
}  // namespace hadal::serve::http
