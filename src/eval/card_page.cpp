// The report card as HTML: plots are SVG text, light and dark by the reader's wish, no script.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/html.h"
#include "eval/card.h"

namespace hadal::eval {
namespace {

using base::escape_html;

constexpr size_t kColours = 6;

constexpr const char* kStyle = R"CSS(
:root {
  color-scheme: light dark;
  --page: #f7f7f8; --card: #fff; --ink: #1c1d21; --soft: #5f636c; --line: #e2e3e7; --grid: #e6e6ea;
  --c0: #2f5fd0; --c1: #c2571a; --c2: #2a7d4f; --c3: #8a44b5; --c4: #9c7a00; --c5: #b3325a;
  --right: #2a7d4f; --wrong: #b3325a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16171a; --card: #1f2125; --ink: #e8e9ec; --soft: #a5a9b2; --line: #33363c; --grid: #33363c;
    --c0: #7ea6ff; --c1: #f0a06a; --c2: #6ccf96; --c3: #c79bea; --c4: #dcc05a; --c5: #f08aa8;
    --right: #6ccf96; --wrong: #f08aa8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 32px 20px 56px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 36px 0 2px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 8px; }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.note { border-left: 3px solid var(--c1); padding: 2px 0 2px 10px; margin-top: 10px; color: var(--ink); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 14px; margin: 12px 0; }
figure, .box { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 0; padding: 14px 16px; }
.box { overflow-x: auto; margin-top: 14px; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
svg text.name, svg text.value { fill: var(--ink); }
.grid { stroke: var(--grid); }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 0 4px 22px; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 400; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.text, th.text { text-align: left; }
td small { color: var(--soft); font-size: 12px; display: block; line-height: 1.2; }
details { margin-top: 8px; }
summary { cursor: pointer; font-weight: 600; font-size: 14px; }
.sample { border-top: 1px solid var(--grid); padding: 8px 0; }
.sample p { font-size: 13px; }
.right { color: var(--right); } .wrong { color: var(--wrong); }
pre { margin: 4px 0 0; font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
pre i { color: var(--soft); font-style: normal; }
.mark { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 7px; }
@media (max-width: 560px) { main { padding: 20px 12px 40px; } figure, .box { padding: 12px 10px; } }
)CSS";

// A stage has one colour on the whole page.
std::string colour(std::span<const CardStage> stages, const CardStage* stage) {
  return fmt::format("var(--c{})", static_cast<size_t>(stage - stages.data()) % kColours);
}

// Cut to what fits, by characters.
std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80 && characters++ == most)
      return text.substr(0, i) + "…";
  }
  return text;
}

// "5.88 M".
std::string millions(int64_t count) { return fmt::format("{:.3g} M", static_cast<double>(count) / 1e6); }

// pass@1 of each stage: a bar, its interval, its number.
std::string bars(std::span<const CardStage> stages, const CardSection& section) {
  constexpr double kWidth = 460, kRow = 30, kLeft = 130, kRight = 64, kTop = 4;
  const double bottom = kTop + kRow * static_cast<double>(section.rows.size());
  const auto x = [&](double share) { return kLeft + share * (kWidth - kLeft - kRight); };
  std::string out = fmt::format(
      "<figure><h3>pass@1</h3><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"pass@1 "
      "of each stage\">",
      kWidth, bottom + 20);
  for (const double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    out += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", x(tick),
                       kTop, bottom);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.0f} %</text>", x(tick),
                       bottom + 16, 100 * tick);
  }
  double y = kTop;
  for (const auto& [stage, task] : section.rows) {
    const Estimate& e = task->pass_at_1;
    const double middle = y + kRow / 2;
    out += fmt::format("<text class=\"name\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", kLeft - 8,
                       middle + 4, escape_html(shortened(stage->name, 16)));
    out +=
        fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"16\" rx=\"2\" fill=\"{}\"/>",
                    x(0), middle - 8, std::max(0.5, x(e.value) - x(0)), colour(stages, stage));
    out += fmt::format(
        "<path d=\"M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8M{1:.1f} {3:.1f}v8\" stroke=\"var(--ink)\" "
        "stroke-width=\"1.4\"/>",
        x(e.low), x(e.high), middle, middle - 4);
    out += fmt::format("<text class=\"value\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.1f} %</text>",
                       kWidth - 2, middle + 4, 100 * e.value);
    y += kRow;
  }
  return out + "</svg></figure>\n";
}

struct Label {
  double y;
  std::string name, colour;
};

// Labels at a plot's right edge, moved apart until none covers another.
std::string spread_labels(std::vector<Label> labels, double x, double top, double bottom) {
  constexpr double kHeight = 16;
  std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  double least = top;
  for (Label& label : labels) {
    label.y = std::max(label.y, least);
    least = label.y + kHeight;
  }
  double most = bottom;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->y = std::min(label->y, most);
    most = label->y - kHeight;
  }
  std::string out;
  for (const Label& label : labels)
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" style=\"fill: {}\">{}</text>", x, label.y + 4,
                       label.colour, escape_html(shortened(label.name, 16)));
  return out;
}

// pass@k over k, on a scale of powers of two, with the interval as a band.
std::string curves(std::span<const CardStage> stages, const CardSection& section) {
  constexpr double kWidth = 460, kHeight = 236, kLeft = 46, kRight = 124, kTop = 10, kBottom = 40;
  int most = 1;
  for (const CardRow& row : section.rows)
    if (!row.task->pass_at.empty()) most = std::max(most, row.task->pass_at.rbegin()->first);
  if (most == 1) return "";
  const auto x = [&](double k) { return kLeft + std::log2(k) / std::log2(most) * (kWidth - kLeft - kRight); };
  const auto y = [&](double share) { return kHeight - kBottom - share * (kHeight - kTop - kBottom); };
  std::string out = fmt::format(
      "<figure><h3>pass@k</h3><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"pass@k of "
      "each stage\">",
      kWidth, kHeight);
  for (const double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    out += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", kLeft,
                       kWidth - kRight, y(tick));
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.0f} %</text>", kLeft - 6,
                       y(tick) + 4, 100 * tick);
  }
  const int octaves = static_cast<int>(std::log2(most));
  for (int octave = 0; octave <= octaves; octave += octaves > 7 ? 2 : 1)
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x(1 << octave),
                       kHeight - kBottom + 17, 1 << octave);
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">samples k</text>", kWidth - kRight,
                     kHeight - 6);
  std::vector<Label> labels;
  for (const auto& [stage, task] : section.rows) {
    if (task->pass_at.empty()) continue;
    const std::string of = colour(stages, stage);
    std::string line, upper, lower;
    for (const auto& [k, e] : task->pass_at) {
      line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", x(k), y(e.value));
      upper += fmt::format("{}{:.1f} {:.1f}", upper.empty() ? "M" : "L", x(k), y(e.high));
    }
    for (auto at = task->pass_at.rbegin(); at != task->pass_at.rend(); ++at)
      lower += fmt::format("L{:.1f} {:.1f}", x(at->first), y(at->second.low));
    out += fmt::format("<path d=\"{}{}Z\" fill=\"{}\" fill-opacity=\".13\"/>", upper, lower, of);
    out += fmt::format(
        "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\" stroke-linejoin=\"round\"/>", line,
        of);
    for (const auto& [k, e] : task->pass_at)
      out += fmt::format(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"><title>{}, k = {}: {}</title></circle>",
          x(k), y(e.value), of, escape_html(stage->name), k, estimate_text(e));
    labels.push_back({y(task->pass_at.rbegin()->second.value), stage->name, of});
  }
  return out + spread_labels(labels, kWidth - kRight + 8, kTop, kHeight - kBottom) + "</svg></figure>\n";
}

std::string estimate_cell(const Estimate& e) {
  return fmt::format("<td>{:.1f} % <small>{:.1f}–{:.1f}</small></td>", 100 * e.value, 100 * e.low,
                     100 * e.high);
}

std::string table(std::span<const CardStage> stages, const CardSection& section) {
  std::vector<int> ks;
  for (const CardRow& row : section.rows)
    for (const auto& [k, estimate] : row.task->pass_at)
      if (k > 1 && std::find(ks.begin(), ks.end(), k) == ks.end()) ks.push_back(k);
  std::sort(ks.begin(), ks.end());
  std::string out = "<div class=\"box\"><table><tr><th>stage</th><th>pass@1</th>";
  for (const int k : ks) out += fmt::format("<th>pass@{}</th>", k);
  out +=
      "<th>majority</th><th>well formed</th><th>ended</th><th>tokens</th><th>problems × samples</th></tr>\n";
  for (const auto& [stage, task] : section.rows) {
    out += fmt::format("<tr><td><span class=\"mark\" style=\"background: {}\"></span>{}</td>",
                       colour(stages, stage), escape_html(stage->name)) +
           estimate_cell(task->pass_at_1);
    for (const int k : ks) {
      const auto found = task->pass_at.find(k);
      out += found == task->pass_at.end() ? "<td></td>" : estimate_cell(found->second);
    }
    out += task->samples > 1 ? estimate_cell(task->majority) : "<td></td>";
    out += fmt::format("<td>{:.1f} %</td><td>{:.1f} %</td><td>{:.1f}</td><td>{} × {}{}</td></tr>\n",
                       100 * task->well_formed.value, 100 * task->finished.value, task->mean_tokens,
                       task->problems, task->samples, task->interrupted ? ", interrupted" : "");
  }
  return out + "</table></div>\n";
}

std::string samples(const CardSection& section) {
  std::string out;
  for (const auto& [stage, task] : section.rows) {
    if (task->shown.empty()) continue;
    out += fmt::format("<details><summary>Samples of {}, as they are</summary>", escape_html(stage->name));
    for (const CardSample& sample : task->shown) {
      const bool apart = !sample.reasoning.empty() && sample.text.find("<think>") == std::string::npos;
      out += fmt::format(
          "<div class=\"sample\"><p>{} <span class=\"{}\">{}</span>{}</p><pre>{}{}</pre></div>\n",
          escape_html(sample.brief), sample.correct ? "right" : "wrong",
          sample.correct ? "✓ right" : "✗ wrong",
          sample.reference.empty() ? "" : " (reference: " + escape_html(sample.reference) + ")",
          apart ? "<i>" + escape_html(sample.reasoning) + "</i>\n" : "", escape_html(sample.text));
    }
    out += "</details>\n";
  }
  return out.empty() ? "" : "<div class=\"box\">" + out + "</div>\n";
}

}  // namespace

std::string card_html(std::span<const CardStage> stages, const std::string& title) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n"
      "<h1>{0}</h1>\n<p>Whiskers, bands and small numbers: 95 % intervals over problems.</p>\n",
      escape_html(title), kStyle);
  for (const std::string& difference : card_differences(stages))
    out += fmt::format("<p class=\"note\">Not alike: {}</p>\n", escape_html(difference));
  out +=
      "<div class=\"box\"><table><tr><th>stage</th><th>parameters</th><th class=\"text\">model</th><th "
      "class=\"text\">sampling</th></tr>\n";
  for (const CardStage& stage : stages)
    out += fmt::format(
        "<tr><td><span class=\"mark\" style=\"background: {}\"></span>{}</td><td>{}</td><td "
        "class=\"text\">{}</td><td class=\"text\">{}</td></tr>\n",
        colour(stages, &stage), escape_html(stage.name), millions(stage.parameters), escape_html(stage.model),
        escape_html(stage.how));
  out += "</table></div>\n";
  for (const CardSection& section : card_sections(stages)) {
    out += fmt::format("<h2>{}</h2>\n<p>{}; {} problems, prompt {}</p>\n<div class=\"plots\">\n",
                       escape_html(section.task), escape_html(section.about),
                       escape_html(section.rows[0].task->split),
                       escape_html(section.rows[0].task->prompt_template));
    out += bars(stages, section) + curves(stages, section) + "</div>\n" + table(stages, section) +
           samples(section);
  }
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace hadal::eval
