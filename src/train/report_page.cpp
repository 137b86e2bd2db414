#include "train/report_page.h"

namespace hadal::train {

const std::string_view kReportPage = R"PAGE(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training run __TITLE__</title>
<style>
:root {
  color-scheme: light dark;
  --page: #f7f7f8; --card: #fff; --ink: #1c1d21; --soft: #666a73; --line: #e2e3e7; --grid: #ececf0;
  --a: #2f5fd0; --b: #c2571a; --low: #3b6fd4; --mid: #f1f1f3; --high: #c43d2f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16171a; --card: #1f2125; --ink: #e8e9ec; --soft: #a0a4ad; --line: #33363c; --grid: #2a2d32;
    --a: #7ea6ff; --b: #f0a06a; --low: #5b8ff0; --mid: #2c2f34; --high: #f07060;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 22px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin: 0 0 6px; font-weight: 600; }
p { margin: 0; color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
dl div, figure, details { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
dl div { padding: 10px 14px; }
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 20px; font-variant-numeric: tabular-nums; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 14px; }
figure { margin: 0; padding: 14px 16px 10px; position: relative; }
figure.wide { margin-top: 14px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.key { float: right; color: var(--soft); font-size: 13px; }
.key i { display: inline-block; width: 14px; height: 3px; margin: 0 5px 3px 12px; border-radius: 2px; }
.read { color: var(--soft); font-size: 13px; min-height: 1.45em; font-variant-numeric: tabular-nums; }
details { margin-top: 14px; padding: 10px 16px; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font-size: 13px; }
canvas { width: 100%; image-rendering: pixelated; border-radius: 3px; display: block; }
.layer { display: grid; grid-template-columns: 78px 1fr; gap: 8px; align-items: center; margin: 4px 0; font-size: 13px;
  color: var(--soft); }
.scale { display: inline-block; width: 120px; height: 10px; border-radius: 2px; margin: 0 6px;
  background: linear-gradient(90deg, var(--low), var(--mid), var(--high)); }
</style>
</head>
<body>
<main>
<h1 id="name"></h1>
<p id="about"></p>
<dl id="figures"></dl>
<div class="grid" id="curves"></div>
<div id="heat"></div>
<details><summary>Recipe</summary><pre id="recipe"></pre></details>
<details><summary>Cost ledger</summary><pre id="ledger"></pre></details>
</main>
<script type="application/json" id="data">__DATA__</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const element = (name, attributes, parent) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (parent) parent.append(e);
  return e;
};
const html = (name, parent, text, className) => {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  if (parent) parent.append(e);
  return e;
};
const short = v => {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a >= 1e9) return +(v / 1e9).toPrecision(3) + "G";
  if (a >= 1e6) return +(v / 1e6).toPrecision(3) + "M";
  if (a >= 1e4) return +(v / 1e3).toPrecision(3) + "k";
  if (a < 1e-2) return v.toExponential(1).replace("e-", "e−");
  return String(+v.toPrecision(4));
};
const duration = s => {
  s = Math.round(s);
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  return h ? h + " h " + m + " min" : m ? m + " min " + (s % 60) + " s" : s + " s";
};

// ---- figures ----
const last = data.last || {}, summary = data.summary || {}, total = (data.ledger || {}).total || {};
document.getElementById("name").textContent = data.run;
document.getElementById("about").textContent =
  (data.summary ? "Finished" : "So far") + ": step " + (last.step || 0) + ", " + short(last.tokens || 0) + " tokens.";
const figures = document.getElementById("figures");
const figure = (label, value) => {
  if (value === undefined || value === null || value === "") return;
  const box = html("div", figures);
  html("dt", box, label);
  html("dd", box, value);
};
const tail = key => { const y = (data.curves[key] || {}).y || []; return y.length ? y[y.length - 1] : undefined; };
const validation = summary.val_bpb !== undefined ? summary.val_bpb : tail("val_bpb");
for (const f of data.figures || []) {
  const value = f.key in summary ? summary[f.key] : tail(f.key);
  figure(f.label, value === null ? "not measured" : value === undefined ? undefined : f.percent ? (100 * value).toFixed(1) + " %" : short(value));
}
figure("Validation bits per byte", validation === undefined ? undefined : validation.toFixed(4));
figure("Same, dialogues", summary.val_dialogues_bpb === undefined ? undefined : summary.val_dialogues_bpb.toFixed(4));
figure("Training loss (nats)", data.charts || last.loss === undefined || last.loss === null ? undefined : last.loss.toFixed(4));
figure("Parameters", summary.parameters && short(summary.parameters));
figure("Multiplied per token", summary.active_matmul_parameters && short(summary.active_matmul_parameters));
figure("Tokens per second", tail("tokens_per_s") && short(tail("tokens_per_s")));
figure("MFU", tail("mfu") && (100 * tail("mfu")).toFixed(0) + " %");
figure("MaxVio, batch", tail("max_vio") === undefined ? undefined : short(tail("max_vio")));
figure("MaxVio, validation", tail("val_max_vio") === undefined ? undefined : short(tail("val_max_vio")));
figure("Wall time", total.wall_seconds && duration(total.wall_seconds));
figure("Interruptions", total.interruptions === undefined ? undefined : String(total.interruptions));
figure("Wasted steps", total.wasted_steps === undefined ? undefined : String(total.wasted_steps));

// ---- curves ----
const nice = (low, high, count) => {
  if (!(high > low)) { high = low + (Math.abs(low) || 1) * 0.1; low -= (Math.abs(low) || 1) * 0.1; }
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const unit = [1, 2, 2.5, 5, 10].find(u => u * power >= raw) * power;
  const ticks = [];
  for (let i = Math.ceil(low / unit - 1e-9); i * unit <= high + unit * 1e-9; ++i) ticks.push(i * unit);
  return { low, high, ticks };
};
const W = 560, H = 230, L = 52, R = 8, T = 8, B = 24;
function chart(title, lines, zero) {
  lines = lines.map(l => ({ ...l, ...(data.curves[l.key] || { x: [], y: [] }) })).filter(l => l.x.length);
  if (!lines.length) return;
  const box = html("figure", document.getElementById("curves"));
  const legend = html("span", box, undefined, "key");
  for (const l of lines) {
    const mark = html("i", legend);
    mark.style.background = l.color;
    legend.append(l.name);
  }
  html("h2", box, title);
  const svg = element("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": title }, null);
  box.append(svg);
  const read = html("div", box, "", "read");
  const xs = lines.flatMap(l => l.x);
  // The first steps of a loss are far above all others: the axis ends at the 99th percentile.
  const ys = lines.flatMap(l => l.y).sort((p, q) => p - q);
  const top = ys.length > 50 ? ys[Math.floor(ys.length * 0.985)] : ys[ys.length - 1];
  const X = nice(0, Math.max(...xs), 5), Y = nice(zero ? 0 : ys[0], top, 4);
  const px = v => L + (v - X.low) / (X.high - X.low) * (W - L - R);
  const py = v => H - B - (Math.min(v, Y.high) - Y.low) / (Y.high - Y.low) * (H - T - B);
  for (const t of Y.ticks) {
    element("line", { x1: L, x2: W - R, y1: py(t), y2: py(t), stroke: "var(--grid)" }, svg);
    element("text", { x: L - 7, y: py(t) + 4, "text-anchor": "end" }, svg).textContent = short(t);
  }
  for (const t of X.ticks)
    element("text", { x: px(t), y: H - 5, "text-anchor": "middle" }, svg).textContent = short(t);
  for (const l of lines) {
    const points = l.x.map((x, i) => px(x).toFixed(1) + "," + py(l.y[i]).toFixed(1)).join(" ");
    element("polyline", { points, fill: "none", stroke: l.color, "stroke-width": 1.6, "stroke-linejoin": "round" }, svg);
    if (l.x.length <= 30)
      l.x.forEach((x, i) => element("circle", { cx: px(x), cy: py(l.y[i]), r: 2.5, fill: l.color }, svg));
  }
  const rule = element("line", { y1: T, y2: H - B, stroke: "var(--soft)", visibility: "hidden" }, svg);
  svg.addEventListener("pointermove", event => {
    const bounds = svg.getBoundingClientRect();
    const at = X.low + ((event.clientX - bounds.left) / bounds.width * W - L) / (W - L - R) * (X.high - X.low);
    let text = "", where = 0;
    for (const l of lines) {
      let i = 0;
      l.x.forEach((x, k) => { if (Math.abs(x - at) < Math.abs(l.x[i] - at)) i = k; });
      if (!text) { where = l.x[i]; text = "step " + where; }
      text += "   " + l.name + " " + short(l.y[i]);
    }
    rule.setAttribute("x1", px(where));
    rule.setAttribute("x2", px(where));
    rule.setAttribute("visibility", "visible");
    read.textContent = text;
  });
  svg.addEventListener("pointerleave", () => { rule.setAttribute("visibility", "hidden"); read.textContent = ""; });
}
const a = "var(--a)", b = "var(--b)";
if (data.charts) {
  for (const c of data.charts)
    chart(c.title, c.lines.map((l, i) => ({ ...l, color: i ? b : a })), c.zero);
} else pretraining();
function pretraining() {
chart("Loss (nats per token)", [{ key: "loss", name: "training", color: a }, { key: "val_loss", name: "validation", color: b }]);
chart("Bits per byte", [{ key: "bpb", name: "training", color: a }, { key: "val_bpb", name: "validation", color: b }]);
chart("MTP loss (nats per token)", [{ key: "mtp_loss", name: "second token", color: a }]);
chart("Learning rate", [{ key: "lr", name: "lr", color: a }], true);
chart("Gradient norm before clipping", [{ key: "grad_norm", name: "norm", color: a }], true);
chart("MaxVio: (max − mean) / mean load", [{ key: "max_vio", name: "batch", color: a },
  { key: "val_max_vio", name: "validation", color: b }], true);
chart("Throughput (tokens per second)", [{ key: "tokens_per_s", name: "tokens/s", color: a }], true);
chart("MFU (share of the measured FMA peak)", [{ key: "mfu", name: "MFU", color: a }], true);
}

// ---- expert load ----
const layers = data.heat.layers;
if (layers.length) {
  const box = html("figure", document.getElementById("heat"), undefined, "wide");
  const legend = html("span", box, undefined, "key");
  legend.append("0");
  html("span", legend, undefined, "scale");
  legend.append("2× the mean");
  html("h2", box, "Expert load: one row per expert, steps from left to right");
  const canvases = [];
  layers.forEach((experts, layer) => {
    const row = html("div", box, undefined, "layer");
    const mtp = data.curves.mtp_loss.x.length && layer === layers.length - 1;
    html("span", row, mtp ? "MTP module" : "MoE layer " + (layer + 1));
    const canvas = html("canvas", row);
    canvas.width = data.heat.x.length;
    canvas.height = experts.length;
    canvas.style.height = experts.length * 6 + "px";
    canvases.push([canvas, experts]);
    canvas.addEventListener("pointermove", event => {
      const bounds = canvas.getBoundingClientRect();
      const column = Math.min(canvas.width - 1, Math.max(0, Math.floor((event.clientX - bounds.left) / bounds.width * canvas.width)));
      const expert = Math.min(canvas.height - 1, Math.max(0, Math.floor((event.clientY - bounds.top) / bounds.height * canvas.height)));
      read.textContent = `step ${data.heat.x[column]}   layer ${layer + 1}, expert ${expert}: ${experts[expert][column]}× the mean load`;
    });
  });
  const read = html("div", box, "", "read");
  const paint = () => {
    const style = getComputedStyle(document.documentElement);
    const rgb = name => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map(h => parseInt(h, 16));
    const low = rgb("--low"), middle = rgb("--mid"), high = rgb("--high");
    for (const [canvas, experts] of canvases) {
      const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
      experts.forEach((values, y) => values.forEach((v, x) => {
        const end = v < 1 ? low : high, t = Math.min(1, Math.abs(v - 1));
        for (let c = 0; c < 3; ++c) image.data[4 * (y * canvas.width + x) + c] = middle[c] + (end[c] - middle[c]) * t;
        image.data[4 * (y * canvas.width + x) + 3] = 255;
      }));
      context.putImageData(image, 0, 0);
    }
  };
  paint();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
}
document.getElementById("recipe").textContent = data.recipe;
document.getElementById("ledger").textContent = JSON.stringify(data.ledger, null, 2);
</script>
</body>
</html>
)PAGE";

}  // namespace hadal::train
