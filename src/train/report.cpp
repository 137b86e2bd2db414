#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/html.h"
#include "train/metrics.h"
#include "train/report_page.h"

namespace hadal::train {
namespace {

using base::Json;

constexpr int kCurvePoints = 500;
constexpr int kHeatColumns = 120;

bool is_number(const Json& line, const char* key) {
  const auto it = line.find(key);
  return it != line.end() && it->is_number();
}

double round_digits(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return 0;
  const double unit = std::pow(10.0, std::ceil(std::log10(std::fabs(value))) - digits);
  return std::round(value / unit) * unit;
}

// {"x": [step...], "y": [mean...]} of the lines that have `key`.
Json series(const std::vector<Json>& metrics, const char* key, int points) {
  std::vector<std::pair<double, double>> values;
  for (const Json& line : metrics) {
    if (is_number(line, key)) values.emplace_back(line["step"].get<double>(), line[key].get<double>());
  }
  Json x = Json::array();
  Json y = Json::array();
  const size_t bucket =
      std::max<size_t>(1, (values.size() + static_cast<size_t>(points) - 1) / static_cast<size_t>(points));
  for (size_t begin = 0; begin < values.size(); begin += bucket) {
    const size_t end = std::min(values.size(), begin + bucket);
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += values[i].second;
    x.push_back(values[end - 1].first);
    y.push_back(round_digits(sum / static_cast<double>(end - begin), 5));
  }
  return {{"x", x}, {"y", y}};
}

// Rows of numbers, or nothing when the line has no expert loads.
std::vector<std::vector<double>> load_of(const Json& line) {
  std::vector<std::vector<double>> layers;
  const auto it = line.find("expert_load");
  if (it == line.end() || !it->is_array()) return layers;
  for (const Json& row : *it) {
    if (!row.is_array()) return {};
    std::vector<double> experts;
    for (const Json& value : row) experts.push_back(value.is_number() ? value.get<double>() : 0);
    layers.push_back(std::move(experts));
  }
  return layers;
}

// {"x": [step...], "layers": [layer][expert][column]}: load relative to the mean.
Json heat_map(const std::vector<Json>& metrics) {
  std::vector<double> steps;
  std::vector<std::vector<std::vector<double>>> loads;
  for (const Json& line : metrics) {
    auto load = load_of(line);
    if (load.empty() || (!loads.empty() && load.size() != loads.front().size())) continue;
    steps.push_back(line["step"].get<double>());
    loads.push_back(std::move(load));
  }
  Json x = Json::array();
  Json layers = Json::array();
  if (loads.empty()) return {{"x", x}, {"layers", layers}};
  const size_t bucket = (loads.size() + kHeatColumns - 1) / kHeatColumns;
  for (size_t begin = 0; begin < loads.size(); begin += bucket)
    x.push_back(steps[std::min(loads.size(), begin + bucket) - 1]);
  for (size_t layer = 0; layer < loads.front().size(); ++layer) {
    Json experts = Json::array();
    for (size_t expert = 0; expert < loads.front()[layer].size(); ++expert) {
      Json row = Json::array();
      for (size_t begin = 0; begin < loads.size(); begin += bucket) {
        const size_t end = std::min(loads.size(), begin + bucket);
        double sum = 0;
        for (size_t i = begin; i < end; ++i)
          sum += expert < loads[i][layer].size() ? loads[i][layer][expert] : 0;
        row.push_back(std::round(100 * sum / static_cast<double>(end - begin)) / 100);
      }
      experts.push_back(std::move(row));
    }
    layers.push_back(std::move(experts));
  }
  return {{"x", x}, {"layers", layers}};
}

Json read_if_there(const std::string& path) {
  if (!base::file_exists(path)) return Json();
  return Json::parse(base::read_file(path), nullptr, /*allow_exceptions=*/false);
}

void replace(std::string& text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  HADAL_CHECK(at != std::string::npos);
  text.replace(at, from.size(), to);
}

// The charts and figures of a layout, and the curves that they need.
void add_layout(const ReportLayout& layout, const std::vector<Json>& metrics, Json& data) {
  if (layout.charts.empty()) return;
  Json& charts = data["charts"] = Json::array();
  for (const ReportChart& chart : layout.charts) {
    Json lines = Json::array();
    for (const ReportLine& line : chart.lines) {
      lines.push_back({{"key", line.key}, {"name", line.name}});
      if (!data["curves"].contains(line.key))
        data["curves"][line.key] = series(metrics, line.key.c_str(), kCurvePoints);
    }
    charts.push_back({{"title", chart.title}, {"lines", lines}, {"zero", chart.from_zero}});
  }
  Json& figures = data["figures"] = Json::array();
  for (const ReportFigure& figure : layout.figures) {
    if (!data["curves"].contains(figure.key))
      data["curves"][figure.key] = series(metrics, figure.key.c_str(), kCurvePoints);
    figures.push_back({{"label", figure.label}, {"key", figure.key}, {"percent", figure.percent}});
  }
}

}  // namespace

Json report_data(const std::vector<Json>& metrics, int points) {
  Json curves = Json::object();
  for (const char* key : {"loss", "mtp_loss", "val_loss", "bpb", "val_bpb", "lr", "grad_norm", "max_vio",
                          "val_max_vio", "tokens_per_s", "mfu", "gamma"}) {
    curves[key] = series(metrics, key, points);
  }
  return {{"curves", curves},
          {"heat", heat_map(metrics)},
          {"last", metrics.empty() ? Json::object() : metrics.back()}};
}

void write_report(const std::string& run) { write_report(run, {}); }

void write_report(const std::string& run, const ReportLayout& layout) {
  const std::vector<Json> metrics = read_metrics(run + "/metrics.jsonl");
  Json data = report_data(metrics, kCurvePoints);
  add_layout(layout, metrics, data);
  data["summary"] = read_if_there(run + "/summary.json");
  data["ledger"] = read_if_there(run + "/ledger.json");
  const std::string recipe = run + "/recipe.toml";
  data["recipe"] = base::file_exists(recipe) ? base::read_file(recipe) : std::string();
  const std::string name = std::filesystem::path(run).lexically_normal().string();
  data["run"] = name;

  // A "</script>" in the data must not end the script: "<" is written as an escape, which JSON allows in
  // strings only, and only strings hold one.
  std::string json;
  for (const char c : base::dump_json(data)) {
    if (c == '<')
      json += "\\u003c";
    else
      json += c;
  }
  std::string page(kReportPage);
  replace(page, "__TITLE__", base::escape_html(name));
  replace(page, "__DATA__", json);
  base::write_file_atomic(run + "/report.html", page);
}

}  // namespace hadal::train
