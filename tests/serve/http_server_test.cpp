// The transport against clients that are slow, rude, large or gone. Timeouts are short here; what happens at
// their end is the same as with the real ones.
#include "serve/http_server_fixture.h"

namespace hadal::serve::http {
namespace {

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
  // What it is told, if anything: waits for `seconds`.
  const auto hold = [&](const char* from, double seconds = 0.3) {
    silent.push_back(std::make_unique<RawClient>(server_->port(), from));
    silent.back()->send(head + std::string(89'990, 'x'));
    return silent.back()->read_until("\r\n\r\n", seconds).substr(0, 12);
  };
  const auto finish = [&](const char* from, size_t bytes) {
    RawClient client(server_->port(), from);
    client.send(test::post("/b", std::string(bytes, 'x')));
    return client.read_response().substr(0, 12);
  };
  // One address has room for one body of the largest size; with another one it is over.
  EXPECT_EQ(hold("127.0.0.2"), "");
  EXPECT_EQ(hold("127.0.0.2", 20), "HTTP/1.1 429");
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
