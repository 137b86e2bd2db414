// Usage and cost over time, by key or by model.
import { make } from '../shared/dom';
import { usage, type Usage, type UsageRow } from './admin';
import { bars, kColours, type BarSeries } from './bars';
import { count, money, percent } from './format';
import { table } from './table';

const kPeriods = { '24 hours': 86400, '7 days': 7 * 86400, '30 days': 30 * 86400 };
const kMeasures: Record<string, (row: UsageRow) => number> = {
  Tokens: (row) => row.prompt_tokens + row.completion_tokens,
  Cost: (row) => Number(row.cost),
  Requests: (row) => row.requests,
};

function choice(label: string, options: string[], chosen: string, changed: (value: string) => void): HTMLElement {
  const select = make('select', { 'aria-label': label }, ...options.map((option) => make('option', { selected: option === chosen }, option)));
  select.addEventListener('change', () => changed(select.value));
  return select;
}

const nameOf = (row: UsageRow, by: string): string => (by === 'key' ? (row.key_name ?? row.key) : row.model) ?? 'unknown';

// The rows as bars of equal steps, the largest series first and the small ones as one.
function stack(found: Usage, step: number, by: string, measure: (row: UsageRow) => number): { starts: number[]; series: BarSeries[] } {
  const first = Math.floor(found.from / step) * step;
  const starts = Array.from({ length: Math.max(1, Math.ceil((found.to - first) / step)) }, (_, i) => first + i * step);
  const sums = new Map<string, number>();
  for (const row of found.rows) sums.set(nameOf(row, by), (sums.get(nameOf(row, by)) ?? 0) + measure(row));
  const names = [...sums.entries()].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const own = names.length <= kColours ? names : names.slice(0, kColours - 1);
  const series = [...own, ...(names.length > own.length ? ['others'] : [])].map((name) => ({ name, values: starts.map(() => 0) }));
  for (const row of found.rows) {
    const line = series[own.indexOf(nameOf(row, by))] ?? series[series.length - 1];
    const bar = Math.floor(((row.start ?? first) - first) / step);
    if (line && bar >= 0 && bar < starts.length) line.values[bar] = (line.values[bar] ?? 0) + measure(row);
  }
  return { starts, series };
}

export class UsageView {
  private period: keyof typeof kPeriods = '24 hours';
  private measure = 'Tokens';
  private split: 'key' | 'model' = 'key';

  constructor(private readonly element: HTMLElement) {}

  async show(): Promise<void> {
    const to = Math.ceil(Date.now() / 1000);
    const from = to - kPeriods[this.period];
    const hourly = this.period === '24 hours';
    const range = { from: String(from), to: String(to) };
    const [overTime, sums] = await Promise.all([
      usage({ by: hourly ? 'hour' : 'day', split: this.split, ...range }),
      usage({ by: this.split, ...range }),
    ]);
    const { starts, series } = stack(overTime, hourly ? 3600 : 86400, this.split, kMeasures[this.measure] ?? (() => 0));
    const currency = overTime.currency;
    const name = (start: number): string => {
      const date = new Date(start * 1000);
      return hourly ? `${String(date.getHours()).padStart(2, '0')}:00`
        : date.toLocaleDateString([], { day: 'numeric', month: 'short', timeZone: 'UTC' });
    };
    const again = (): void => void this.show();
    this.element.replaceChildren(
      make('div', { class: 'heading' }, make('h2', {}, 'Usage'),
        choice('Period', Object.keys(kPeriods), this.period, (value) => ((this.period = value as keyof typeof kPeriods), again())),
        choice('What', Object.keys(kMeasures), this.measure, (value) => ((this.measure = value), again())),
        choice('Split', ['by key', 'by model'], `by ${this.split}`, (value) => ((this.split = value === 'by key' ? 'key' : 'model'), again()))),
      bars({
        title: this.measure === 'Cost' ? `Cost, ${currency}` : this.measure,
        bars: starts.map(name),
        series,
        format: this.measure === 'Cost' ? (value) => String(Number(value.toPrecision(3))) : count,
      }),
      this.sums(sums, currency),
      make('p', { class: 'foot' }, hourly ? 'Hours of your clock.' : 'Days end at midnight UTC.', ' Requests that still run are not in it.'),
    );
  }

  private sums(found: Usage, currency: string): HTMLElement {
    const rows = [...found.rows].sort((a, b) => Number(b.cost) - Number(a.cost) || b.requests - a.requests);
    const total = { ...found.total, key_name: 'All', model: 'All' };
    return table('Usage in this period', [
      { title: this.split === 'key' ? 'Key' : 'Model', cell: (row) => nameOf(row, this.split) },
      { title: 'Requests', cell: (row) => count(row.requests), number: true },
      { title: 'Failed', cell: (row) => count(row.failed), number: true },
      { title: 'Prompt tokens', cell: (row) => count(row.prompt_tokens), number: true },
      { title: 'From the cache', cell: (row) => (row.prompt_tokens > 0 ? percent(row.cache_hit_tokens / row.prompt_tokens) : '–'), number: true },
      { title: 'Answer tokens', cell: (row) => count(row.completion_tokens), number: true },
      { title: 'Of these reasoning', cell: (row) => count(row.reasoning_tokens), number: true },
      { title: `Cost, ${currency}`, cell: (row) => money(row.cost), number: true },
    ], rows.length > 0 ? [...rows, total] : [], 'No requests in this period.', (row) => (row === total ? 'total' : ''));
  }
}
