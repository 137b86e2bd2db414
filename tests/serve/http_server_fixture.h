// A transport with short time-outs and a handler that tests steer, for tests of http/.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "serve/http/server.h"
#include "serve/raw_client.h"

namespace hadal::serve::http {

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

}  // namespace hadal::serve::http
