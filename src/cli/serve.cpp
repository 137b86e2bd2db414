// hadal serve: the model behind an HTTP API, and the chat page.
#include <cstdio>
#include <memory>

#include "base/log.h"
#include "cli/command.h"
#include "cli/sampling_flags.h"
#include "engine/engine.h"
#include "serve/api/service.h"
#include "serve/http/server.h"

namespace hadal::cli {

namespace {

struct ServeOptions {
  EngineFlags engine;
  serve::http::ServerOptions http;
  double max_body_mb = 8;
};

void run_serve(ServeOptions options) {
  options.http.max_body_bytes = static_cast<size_t>(options.max_body_mb * 1024 * 1024);
  options.http.refusal = serve::api::refusal;
  // The port first: a port in use is known before a large model has been loaded. The engine goes before the
  // server does: its requests hold exchanges.
  serve::http::Server server(options.http);
  const auto engine = engine::Engine::open(options.engine.model, options.engine.options);
  const serve::api::Service service =
      serve::api::make_service(*engine, [&server] { return server.connections(); });
  server.listen();
  std::printf("hadal serve: %s is at %s/ (OpenAI base URL %s/v1); Ctrl-C stops\n", service.model_id.c_str(),
              server.url().c_str(), server.url().c_str());
  std::fflush(stdout);
  server.run(serve::api::make_handler(service), true);
  std::printf("hadal serve: stopped\n");
}

}  // namespace

void add_serve(CLI::App& app) {
  CLI::App* command =
      add_command(app, "serve", "serve a model: OpenAI- and DeepSeek-compatible API and chat page",
                  "  hadal serve --model models/hadal-nano\n"
                  "  hadal serve --model models/hadal-nano --host 0.0.0.0 --port 8000\n"
                  "  hadal serve --model DeepSeek-V2-Lite-Chat-Q4_0.gguf --context 16384\n"
                  "  curl http://127.0.0.1:8080/v1/chat/completions -d "
                  "'{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}'");
  auto options = std::make_shared<ServeOptions>();
  options->http.port = 8080;
  add_engine_flags(*command, options->engine);
  command->add_option("--host", options->http.host, "address to listen on; 0.0.0.0: every network")
      ->capture_default_str();
  command->add_option("--port", options->http.port, "0: any free port")->capture_default_str();
  command
      ->add_option("--queue", options->engine.options.max_queue,
                   "requests running or waiting; more are refused")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--http-threads", options->http.threads, "threads of the transport")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_option("--max-body-mb", options->max_body_mb, "largest request body")
      ->check(CLI::Range(0.001, 1024.0))
      ->capture_default_str();
  command->add_option("--drain-seconds", options->http.drain_timeout, "time for running answers after Ctrl-C")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command->callback([options] { run_serve(*options); });
}

}  // namespace hadal::cli
