// Plots as SVG text for a report that needs nothing else: no script, colours from the page's CSS variables
// (--ink,
// --soft, --grid, --a, --b, --c), so that light and dark are the page's affair.
#pragma once

#include <string>
#include <vector>

namespace hadal::loadgen {

struct PlotPoint {
  double x = 0;
  double y = 0;      // NaN: a gap in a line
  std::string note;  // shown where the pointer rests; dots only
};

struct Series {
  enum class Style { kLine, kDots, kSteps };
  std::string name;
  Style style = Style::kLine;
  int colour = 0;  // 0 to 2: --a, --b, --c
  std::vector<PlotPoint> points;
};

struct Plot {
  std::string title;
  std::string x_name;
  std::string y_name;
  bool log_x = false;      // points with x <= 0 are left out
  bool percent_y = false;  // y in [0, 1], shown as 0 to 100 %
  std::vector<Series> series;
};

// A <figure> with title, legend and <svg>; says "nothing to show" without points.
std::string plot_figure(const Plot& plot);

// "1.2k", "350", "0.05": for axes.
std::string short_number(double value);

}  // namespace hadal::loadgen
