// The interface for operators: docs/guide/operate-api.md.
import { call, callJson } from '../shared/api';
import { KeyStore } from '../shared/store';

export interface Limits {
  concurrency: number | null;
  tokens_per_minute: number | null;
  daily_tokens: number | null;
  monthly_spend: string | null;
}

export interface Key {
  id: string;
  name: string;
  prefix: string;
  admin: boolean;
  revoked: boolean;
  created_at: number;
  last_used_at: number | null;
  limits: Limits;
  priority: number;
  models: string[];
  consent: boolean;
  postpaid: boolean;
  balance: { currency: string; total: string; granted: string; topped_up: string };
  today: { requests: number; tokens: number; cost: string };
  running: number;
}

export interface KeySettings {
  name?: string;
  limits?: Partial<Limits>;
  priority?: number;
  models?: string[];
  consent?: boolean;
  postpaid?: boolean;
  admin?: boolean; // of a new key
  credit?: string; // of a new key
}

export interface UsageRow {
  start: number | null;
  key: string | null;
  key_name: string | null;
  model: string | null;
  requests: number;
  failed: number;
  prompt_tokens: number;
  cache_hit_tokens: number;
  cache_miss_tokens: number;
  completion_tokens: number;
  reasoning_tokens: number;
  cost: string;
}

export interface Usage {
  from: number;
  to: number;
  currency: string;
  rows: UsageRow[];
  total: UsageRow;
}

export interface RequestRecord {
  id: string;
  at: number;
  key_name: string | null;
  model: string;
  endpoint: string;
  status: string;
  prompt_tokens: number;
  cache_hit_tokens: number;
  completion_tokens: number;
  cost: string;
  seconds: number;
}

export interface ErrorRecord {
  at: number;
  request_id: string;
  key_name: string | null;
  method: string;
  path: string;
  status: number;
  code: string | null;
  message: string;
}

export interface FeedbackRecord {
  at: number;
  key_name: string | null;
  request_id: string;
  rating: string;
  comment: string | null;
}

export interface ServerState {
  version: string;
  uptime_seconds: number;
  connections: number;
  machine: { cpu: string; processors: number; memory_bytes: number; memory_available_bytes: number; load: number[] };
  models: {
    id: string;
    architecture: string;
    parameters: number;
    active_parameters: number;
    context_length: number;
    running: number;
    waiting: number;
    requests_total: number;
    kv_pages: number;
    kv_pages_used: number;
    kv_disk_bytes: number;
  }[];
  prices: { currency: string; models: { model: string; hit: string; miss: string; output: string; off_peak_now: boolean }[] } | null;
  ledger: { backend: string; available: boolean; pending: number; open_requests: number; feedback: number };
}

export const adminKey = new KeyStore('hadal.admin_key'); // for this tab alone

const get = <T>(path: string): Promise<T> => callJson<T>(path, { key: adminKey.key });
const post = async <T>(path: string, body: unknown): Promise<T> =>
  (await (await call(path, { method: 'POST', body, key: adminKey.key })).json()) as T;

export const whoami = (): Promise<{ key: Key }> => get('/admin/whoami');
export const listKeys = (): Promise<{ currency: string; keys: Key[] }> => get('/admin/keys');
export const createKey = (settings: KeySettings): Promise<{ key: Key; secret: string }> => post('/admin/keys', settings);
export const changeKey = (id: string, settings: KeySettings): Promise<{ key: Key }> => post(`/admin/keys/${id}`, settings);
export const rotateKey = (id: string, grace_seconds: number): Promise<{ key: Key; secret: string }> =>
  post(`/admin/keys/${id}/rotate`, { grace_seconds });
export const revokeKey = (id: string): Promise<{ key: Key }> => post(`/admin/keys/${id}/revoke`, {});
// `once`: a name for this credit, made up; asked for again after a lost answer it adds nothing more.
export const creditKey = (id: string, amount: string, granted: boolean, once: string): Promise<{ key: Key }> =>
  post(`/admin/keys/${id}/credit`, { amount, granted, idempotency_key: once });
export const usage = (query: Record<string, string>): Promise<Usage> => get(`/admin/usage?${new URLSearchParams(query)}`);
export const requests = (limit: number): Promise<{ requests: RequestRecord[] }> => get(`/admin/requests?limit=${limit}`);
export const errors = (limit: number): Promise<{ errors: ErrorRecord[] }> => get(`/admin/errors?limit=${limit}`);
export const feedback = (limit: number): Promise<{ feedback: FeedbackRecord[] }> => get(`/admin/feedback?limit=${limit}`);
export const serverState = (): Promise<ServerState> => get('/admin/server');
