// One plot of lines over the last minutes, as SVG. Our own hundred lines rather than uPlot: a few hundred points need
// no canvas, and SVG takes the page's colours, fonts and zoom as they are.
export interface Line {
  name: string;
  colour: 'a' | 'b' | 'c';
}

export interface PlotOptions {
  title: string;
  lines: Line[];
  format: (value: number) => string;
  top?: number; // the axis goes at least so far
  binary?: boolean; // bytes: the axis ends at a round number of KiB, MiB, ...
}

export const kHeight = 152;
export const kLeft = 56;
export const kRight = 8;
export const kTop = 8;
export const kBottom = 22;

export function svg(name: string, attributes: Record<string, string | number>, parent: Element): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  parent.append(element);
  return element;
}

// The next 1, 2 or 5 times a power of ten; with `binary`, times a power of 1024 besides.
export function roundUp(value: number, binary = false): number {
  if (binary && value >= 1024) return 1024 * roundUp(value / 1024, true);
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 2, 5]) if (step * power >= value * (1 - 1e-9)) return step * power;
  return 10 * power;
}

export class Plot {
  readonly element = document.createElement('figure');
  private readonly canvas: SVGSVGElement;
  private readonly values: HTMLElement[] = [];
  private seconds: number[] = [];
  private series: (number | null)[][] = [];
  private window = 60;
  private pointer: number | null = null; // pixels from the left, while it is over the plot

  constructor(private readonly options: PlotOptions) {
    this.element.className = 'plot';
    const title = document.createElement('h2');
    title.textContent = options.title;
    const key = document.createElement('div');
    key.className = 'key';
    for (const line of options.lines) {
      const entry = document.createElement('span');
      const mark = document.createElement('i');
      mark.className = line.colour;
      const value = document.createElement('span');
      entry.append(mark, `${line.name} `, value);
      this.values.push(value);
      key.append(entry);
    }
    this.element.append(title, key);
    this.canvas = svg('svg', { role: 'img', 'aria-label': options.title }, this.element) as SVGSVGElement;
    this.canvas.addEventListener('pointermove', (event) => {
      this.pointer = event.clientX - this.canvas.getBoundingClientRect().left;
      this.draw();
    });
    this.canvas.addEventListener('pointerleave', () => {
      this.pointer = null;
      this.draw();
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  // `seconds` rise; series[line][i] belongs to seconds[i], null is a gap. `window`: seconds that the axis shows.
  update(seconds: number[], series: (number | null)[][], window: number): void {
    this.seconds = seconds;
    this.series = series;
    this.window = window;
    this.draw();
  }

  private draw(): void {
    const width = this.canvas.clientWidth;
    if (width === 0) return;
    const { options } = this;
    this.canvas.setAttribute('viewBox', `0 0 ${width} ${kHeight}`);
    this.canvas.replaceChildren();
    const now = this.seconds[this.seconds.length - 1] ?? 0;
    const all = this.series.flat().filter((value): value is number => value !== null);
    const top = options.top === undefined ? roundUp(Math.max(...all, 1e-9), options.binary) : Math.max(options.top, ...all);
    const high = all.length === 0 ? (options.top ?? 1) : top > 1e-8 ? top : 1;
    const x = (at: number): number => kLeft + (1 - (now - at) / this.window) * (width - kLeft - kRight);
    const y = (value: number): number => kHeight - kBottom - (value / high) * (kHeight - kTop - kBottom);
    for (const share of [0, 0.5, 1]) {
      const at = y(share * high);
      svg('line', { class: 'grid', x1: kLeft, x2: width - kRight, y1: at, y2: at }, this.canvas);
      const label = svg('text', { x: kLeft - 6, y: at + 4, 'text-anchor': 'end' }, this.canvas);
      label.textContent = options.format(share * high);
    }
    const step = this.window > 240 ? 120 : this.window > 120 ? 60 : 20;
    for (let ago = 0; ago <= this.window; ago += step) {
      const anchor = ago === 0 ? 'end' : 'middle';
      const label = svg('text', { x: ago === 0 ? width - kRight : x(now - ago), y: kHeight - 5, 'text-anchor': anchor },
        this.canvas);
      label.textContent = ago === 0 ? 'now' : step < 60 ? `−${ago} s` : `−${ago / 60} min`;
    }
    this.series.forEach((values, line) => {
      let path = '';
      let drawing = false;
      values.forEach((value, i) => {
        const at = this.seconds[i] ?? 0;
        if (value === null || now - at > this.window) {
          drawing = false;
          return;
        }
        // A round cap makes a lone point visible.
        path += drawing ? `L${x(at).toFixed(1)} ${y(value).toFixed(1)}` : `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h.01`;
        drawing = true;
      });
      if (path) svg('path', { class: options.lines[line]?.colour ?? 'a', d: path }, this.canvas);
    });
    this.readOut(x);
  }

  // The values at the pointer, else the newest.
  private readOut(x: (at: number) => number): void {
    let at = this.seconds.length - 1;
    if (this.pointer !== null) {
      const wanted = this.pointer;
      for (let i = this.seconds.length - 1; i >= 0; --i) {
        if (Math.abs(x(this.seconds[i] ?? 0) - wanted) < Math.abs(x(this.seconds[at] ?? 0) - wanted)) at = i;
      }
      const where = x(this.seconds[at] ?? 0);
      if (at >= 0) svg('line', { class: 'rule', x1: where, x2: where, y1: kTop, y2: kHeight - kBottom }, this.canvas);
    }
    this.values.forEach((element, line) => {
      const value = this.series[line]?.[at];
      element.textContent = value === null || value === undefined ? '–' : this.options.format(value);
    });
  }
}
