// hadal serve as a process: how it starts, refuses to start, and stops.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { model, run, sleep, startServer, until } from './server.mjs';

const body = (extra) =>
  JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], temperature: 0, stream: true, ...extra });

function post(server, extra) {
  return fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body: body(extra) });
}

test('SIGTERM lets a running stream finish, then ends with status 0', async () => {
  const server = await startServer();
  const response = await post(server, { max_tokens: 200 });
  const reader = response.body.getReader();
  let text = Buffer.from((await reader.read()).value).toString();
  server.child.kill('SIGTERM');
  // Who comes now is told to come back.
  await until(async () => (await fetch(`${server.url}/health`)).status === 503);
  const refused = await fetch(`${server.url}/v1/models`);
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal(refused.headers.get('connection'), 'close');
  assert.equal((await refused.json()).error.code, 'server_overloaded');
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += Buffer.from(value).toString();
  }
  assert.match(text, /"finish_reason":"length"/);
  assert.ok(text.endsWith('data: [DONE]\n\n'));
  assert.deepEqual(await server.exited, [0, null]);
  assert.match(server.stdout, /stopped/);
});

test('a second Ctrl-C does not wait', async () => {
  const server = await startServer();
  const response = await post(server, { max_tokens: 8000, temperature: 1 });
  const reader = response.body.getReader();
  await reader.read();
  server.child.kill('SIGINT');
  await sleep(200);
  assert.equal(server.child.exitCode, null);
  const started = Date.now();
  server.child.kill('SIGINT');
  assert.deepEqual(await server.exited, [0, null]);
  assert.ok(Date.now() - started < 5000);
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  }); // cut, and the client can tell
});

test('--drain-seconds bounds the wait', async () => {
  const server = await startServer('--drain-seconds', '0.3');
  const response = await post(server, { max_tokens: 8000, temperature: 1 });
  await response.body.getReader().read();
  const started = Date.now();
  await server.stop();
  assert.ok(Date.now() - started < 5000);
});

test('idle connections do not hold up the end', async () => {
  const server = await startServer();
  const socket = net.connect(server.port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.resume(); // reads, so that it sees the end
  await server.health();
  const started = Date.now();
  await server.stop();
  assert.ok(Date.now() - started < 3000);
});

test('a port in use: one line, status 1', async () => {
  const server = await startServer();
  const second = await run('serve', '--model', model, '--port', String(server.port));
  assert.equal(second.code, 1);
  assert.equal(second.stdout, '');
  assert.match(second.stderr, new RegExp(`^hadal: \\[serve\\] 127\\.0\\.0\\.1:${server.port}: the port is in use[^\\n]*\\n$`));
  assert.equal((await server.health()).status, 'ok');
  await server.stop();
});

test('a model that is not there: one line, status 2', async () => {
  const result = await run('serve', '--model', '/nowhere/at/all', '--port', '0');
  assert.equal(result.code, 2);
  assert.match(result.stderr, /^hadal: [^\n]*\/nowhere\/at\/all[^\n]*\n$/);
});

test('--help has examples', async () => {
  const result = await run('serve', '--help');
  assert.equal(result.code, 0);
  assert.match(result.stdout, /Examples:\n/);
});
