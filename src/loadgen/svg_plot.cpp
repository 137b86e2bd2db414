#include "loadgen/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/html.h"

namespace hadal::loadgen {

using base::escape_html;

namespace {

constexpr double kWidth = 560, kHeight = 250, kLeft = 58, kRight = 14, kTop = 12, kBottom = 42;
constexpr size_t kMaxDots = 3000;  // of a series; more are thinned out, and the legend says so

struct Axis {
  double low = 0, high = 1;
  std::vector<double> ticks;
  bool log = false;

  // The share of the axis that lies before `value`.
  double at(double value) const {
    if (!log) return (value - low) / (high - low);
    return (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low));
  }
};

Axis linear_axis(double low, double high, int count) {
  if (!(high > low)) high = low + std::max(1.0, std::abs(low) * 0.1);
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double unit = 10 * power;
  for (const double step : {1.0, 2.0, 2.5, 5.0}) {
    if (step * power >= raw) {
      unit = step * power;
      break;
    }
  }
  Axis axis{std::floor(low / unit + 1e-9) * unit, std::ceil(high / unit - 1e-9) * unit, {}, false};
  for (int i = 0; axis.low + i * unit <= axis.high + unit * 1e-6; ++i)
    axis.ticks.push_back(axis.low + i * unit);
  return axis;
}

Axis log_axis(double low, double high) {
  const double first = std::floor(std::log10(low)), last = std::max(std::ceil(std::log10(high)), first + 1);
  Axis axis{std::pow(10, first), std::pow(10, last), {}, true};
  const double step = std::ceil((last - first) / 7);
  for (double power = first; power <= last + 1e-9; power += step) axis.ticks.push_back(std::pow(10, power));
  return axis;
}

struct Frame {
  Axis x, y;
  double px(double value) const { return kLeft + x.at(value) * (kWidth - kLeft - kRight); }
  double py(double value) const { return kHeight - kBottom - y.at(value) * (kHeight - kTop - kBottom); }
};

bool shown(const Plot& plot, const PlotPoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) && (!plot.log_x || point.x > 0);
}

Frame frame_of(const Plot& plot) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  double x_low = kNone, x_high = -kNone, y_high = 0;
  for (const Series& series : plot.series) {
    for (const PlotPoint& point : series.points) {
      if (!shown(plot, point)) continue;
      x_low = std::min(x_low, point.x);
      x_high = std::max(x_high, point.x);
      y_high = std::max(y_high, point.y);
    }
  }
  Frame frame;
  frame.x = plot.log_x ? log_axis(x_low, x_high) : linear_axis(std::min(0.0, x_low), x_high, 6);
  if (!plot.log_x) frame.x.high = std::max(x_high, frame.x.low + 1e-9);  // no empty strip at the right
  std::erase_if(frame.x.ticks, [&](double tick) { return tick > frame.x.high * (1 + 1e-9); });
  frame.y = plot.percent_y ? linear_axis(0, 1, 4) : linear_axis(0, y_high > 0 ? y_high : 1, 4);
  return frame;
}

std::string axes(const Plot& plot, const Frame& frame) {
  std::string out;
  for (const double tick : frame.y.ticks) {
    const double y = frame.py(tick);
    const std::string label = plot.percent_y ? fmt::format("{:.0f} %", 100 * tick) : short_number(tick);
    out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft,
                       kWidth - kRight, y, y);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 7, y + 4, label);
  }
  for (const double tick : frame.x.ticks) {
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", frame.px(tick),
                       kHeight - kBottom + 17, short_number(tick));
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", kWidth - kRight, kHeight - 6,
                     escape_html(plot.x_name));
  return out;
}

std::string dots(const Plot& plot, const Frame& frame, const Series& series) {
  std::string out;
  const size_t step = series.points.size() / kMaxDots + 1;
  for (size_t i = 0; i < series.points.size(); i += step) {
    const PlotPoint& point = series.points[i];
    if (!shown(plot, point)) continue;
    out += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"", series.colour,
                       frame.px(point.x), frame.py(point.y));
    out += point.note.empty() ? "/>" : fmt::format("><title>{}</title></circle>", escape_html(point.note));
  }
  return out;
}

std::string lines(const Plot& plot, const Frame& frame, const Series& series) {
  std::string out, path;
  size_t length = 0;
  double last_y = 0;
  const auto finish = [&] {
    if (length == 1) path += "h0.01";  // a lone point: the round cap makes it visible
    if (length > 0) out += fmt::format("<path class=\"line c{}\" d=\"{}\"/>", series.colour, path);
    path.clear();
    length = 0;
  };
  for (const PlotPoint& point : series.points) {
    if (!shown(plot, point)) {
      finish();
      continue;
    }
    const double x = frame.px(point.x), y = frame.py(point.y);
    if (length == 0)
      path = fmt::format("M{:.1f} {:.1f}", x, y);
    else if (series.style == Series::Style::kSteps)
      path += fmt::format("L{:.1f} {:.1f}L{:.1f} {:.1f}", x, last_y, x, y);
    else
      path += fmt::format("L{:.1f} {:.1f}", x, y);
    last_y = y;
    ++length;
  }
  finish();
  return out;
}

std::string legend(const Plot& plot) {
  std::string out = "<p class=\"key\">";
  for (const Series& series : plot.series) {
    if (series.points.empty()) continue;
    const bool thinned = series.style == Series::Style::kDots && series.points.size() > kMaxDots;
    out += fmt::format("<span><i class=\"b{}\"></i>{}{}</span>", series.colour, escape_html(series.name),
                       thinned ? fmt::format(" (1 in {})", series.points.size() / kMaxDots + 1) : "");
  }
  return out + "</p>";
}

}  // namespace

std::string short_number(double value) {
  const double size = std::abs(value);
  const auto with = [](double shown, const char* unit) { return fmt::format("{:.4g}{}", shown, unit); };
  if (size < 1e-12) return "0";
  if (size >= 1e9) return with(value / 1e9, "G");
  if (size >= 1e6) return with(value / 1e6, "M");
  if (size >= 1e4) return with(value / 1e3, "k");
  return with(value, "");
}

std::string plot_figure(const Plot& plot) {
  std::string out = fmt::format("<figure><h2>{}</h2>", escape_html(plot.title));
  bool any = false;
  for (const Series& series : plot.series) {
    for (const PlotPoint& point : series.points) any = any || shown(plot, point);
  }
  if (!any) return out + "<p class=\"none\">nothing to show</p></figure>\n";
  const Frame frame = frame_of(plot);
  out += legend(plot);
  out += fmt::format("<p class=\"unit\">{}</p>", escape_html(plot.y_name));
  out += fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight,
                     escape_html(plot.title));
  out += axes(plot, frame);
  for (const Series& series : plot.series)
    out += series.style == Series::Style::kDots ? dots(plot, frame, series) : lines(plot, frame, series);
  return out + "</svg></figure>\n";
}

}  // namespace hadal::loadgen
