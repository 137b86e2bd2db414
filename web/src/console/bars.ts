// Stacked bars over time, as SVG, in the manner of plot.ts.
import { make } from '../shared/dom';
import { kBottom, kHeight, kLeft, kRight, kTop, roundUp, svg } from './plot';

export interface BarSeries {
  name: string;
  values: number[]; // one for each bar
}

export interface BarOptions {
  title: string;
  bars: string[]; // what each is of: an hour, a day
  series: BarSeries[]; // at most kColours
  format: (value: number) => string;
}

export const kColours = 6;

export function bars({ title, bars: names, series, format }: BarOptions): HTMLElement {
  const key = make('div', { class: 'key' });
  const values = series.map(({ name }, i) => {
    const value = make('span');
    key.append(make('span', {}, make('i', { class: `s${i}` }), `${name} `, value));
    return value;
  });
  const at = make('span', { class: 'at' });
  key.append(at);
  const figure = make('figure', { class: 'plot' }, make('h2', {}, title), key);
  const canvas = svg('svg', { role: 'img', 'aria-label': title }, figure) as SVGSVGElement;
  const totals = names.map((_, i) => series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
  const high = roundUp(Math.max(...totals, 1e-9));
  let pointed: number | null = null;

  const draw = (): void => {
    const width = canvas.clientWidth;
    if (width === 0) return;
    canvas.setAttribute('viewBox', `0 0 ${width} ${kHeight}`);
    canvas.replaceChildren();
    const top = totals.some((total) => total > 0) ? high : 1;
    const y = (value: number): number => kHeight - kBottom - (value / top) * (kHeight - kTop - kBottom);
    for (const share of [0, 0.5, 1]) {
      svg('line', { class: 'grid', x1: kLeft, x2: width - kRight, y1: y(share * top), y2: y(share * top) }, canvas);
      svg('text', { x: kLeft - 6, y: y(share * top) + 4, 'text-anchor': 'end' }, canvas).textContent = format(share * top);
    }
    const step = (width - kLeft - kRight) / Math.max(1, names.length);
    const every = Math.ceil(names.length / Math.max(1, Math.floor((width - kLeft) / 70)));
    names.forEach((name, i) => {
      const left = kLeft + i * step;
      if (i % every === 0) svg('text', { x: left + step / 2, y: kHeight - 5, 'text-anchor': 'middle' }, canvas).textContent = name;
      if (i === pointed) svg('rect', { class: 'pointed', x: left, y: kTop, width: step, height: kHeight - kBottom - kTop }, canvas);
      let below = 0;
      series.forEach(({ values: own }, line) => {
        const value = own[i] ?? 0;
        if (value <= 0) return;
        svg('rect', { class: `s${line}`, x: left + step * 0.1, width: step * 0.8, y: y(below + value), height: y(below) - y(below + value) }, canvas);
        below += value;
      });
    });
    // What the pointer is at, else the sums.
    values.forEach((element, line) => {
      const own = series[line]?.values ?? [];
      element.textContent = format(pointed === null ? own.reduce((a, b) => a + b, 0) : (own[pointed] ?? 0));
    });
    at.textContent = pointed === null ? '' : `${names[pointed]}: ${format(totals[pointed] ?? 0)}`;
  };
  canvas.addEventListener('pointermove', (event) => {
    const box = canvas.getBoundingClientRect();
    const found = Math.floor(((event.clientX - box.left - kLeft) / (box.width - kLeft - kRight)) * names.length);
    pointed = found >= 0 && found < names.length ? found : null;
    draw();
  });
  canvas.addEventListener('pointerleave', () => {
    pointed = null;
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  return figure;
}
