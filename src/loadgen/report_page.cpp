#include "loadgen/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/html.h"
#include "loadgen/svg_plot.h"

namespace hadal::loadgen {

using base::escape_html;

namespace {

constexpr size_t kCdfPoints = 400;
constexpr size_t kSlowest = 10;
constexpr int kBins = 40;
constexpr double kLeastMs = 0.1;  // where the latency plot begins: gaps of one packet are 0
constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

constexpr const char* kStyle = R"CSS(
:root {
  color-scheme: light dark;
  --page: #f7f7f8; --card: #fff; --ink: #1c1d21; --soft: #5f636c; --line: #e2e3e7; --grid: #ececf0;
  --a: #2f5fd0; --b: #c2571a; --c: #2a7d4f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16171a; --card: #1f2125; --ink: #e8e9ec; --soft: #a5a9b2; --line: #33363c; --grid: #2c2f35;
    --a: #7ea6ff; --b: #f0a06a; --c: #6ccf96;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin: 0; font-weight: 600; }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
dl div, figure, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
dl div { padding: 10px 14px; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
.bad dd { color: var(--b); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 14px; }
figure { margin: 0; padding: 14px 16px 8px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.grid line.grid, line.grid { stroke: var(--grid); }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.line.c0 { stroke: var(--a); } .line.c1 { stroke: var(--b); } .line.c2 { stroke: var(--c); }
.dot { fill-opacity: .65; }
.dot.c0 { fill: var(--a); } .dot.c1 { fill: var(--b); } .dot.c2 { fill: var(--c); }
.b0 { background: var(--a); } .b1 { background: var(--b); } .b2 { background: var(--c); }
.key { font-size: 13px; min-height: 1.45em; }
.key span { margin-right: 14px; white-space: nowrap; }
.key i { display: inline-block; width: 12px; height: 12px; margin: 0 5px -1px 0; border-radius: 3px; }
.unit { font-size: 12px; }
.none { padding: 24px 0; }
section { margin-top: 14px; padding: 14px 16px; overflow-x: auto; }
table { border-collapse: collapse; margin-top: 8px; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 3px 14px 3px 0; border-bottom: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 400; }
td, th { white-space: nowrap; }
td.text, th.text { white-space: normal; text-align: left; }
th:first-child, td:first-child { text-align: left; }
@media (max-width: 560px) { main { padding: 18px 12px; } svg text { font-size: 17px; } figure { padding: 12px 10px 6px; } }
)CSS";

double ttft_ms(const RequestRecord& record) {
  return record.text_times_s.empty() ? kGap : 1000 * (record.text_times_s[0] - record.sent_s);
}

bool knows_hits(const RequestRecord& record) { return record.hit_tokens >= 0 && record.prompt_tokens > 0; }

double hit_share(const RequestRecord& record) {
  return static_cast<double>(record.hit_tokens) / static_cast<double>(record.prompt_tokens);
}

std::string note(const Trace& trace, const RequestRecord& record) {
  std::string text = fmt::format("{}, turn {}: TTFT {:.1f} ms", trace.sessions[record.session].name,
                                 record.turn + 1, ttft_ms(record));
  if (record.prompt_tokens >= 0) text += fmt::format(", prompt {} tokens", record.prompt_tokens);
  if (record.hit_tokens >= 0) text += fmt::format(", {} from the cache", record.hit_tokens);
  return text;
}

// Dots in two colours: prompts that were mostly in the cache, and the others.
std::vector<Series> by_hits() {
  return {{"computed", Series::Style::kDots, 0, {}},
          {"at least half from the cache", Series::Style::kDots, 2, {}}};
}

Plot ttft_over_time(const Trace& trace, const std::vector<const RequestRecord*>& ok) {
  Plot plot{"Time to first token, as sent", "seconds", "milliseconds", false, false, by_hits()};
  for (const RequestRecord* r : ok)
    plot.series[knows_hits(*r) && hit_share(*r) >= 0.5].points.push_back(
        {r->sent_s, ttft_ms(*r), note(trace, *r)});
  return plot;
}

Plot ttft_by_length(const Trace& trace, const std::vector<const RequestRecord*>& ok) {
  Plot plot{
      "Time to first token, by prompt length", "prompt tokens", "milliseconds", false, false, by_hits()};
  for (const RequestRecord* r : ok) {
    if (r->prompt_tokens < 0) continue;
    plot.series[knows_hits(*r) && hit_share(*r) >= 0.5].points.push_back(
        {static_cast<double>(r->prompt_tokens), ttft_ms(*r), note(trace, *r)});
  }
  return plot;
}

Series cumulative(const char* name, int colour, std::vector<double> values) {
  Series series{name, Series::Style::kSteps, colour, {}};
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  std::sort(values.begin(), values.end());
  const size_t step = values.size() / kCdfPoints + 1;
  const auto size = static_cast<double>(values.size());
  for (size_t i = 0; i < values.size(); i += step)
    series.points.push_back({std::max(values[i], kLeastMs), static_cast<double>(i + 1) / size, ""});
  if (!values.empty()) series.points.push_back({std::max(values.back(), kLeastMs), 1, ""});
  return series;
}

Plot latency_cdf(const std::vector<const RequestRecord*>& ok) {
  std::vector<double> first, between, whole;
  for (const RequestRecord* r : ok) {
    first.push_back(ttft_ms(*r));
    whole.push_back(1000 * (r->end_s - r->sent_s));
    for (size_t i = 1; i < r->text_times_s.size(); ++i)
      between.push_back(1000 * (r->text_times_s[i] - r->text_times_s[i - 1]));
  }
  Plot plot{"Latency: share of requests (of gaps) below", "milliseconds", "", true, true, {}};
  plot.series = {cumulative("first token", 0, first), cumulative("between tokens", 1, between),
                 cumulative("whole answer", 2, whole)};
  return plot;
}

// Amounts over time, in equal bins.
struct Bins {
  double width;
  std::vector<double> sums;

  explicit Bins(double seconds)
      : width(std::max(seconds / kBins, seconds >= 20 ? 1.0 : 1e-3)),
        sums(static_cast<size_t>(std::ceil(std::max(seconds, 1e-3) / width)) + 1) {}
  void add(double at, double amount) {
    sums[std::min(static_cast<size_t>(std::max(0.0, at) / width), sums.size() - 1)] += amount;
  }
  // Per second, at the middle of each bin.
  Series rates(const char* name, int colour) const {
    Series series{name, Series::Style::kLine, colour, {}};
    for (size_t i = 0; i + 1 < sums.size(); ++i)
      series.points.push_back({(static_cast<double>(i) + 0.5) * width, sums[i] / width, ""});
    return series;
  }
};

Plot output_over_time(const std::vector<const RequestRecord*>& ok, double seconds) {
  Bins bins(seconds);
  for (const RequestRecord* r : ok) {
    const auto events = static_cast<double>(r->text_times_s.size());
    const double tokens = r->completion_tokens >= 0 ? static_cast<double>(r->completion_tokens) : events;
    for (const double at : r->text_times_s) bins.add(at, tokens / events);
  }
  return {"Output", "seconds", "tokens per second", false, false, {bins.rates("generated", 0)}};
}

Plot prompts_over_time(const std::vector<const RequestRecord*>& ok, double seconds) {
  Bins all(seconds), hits(seconds);
  for (const RequestRecord* r : ok) {
    if (r->prompt_tokens < 0 || r->text_times_s.empty()) continue;
    all.add(r->text_times_s[0], static_cast<double>(r->prompt_tokens));
    if (r->hit_tokens > 0) hits.add(r->text_times_s[0], static_cast<double>(r->hit_tokens));
  }
  return {"Prompts, when their first token came",
          "seconds",
          "tokens per second",
          false,
          false,
          {all.rates("all", 0), hits.rates("from the cache", 2)}};
}

Plot hit_rate_over_time(const Trace& trace, const std::vector<const RequestRecord*>& ok, double seconds) {
  Bins prompts(seconds), hits(seconds);
  Series each{"each request", Series::Style::kDots, 0, {}},
      mean{"mean of tokens", Series::Style::kLine, 1, {}};
  for (const RequestRecord* r : ok) {
    if (!knows_hits(*r)) continue;
    each.points.push_back({r->sent_s, hit_share(*r), note(trace, *r)});
    prompts.add(r->sent_s, static_cast<double>(r->prompt_tokens));
    hits.add(r->sent_s, static_cast<double>(r->hit_tokens));
  }
  for (size_t i = 0; i < prompts.sums.size(); ++i) {
    if (prompts.sums[i] > 0)
      mean.points.push_back(
          {(static_cast<double>(i) + 0.5) * prompts.width, hits.sums[i] / prompts.sums[i], ""});
  }
  return {"Prompt tokens from the cache", "seconds", "", false, true, {std::move(each), std::move(mean)}};
}

Plot running_over_time(const ReplayResult& result) {
  std::vector<std::pair<double, int>> changes;
  for (const RequestRecord& r : result.records) {
    changes.push_back({r.sent_s, 1});
    changes.push_back({r.end_s, -1});
  }
  std::sort(changes.begin(), changes.end());
  Series series{"on their way", Series::Style::kSteps, 0, {{0, 0, ""}}};
  int running = 0;
  for (const auto& [at, change] : changes) {
    running += change;
    series.points.push_back({at, static_cast<double>(running), ""});
  }
  return {"Requests on their way", "seconds", "requests", false, false, {std::move(series)}};
}

std::string figure(const char* name, const std::string& value, bool bad = false) {
  return fmt::format("<div{}><dt>{}</dt><dd>{}</dd></div>", bad ? " class=\"bad\"" : "", name, value);
}

std::string milliseconds(double value) {
  return value >= 10'000 ? fmt::format("{:.1f} s", value / 1000) : fmt::format("{:.1f} ms", value);
}

std::string figures(const Statistics& s) {
  std::string out = "<dl>";
  out += figure("Answered", fmt::format("{} of {}", s.ok, s.requests), s.ok < s.requests);
  if (s.error_count() > 0) out += figure("Failed", fmt::format("{}", s.error_count()), true);
  out += figure("Seconds", fmt::format("{:.1f}", s.seconds));
  out += figure("TTFT p50", milliseconds(s.ttft_ms.p50)) + figure("TTFT p90", milliseconds(s.ttft_ms.p90)) +
         figure("TTFT p99", milliseconds(s.ttft_ms.p99));
  out += figure("Between tokens p50", milliseconds(s.inter_token_ms.p50)) +
         figure("Between tokens p99", milliseconds(s.inter_token_ms.p99)) +
         figure("Between tokens, longest", milliseconds(s.inter_token_ms.max));
  out += figure("Whole answer p50", milliseconds(s.end_to_end_ms.p50)) +
         figure("Whole answer p99", milliseconds(s.end_to_end_ms.p99));
  out += figure("Output tokens/s", short_number(s.output_tokens_per_s)) +
         figure("Prompt tokens/s", short_number(s.prompt_tokens_per_s));
  out += figure("Prompt tokens from the cache",
                s.hit_prompt_tokens > 0 ? fmt::format("{:.1f} %", 100 * s.hit_rate) : "not told");
  out += figure("Sent late p99", milliseconds(s.late_ms.p99));
  return out + "</dl>\n";
}

std::string error_table(const ReplayResult& result, const Statistics& s) {
  if (s.errors.empty()) return "";
  std::string out =
      "<section><h2>Failures</h2><table><tr><th>kind</th><th>requests</th><th class=\"text\">the first "
      "says</th></tr>";
  for (const auto& [kind, count] : s.errors) {
    const auto first = std::find_if(result.records.begin(), result.records.end(),
                                    [&, name = kind](const RequestRecord& r) { return r.outcome == name; });
    out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"text\">{}</td></tr>", escape_html(kind), count,
                       first == result.records.end() ? "" : escape_html(first->detail));
  }
  return out + "</table></section>\n";
}

std::string slowest_table(const Trace& trace, std::vector<const RequestRecord*> ok) {
  std::erase_if(ok, [](const RequestRecord* r) { return r->text_times_s.empty(); });
  if (ok.empty()) return "";
  std::sort(ok.begin(), ok.end(),
            [](const RequestRecord* a, const RequestRecord* b) { return ttft_ms(*a) > ttft_ms(*b); });
  if (ok.size() > kSlowest) ok.resize(kSlowest);
  std::string out =
      "<section><h2>The slowest first tokens</h2><table><tr><th>session</th><th>turn</th><th>sent "
      "at</th><th>TTFT</"
      "th><th>prompt tokens</th><th>from the cache</th><th>answer tokens</th></tr>";
  const auto known = [](int64_t count) { return count < 0 ? std::string("?") : fmt::format("{}", count); };
  for (const RequestRecord* r : ok) {
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{:.2f} s</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escape_html(trace.sessions[r->session].name), r->turn + 1, r->sent_s, milliseconds(ttft_ms(*r)),
        known(r->prompt_tokens), known(r->hit_tokens), known(r->completion_tokens));
  }
  return out + "</table></section>\n";
}

}  // namespace

std::string report_page(const Trace& trace, const ReplayResult& result, const Statistics& statistics,
                        const std::string& url) {
  std::vector<const RequestRecord*> ok;
  for (const RequestRecord& record : result.records) {
    if (record.ok()) ok.push_back(&record);
  }
  const std::string title = trace.name.empty() ? "Load" : trace.name;
  std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += fmt::format("<title>{}: hadal bench serve</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
                      escape_html(title), kStyle);
  page += fmt::format("<h1>{}</h1>\n<p>{} at {}{}</p>\n<p>{}</p>\n", escape_html(title),
                      escape_html(result.model), escape_html(url), result.interrupted ? ", interrupted" : "",
                      escape_html(trace.about));
  page += figures(statistics);
  page += "<div class=\"grid\">\n";
  page += plot_figure(ttft_over_time(trace, ok)) + plot_figure(ttft_by_length(trace, ok)) +
          plot_figure(latency_cdf(ok)) + plot_figure(hit_rate_over_time(trace, ok, result.seconds)) +
          plot_figure(output_over_time(ok, result.seconds)) +
          plot_figure(prompts_over_time(ok, result.seconds)) + plot_figure(running_over_time(result));
  page += "</div>\n" + error_table(result, statistics) + slowest_table(trace, ok);
  return page + "</main>\n</body>\n</html>\n";
}

}  // namespace hadal::loadgen
