// hadal price suggest: what a million tokens cost on this machine, from measured work and a declared cost of
// the machine, as lines for the price file.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/ledger_flags.h"
#include "ledger/price_suggestion.h"
#include "loadgen/transfers.h"

namespace hadal::cli {
namespace {

using ledger::WorkSample;

struct PriceFlags {
  std::string url, token, database, from = "24h";
  double seconds = 60;
  double cost_per_hour = 0, margin_percent = 0, busy_percent = 0, hit_percent = 10, output_weight = 4;
  double prompt_speed = 0, output_speed = 0;
  std::string model = "*", currency = "USD";
  bool json = false;
};

struct Measured {
  ledger::SecondsPerToken seconds;
  double busy_share = 0;  // 0: not known
  std::string how;
};

std::string get(const std::string& url, const std::string& token) {
  loadgen::Transfers transfers;
  auto transfer = std::make_unique<loadgen::Transfer>();
  std::string body;
  transfer->url = url;
  transfer->api_key = token;
  transfer->any_type = true;
  transfer->silence_s = 10;
  transfer->on_body = [&body](std::string_view bytes, double) {
    body += bytes;
    return body.size() < 16 * 1024 * 1024;
  };
  transfers.start(std::move(transfer));
  for (;;) {
    for (const auto& done : transfers.poll(0.5)) {
      if (done->status == 200 && done->end == loadgen::Transfer::End::kComplete) return body;
      if (done->status == 401 || done->status == 403) {
        throw_error(ErrorCode::kBadInput, "[price] {}: {}: give an admin key with --token or HADAL_TOKEN",
                    url, done->status);
      }
      throw_error(ErrorCode::kIo, "[price] {}: {}", url,
                  done->status != 0 ? fmt::format("status {}", done->status) : done->detail);
    }
  }
}

// The value of a metric without labels; the sum over its rows otherwise.
double metric(const std::string& page, const std::string& name) {
  double sum = 0;
  bool found = false;
  for (size_t at = 0; at < page.size();) {
    const size_t end = std::min(page.find('\n', at), page.size());
    const std::string_view line(page.data() + at, end - at);
    at = end + 1;
    if (!line.starts_with(name)) continue;
    const char next = line.size() > name.size() ? line[name.size()] : '\0';
    if (next != ' ' && next != '{') continue;
    sum += std::strtod(std::string(line.substr(line.rfind(' ') + 1)).c_str(), nullptr);
    found = true;
  }
  if (!found)
    throw_error(ErrorCode::kBadInput, "[price] the server's /metrics has no {}: is it hadal serve?", name);
  return sum;
}

Measured measure_server(const PriceFlags& flags) {
  const InterruptGuard interrupt;
  const std::string url = flags.url + (flags.url.ends_with('/') ? "metrics" : "/metrics");
  std::vector<WorkSample> samples;
  const auto look = [&] {
    const std::string page = get(url, flags.token);
    return WorkSample{metric(page, "hadal_step_seconds_total"), metric(page, "hadal_prefilled_tokens_total"),
                      metric(page, "hadal_generated_tokens_total")};
  };
  WorkSample last = look();
  const double begin = base::monotonic_seconds();
  double now = begin;
  double busy = 0;
  while (now - begin < flags.seconds && !InterruptGuard::interrupted()) {
    std::this_thread::sleep_for(std::chrono::duration<double>(std::min(1.0, flags.seconds - (now - begin))));
    const WorkSample next = look();
    samples.push_back({next.busy_seconds - last.busy_seconds, next.prefilled_tokens - last.prefilled_tokens,
                       next.generated_tokens - last.generated_tokens});
    busy += samples.back().busy_seconds;
    last = next;
    now = base::monotonic_seconds();
    if (!flags.json) fmt::print(stderr, "\r{:.0f} of {:.0f} s", now - begin, flags.seconds);
  }
  if (!flags.json) fmt::print(stderr, "\r\033[K");
  return {ledger::fit_seconds(samples, flags.output_weight), std::min(1.0, busy / (now - begin)),
          fmt::format("{:.0f} s of {}", now - begin, flags.url)};
}

// What the machine made in all, idle hours included.
Measured measure_records(const PriceFlags& flags) {
  const auto store = open_store(flags.database);
  const int64_t from = parse_time(flags.from, "--from");
  const int64_t to = ledger::unix_ms();
  WorkSample all{static_cast<double>(to - from) / 1000, 0, 0};
  for (const auto& row : store->usage({from, to, "", ""}, ledger::UsageBy::kModel)) {
    all.prefilled_tokens += static_cast<double>(row.tokens.prompt - row.tokens.cached);
    all.generated_tokens += static_cast<double>(row.tokens.completion);
  }
  return {ledger::fit_seconds({&all, 1}, flags.output_weight), 1,
          fmt::format("usage records of {:.1f} h, idle time included", all.busy_seconds / 3600)};
}

Measured measure(const PriceFlags& flags) {
  if (!flags.url.empty()) return measure_server(flags);
  if (flags.prompt_speed > 0 && flags.output_speed > 0) {
    return {{1 / flags.prompt_speed, 1 / flags.output_speed}, 0, "given speeds"};
  }
  if (!flags.database.empty()) return measure_records(flags);
  throw_error(ErrorCode::kBadInput,
              "[price] measured how? Give --url of a running server, --keys with usage records, or "
              "--prompt-speed and "
              "--output-speed");
}

std::string price_text(double price) {
  // Three significant digits, in at most the nine decimals that a price file takes.
  if (price <= 0) return "0";
  const int decimals = std::clamp(2 - static_cast<int>(std::floor(std::log10(price))), 0, 9);
  return fmt::format("{:.{}f}", price, decimals);
}

void run_suggest(const PriceFlags& flags) {
  const Measured measured = measure(flags);
  ledger::PriceTerms terms;
  terms.cost_per_hour = flags.cost_per_hour;
  terms.margin = flags.margin_percent / 100;
  terms.hit_share = flags.hit_percent / 100;
  terms.busy_share = flags.busy_percent > 0    ? flags.busy_percent / 100
                     : measured.busy_share > 0 ? measured.busy_share
                                               : 1;
  const auto prices = ledger::suggest_prices(measured.seconds, terms);
  if (flags.json) {
    fmt::print(
        "{}\n",
        base::dump_json({{"measured", measured.how},
                         {"prompt_tokens_per_second", 1 / measured.seconds.miss},
                         {"output_tokens_per_second", 1 / measured.seconds.output},
                         {"busy_share", terms.busy_share},
                         {"cost_per_hour", flags.cost_per_hour},
                         {"margin", terms.margin},
                         {"currency", flags.currency},
                         {"cost_per_million", {{"miss", prices.cost_miss}, {"output", prices.cost_output}}},
                         {"hit", price_text(prices.hit)},
                         {"miss", price_text(prices.miss)},
                         {"output", price_text(prices.output)}},
                        2));
    return;
  }
  fmt::print(
      "# measured: {}: {:.1f} prompt tokens/s or {:.1f} output tokens/s while busy; busy {:.0f} % of the "
      "time\n",
      measured.how, 1 / measured.seconds.miss, 1 / measured.seconds.output, 100 * terms.busy_share);
  fmt::print("# cost per million: {} for prompt tokens, {} for output, at {} {} an hour; margin {} %\n",
             price_text(prices.cost_miss), price_text(prices.cost_output), flags.cost_per_hour,
             flags.currency, flags.margin_percent);
  fmt::print("currency = \"{}\"\n\n[[model]]\nname = \"{}\"\nhit = \"{}\"\nmiss = \"{}\"\noutput = \"{}\"\n",
             flags.currency, flags.model, price_text(prices.hit), price_text(prices.miss),
             price_text(prices.output));
}

}  // namespace

void add_price(CLI::App& app) {
  CLI::App* price =
      add_command(app, "price", "Prices of tokens",
                  "  hadal price suggest --url http://127.0.0.1:8080 --cost-per-hour 1.20 --margin 30");
  price->require_subcommand(1);
  CLI::App* suggest = add_command(
      *price, "suggest", "What a million tokens cost on this machine, as lines for the price file",
      "  hadal price suggest --url http://127.0.0.1:8080 --seconds 300 --cost-per-hour 1.20 --margin 30\n"
      "  hadal price suggest --keys keys.db --from 30d --cost-per-hour 1.20 > prices.toml\n"
      "  hadal price suggest --prompt-speed 850 --output-speed 41 --busy 50 --cost-per-hour 1.20\n"
      "docs/guide/keys.md says how it computes.");
  const auto flags = std::make_shared<PriceFlags>();
  suggest->add_option("--cost-per-hour", flags->cost_per_hour, "of the machine with all that it needs")
      ->required()
      ->check(CLI::PositiveNumber);
  suggest->add_option("--margin", flags->margin_percent, "percent on top of the cost")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  suggest->add_option("--url", flags->url, "watch this server under its usual load");
  suggest->add_option("--token", flags->token, "an admin key for --url, where it has keys; also HADAL_TOKEN")
      ->envname("HADAL_TOKEN");
  suggest->add_option("--seconds", flags->seconds, "how long to watch")
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  add_keys_option(*suggest, flags->database);
  suggest->add_option("--from", flags->from, "of --keys: records since then (a date or an age)")
      ->capture_default_str();
  suggest
      ->add_option("--prompt-speed", flags->prompt_speed,
                   "instead: prompt tokens per second when nothing else runs")
      ->check(CLI::PositiveNumber);
  suggest
      ->add_option("--output-speed", flags->output_speed,
                   "and output tokens per second, all streams together")
      ->check(CLI::PositiveNumber);
  suggest
      ->add_option("--busy", flags->busy_percent,
                   "percent of the hours paid for that are busy (default: as measured)")
      ->check(CLI::Range(0.1, 100.0));
  suggest
      ->add_option("--hit-share", flags->hit_percent,
                   "percent of a miss token's price that a hit token costs")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  suggest
      ->add_option(
          "--output-weight", flags->output_weight,
          "where the two cannot be told apart: an output token takes as long as so many prompt tokens")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  suggest->add_option("--model", flags->model, "the name in the price file's row")->capture_default_str();
  suggest->add_option("--currency", flags->currency, "the price file's")->capture_default_str();
  suggest->add_flag("--json", flags->json, "print one JSON object");
  suggest->callback([flags] { run_suggest(*flags); });
}

}  // namespace hadal::cli
