// Keys, prices and a real `hadal serve --keys`, for the tests of the ledger.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run, startServer } from './server.mjs';

export const defaultPrices = `currency = "USD"
[[model]]
name = "*"
hit = "0.014"
miss = "0.14"
output = "0.28"
`;

export class TestLedger {
  constructor(prices = defaultPrices) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'hadal-ledger-'));
    this.database = path.join(this.folder, 'keys.db');
    this.prices = path.join(this.folder, 'prices.toml');
    writeFileSync(this.prices, prices);
  }

  // `hadal COMMAND ... --json`, parsed.
  async hadal(...args) {
    const result = await run(...args, '--keys', this.database, '--json');
    assert.equal(result.code, 0, result.stderr);
    return JSON.parse(result.stdout);
  }

  // {key, secret}
  createKey(name, ...flags) {
    return this.hadal('keys', 'create', '--name', name, ...flags);
  }

  serve(...flags) {
    return startServer('--keys', this.database, '--prices', this.prices, ...flags);
  }

  async checkBalances() {
    const result = await run('usage', '--keys', this.database, '--check');
    assert.equal(result.code, 0, result.stderr);
  }

  // Every record there is, by request id.
  async records() {
    const { requests } = await this.hadal('usage', '--records');
    return new Map(requests.map((record) => [record.id, record]));
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// "12.5" as nano-units, exactly.
export function nanos(text) {
  const [, sign, units, decimals = ''] = text.match(/^(-?)(\d+)(?:\.(\d{1,9}))?$/);
  const size = BigInt(units) * 1_000_000_000n + BigInt(decimals.padEnd(9, '0'));
  return sign ? -size : size;
}

// What `usage` costs by prices in nano-units per million tokens, rounded as the ledger rounds.
export function costOf(usage, { hit, miss, output }) {
  const exact =
    BigInt(usage.prompt_cache_hit_tokens) * hit +
    BigInt(usage.prompt_cache_miss_tokens) * miss +
    BigInt(usage.completion_tokens) * output;
  return (exact + 500_000n) / 1_000_000n;
}
