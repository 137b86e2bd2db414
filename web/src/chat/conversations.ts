// The conversations that this browser keeps: an index, and an entry for each. Nothing of them is on the server.
import { read, remove, write } from '../shared/store';
import type { StoredMessage } from './messages';

export interface Entry {
  id: string;
  title: string;
  updated: number; // milliseconds since 1970
}

export interface Conversation extends Entry {
  messages: StoredMessage[];
}

const kIndex = 'hadal.chats';
const entryKey = (id: string): string => `hadal.chat.${id}`;
const kTitleCharacters = 60;

function isEntry(value: unknown): value is Entry {
  const entry = value as Entry | null;
  return typeof entry?.id === 'string' && typeof entry.title === 'string' && typeof entry.updated === 'number';
}

function isMessage(value: unknown): value is StoredMessage {
  const message = value as StoredMessage | null;
  return typeof message?.content === 'string' && ['user', 'assistant', 'tool'].includes(message.role);
}

export function newConversation(): Conversation {
  return { id: `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 8)}`, title: '', updated: Date.now(), messages: [] };
}

// The first words of the first question.
export function titleOf(messages: StoredMessage[]): string {
  const words = (messages.find((message) => message.role === 'user')?.content ?? '').replace(/\s+/g, ' ').trim();
  return words.length <= kTitleCharacters ? words : `${words.slice(0, kTitleCharacters - 1).trimEnd()}…`;
}

// The latest first. Read anew each time: other tabs write too.
export function list(): Entry[] {
  const found = read<unknown>('browser', kIndex, []);
  return Array.isArray(found) ? found.filter(isEntry).sort((a, b) => b.updated - a.updated) : [];
}

export function load(id: string): Conversation | null {
  const entry = list().find((known) => known.id === id);
  const messages = read<unknown>('browser', entryKey(id), null);
  return entry && Array.isArray(messages) ? { ...entry, messages: messages.filter(isMessage) } : null;
}

// False when the browser has no room for it. One without messages is not kept.
export function save(conversation: Conversation): boolean {
  if (conversation.messages.length === 0) return true;
  if (conversation.title === '') conversation.title = titleOf(conversation.messages);
  const { id, title, updated, messages } = conversation;
  return write('browser', entryKey(id), messages) && write('browser', kIndex, [...list().filter((known) => known.id !== id), { id, title, updated }]);
}

export function rename(id: string, title: string): void {
  write('browser', kIndex, list().map((known) => (known.id === id ? { ...known, title } : known)));
}

export function removeOne(id: string): void {
  write('browser', kIndex, list().filter((known) => known.id !== id));
  remove('browser', entryKey(id));
}

// The conversation of this tab, over reloads.
export const currentId = (): string => read<string>('tab', 'hadal.current', '');
export const setCurrentId = (id: string): boolean => write('tab', 'hadal.current', id);
