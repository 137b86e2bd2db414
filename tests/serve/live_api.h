// The API of one model on a free port, on a thread of its own: real sockets, a real engine.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "serve/api/service.h"
#include "serve/http/server.h"

namespace hadal::test {

class LiveApi {
 public:
  // `ledger` null: an open server; it must outlive this.
  LiveApi(const std::string& model, serve::http::ServerOptions options,
          const engine::EngineOptions& engine_options, ledger::Ledger* ledger = nullptr) {
    options.refusal = serve::api::refusal;
    server_ = std::make_unique<serve::http::Server>(options);
    engine_ = engine::Engine::open(model, engine_options);
    service_ = std::make_unique<serve::api::Service>(
        serve::api::make_service(*engine_, [this] { return server_->counters(); }));
    service_->ledger = ledger;
    server_->listen();
    thread_ = std::thread([this] { server_->run(serve::api::make_handler(*service_)); });
  }
  ~LiveApi() {
    server_->stop();
    thread_.join();
    engine_.reset();  // its requests hold exchanges
    service_.reset();
  }
  LiveApi(const LiveApi&) = delete;
  LiveApi& operator=(const LiveApi&) = delete;

  serve::http::Server& server() { return *server_; }
  engine::Engine& engine() { return *engine_; }
  serve::api::Service& service() { return *service_; }

 private:
  std::unique_ptr<serve::http::Server> server_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<serve::api::Service> service_;
  std::thread thread_;
};

}  // namespace hadal::test
