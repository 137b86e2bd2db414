// hadal serve's transport and API with the stub engine behind them: what serve_load.py and serve_attack.py
// drive.
//   build/release/bench_serve_server --tokenizer models/hadal-nano [--step-ms 100] [--together] [--port 0]
// With --bare N, N tokens to each connection without any of it: the floor of the latencies (bare_server.h).
#include "serve/http/server.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "bare_server.h"
#include "base/log.h"
#include "serve/api/service.h"
#include "stub_engine.h"

namespace {

// The last line: what an event's handler took of the engine's thread.
void say_handler_times() {
  std::vector<uint32_t>& times = hadal::bench::stub_handler_times();
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  const auto at = [&](size_t percent) { return times[(times.size() - 1) * percent / 100] / 1000.0; };
  std::printf("{\"events\": %zu, \"handler_us\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f}}\n",
              times.size(), at(50), at(90), at(99));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hadal;
  CLI::App app{"The transport and the API of hadal serve, with an engine that computes nothing."};
  std::string tokenizer = "models/hadal-nano";
  double step_ms = 100;
  int bare_tokens = 0;
  bench::StubOptions stub;
  serve::http::ServerOptions http;
  http.proxies = {};  // clients of the loopback network are counted as any others
  http.refusal = serve::api::refusal;
  app.add_option("--tokenizer", tokenizer, "a model directory; its tokenizer is used");
  app.add_option("--step-ms", step_ms, "between the tokens of a stream; 0: at once");
  app.add_flag("--together", stub.together, "all streams' tokens at the same time");
  app.add_option("--bare", bare_tokens, "no HTTP layer: as many tokens to each connection");
  app.add_option("--host", http.host);
  app.add_option("--port", http.port);
  app.add_option("--http-threads", http.threads);
  app.add_option("--max-connections", http.max_connections);
  app.add_option("--max-connections-per-address", http.max_connections_per_address);
  app.add_option("--idle-timeout", http.idle_timeout);
  CLI11_PARSE(app, argc, argv);
  base::set_up_logging("warn");
  stub.step_seconds = step_ms / 1000;
  bench::set_stub_options(stub);
  const auto say_port = [](uint16_t port) {
    std::printf("%d\n", port);
    std::fflush(stdout);
  };
  if (bare_tokens > 0) {
    bench::run_bare_server(tokenizer, bare_tokens, say_port);
    say_handler_times();
    return 0;
  }
  serve::http::Server server(http);
  const auto large_answers = std::make_shared<serve::api::LargeAnswers>();
  auto engine = engine::Engine::open(tokenizer, {});
  serve::api::Service service = serve::api::make_service(*engine, [&server] { return server.counters(); });
  service.large_answers = large_answers;
  server.listen();
  say_port(server.port());
  server.run(serve::api::make_handler(service), true);
  engine.reset();
  say_handler_times();
  return 0;
}
