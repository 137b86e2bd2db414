// How the server does, now and over the last ten minutes: polls /metrics.
import { call } from '../shared/api';
import { byId } from '../shared/dom';
import { bytes, count, duration, percent } from './format';
import { Metrics, quantile } from './metrics';
import { Plot, type PlotOptions } from './plot';

const kPollMs = 2000;
const kKeptSeconds = 600;

// A line's value at one reading, given the reading before; null: nothing to say.
type Value = (now: Metrics, before: Metrics) => number | null;

const gauge = (sample: string): Value => (now) => now.get(sample);
const gained = (sample: string, now: Metrics, before: Metrics): number =>
  Math.max(0, now.get(sample) - before.get(sample));
const rate = (sample: string): Value => (now, before) =>
  gained(sample, now, before) / Math.max(0.1, now.seconds - before.seconds);

const kHits = ['hadal_cache_hit_tokens_total{tier="memory"}', 'hadal_cache_hit_tokens_total{tier="disk"}'];
const kMisses = 'hadal_cache_miss_tokens_total';

const hitShare = (samples: string[]): Value => (now, before) => {
  const hits = kHits.map((sample) => gained(sample, now, before)).reduce((a, b) => a + b);
  const all = hits + gained(kMisses, now, before);
  return all === 0 ? null : samples.map((sample) => gained(sample, now, before)).reduce((a, b) => a + b) / all;
};

const kMemoryPages = (state: string): string => `hadal_pages{tier="memory",state="${state}"}`;

interface PlotRow extends PlotOptions {
  values: Value[]; // one per line
}

const rows: PlotRow[] = [
  {
    title: 'Decode, tokens per second',
    lines: [{ name: 'generated', colour: 'a' }],
    values: [rate('hadal_generated_tokens_total')],
    format: count,
  },
  {
    title: 'Prefill, tokens per second',
    lines: [{ name: 'computed', colour: 'b' }],
    values: [rate('hadal_prefilled_tokens_total')],
    format: count,
  },
  {
    title: 'Prompt tokens from the cache',
    lines: [
      { name: 'all', colour: 'a' },
      { name: 'from disk', colour: 'b' },
    ],
    values: [hitShare(kHits), hitShare(kHits.slice(1))],
    format: percent,
    top: 1,
  },
  {
    title: 'Requests',
    lines: [
      { name: 'running', colour: 'a' },
      { name: 'waiting', colour: 'b' },
      { name: 'batch', colour: 'c' },
    ],
    values: [gauge('hadal_requests_running'), gauge('hadal_requests_waiting'), gauge('hadal_batch_size')],
    format: count,
  },
  {
    title: 'Pages in memory',
    lines: [
      { name: 'used', colour: 'a' },
      { name: 'kept for later', colour: 'c' },
    ],
    values: [gauge(kMemoryPages('used')), gauge(kMemoryPages('cached'))],
    format: count,
  },
  {
    title: 'Pages on disk',
    lines: [{ name: 'in use', colour: 'a' }],
    values: [gauge('hadal_disk_bytes')],
    format: bytes,
    binary: true,
  },
  {
    title: 'Disk traffic, per second',
    lines: [
      { name: 'read', colour: 'a' },
      { name: 'written', colour: 'b' },
    ],
    values: [rate('hadal_disk_read_bytes_total'), rate('hadal_disk_written_bytes_total')],
    format: bytes,
    binary: true,
  },
];

const plots = rows.map((row) => new Plot(row));
byId<HTMLDivElement>('plots').append(...plots.map((plot) => plot.element));

// ---- figures ----

interface Figure {
  box: HTMLElement;
  value: HTMLElement;
}
const figures = new Map<string, Figure>();

function show(name: string, value: string, bad = false): void {
  let figure = figures.get(name);
  if (!figure) {
    const box = document.createElement('div');
    const term = document.createElement('dt');
    term.textContent = name;
    const description = document.createElement('dd');
    box.append(term, description);
    byId<HTMLDListElement>('figures').append(box);
    figure = { box, value: description };
    figures.set(name, figure);
  }
  figure.value.textContent = value;
  figure.box.className = bad ? 'bad' : '';
}

function showFigures(now: Metrics, oldest: Metrics): void {
  const before = readings[readings.length - 2];
  const speed = (sample: string): string => (before ? count(rate(sample)(now, before) ?? 0) : '–');
  show('Decode tokens/s', speed('hadal_generated_tokens_total'));
  show('Prefill tokens/s', speed('hadal_prefilled_tokens_total'));
  const start = new Metrics('', 0);
  const share = hitShare(kHits)(now, start);
  show('Hits since the start', share === null ? '–' : percent(share));
  // What came before this page was opened counts while the page has seen nothing itself.
  const window = oldest === now ? undefined : oldest;
  const of = (name: string, at: number): string => duration(quantile(name, at, window, now));
  show('TTFT p50', of('hadal_time_to_first_token_seconds', 0.5));
  show('TTFT p99', of('hadal_time_to_first_token_seconds', 0.99));
  show('Inter-token p99', of('hadal_inter_token_seconds', 0.99));
  show('Running · waiting', `${now.get('hadal_requests_running')} · ${now.get('hadal_requests_waiting')}`);
  const used = now.get(kMemoryPages('used'));
  const total = used + now.get(kMemoryPages('cached')) + now.get(kMemoryPages('free'));
  show('Memory pages', `${count(used)} of ${count(total)}`);
  const disk = now.get('hadal_disk_configured') === 1;
  const available = now.get('hadal_disk_available') === 1;
  show('Disk', !disk ? 'off' : available ? bytes(now.get('hadal_disk_bytes')) : 'not available', disk && !available);
  const damaged = now.get('hadal_bad_pages_total');
  show('Bad pages', count(damaged), damaged > 0);
}

// ---- notice ----

const notice = byId<HTMLParagraphElement>('notice');

export function say(text: string, bad: boolean): void {
  if (notice.textContent !== text) notice.textContent = text;
  notice.classList.toggle('bad', bad);
  notice.hidden = text === '';
}

function sayTrouble(now: Metrics): void {
  const trouble = now.label('hadal_disk_trouble');
  if (now.get('hadal_disk_configured') === 1 && now.get('hadal_disk_available') !== 1) {
    say(`The page directory is not available${trouble ? `: ${trouble}` : ''}. Answers go on without it.`, true);
  } else {
    say(trouble ? `The page directory works; its last trouble: ${trouble}` : '', false);
  }
}

// ---- polling ----

let readings: Metrics[] = []; // of the last ten minutes, of one life of the server
let seconds: number[] = [];
let series: (number | null)[][][] = rows.map((row) => row.values.map(() => []));
const opened = performance.now() / 1000;

function add(at: number, values: (number | null)[][]): void {
  seconds.push(at);
  values.forEach((lines, row) => lines.forEach((value, line) => series[row]?.[line]?.push(value)));
  const old = seconds.findIndex((second) => at - second <= kKeptSeconds);
  if (old > 0) {
    seconds = seconds.slice(old);
    series = series.map((lines) => lines.map((values) => values.slice(old)));
  }
  const window = Math.min(kKeptSeconds, Math.max(60, at - opened));
  plots.forEach((plot, row) => plot.update(seconds, series[row] ?? [], window));
}

const gap = (): null[][] => rows.map((row) => row.values.map(() => null));

async function poll(key: string): Promise<void> {
  let now: Metrics;
  try {
    const response = await call('/metrics', { key, signal: AbortSignal.timeout(10_000) });
    now = new Metrics(await response.text(), performance.now() / 1000);
  } catch {
    say('The server does not answer. This page keeps trying.', true);
    add(performance.now() / 1000, gap());
    return;
  }
  const last = readings[readings.length - 1];
  // A restart begins every count anew.
  if (last && now.get('hadal_uptime_seconds') < last.get('hadal_uptime_seconds')) readings = [];
  const before = readings[readings.length - 1];
  readings.push(now);
  while (readings.length > 1 && now.seconds - (readings[0]?.seconds ?? 0) > kKeptSeconds) readings.shift();
  add(now.seconds, before ? rows.map((row) => row.values.map((value) => value(now, before))) : gap());
  showFigures(now, readings[0] ?? now);
  sayTrouble(now);
  byId<HTMLSpanElement>('model').textContent = now.label('hadal_model_info');
}

// For as long as the page is open; pauses while `key` says null.
export async function runLive(key: () => string | null): Promise<void> {
  for (;;) {
    const now = key();
    if (now !== null) await poll(now);
    await new Promise((resolve) => setTimeout(resolve, kPollMs));
  }
}
