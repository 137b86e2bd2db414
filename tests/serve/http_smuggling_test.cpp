// Requests that two readers of the same bytes could cut differently: a proxy in front that sees one request
// where the server sees two would let the second one past its rules. Each is refused, and nothing behind it
// is read.
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "serve/http/server.h"
#include "serve/raw_client.h"

namespace hadal::serve::http {
namespace {

using test::RawClient;

class HttpSmuggling : public testing::Test {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.head_timeout = 1;
    options.body_timeout = 1;
    options.max_body_bytes = 1000;
    server_ = std::make_unique<Server>(options);
    server_->listen();
    thread_ = std::thread([this] {
      server_->run([this](const Request& request, const std::shared_ptr<Exchange>& exchange) {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request.method + " " + request.path + " " + request.body);
        exchange->respond({200, "text/plain", {}, "ok"});
      });
    });
  }
  void TearDown() override {
    server_->stop();
    thread_.join();
  }

  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
  }

  // What the handler saw of `bytes`, and the statuses that came back, as "200 400".
  std::string send(const std::string& bytes) {
    RawClient client(server_->port());
    EXPECT_TRUE(client.send(bytes));
    client.finish_sending();
    const std::string answer = client.read_all(5);
    std::string statuses;
    for (size_t at = answer.find("HTTP/1.1 "); at != std::string::npos;
         at = answer.find("HTTP/1.1 ", at + 1)) {
      if (std::isdigit(static_cast<unsigned char>(answer[at + 9])) == 0) continue;  // a message says it too
      statuses += (statuses.empty() ? "" : " ") + answer.substr(at + 9, 3);
    }
    return statuses;
  }

  std::unique_ptr<Server> server_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::string> seen_;
};

constexpr const char* kHidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n";

TEST_F(HttpSmuggling, RefusesWhatCanBeCutInTwoWays) {
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  for (const std::string& headers : {
           "Content-Length: 4\r\n" + chunked,
           chunked + "Content-Length: 4\r\n",
           "Content-Length: 4\r\nContent-Length: 4\r\n" + std::string(),
           "Content-Length: 4\r\nContent-Length: 5\r\n" + std::string(),
           std::string("Content-Length: 4, 4\r\n"),
           std::string("Content-Length: +4\r\n"),
           std::string("Content-Length: -4\r\n"),
           std::string("Content-Length: 0x4\r\n"),
           std::string("Content-Length: 4 4\r\n"),
           std::string("Content-Length: 4.0\r\n"),
           std::string("Content-Length: 18446744073709551620\r\n"),
           std::string("Content-Length:\r\n"),
           std::string("Content-Length : 4\r\n"),
           std::string(" Content-Length: 4\r\n"),
           std::string("Transfer-Encoding: identity\r\n"),
           std::string("Transfer-Encoding: gzip, chunked\r\n"),
           std::string("Transfer-Encoding: chunked, identity\r\n"),
           std::string("Transfer-Encoding: xchunked\r\n"),
           std::string("Transfer-Encoding: chunked;q=1\r\n"),
           std::string("Transfer-Encoding: \"chunked\"\r\n"),
           std::string("Transfer-Encoding:\x0b") + "chunked\r\n",
           std::string("Transfer-Encoding : chunked\r\n"),
           std::string("Transfer-Encoding:\r\n chunked\r\n"),
           std::string("Transfer-Encoding: chunked\r\n") + chunked,
           std::string("Transfer-Encoding:\r\n"),
           std::string("X: 1\r\n continued\r\n"),
           std::string("X: 1\r\n\tcontinued\r\n"),
           std::string("X: 1\nContent-Length: 4\r\n"),
           std::string("X: 1\n"),
           std::string("X: 1\rY: 2\r\n"),
           std::string("X\r\n"),
           std::string(": 1\r\n"),
           std::string("X Y: 1\r\n"),
           std::string("X: a\0b\r\n", 9),
           std::string("Host: other\r\n"),
       }) {
    EXPECT_EQ(send("POST /a HTTP/1.1\r\nHost: t\r\n" + headers + "\r\n0\r\n\r\n" + kHidden).substr(0, 1), "4")
        << headers;
    EXPECT_EQ(seen(), std::vector<std::string>()) << headers;
  }
}

TEST_F(HttpSmuggling, RefusesBadFirstLines) {
  for (const std::string line :
       {"GET / HTTP/1.1\n", "GET  / HTTP/1.1\r\n", "GET / HTTP/1.1 \r\n", "GET / HTTP/2.0\r\n",
        "GET /a b HTTP/1.1\r\n", "GET / http/1.1\r\n", "GET /\r\n", " GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\r\n", "\r\nGET / HTTP/1.1\r\n", "\nGET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(send(line + "Host: t\r\n\r\n" + kHidden), "400") << line;
    EXPECT_EQ(seen(), std::vector<std::string>()) << line;
  }
}

TEST_F(HttpSmuggling, RefusesBadChunks) {
  for (const std::string& body : {
           std::string("4\nabcd\n0\n\n"),
           std::string("4\r\nabcd0\r\n\r\n"),
           std::string("4\r\nabcde\r\n0\r\n\r\n"),
           std::string("0x4\r\nabcd\r\n0\r\n\r\n"),
           std::string("+4\r\nabcd\r\n0\r\n\r\n"),
           std::string("-1\r\nabcd\r\n0\r\n\r\n"),
           std::string(" 4\r\nabcd\r\n0\r\n\r\n"),
           std::string("\r\n4\r\nabcd\r\n0\r\n\r\n"),
           std::string("4\rabcd\r\n0\r\n\r\n"),
           std::string("10000000000000004\r\nabcd\r\n0\r\n\r\n"),
           std::string("ffffffffffffffff\r\nab"),
           std::string("4g\r\nabcd\r\n0\r\n\r\n"),
           std::string("4\r\nabcd\r\n0\r\nX: 1\n\r\n"),
           std::string("4;a\nb\r\nabcd\r\n0\r\n\r\n"),
           std::string("4\r\nabcd\r\n0\r\nContent-Length: 3\r\n\r\n"),
       }) {
    const std::string statuses =
        send("POST /a HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + body + kHidden);
    EXPECT_EQ(statuses.substr(0, 1), "4") << body;
    EXPECT_EQ(statuses.size(), 3u) << body << ": " << statuses;
    EXPECT_EQ(seen(), std::vector<std::string>()) << body;
  }
  EXPECT_EQ(send("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + std::string(kHidden)),
            "400");
  EXPECT_EQ(seen(), std::vector<std::string>());
}

// And what is right comes through, in however many pieces.
TEST_F(HttpSmuggling, ReadsWhatHasOneMeaning) {
  const std::string two =
      "POST /a HTTP/1.1\r\nhost: t\r\ncontent-length: 004\r\nX-Empty:\r\nX-Tab:\ta\r\n\r\nabcd"
      "POST /b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
      "CHUNKED\r\n\r\n4;name=value\r\nabcd\r\n00a\r\n0123456789\r\n"
      "000\r\nX-Trailer: 1\r\n\r\n" +
      std::string(kHidden);
  const std::vector<std::string> expected = {"POST /a abcd", "POST /b abcd0123456789", "GET /hidden "};
  RawClient whole(server_->port());
  ASSERT_TRUE(whole.send(two));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(whole.read_response().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(seen(), expected);
  RawClient bytewise(server_->port());
  for (const char c : two) ASSERT_TRUE(bytewise.send(std::string(1, c)));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bytewise.read_response().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(seen(), expected);
}

}  // namespace
}  // namespace hadal::serve::http
