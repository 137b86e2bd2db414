// GET /metrics: the text is parsed as Prometheus would (format 0.0.4), and says what the engine counted.
#include "serve/api/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>

namespace hadal::serve::api {
namespace {

struct Family {
  std::string type, help;
  std::vector<std::pair<std::string, double>> samples;  // "name{labels}" and value
};

bool is_name(const std::string& text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:") ==
         std::string::npos;
}

double to_double(const std::string& text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  size_t used = 0;
  const double value = std::stod(text, &used);
  EXPECT_EQ(used, text.size()) << text;
  return value;
}

// The end of {a="x",b="y"} from `at`; checks names, quotes and escapes.
size_t read_labels(const std::string& line, size_t at) {
  EXPECT_EQ(line[at], '{') << line;
  for (++at;;) {
    const size_t equals = line.find('=', at);
    EXPECT_NE(equals, std::string::npos) << line;
    if (equals == std::string::npos) return line.size();
    EXPECT_TRUE(is_name(line.substr(at, equals - at))) << line;
    EXPECT_EQ(line.at(equals + 1), '"') << line;
    for (at = equals + 2; line.at(at) != '"'; ++at) {
      if (line[at] != '\\') continue;
      ++at;
      EXPECT_NE(std::string("\\\"n").find(line.at(at)), std::string::npos) << line;
    }
    ++at;
    if (line.at(at) == '}') return at + 1;
    EXPECT_EQ(line.at(at), ',') << line;
    ++at;
  }
}

// A strict reader: HELP, then TYPE, then that family's samples and no other's; every sample once.
std::map<std::string, Family> parse(const std::string& text) {
  std::map<std::string, Family> families;
  std::set<std::string> seen;
  std::string current;
  EXPECT_TRUE(text.ends_with('\n'));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) {
      const size_t space = line.find(' ', 7);
      current = line.substr(7, space - 7);
      EXPECT_TRUE(is_name(current)) << line;
      EXPECT_FALSE(families.contains(current)) << "twice: " << current;
      families[current].help = line.substr(space + 1);
      continue;
    }
    if (line.starts_with("# TYPE ")) {
      const size_t space = line.find(' ', 7);
      EXPECT_EQ(line.substr(7, space - 7), current) << "TYPE behind its own HELP";
      families[current].type = line.substr(space + 1);
      continue;
    }
    const size_t name_end = line.find_first_of("{ ");
    const std::string name = line.substr(0, name_end);
    EXPECT_TRUE(is_name(name)) << line;
    const size_t labels_end = line[name_end] == '{' ? read_labels(line, name_end) : name_end;
    EXPECT_EQ(line[labels_end], ' ') << line;
    Family& family = families[current];
    if (family.type == "histogram")
      EXPECT_TRUE(name == current + "_bucket" || name == current + "_sum" || name == current + "_count")
          << line;
    else
      EXPECT_EQ(name, current) << line;
    EXPECT_TRUE(seen.insert(line.substr(0, labels_end)).second) << "twice: " << line;
    family.samples.emplace_back(line.substr(0, labels_end), to_double(line.substr(labels_end + 1)));
  }
  for (const auto& [name, family] : families) {
    EXPECT_TRUE(name.starts_with("hadal_")) << name;
    EXPECT_FALSE(family.help.empty()) << name;
    EXPECT_FALSE(family.samples.empty()) << name;
    EXPECT_EQ(family.type == "counter", name.ends_with("_total")) << name;
    EXPECT_TRUE(family.type == "counter" || family.type == "gauge" || family.type == "histogram") << name;
  }
  return families;
}

double value(const std::map<std::string, Family>& families, const std::string& sample) {
  for (const auto& [name, family] : families) {
    for (const auto& [key, number] : family.samples) {
      if (key == sample) return number;
    }
  }
  ADD_FAILURE() << sample << " is not there";
  return -1;
}

void expect_histogram(const Family& family, const std::string& name) {
  double last = 0, last_bound = -1, total = -1, count = -1;
  for (const auto& [key, number] : family.samples) {
    if (key == name + "_count") count = number;
    if (!key.starts_with(name + "_bucket{le=\"")) continue;
    const size_t at = name.size() + 12;
    const double bound = to_double(key.substr(at, key.find('"', at) - at));
    EXPECT_GT(bound, last_bound) << key;
    EXPECT_GE(number, last) << "cumulative: " << key;
    last = number;
    last_bound = bound;
    if (std::isinf(bound)) total = number;
  }
  EXPECT_GE(total, 0) << name << " has no +Inf";
  EXPECT_EQ(total, count) << name;
}

TEST(Metrics, WhatTheEngineCountedIsThere) {
  engine::EngineMetrics metrics;
  metrics.running = 3;
  metrics.waiting = 2;
  metrics.batch = 2;
  metrics.hit_memory_tokens_total = 640;
  metrics.hit_disk_tokens_total = 1280;
  metrics.miss_tokens_total = 77;
  metrics.generated_tokens_total = (uint64_t{1} << 53) + 2;  // no rounding in the text
  metrics.step_seconds_total = 0.1;
  metrics.ttft_seconds = {{0.01, 0.1, 1}, {1, 2, 0, 4}, 9.5, 7};
  metrics.inter_token_seconds = {{0.001, 0.01}, {0, 0, 0}, 0, 0};
  metrics.pages = {64, 4096, 100, 70, 20, 5};
  metrics.disk.configured = metrics.disk.available = true;
  metrics.disk.pages = 12;
  metrics.disk.evicted_by_age_total = 3;
  metrics.disk.evicted_by_size_total = 4;
  metrics.disk.bad_pages_total = 1;
  metrics.disk.trouble = "write \"/a\\b\":\nno space";
  ServerFacts facts{12.5, {}};
  facts.transport.connections = 4;
  facts.transport.slow_readers_total = 2;
  const std::vector<ModelMetrics> models = {{"a \"model\"", metrics}};
  const std::string text = metrics_text(models, facts);
  const auto families = parse(text);
  EXPECT_EQ(value(families, "hadal_requests_running"), 3);
  EXPECT_EQ(value(families, "hadal_requests_waiting"), 2);
  EXPECT_EQ(value(families, "hadal_cache_hit_tokens_total{tier=\"disk\"}"), 1280);
  EXPECT_EQ(value(families, "hadal_cache_miss_tokens_total"), 77);
  EXPECT_EQ(value(families, "hadal_pages{tier=\"memory\",state=\"used\"}"), 10);
  EXPECT_EQ(value(families, "hadal_pages{tier=\"disk\",state=\"stored\"}"), 12);
  EXPECT_EQ(value(families, "hadal_evictions_total{tier=\"disk\",cause=\"age\"}"), 3);
  EXPECT_EQ(value(families, "hadal_evictions_total{tier=\"memory\",cause=\"room\"}"), 5);
  EXPECT_EQ(value(families, "hadal_bad_pages_total"), 1);
  EXPECT_EQ(value(families, "hadal_disk_available"), 1);
  EXPECT_EQ(value(families, "hadal_disk_trouble{message=\"write \\\"/a\\\\b\\\":\\nno space\"}"), 1);
  EXPECT_EQ(value(families, "hadal_model_info{model=\"a \\\"model\\\"\"}"), 1);
  EXPECT_EQ(value(families, "hadal_uptime_seconds"), 12.5);
  EXPECT_EQ(value(families, "hadal_http_connections"), 4);
  EXPECT_EQ(value(families, "hadal_http_slow_readers_total"), 2);
  EXPECT_NE(text.find("hadal_generated_tokens_total 9007199254740994\n"), std::string::npos);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_bucket{le=\"0.1\"}"), 3);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_bucket{le=\"1\"}"), 3);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_bucket{le=\"+Inf\"}"), 7);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_sum"), 9.5);
  for (const char* name : {"hadal_time_to_first_token_seconds", "hadal_inter_token_seconds"})
    expect_histogram(families.at(name), name);
}

TEST(Metrics, AnEngineThatHasDoneNothing) {
  const std::vector<ModelMetrics> models(1);
  const auto families = parse(metrics_text(models, {}));
  expect_histogram(families.at("hadal_inter_token_seconds"), "hadal_inter_token_seconds");
  EXPECT_EQ(value(families, "hadal_disk_configured"), 0);
  EXPECT_FALSE(families.contains("hadal_disk_trouble"));
}

TEST(Metrics, SeveralModelsHaveALabel) {
  std::vector<ModelMetrics> models(2);
  models[0].model = "first";
  models[1].model = "sec\"ond";
  models[0].metrics.running = 1;
  models[1].metrics.running = 2;
  models[1].metrics.hit_disk_tokens_total = 64;
  models[1].metrics.disk.trouble = "no space";
  for (ModelMetrics& model : models) model.metrics.ttft_seconds = {{0.1}, {1, 1}, 1, 2};
  const auto families = parse(metrics_text(models, {}));
  EXPECT_EQ(value(families, "hadal_requests_running{model=\"first\"}"), 1);
  EXPECT_EQ(value(families, "hadal_requests_running{model=\"sec\\\"ond\"}"), 2);
  EXPECT_EQ(value(families, "hadal_cache_hit_tokens_total{model=\"sec\\\"ond\",tier=\"disk\"}"), 64);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_bucket{model=\"first\",le=\"0.1\"}"), 1);
  EXPECT_EQ(value(families, "hadal_time_to_first_token_seconds_count{model=\"first\"}"), 2);
  EXPECT_EQ(families.at("hadal_disk_trouble").samples.size(), 1u);
  EXPECT_EQ(value(families, "hadal_model_info{model=\"first\"}"), 1);
  EXPECT_EQ(families.at("hadal_http_connections").samples.size(), 1u);
}

}  // namespace
}  // namespace hadal::serve::api
