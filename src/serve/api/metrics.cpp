#include "serve/api/metrics.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}
std::string number(uint64_t value) { return fmt::format("{}", value); }
std::string number(int64_t value) { return fmt::format("{}", value); }
std::string number(int value) { return fmt::format("{}", value); }

std::string label_value(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

using engine::EngineMetrics;
using M = const EngineMetrics&;

class Page {
 public:
  explicit Page(std::span<const ModelMetrics> models) : models_(models) {}

  // What a sample takes from an engine's counters, with its labels.
  template <typename T>
  using Rows = std::initializer_list<std::pair<const char*, T (*)(const EngineMetrics&)>>;

  template <typename Get>
  void gauge(const char* name, const char* help, Get get) {
    one(name, "gauge", help, get);
  }
  template <typename T>
  void gauges(const char* name, const char* help, Rows<T> rows) {
    write(name, "gauge", help, rows);
  }
  template <typename Get>
  void counter(const char* name, const char* help, Get get) {
    one(name, "counter", help, get);
  }
  void counters(const char* name, const char* help, Rows<uint64_t> rows) {
    write(name, "counter", help, rows);
  }

  // Of the server, not of a model.
  template <typename T>
  void server(const char* name, const char* type, const char* help, T value) {
    head(name, type, help);
    text_ += fmt::format("{} {}\n", name, number(value));
  }

  // A gauge of 1 for each model that carries a text, of those whose text is not empty.
  void info(const char* name, const char* help, const char* label,
            const std::function<std::string(const ModelMetrics&)>& text_of, bool with_model = true) {
    bool begun = false;
    for (const ModelMetrics& model : models_) {
      const std::string text = text_of(model);
      if (text.empty()) continue;
      if (!std::exchange(begun, true)) head(name, "gauge", help);
      const std::string own = fmt::format("{}=\"{}\"", label, label_value(text));
      text_ += fmt::format("{}{} 1\n", name, with_model ? labels(model, own) : "{" + own + "}");
    }
  }

  void histogram(const char* name, const char* help, const engine::Histogram EngineMetrics::*member) {
    head(name, "histogram", help);
    for (const ModelMetrics& model : models_) {
      const engine::Histogram& histogram = model.metrics.*member;
      uint64_t below = 0;
      for (size_t i = 0; i < histogram.bounds.size() && i < histogram.counts.size(); ++i) {
        below += histogram.counts[i];
        text_ += fmt::format("{}_bucket{} {}\n", name,
                             labels(model, fmt::format("le=\"{}\"", number(histogram.bounds[i]))), below);
      }
      text_ += fmt::format("{}_bucket{} {}\n", name, labels(model, "le=\"+Inf\""), histogram.count);
      text_ += fmt::format("{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, labels(model, ""),
                           number(histogram.sum), histogram.count);
    }
  }

  std::string finish() { return std::move(text_); }

 private:
  void head(const char* name, const char* type, const char* help) {
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }

  // "{model="a",tier="disk"}"; empty where there is nothing to say.
  std::string labels(const ModelMetrics& model, std::string_view own) const {
    std::string all;
    if (models_.size() > 1) all = fmt::format("model=\"{}\"", label_value(model.model));
    if (!own.empty()) all += fmt::format("{}{}", all.empty() ? "" : ",", own);
    return all.empty() ? all : "{" + all + "}";
  }

  template <typename Get>
  void one(const char* name, const char* type, const char* help, Get get) {
    head(name, type, help);
    for (const ModelMetrics& model : models_) {
      text_ += fmt::format("{}{} {}\n", name, labels(model, ""), number(get(model.metrics)));
    }
  }
  template <typename T>
  void write(const char* name, const char* type, const char* help, Rows<T> rows) {
    head(name, type, help);
    for (const ModelMetrics& model : models_) {
      for (const auto& [own, get] : rows) {
        text_ += fmt::format("{}{} {}\n", name, labels(model, own), number(get(model.metrics)));
      }
    }
  }

  std::span<const ModelMetrics> models_;
  std::string text_;
};

void add_requests(Page& page) {
  page.gauge("hadal_requests_running", "Requests that share the model now.", [](M m) { return m.running; });
  page.gauge("hadal_requests_waiting", "Requests in the queue.", [](M m) { return m.waiting; });
  page.gauge("hadal_requests_loading", "Running requests whose pages are being read.",
             [](M m) { return m.loading; });
  page.gauge("hadal_batch_size", "Streams that decoded in the last step; 0 when nothing runs.",
             [](M m) { return m.running > 0 ? m.batch : 0; });
  page.counter("hadal_requests_total", "Requests taken.", [](M m) { return m.requests_total; });
  page.counter("hadal_requests_refused_total", "Requests refused because the queue was full.",
               [](M m) { return m.refused_total; });
  page.counters("hadal_requests_finished_total", "Requests ended, by reason.",
                {{"reason=\"stop\"", [](M m) { return m.stopped_total; }},
                 {"reason=\"length\"", [](M m) { return m.length_total; }},
                 {"reason=\"cancelled\"", [](M m) { return m.cancelled_total; }},
                 {"reason=\"deadline\"", [](M m) { return m.deadline_total; }},
                 {"reason=\"error\"", [](M m) { return m.error_total; }}});
  page.counter("hadal_preemptions_total", "Requests put aside to make room, to come back later.",
               [](M m) { return m.preemptions_total; });
}

void add_tokens(Page& page) {
  page.counter("hadal_prompt_tokens_total", "Tokens of prompts.", [](M m) { return m.prompt_tokens_total; });
  page.counters("hadal_cache_hit_tokens_total", "Prompt tokens that were in the KV cache, by tier.",
                {{"tier=\"memory\"", [](M m) { return m.hit_memory_tokens_total; }},
                 {"tier=\"disk\"", [](M m) { return m.hit_disk_tokens_total; }}});
  page.counter("hadal_cache_miss_tokens_total", "Prompt tokens that had to be computed.",
               [](M m) { return m.miss_tokens_total; });
  page.counter("hadal_prefilled_tokens_total",
               "Tokens computed as part of a prompt, after a pre-emption and between turns too.",
               [](M m) { return m.prefilled_tokens_total; });
  page.counter("hadal_kept_tokens_total", "Of the prefilled tokens, those prepared between turns.",
               [](M m) { return m.kept_tokens_total; });
  page.counter("hadal_generated_tokens_total", "Tokens of answers.",
               [](M m) { return m.generated_tokens_total; });
  page.counter("hadal_steps_total", "Steps of the model.", [](M m) { return m.steps_total; });
  page.counter("hadal_step_seconds_total", "Seconds in steps of the model.",
               [](M m) { return m.step_seconds_total; });
  page.counter("hadal_bookkeeping_seconds_total", "Seconds of the scheduler's own work around the steps.",
               [](M m) { return m.bookkeeping_seconds_total; });
  page.histogram("hadal_time_to_first_token_seconds", "From a request's arrival to its first token.",
                 &EngineMetrics::ttft_seconds);
  page.histogram("hadal_inter_token_seconds", "Between tokens of one stream.",
                 &EngineMetrics::inter_token_seconds);
}

void add_pages(Page& page) {
  page.gauge("hadal_page_tokens", "Tokens of a page of the KV cache.",
             [](M m) { return m.pages.page_tokens; });
  page.gauge("hadal_page_bytes", "Bytes of a page in memory.", [](M m) { return m.pages.page_bytes; });
  page.gauges<int64_t>(
      "hadal_pages", "Pages by tier; in memory: used by requests, kept for later, free.",
      {{"tier=\"memory\",state=\"used\"", [](M m) { return m.pages.total - m.pages.free - m.pages.cached; }},
       {"tier=\"memory\",state=\"cached\"", [](M m) { return m.pages.cached; }},
       {"tier=\"memory\",state=\"free\"", [](M m) { return m.pages.free; }},
       {"tier=\"disk\",state=\"stored\"", [](M m) { return m.disk.pages; }}});
  page.counters("hadal_evictions_total", "Pages that had to leave, by tier and cause.",
                {{"tier=\"memory\",cause=\"room\"", [](M m) { return m.pages.evicted_total; }},
                 {"tier=\"disk\",cause=\"age\"", [](M m) { return m.disk.evicted_by_age_total; }},
                 {"tier=\"disk\",cause=\"size\"", [](M m) { return m.disk.evicted_by_size_total; }}});
}

void add_disk(Page& page) {
  page.gauge("hadal_disk_configured", "1 when the server was given a directory for pages.",
             [](M m) { return static_cast<int>(m.disk.configured); });
  page.gauge("hadal_disk_available", "1 while pages can be read and written there.",
             [](M m) { return static_cast<int>(m.disk.available); });
  page.info("hadal_disk_trouble", "The last error of the page directory.", "message",
            [](const ModelMetrics& m) { return m.metrics.disk.trouble; });
  page.gauge("hadal_disk_bytes", "Bytes of pages on disk, as last counted.",
             [](M m) { return m.disk.bytes; });
  page.gauges<int64_t>("hadal_disk_pending_pages", "Pages that wait to be read or written.",
                       {{"operation=\"read\"", [](M m) { return m.disk.pending_reads; }},
                        {"operation=\"write\"", [](M m) { return m.disk.pending_writes; }}});
  page.counter("hadal_disk_pages_read_total", "Pages read.", [](M m) { return m.disk.pages_read_total; });
  page.counter("hadal_disk_read_bytes_total", "Bytes of pages read.",
               [](M m) { return m.disk.bytes_read_total; });
  page.counter("hadal_disk_pages_written_total", "Pages written.",
               [](M m) { return m.disk.pages_written_total; });
  page.counter("hadal_disk_written_bytes_total", "Bytes of pages written.",
               [](M m) { return m.disk.bytes_written_total; });
  page.counter("hadal_disk_pages_missed_total", "Pages asked for that were not there.",
               [](M m) { return m.disk.pages_missed_total; });
  page.counter("hadal_bad_pages_total", "Pages found damaged: removed, and computed again.",
               [](M m) { return m.disk.bad_pages_total; });
  page.counters("hadal_disk_errors_total", "Reads and writes that the system refused.",
                {{"operation=\"read\"", [](M m) { return m.disk.read_errors_total; }},
                 {"operation=\"write\"", [](M m) { return m.disk.write_errors_total; }}});
  page.counter("hadal_disk_writes_refused_total", "Pages not written because too many waited.",
               [](M m) { return m.disk.writes_refused_total; });
}

void add_transport(Page& page, const http::ServerCounters& c) {
  page.server("hadal_http_connections", "gauge", "Open connections.", c.connections);
  page.server("hadal_http_connections_total", "counter", "Connections accepted.", c.accepted_total);
  page.server("hadal_http_connections_refused_total", "counter",
              "Connections refused: too many in all, or from one address.", c.refused_connections_total);
  page.server("hadal_http_requests_total", "counter", "Requests that were complete and valid HTTP.",
              c.requests_total);
  page.server("hadal_http_requests_refused_total", "counter",
              "Requests refused by the transport: too large, too slow, not HTTP, or shutting down.",
              c.refused_requests_total);
  page.server("hadal_http_slow_readers_total", "counter", "Answers cut because the client did not take them.",
              c.slow_readers_total);
}

}  // namespace

std::string metrics_text(std::span<const ModelMetrics> models, const ServerFacts& facts) {
  Page page(models);
  page.info(
      "hadal_model_info", "A model that is served.", "model", [](const ModelMetrics& m) { return m.model; },
      false);
  page.server("hadal_uptime_seconds", "gauge", "Seconds since the server started.", facts.uptime_seconds);
  add_transport(page, facts.transport);
  add_requests(page);
  add_tokens(page);
  add_pages(page);
  add_disk(page);
  return page.finish();
}

void show_metrics(const Call& call) {
  const Service& service = call.service;
  std::vector<ModelMetrics> models;
  for (const ServedModel& model : service.models) models.push_back({model.id, model.engine.metrics()});
  http::Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.headers.push_back({"Cache-Control", "no-store"});
  response.body = metrics_text(models, {base::monotonic_seconds() - service.started_seconds,
                                        service.transport ? service.transport() : http::ServerCounters{}});
  call.exchange->respond(std::move(response));
}

}  // namespace hadal::serve::api
