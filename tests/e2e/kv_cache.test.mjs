// The KV cache on disk through a real server's life: restarts, kills, two servers, a directory that goes away, a
// model that is replaced. Greedy answers are always those of a server without a cache.
// HADAL_KILLS: how many times the server is killed under load, HADAL_TRAFFIC_SECONDS: how long two servers share a
// directory (5 and 4 here; ctest -L slow takes 100 and 180).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, test } from 'node:test';
import { model, run, sleep, startServer as start, until } from './server.mjs';

const kills = Number(process.env.HADAL_KILLS ?? 5);
const traffic = Number(process.env.HADAL_TRAFFIC_SECONDS ?? 4);
const words = 'the sea is deep and dark light of day does not reach trench fish make their own where sand stands still'.split(' ');

const running = [];
afterEach(() => running.splice(0).forEach((server) => server.child.kill('SIGKILL'))); // what a failure left
async function startServer(...args) {
  const server = await start(...args);
  running.push(server);
  return server;
}

function folder(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'hadal-kv-'));
  t.after(() => fs.rmSync(made, { recursive: true, force: true }));
  return path.join(made, 'kv');
}

// A prompt of about `length` words; prompts of one family share their first half.
function prompt(family, member, length) {
  const out = [];
  for (let i = 0; i < length; ++i) {
    const salt = i < length / 2 ? family : family * 31 + member * 7 + 1;
    out.push(words[(salt * 13 + i * i + i * (salt % 5)) % words.length]);
  }
  return out.join(' ');
}

async function ask(server, text, extra = {}) {
  const response = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ prompt: text, max_tokens: 24, temperature: 0, ...extra }),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return { text: body.choices[0].text, hit: body.usage.prompt_cache_hit_tokens, tokens: body.usage.prompt_tokens };
}

async function metric(server, name) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && /[ {]/.test(line[name.length]));
  assert.ok(lines.length > 0, `${name} is not in /metrics`);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const allWritten = (server) => until(async () => (await metric(server, 'hadal_disk_pending_pages')) === 0);

function pageFiles(directory) {
  if (!fs.existsSync(directory)) return [];
  return fs.readdirSync(directory, { recursive: true }).filter((name) => name.endsWith('.page'));
}

test('a restart: the same answer, and only what is new is computed', async (t) => {
  const kv = folder(t);
  const text = prompt(1, 1, 400);
  let server = await startServer('--kv-dir', kv);
  const cold = await ask(server, text);
  assert.equal(cold.hit, 0);
  await allWritten(server);
  await server.stop();
  server = await startServer('--kv-dir', kv);
  const warm = await ask(server, text);
  assert.equal(warm.text, cold.text);
  assert.ok(warm.hit >= cold.tokens - 64, `${warm.hit} of ${cold.tokens}`);
  assert.ok((await metric(server, 'hadal_disk_pages_read_total')) > 0);
  const longer = await ask(server, text + cold.text + ' and more');
  assert.ok(longer.hit >= cold.tokens - 64); // the answer's pages count too
  await server.stop();
});

test('another user_id, and another API key, see nothing of it', async (t) => {
  const kv = folder(t);
  const server = await startServer('--kv-dir', kv);
  const text = prompt(2, 1, 300);
  const first = await ask(server, text, { user_id: 'one' });
  assert.equal((await ask(server, text, { user_id: 'one' })).hit > 0, true);
  const other = await ask(server, text, { user_id: 'two' });
  assert.equal(other.hit, 0);
  assert.equal(other.text, first.text);
  const keyed = await fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-somebody-else' },
    body: JSON.stringify({ prompt: text, max_tokens: 1, user_id: 'one' }),
  });
  assert.equal((await keyed.json()).usage.prompt_cache_hit_tokens, 0);
  await server.stop();
});

test(`kill -9 under load, ${kills} times: no wrong token, no page lost that was reported written`, async (t) => {
  const kv = folder(t);
  const reference = await startServer('--kv-dir', 'none');
  const expected = new Map();
  const prompts = [];
  for (let i = 0; i < 12; ++i) prompts.push(prompt(i % 3, i, 60 + 45 * i));
  for (const text of prompts) expected.set(text, (await ask(reference, text)).text);
  await reference.stop();

  let random = 12345;
  const below = (n) => (random = (random * 1103515245 + 12345) % 2147483648) % n;
  let hits = 0;
  for (let round = 0; round < kills; ++round) {
    const server = await startServer('--kv-dir', kv, '--kv-memory', '24M');
    const present = pageFiles(kv).length;
    let alive = true;
    let written = 0;
    const asking = async () => {
      while (alive) {
        const text = prompts[below(prompts.length)];
        let answer;
        try {
          answer = await ask(server, text);
        } catch (error) {
          if (alive && !(error instanceof TypeError)) throw error; // TypeError: the connection went
          return;
        }
        hits += answer.hit;
        assert.equal(answer.text, expected.get(text));
      }
    };
    const watching = async () => {
      while (alive) {
        try {
          written = await metric(server, 'hadal_disk_pages_written_total');
        } catch {
          return;
        }
        await sleep(3);
      }
    };
    const work = [asking(), asking(), asking(), watching()];
    await sleep(30 + below(900));
    server.child.kill('SIGKILL');
    alive = false;
    await Promise.all(work);
    await server.exited;
    const left = pageFiles(kv).length;
    assert.ok(left >= present + written, `${present} pages, ${written} reported written, ${left} left`);
  }
  assert.ok(hits > 0 || kills < 5);
  const verify = await run('cache', 'verify', '--kv-dir', kv, '--json');
  assert.equal(verify.code, 0, verify.stderr);
  assert.equal(JSON.parse(verify.stdout).bad, 0, verify.stdout);
});

test('two servers on one directory use what the other has written', async (t) => {
  const kv = folder(t);
  const [a, b] = await Promise.all([startServer('--kv-dir', kv), startServer('--kv-dir', kv)]);
  const rounds = [];
  for (let i = 0; i < 6; ++i) {
    const text = prompt(i % 2, i % 3, 200 + 40 * i);
    const first = await ask(i % 2 ? a : b, text);
    await allWritten(i % 2 ? a : b);
    const second = await ask(i % 2 ? b : a, text);
    assert.equal(second.text, first.text);
    rounds.push(second.hit >= first.tokens - 64);
  }
  assert.ok(rounds.every(Boolean), rounds.join());
  await a.stop();
  await b.stop();
});

test(`two servers, random traffic for ${traffic} s, a budget that is too small, clearing at any time`, async (t) => {
  const kv = folder(t);
  const reference = await startServer('--kv-dir', 'none');
  const prompts = Array.from({ length: 16 }, (_, i) => prompt(i % 4, i, 60 + 30 * i));
  const expected = new Map();
  for (const text of prompts) expected.set(text, (await ask(reference, text)).text);
  await reference.stop();
  // Less memory than the prompts take, and less disk.
  const small = ['--kv-dir', kv, '--kv-disk', '600K', '--context', '2048', '--kv-memory', '1M'];
  const servers = await Promise.all([startServer(...small), startServer(...small)]);
  const end = Date.now() + traffic * 1000;
  let answers = 0;
  const asking = async (server, salt) => {
    for (let i = 0; Date.now() < end; ++i) {
      const text = prompts[(salt * 7 + i * i + i) % prompts.length];
      assert.equal((await ask(server, text)).text, expected.get(text));
      ++answers;
    }
  };
  const clearing = async () => {
    while (Date.now() < end) {
      await sleep(500);
      assert.equal((await run('cache', 'clear', '--kv-dir', kv, '--yes')).code, 0);
    }
  };
  await Promise.all([...servers.flatMap((server, s) => [0, 1, 2].map((i) => asking(server, s * 3 + i))), clearing()]);
  assert.ok(answers > traffic);
  const total = async (name) => (await metric(servers[0], name)) + (await metric(servers[1], name));
  assert.ok((await total('hadal_disk_pages_read_total')) > 0);
  assert.ok((await total('hadal_evictions_total')) > 0);
  assert.ok((await total('hadal_cache_miss_tokens_total')) > 0);
  for (const server of servers) {
    assert.equal(await metric(server, 'hadal_bad_pages_total'), 0);
    // A disk that other work holds up for seconds is left alone for a moment.
    await until(async () => (await metric(server, 'hadal_disk_available')) === 1);
    assert.doesNotMatch(server.stderr, /the directory is gone|cannot/);
    await server.stop();
  }
  const verify = JSON.parse((await run('cache', 'verify', '--kv-dir', kv, '--json')).stdout);
  assert.equal(verify.bad, 0);
});

test('the directory is deleted, then cannot be made: service goes on, says so, and recovers', async (t) => {
  const kv = folder(t);
  const server = await startServer('--kv-dir', kv);
  const text = prompt(4, 1, 300);
  const first = await ask(server, text);
  await allWritten(server);
  fs.rmSync(kv, { recursive: true });
  fs.writeFileSync(kv, 'in the way');
  assert.equal((await ask(server, prompt(5, 1, 300))).hit, 0);
  await until(async () => (await metric(server, 'hadal_disk_available')) === 0);
  assert.match(server.stderr, /\[kv/);
  assert.equal((await ask(server, text)).text, first.text);
  fs.rmSync(kv);
  await until(async () => (await metric(server, 'hadal_disk_available')) === 1);
  await sleep(2100);
  await ask(server, prompt(6, 1, 300)); // and what could not be written meanwhile is tried again
  await allWritten(server);
  await server.stop();
  const next = await startServer('--kv-dir', kv);
  assert.ok((await ask(next, prompt(6, 1, 300))).hit > 0);
  assert.ok((await ask(next, prompt(5, 1, 300))).hit > 0);
  await next.stop();
});

// The switches of tests/fault/page_store_faults.h, in a file that the server's process maps.
function diskFaults(t) {
  const at = { readError: 0, writeError: 4, syncError: 8, createError: 12, readsHang: 16, writesHang: 20 };
  const name = path.join(folder(t), '../faults');
  const bytes = Buffer.alloc(56);
  bytes.writeBigInt64LE(2n ** 63n - 1n, 24); // write_bytes_left
  fs.writeFileSync(name, bytes);
  const file = fs.openSync(name, 'r+');
  t.after(() => fs.closeSync(file));
  const set = (fault, value) => {
    const word = Buffer.alloc(4);
    word.writeInt32LE(value);
    fs.writeSync(file, word, 0, 4, at[fault]);
  };
  return { env: { LD_PRELOAD: process.env.HADAL_PAGE_FAULTS_LIBRARY, HADAL_PAGE_FAULTS: name }, set };
}

const canFail = Boolean(process.env.HADAL_PAGE_FAULTS_LIBRARY) || 'built with a sanitizer';
test('reads and writes fail or hang: service goes on, says so, and recovers', { skip: canFail !== true && canFail }, async (t) => {
  const [EIO, ENOSPC] = [5, 28];
  const kv = folder(t);
  const reference = await startServer('--kv-dir', 'none');
  const texts = Array.from({ length: 8 }, (_, i) => prompt(10 + i, 1, 300));
  const expected = [];
  for (const text of texts) expected.push((await ask(reference, text)).text);
  await reference.stop();

  const faults = diskFaults(t);
  const server = await startServer('--kv-dir', kv, '--kv-memory', '1M', '--context', '2048', faults.env);
  const answers = async (...numbers) => {
    for (const i of numbers) assert.equal((await ask(server, texts[i])).text, expected[i]);
  };
  const available = (value) => until(async () => (await metric(server, 'hadal_disk_available')) === value);
  await answers(0, 1, 2);
  await allWritten(server);
  assert.ok((await metric(server, 'hadal_disk_pages_written_total')) > 0);
  const trouble = async (fault, value, about) => {
    const said = server.stderr.length;
    faults.set(fault, value);
    await answers(3, 4, 0, 1); // more than the memory holds: some is read, all is to be written
    await until(() => about.test(server.stderr.slice(said)));
    faults.set(fault, 0);
    await available(1);
    await answers(2, 5);
    await allWritten(server);
  };
  await trouble('writeError', ENOSPC, /No space left on device/);
  await trouble('readError', EIO, /Input\/output error/);
  assert.ok((await metric(server, 'hadal_bad_pages_total')) > 0); // what could not be read was written again
  const began = Date.now();
  await trouble('readsHang', 1, /a read hangs/);
  assert.ok(Date.now() - began < 30_000, 'a disk that hangs holds nobody up for long');
  const hits = await metric(server, 'hadal_cache_hit_tokens_total');
  await answers(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2);
  assert.ok((await metric(server, 'hadal_cache_hit_tokens_total')) > hits);
  await server.stop();
  const verify = JSON.parse((await run('cache', 'verify', '--kv-dir', kv, '--json')).stdout);
  assert.equal(verify.bad, 0);
});

test('a model replaced under the same name: nothing of the old one is used', async (t) => {
  const kv = folder(t);
  const copy = path.join(path.dirname(kv), 'model');
  fs.cpSync(model, copy, { recursive: true });
  const text = prompt(7, 1, 300);
  let server = await startServer('--kv-dir', kv, '--model', copy);
  await ask(server, text);
  await allWritten(server);
  await server.stop();
  const weights = path.join(copy, 'model.safetensors');
  const bytes = fs.readFileSync(weights);
  const stat = fs.statSync(weights);
  bytes[bytes.length - 2] ^= 1;
  fs.writeFileSync(weights, bytes);
  fs.utimesSync(weights, stat.atime, stat.mtime); // even with the old time
  server = await startServer('--kv-dir', kv, '--model', copy);
  assert.equal((await ask(server, text)).hit, 0);
  await server.stop();
});
