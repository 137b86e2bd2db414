// Numbers for people.
export function count(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 1e9) return `${trim(value / 1e9)} G`;
  if (value >= 1e6) return `${trim(value / 1e6)} M`;
  if (value >= 1e4) return `${trim(value / 1e3)} k`;
  return trim(value);
}

export function bytes(value: number): string {
  let unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return `${trim(value)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

export const percent = (share: number): string => `${trim(100 * share)} %`;

export function duration(seconds: number | null): string {
  if (seconds === null) return '–';
  return seconds < 1 ? `${trim(1000 * seconds)} ms` : `${trim(seconds)} s`;
}

// Three digits, no zeros at the end.
function trim(value: number): string {
  if (value === 0) return '0';
  return String(Number(value.toPrecision(Math.abs(value) >= 100 ? Math.ceil(Math.log10(Math.abs(value) + 1)) : 3)));
}

// An exact decimal from the server, without the zeros that say nothing; two digits at least.
export function money(exact: string): string {
  const [whole = '0', fraction = ''] = exact.split('.');
  return `${whole}.${fraction.replace(/0+$/, '').padEnd(2, '0')}`;
}

// Unix seconds.
export function when(seconds: number): string {
  const date = new Date(seconds * 1000);
  const sameDay = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
  return sameDay ? time : `${date.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${time}`;
}

export function ago(seconds: number): string {
  const units: [number, string][] = [[86400, 'days'], [3600, 'hours'], [60, 'minutes']];
  for (const [length, name] of units) if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${name}`;
  return `${Math.floor(seconds)} seconds`;
}
