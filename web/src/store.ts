// What outlives a reload: the conversation for this tab, settings and theme for this browser.
import type { ChatMessage } from './api';

export interface StoredMessage extends ChatMessage {
  note?: string; // "42 tokens", "stopped": shown below the message, not sent
}

export interface Settings {
  temperature: number;
  maxTokens: number;
}

const defaults: Settings = { temperature: 0.7, maxTokens: 1024 };

function read<T>(storage: () => Storage, key: string, fallback: T): T {
  try {
    const text = storage().getItem(key);
    return text === null ? fallback : (JSON.parse(text) as T);
  } catch {
    return fallback;
  }
}

function write(storage: () => Storage, key: string, value: unknown): void {
  try {
    storage().setItem(key, JSON.stringify(value));
  } catch {
    // Storage is full or off: the page works without.
  }
}

const tab = (): Storage => sessionStorage;
const browser = (): Storage => localStorage;

export const loadMessages = (): StoredMessage[] => {
  const messages = read<unknown>(tab, 'hadal.messages', []);
  return Array.isArray(messages) ? (messages as StoredMessage[]) : [];
};
export const saveMessages = (messages: StoredMessage[]): void => write(tab, 'hadal.messages', messages);

export const loadSettings = (): Settings => ({ ...defaults, ...read<Partial<Settings>>(browser, 'hadal.settings', {}) });
export const saveSettings = (settings: Settings): void => write(browser, 'hadal.settings', settings);

export function saveTheme(theme: 'light' | 'dark'): void {
  try {
    localStorage.setItem('hadal.theme', theme); // plain text: public/theme.js reads it
  } catch {
    // As above.
  }
}
