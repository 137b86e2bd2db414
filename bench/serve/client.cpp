// What serve_load.py and serve_attack.py do to a server, on this machine's loopback network only:
//   bench_serve_client --port P streams --count 1000 --tokens 100   open streams; the age of each token on
//   arrival bench_serve_client --port P idle --count 10000 --seconds 20     connections that do nothing, then
//   a request each bench_serve_client --port P rate --count 32 --seconds 5         one request after the
//   other on each connection bench_serve_client --port P legitimate --rate 50 --seconds 10   requests at
//   fixed times, whatever became of the others bench_serve_client --port P attack --kind oversized ... see
//   attacks()
// Each prints one JSON object.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "base/json.h"
#include "event_loop.h"

namespace hadal::bench {
namespace {

using base::Json;

struct Options {
  uint16_t port = 0;
  size_t sources = 50;
  size_t count = 100;
  int tokens = 100;
  double seconds = 10;
  double rate = 50;
  size_t total = 0;  // of attacks: end after so many
  std::string kind;
  std::string key;
  std::string path = "/v1/chat/completions";
  bool get = false;
};

Json percentiles(std::vector<double>& values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[std::min(values.size() - 1,
                           static_cast<size_t>(share * static_cast<double>(values.size())))];
  };
  return {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"p999", at(0.999)}, {"max", values.back()}};
}

double ms_since(int64_t ns) { return static_cast<double>(now_ns() - ns) / 1e6; }

std::string post(const Options& options, const std::string& body, const std::string& key) {
  return "POST " + options.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
         (key.empty() ? "" : "Authorization: Bearer " + key + "\r\n") +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chat(const Options& options, bool stream, int tokens) {
  const Json body = {{"messages", {{{"role", "user"}, {"content", "What is the deepest part of the sea?"}}}},
                     {"max_tokens", tokens},
                     {"stream", stream}};
  return post(options, body.dump(), options.key);
}

// The times in "@123456789;", which the stub's tokens say; bytes that are not done with stay in `in`.
template <typename Visit>
void visit_tokens(std::string& in, Visit&& visit) {
  size_t done = 0;
  for (size_t at = in.find('@'); at != std::string::npos; at = in.find('@', at + 1)) {
    const size_t end = in.find(';', at);
    if (end == std::string::npos) break;
    visit(std::strtoll(in.c_str() + at + 1, nullptr, 10));
    done = end + 1;
  }
  const size_t keep = 64;
  if (in.size() > done + keep && in.find('@', done) == std::string::npos) done = in.size() - keep;
  in.erase(0, done);
}

Json streams(const Options& options) {
  EventLoop loop(options.port, options.sources);
  std::vector<double> ages_ms;
  size_t done = 0, broken = 0, begun = 0;
  loop.on_data = [&](Peer& peer, std::string_view bytes) {
    const int64_t now = now_ns();
    if (peer.step == 0 && bytes.starts_with("HTTP/1.1 200")) ++begun;
    peer.in += bytes;
    visit_tokens(peer.in, [&](int64_t made) {
      // The first two tokens pay for the connection's beginning.
      if (++peer.step > 2) ages_ms.push_back(static_cast<double>(now - made) / 1e6);
    });
    if (peer.in.find("data: [DONE]") == std::string::npos) return;
    ++done;
    loop.close(peer);
  };
  loop.on_end = [&](Peer&) { ++broken; };
  const std::string request = chat(options, true, options.tokens);
  for (size_t i = 0; i < options.count; ++i) {
    loop.connect(i, request);
    loop.poll(0);
  }
  const int64_t started = now_ns();
  size_t most_open = 0;
  while (loop.open() > 0 && ms_since(started) < options.seconds * 1000) {
    loop.poll(100);
    most_open = std::max(most_open, loop.open());
  }
  const size_t tokens = ages_ms.size();
  return {{"streams", options.count},
          {"begun", begun},
          {"done", done},
          {"broken", broken},
          {"left", loop.open()},
          {"most_open", most_open},
          {"tokens", tokens},
          {"age_ms", percentiles(ages_ms)}};
}

Json idle(const Options& options) {
  EventLoop loop(options.port, options.sources);
  size_t answers = 0, errors = 0;
  loop.on_data = [&](Peer& peer, std::string_view bytes) {
    peer.in += bytes;
    if (peer.in.find("\r\n\r\n") == std::string::npos) return;
    peer.in.starts_with("HTTP/1.1 200") ? ++answers : ++errors;
    peer.in.clear();
  };
  loop.on_end = [&](Peer&) { ++errors; };
  const std::string request = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
  // Half of them have had an answer before they idle.
  for (size_t i = 0; i < options.count; ++i) {
    loop.connect(i, i % 2 == 0 ? request : "");
    loop.poll(0);
  }
  const auto wait_for = [&](size_t wanted, double seconds) {
    const int64_t from = now_ns();
    while (answers + errors < wanted && ms_since(from) < seconds * 1000) loop.poll(50);
  };
  wait_for((options.count + 1) / 2, 20);
  const int64_t from = now_ns();
  while (ms_since(from) < options.seconds * 1000) loop.poll(100);
  const size_t before = answers;
  loop.for_each([&](Peer& peer) { loop.send(peer, request); });
  wait_for(before + options.count, 30);
  return {{"connections", options.count},
          {"open", loop.open()},
          {"answered_after_idling", answers - before},
          {"errors", errors}};
}

// Whether `in` holds a whole response; takes it out.
bool take_response(std::string& in, int& status) {
  const size_t head = in.find("\r\n\r\n");
  if (head == std::string::npos) return false;
  status = std::atoi(in.c_str() + 9);
  const size_t at = in.find("Content-Length: ");
  const size_t end =
      at < head ? head + 4 + std::strtoull(in.c_str() + at + 16, nullptr, 10) : std::string::npos;
  if (end > in.size()) return false;
  in.erase(0, end);
  return true;
}

Json rate(const Options& options) {
  EventLoop loop(options.port, options.sources);
  std::map<int, size_t> statuses;
  std::vector<double> times_ms;
  size_t ended = 0;
  const std::string request =
      options.get ? "GET " + options.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" : chat(options, false, 1);
  loop.on_data = [&](Peer& peer, std::string_view bytes) {
    peer.in += bytes;
    int status = 0;
    if (!take_response(peer.in, status)) return;
    ++statuses[status];
    times_ms.push_back(ms_since(peer.started_ns));
    peer.started_ns = now_ns();
    loop.send(peer, request);
  };
  loop.on_end = [&](Peer&) { ++ended; };
  for (size_t i = 0; i < options.count; ++i) loop.connect(i, request);
  const int64_t started = now_ns();
  while (ms_since(started) < options.seconds * 1000) loop.poll(100);
  const double seconds = ms_since(started) / 1000;
  Json by_status = Json::object();
  for (const auto& [status, count] : statuses) by_status[std::to_string(status)] = count;
  const size_t count = times_ms.size();
  return {{"requests_per_second", static_cast<double>(count) / seconds},
          {"statuses", by_status},
          {"ended", ended},
          {"ms", percentiles(times_ms)}};
}

// Streams of options.tokens tokens (0: whole answers of one token), each on a connection of its own or one
// that is free again. What counts is the time from when it should have been sent to the last byte.
Json legitimate(const Options& options) {
  EventLoop loop(options.port, options.sources);
  std::vector<double> times_ms, first_ms, ages_ms;
  size_t errors = 0, sent = 0;
  const bool stream = options.tokens > 0;
  const std::string request = chat(options, stream, std::max(options.tokens, 1));
  std::vector<Peer*> free;
  const auto finish = [&](Peer& peer) {
    times_ms.push_back(ms_since(peer.started_ns));
    peer.in.clear();
    peer.step = 0;
    free.push_back(&peer);
  };
  loop.on_data = [&](Peer& peer, std::string_view bytes) {
    const int64_t now = now_ns();
    peer.in += bytes;
    int status = 0;
    if (!stream) {
      if (!take_response(peer.in, status)) return;
      if (status != 200) ++errors;
      return finish(peer);
    }
    visit_tokens(peer.in, [&](int64_t made) {
      if (peer.step++ == 0) first_ms.push_back(ms_since(peer.started_ns));
      ages_ms.push_back(static_cast<double>(now - made) / 1e6);
    });
    if (peer.in.find("\r\n0\r\n\r\n") != std::string::npos) finish(peer);
  };
  loop.on_end = [&](Peer& peer) {
    ++errors;
    std::erase(free, &peer);
  };
  const int64_t started = now_ns();
  const int64_t gap = static_cast<int64_t>(1e9 / options.rate);
  const auto all = static_cast<size_t>(options.rate * options.seconds);
  while ((sent < all || times_ms.size() + errors < sent) &&
         ms_since(started) < options.seconds * 1000 + 5000) {
    const int64_t due = started + static_cast<int64_t>(sent) * gap;
    if (sent < all && now_ns() >= due) {
      ++sent;
      if (free.empty()) {
        loop.connect(sent, request).started_ns = due;
      } else {
        Peer& peer = *free.back();
        free.pop_back();
        peer.started_ns = due;
        loop.send(peer, request);
      }
      continue;
    }
    const int64_t wait = sent < all ? (due - now_ns()) / 1'000'000 : 50;
    loop.poll(static_cast<int>(std::clamp<int64_t>(wait, 0, 50)));
  }
  return {{"sent", sent},
          {"finished", times_ms.size()},
          {"errors", errors},
          {"ms", percentiles(times_ms)},
          {"first_token_ms", percentiles(first_ms)},
          {"token_age_ms", percentiles(ages_ms)}};
}

// ---- Attacks: `count` connections at a time; one that the server has closed is replaced, at most `rate` a
// second.

struct Attack {
  std::function<std::string(size_t)> bytes;  // of the n-th connection
  double drip_seconds = 0;                   // > 0: the bytes come one at a time
  bool reads = true;
  int receive_buffer = 0;
  bool next_at_once = false;  // another request on the same connection, behind each answer
};

std::map<std::string, Attack> attacks(const Options& options) {
  const auto body = [options](const std::string& text) { return post(options, text, options.key); };
  const std::string start = "POST " + options.path + " HTTP/1.1\r\nHost: localhost\r\n";
  const std::vector<std::string> shapes = {
      "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
      "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
      "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      "Transfer-Encoding: xchunked\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
      "X: 1\r\n folded\r\n\r\n",
      "X: 1\nContent-Length: 3\r\n\r\nabc",
      "Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab"};
  std::map<std::string, Attack> all;
  all["slow_headers"] = {[start](size_t) { return start + "X-Slow: " + std::string(2000, 'x'); }, 1.0};
  all["slow_bodies"] = {
      [start](size_t) { return start + "Content-Length: 1000000\r\n\r\n" + std::string(2000, ' '); }, 0.5};
  all["slow_reads"] = {[options](size_t) { return chat(options, true, 100000); }, 0, false, 4096};
  all["half_open"] = {[](size_t) { return std::string(); }};
  all["oversized"] = {[body](size_t) {
    static const std::string big = body(std::string(9 << 20, ' '));
    return big;
  }};
  all["large"] = {[body](size_t) {  // within the limit, and not JSON until its end
    static const std::string big = body("{\"messages\": [" + std::string((8 << 20) - 100, ' '));
    return big;
  }};
  all["deep"] = {[body](size_t) {
                   static const std::string deep = body("{\"a\":" + std::string(1 << 20, '['));
                   return deep;
                 },
                 0, true, 0, true};
  all["utf8"] = {[body](size_t) {
                   static const std::string bad =
                       body("{\"messages\": [{\"role\": \"user\", \"content\": \"" +
                            std::string(100'000, '\xC3') + "\"}]}");
                   return bad;
                 },
                 0, true, 0, true};
  all["smuggling"] = {[start, shapes](size_t n) { return start + shapes[n % shapes.size()]; }};
  all["bad_keys"] = {[options](size_t n) {
                       Options with = options;
                       with.key = "sk-" + std::to_string(0x9E3779B97F4A7C15ull * (n + 1)) + "bad";
                       return chat(with, false, 1);
                     },
                     0, true, 0, true};
  return all;
}

Json attack(const Options& options) {
  const auto all = attacks(options);
  const auto found = all.find(options.kind);
  if (found == all.end()) throw std::runtime_error("no attack \"" + options.kind + "\"");
  const Attack& kind = found->second;
  EventLoop loop(options.port, options.sources);
  std::map<std::string, size_t> answers;
  size_t made = 0, ended = 0, requests = 0;
  const int64_t started = now_ns();
  const auto may_send = [&] {
    return static_cast<double>(requests) < options.rate * ms_since(started) / 1000 + 1 &&
           (options.total == 0 || requests < options.total);
  };
  std::vector<Peer*> waiting;  // for their turn to send again
  loop.on_data = [&](Peer& peer, std::string_view bytes) {
    peer.in += bytes;
    int status = 0;
    while (take_response(peer.in, status)) {
      ++answers[std::to_string(status)];
      if (kind.next_at_once) waiting.push_back(&peer);
    }
  };
  loop.on_end = [&](Peer& peer) {
    ++ended;
    std::erase(waiting, &peer);
  };
  const auto open_one = [&] {
    ++requests;
    std::string bytes = kind.bytes(made++);
    Peer& peer = loop.connect(made, kind.drip_seconds > 0 ? std::string() : bytes, kind.receive_buffer);
    if (kind.drip_seconds > 0) peer.in.clear();
    peer.reads = kind.reads;
    if (!kind.reads) loop.update(peer);
    if (kind.drip_seconds > 0) {
      const size_t head = bytes.rfind("\r\n\r\n");  // a slow body's headers come at once
      peer.want = head == std::string::npos ? 0 : head + 4;
      if (peer.want > 0) loop.send(peer, bytes.substr(0, peer.want));
    }
  };
  const std::string drip = kind.drip_seconds > 0 ? kind.bytes(0) : "";
  int64_t dripped = now_ns();
  while (ms_since(started) < options.seconds * 1000) {
    while (loop.open() < options.count && may_send()) open_one();
    while (!waiting.empty() && may_send()) {
      Peer& peer = *waiting.back();
      waiting.pop_back();
      ++requests;
      loop.send(peer, kind.bytes(made++));
    }
    if (kind.drip_seconds > 0 && ms_since(dripped) > kind.drip_seconds * 1000) {
      dripped = now_ns();
      loop.for_each([&](Peer& peer) {
        if (peer.connected && peer.want < drip.size())
          loop.send(peer, std::string_view(drip).substr(peer.want++, 1));
      });
    }
    loop.poll(2);
    if (options.total > 0 && requests >= options.total && waiting.size() == loop.open()) break;
  }
  Json by_status = Json::object();
  for (const auto& [status, count] : answers) by_status[status] = count;
  return {{"kind", options.kind},      {"requests", requests}, {"answers", by_status},
          {"closed_by_server", ended}, {"open", loop.open()},  {"seconds", ms_since(started) / 1000}};
}

}  // namespace
}  // namespace hadal::bench

int main(int argc, char** argv) {
  using namespace hadal;
  CLI::App app{"Load and attacks against a server on this machine."};
  bench::Options options;
  app.add_option("--port", options.port)->required();
  app.add_option("--sources", options.sources, "client addresses, from 127.0.1.1")->check(CLI::Range(1, 250));
  app.add_option("--key", options.key);
  app.add_option("--path", options.path);
  app.require_subcommand(1);
  const auto add = [&](const char* name, base::Json (*run)(const bench::Options&)) {
    CLI::App* command = app.add_subcommand(name);
    command->add_option("--count", options.count);
    command->add_option("--tokens", options.tokens);
    command->add_option("--seconds", options.seconds);
    command->add_option("--rate", options.rate);
    command->add_option("--total", options.total);
    command->add_option("--kind", options.kind);
    command->add_flag("--get", options.get);
    command->callback([&options, run] { std::printf("%s\n", base::dump_json(run(options)).c_str()); });
  };
  add("streams", bench::streams);
  add("idle", bench::idle);
  add("rate", bench::rate);
  add("legitimate", bench::legitimate);
  add("attack", bench::attack);
  try {
    CLI11_PARSE(app, argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
