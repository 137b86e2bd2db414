// hadal serve: models behind an HTTP API, and the chat page.
#include <cstdio>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/ledger_flags.h"
#include "cli/served_models.h"
#include "engine/engine.h"
#include "engine/kvcache/page_directory.h"
#include "ledger/ledger.h"
#include "serve/api/cors.h"
#include "serve/api/service.h"
#include "serve/http/server.h"

namespace hadal::cli {

namespace {

constexpr double kMegabyte = 1024 * 1024;

struct ServeOptions {
  ServedModelFlags models;
  serve::http::ServerOptions http;
  double max_body_mb = 8, max_memory_mb = 512, max_header_kb = 32;
  std::vector<std::string> cors_origins = {"local"};
  double request_seconds = 0;
  std::string kv_directory;  // "none": memory only
  ledger::LedgerOptions ledger;
};

// "none" stands for no entry.
std::vector<std::string> without_none(std::vector<std::string> list) {
  std::erase(list, "none");
  return list;
}

std::vector<std::unique_ptr<engine::Engine>> open_engines(const std::vector<ServedModelSpec>& specs) {
  std::vector<std::unique_ptr<engine::Engine>> engines;
  for (const ServedModelSpec& spec : specs) engines.push_back(engine::Engine::open(spec.path, spec.options));
  return engines;
}

serve::api::Service make_service(const ServeOptions& options, const std::vector<ServedModelSpec>& specs,
                                 const std::vector<std::unique_ptr<engine::Engine>>& engines) {
  serve::api::Service service = serve::api::make_service();
  for (size_t i = 0; i < specs.size(); ++i) serve::api::add_model(service, *engines[i], specs[i].name);
  for (const std::string& alias : options.models.aliases) serve::api::add_alias(service, parse_alias(alias));
  service.cors_origins = without_none(options.cors_origins);
  for (const std::string& origin : service.cors_origins) serve::api::check_cors_origin(origin);
  service.request_seconds = options.request_seconds;
  return service;
}

// Null without --keys: the server is open.
std::unique_ptr<ledger::Ledger> open_ledger(ledger::LedgerOptions options) {
  if (options.database.empty()) {
    if (options.prices.empty()) return nullptr;
    throw_error(ErrorCode::kBadInput,
                "[serve] --prices wants --keys: without keys there is nobody to charge");
  }
  options.witness = true;
  return ledger::Ledger::open(options);
}

void run_serve(ServeOptions options) {
  serve::http::ServerOptions& http = options.http;
  http.max_body_bytes = static_cast<size_t>(options.max_body_mb * kMegabyte);
  http.max_held_bytes = static_cast<size_t>(options.max_memory_mb * kMegabyte);
  http.max_head_bytes = static_cast<size_t>(options.max_header_kb * 1024);
  http.proxies = without_none(http.proxies);
  http.refusal = serve::api::refusal;
  if (options.kv_directory != "none") options.models.options.kv_directory = options.kv_directory;
  std::vector<ServedModelSpec> specs;
  for (const std::string& text : options.models.models) {
    specs.push_back(parse_served_model(text, options.models.options));
  }
  // The port first: a port in use is known before a large model has been loaded. The engines go before the
  // server does: their requests hold exchanges.
  // The ledger before all: it starts a process, and is there until the last byte has left.
  const auto ledger = open_ledger(options.ledger);
  serve::http::Server server(http);
  // Between the two: it holds exchanges of what the engines end.
  const auto large_answers = std::make_shared<serve::api::LargeAnswers>();
  const auto engines = open_engines(specs);
  serve::api::Service service = make_service(options, specs, engines);
  service.transport = [&server] { return server.counters(); };
  service.ledger = ledger.get();
  service.large_answers = large_answers;
  if (ledger) server.on_reload("keys and prices", [&ledger] { ledger->reload(); });
  server.listen();
  std::string names;
  for (const auto& model : service.models) names += (names.empty() ? "" : ", ") + model.id;
  std::printf("hadal serve: %s is at %s/ (OpenAI base URL %s/v1); Ctrl-C stops\n", names.c_str(),
              server.url().c_str(), server.url().c_str());
  std::fflush(stdout);
  server.run(serve::api::make_handler(service), true);
  if (ledger) ledger->finish_jobs();  // they hold exchanges
  std::printf("hadal serve: stopped\n");
}

void add_kv_flags(CLI::App& command, ServeOptions& options) {
  options.kv_directory = engine::default_kv_directory();
  command
      .add_option("--kv-dir", options.kv_directory,
                  "KV pages on disk, for days and through restarts; none: in memory only")
      ->capture_default_str();
  add_bytes_option(command, "--kv-disk", options.models.options.kv_disk_bytes,
                   "most bytes of --kv-dir, such as 50G; 0: a tenth of the file system, at most 64G");
  command
      .add_option("--kv-ttl", options.models.options.kv_ttl_seconds,
                  "pages that were not used for so long are removed, such as 12h or 30d")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}},
                                CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->default_str("7d");
}

void add_ledger_flags(CLI::App& command, ledger::LedgerOptions& options) {
  add_keys_option(command, options.database)->group("Keys and prices");
  command.add_option("--prices", options.prices, "TOML file of prices; a change is in force within a second")
      ->group("Keys and prices");
  command
      .add_option("--ledger-dir", options.journal_directory,
                  "where requests under way are noted (default: beside the database, or " +
                      ledger::default_journal_directory() + " for PostgreSQL)")
      ->group("Keys and prices");
}

void add_http_flags(CLI::App& command, ServeOptions& options) {
  serve::http::ServerOptions& http = options.http;
  http.port = 8080;
  command.add_option("--host", http.host, "address to listen on; 0.0.0.0: every network")
      ->capture_default_str();
  command.add_option("--port", http.port, "0: any free port")->capture_default_str();
  auto* certificate =
      command.add_option("--tls-cert", http.tls_certificate,
                         "serve HTTPS with this certificate (PEM, with its chain); SIGHUP reads it again");
  auto* key = command.add_option("--tls-key", http.tls_key, "the certificate's key (PEM, no passphrase)");
  certificate->needs(key);
  key->needs(certificate);
  command
      .add_option("--cors-origin", options.cors_origins,
                  "whose pages may call, such as https://chat.example.org; local: those on this machine; *: "
                  "all; none (may be given several times)")
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      .add_option("--proxy", http.proxies,
                  "a reverse proxy's address: not counted by --max-connections-per-address; none (may be "
                  "given several times)")
      ->allow_extra_args(false)
      ->capture_default_str();
  command
      .add_option("--request-timeout", options.request_seconds,
                  "most seconds from a request to its last token; 0: any. Requests may ask for less with "
                  "X-Request-Timeout-Ms")
      ->check(CLI::Range(0.0, 604800.0))
      ->capture_default_str();
  command
      .add_option("--drain-seconds", http.drain_timeout, "time for running answers after SIGTERM or Ctrl-C")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  command.add_option("--http-threads", http.threads, "threads of the transport")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.add_option("--handler-threads", http.handler_threads, "threads that read requests")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

void add_limit_flags(CLI::App& command, ServeOptions& options) {
  serve::http::ServerOptions& http = options.http;
  const auto number = [&](const char* name, auto& value, const char* about, double low, double high) {
    command.add_option(name, value, about)
        ->check(CLI::Range(low, high))
        ->capture_default_str()
        ->group("Limits");
  };
  number("--max-connections", http.max_connections, "open connections; more are refused with 503", 1, 1e6);
  number("--max-connections-per-address", http.max_connections_per_address,
         "of one client address (IPv6: of one /64); more are refused with 429; 0: any", 0, 1e6);
  number("--max-header-kb", options.max_header_kb, "largest request headers", 1, 1024);
  number("--max-body-mb", options.max_body_mb, "largest request body", 0.001, 1024.0);
  number("--max-http-memory-mb", options.max_memory_mb,
         "of bodies being received and answers not yet taken, of all connections", 1, 1e6);
  number("--header-timeout", http.head_timeout, "seconds for a request's headers, and for a TLS handshake",
         0.1, 3600);
  number("--body-timeout", http.body_timeout, "seconds for a request's body", 0.1, 86400);
  number("--min-body-rate", http.min_body_bytes_per_second,
         "bytes per second that a body must come at, in each 10 s", 0, 1e9);
  number("--write-timeout", http.write_timeout, "seconds after which a client that takes nothing is dropped",
         0.1, 3600);
  number("--min-answer-rate", http.min_answer_bytes_per_second,
         "bytes per second that a client must take of an answer that waits for it, in each --write-timeout",
         0, 1e9);
  number("--idle-timeout", http.idle_timeout, "seconds that a connection may stay open without a request",
         0.1, 86400);
}

}  // namespace

void add_serve(CLI::App& app) {
  CLI::App* command = add_command(
      app, "serve", "serve models: OpenAI-, DeepSeek- and Anthropic-compatible API and chat page",
      "  hadal serve --model models/hadal-nano\n"
      "  hadal serve --model models/hadal-nano --host 0.0.0.0 --port 8000\n"
      "  hadal serve --model DeepSeek-V2-Lite-Chat-Q4_0.gguf --context 16384\n"
      "  hadal serve --model v3=DeepSeek-V3.gguf --model r1=DeepSeek-R1.gguf,context=32768 --alias "
      "gpt-4o=v3\n"
      "  hadal serve --model models/hadal-nano --keys keys.db --prices prices.toml\n"
      "  hadal serve --model M --host 0.0.0.0 --port 443 --tls-cert fullchain.pem --tls-key key.pem\n"
      "  curl http://127.0.0.1:8080/v1/chat/completions -d "
      "'{\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}'");
  auto options = std::make_shared<ServeOptions>();
  add_served_model_flags(*command, options->models);
  add_kv_flags(*command, *options);
  add_http_flags(*command, *options);
  add_limit_flags(*command, *options);
  add_ledger_flags(*command, options->ledger);
  command->callback([options] { run_serve(*options); });
}

}  // namespace hadal::cli
