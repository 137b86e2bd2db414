// hadal bench serve against a real hadal serve: traces made, replayed, reported; a server that is killed under it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { binary, run, sleep, startServer, until } from './server.mjs';

let server;
let folder;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hadal-bench-'));
  server = await startServer();
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const file = (name) => join(folder, name);
const small = ['--shared-words', '40', '--words', '10', '--think', '0.05'];

async function make(name, kind, maxTokens, ...flags) {
  const sizes = [...small, '--max-tokens', String(maxTokens)];
  const { code, stdout, stderr } = await run('bench', 'serve', '--make', kind, ...sizes, ...flags);
  assert.equal(code, 0, stderr);
  writeFileSync(file(name), stdout);
  return file(name);
}

test('each kind of trace is made and answered', async () => {
  for (const kind of ['agent', 'multi-turn', 'shared-system', 'documents']) {
    const trace = await make(`${kind}.jsonl`, kind, 12, '--sessions', '3', '--turns', '2', '--rate', '0');
    const json = file(`${kind}.json`);
    const { code, stdout, stderr } = await run('bench', 'serve', '--trace', trace, '--url', server.url, '--json', json);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /6 of 6 requests answered/);
    assert.match(stdout, /first token \(TTFT\)/);
    const { hadal_bench_serve: version, model, summary, requests } = JSON.parse(readFileSync(json, 'utf8'));
    assert.equal(version, 1);
    assert.ok(model.length > 0);
    assert.equal(summary.ok, 6);
    assert.deepEqual(summary.errors, {});
    assert.equal(summary.requests_without_usage, 0);
    assert.equal(requests.length, 6);
    for (const request of requests) {
      assert.equal(request.outcome, 'ok');
      assert.equal(request.completion_tokens, 12); // the test's model never ends by itself
      assert.ok(request.first_text_s >= request.sent_s && request.end_s >= request.first_text_s);
      assert.ok(request.prompt_tokens > 20);
    }
    assert.equal(summary.completion_tokens, 72);
    // The second turn's prompt holds the first's, and its answer.
    for (const session of new Set(requests.map((r) => r.session))) {
      const [first, second] = requests.filter((r) => r.session === session).sort((a, b) => a.turn - b.turn);
      assert.ok(second.prompt_tokens > first.prompt_tokens);
    }
  }
});

test('completions, a pipe, a report, and the same answers twice', async () => {
  const trace = await make('c.jsonl', 'agent', 12, '--completions', '--sessions', '2', '--turns', '2');
  const hashes = [];
  for (const concurrency of ['1', '0']) {
    const child = spawn(binary, ['bench', 'serve', '--trace', '-', '--url', `${server.url}/v1`, '--speed', '0', '--json',
      '-', '--report', file('c.html'), '--concurrency', concurrency]);
    let stdout = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stdin.end(readFileSync(trace));
    const [code] = await once(child, 'close');
    assert.equal(code, 0);
    const { requests } = JSON.parse(stdout);
    hashes.push(Object.fromEntries(requests.map((r) => [`${r.session} ${r.turn}`, r.answer_fnv1a])));
  }
  assert.equal(Object.keys(hashes[0]).length, 4);
  assert.deepEqual(hashes[0], hashes[1]); // greedy: the company that a request has does not change its answer
  const page = readFileSync(file('c.html'), 'utf8');
  assert.match(page, /<svg /);
  assert.doesNotMatch(page, /<script|<link|src=|https?:\/\/(?!127)/);
});

test('Ctrl-C ends with what is there', async () => {
  const trace = await make('long.jsonl', 'multi-turn', 12, '--sessions', '40', '--turns', '1', '--rate', '4');
  const child = spawn(binary, ['bench', 'serve', '--trace', trace, '--url', server.url, '--json', file('long.json')]);
  let stdout = '';
  child.stdout.on('data', (data) => (stdout += data));
  const before = await server.health();
  await until(async () => {
    const { requests_total: total, requests_running: running } = await server.health();
    return total - running >= before.requests_total + 3; // some are answered, of those that came since
  });
  child.kill('SIGINT');
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  assert.match(stdout, /\(interrupted\)/);
  const { summary } = JSON.parse(readFileSync(file('long.json'), 'utf8'));
  assert.equal(summary.interrupted, true);
  assert.ok(summary.ok >= 1 && summary.ok < 40, JSON.stringify(summary));
  assert.equal(summary.ok + summary.interrupted_requests + summary.skipped, 40);
});

test('a server that is killed under the load is counted', async () => {
  const other = await startServer();
  const trace = await make('killed.jsonl', 'multi-turn', 200, '--sessions', '30', '--turns', '1', '--rate', '10');
  const child = spawn(binary, ['bench', 'serve', '--trace', trace, '--url', other.url, '--json', '-']);
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  const ended = once(child, 'close');
  await sleep(1000);
  other.child.kill('SIGKILL');
  await other.exited;
  const [code] = await ended;
  const { summary } = JSON.parse(text);
  const failed = Object.values(summary.errors).reduce((a, b) => a + b, 0);
  assert.ok((summary.errors.connect ?? 0) > 0, JSON.stringify(summary.errors));
  for (const kind of Object.keys(summary.errors)) assert.ok(['connect', 'cut'].includes(kind), kind);
  assert.equal(summary.ok + failed + summary.skipped, 30);
  assert.equal(code, summary.ok > 0 ? 0 : 1);
});

test('bad input is one line and exit status 2', async () => {
  writeFileSync(file('broken.jsonl'), '{"hadal_trace": 1}\n{"session": "s"}\n{"turn": "s", "max_token": 3}\n');
  for (const [flags, part] of [
    [['--trace', file('broken.jsonl'), '--url', server.url], `${file('broken.jsonl')}:3: unknown member "max_token"`],
    [['--trace', file('none.jsonl'), '--url', server.url], 'none.jsonl'],
    [['--trace', file('agent.jsonl')], '--url'],
    [['--trace', file('agent.jsonl'), '--url', 'gopher://x'], 'gopher://x'],
    [['--make', 'robots'], 'agent, multi-turn'],
    [['--make', 'agent', '--turns', '0'], '--turns 0'],
    [[], '--make KIND'],
  ]) {
    const { code, stderr } = await run('bench', 'serve', ...flags);
    assert.equal(code, 2, stderr);
    assert.ok(stderr.startsWith('hadal: ') && stderr.includes(part), stderr);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
  const gone = await run('bench', 'serve', '--trace', file('agent.jsonl'), '--url', 'http://127.0.0.1:9');
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /^hadal: \[bench\] http:\/\/127\.0\.0\.1:9\/v1\/models: .*is the server running/);
});
