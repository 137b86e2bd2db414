// Storage of the browser, which may be full, off or hold anything.
export type Place = 'tab' | 'browser';

const storage = (place: Place): Storage => (place === 'tab' ? sessionStorage : localStorage);

export function read<T>(place: Place, key: string, fallback: T): T {
  try {
    const text = storage(place).getItem(key);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

// False when storage is full or off: the page works without.
export function write(place: Place, key: string, value: unknown): boolean {
  try {
    storage(place).setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function remove(place: Place, key: string): void {
  try {
    storage(place).removeItem(key);
  } catch {
    // As above.
  }
}

export function saveTheme(theme: 'light' | 'dark'): void {
  try {
    localStorage.setItem('hadal.theme', theme); // plain text: public/theme.js reads it
  } catch {
    // As above.
  }
}

// An API key: for this tab, or for this browser when the person wants it kept.
export class KeyStore {
  constructor(private readonly name: string) {}

  get key(): string {
    const found = read<unknown>('tab', this.name, null) ?? read<unknown>('browser', this.name, null);
    return typeof found === 'string' ? found : '';
  }

  get kept(): boolean {
    return read<unknown>('browser', this.name, null) !== null;
  }

  set(key: string, keep: boolean): void {
    this.forget();
    if (key !== '') write(keep ? 'browser' : 'tab', this.name, key);
  }

  forget(): void {
    remove('tab', this.name);
    remove('browser', this.name);
  }
}
