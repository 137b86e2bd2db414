// Requests that are wrong in every way that a network offers: each is told so, and the server goes on serving.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { sleep, startServer, until } from './server.mjs';

let server;
before(async () => (server = await startServer()));
after(() => server.stop());
afterEach(async () => assert.equal((await server.health()).status, 'ok'));

const chatUrl = () => `${server.url}/v1/chat/completions`;

// The status and body that curl sees.
async function curl(args, input) {
  const child = spawn('curl', ['-sS', '-w', '\n%{http_code}', ...args]);
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stdin.on('error', () => {}); // the server may close before all is sent
  child.stdin.end(input ?? '');
  await once(child, 'close');
  const at = output.lastIndexOf('\n');
  return { status: Number(output.slice(at + 1)), body: output.slice(0, at) };
}

async function assertRefused(body, status, message) {
  const answer = await curl(['--data-binary', '@-', chatUrl()], body);
  assert.equal(answer.status, status, answer.body);
  const { error } = JSON.parse(answer.body);
  assert.equal(error.type, 'invalid_request_error');
  assert.match(error.message, message);
}

// Sends `bytes`, then whatever `then` does, and returns all that comes back.
async function raw(bytes, then = () => {}) {
  const socket = net.connect(server.port, '127.0.0.1');
  let received = '';
  socket.on('data', (data) => (received += data));
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  await then(socket);
  if (!socket.closed) await once(socket, 'close');
  return received;
}

test('a body that is not JSON', () => assertRefused('{"messages": [', 400, /not valid JSON/));
test('no body', () => assertRefused('', 400, /no body/));
test('bytes that are not UTF-8', () =>
  assertRefused(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 400, /not valid JSON/));
test('JSON that is not an object', () => assertRefused('[1, 2]', 422, /expected object, got array/));
test('JSON a million levels deep', () =>
  assertRefused('{"messages":' + '['.repeat(1e6) + ']'.repeat(1e6) + '}', 400, /deeper than 64 levels/));
test('a wrong type names its field', () =>
  assertRefused(JSON.stringify({ messages: [{ role: 'user', content: 7 }] }), 422, /messages\[0\]\.content/));

test('a body over the limit, announced and not', async () => {
  const big = Buffer.alloc(9 * 1024 * 1024, 0x20);
  await assertRefused(big, 413, /over 8388608 bytes/);
  const chunked = await curl(['-H', 'Transfer-Encoding: chunked', '--data-binary', '@-', chatUrl()], big);
  assert.equal(chunked.status, 413);
});

test('a body just under the limit is read', () =>
  assertRefused(JSON.stringify({ messages: 'x'.repeat(8 * 1024 * 1024 - 64) }), 422, /messages/));

test('headers over the limit', async () => {
  const answer = await curl(['-H', `X-Long: ${'x'.repeat(60000)}`, chatUrl()]);
  assert.equal(answer.status, 431);
  assert.equal(JSON.parse(answer.body).error.code, 'headers_too_large');
});

test('what is not HTTP at all', async () => {
  assert.match(await raw('hello, are you a server?\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.match(await raw(Buffer.from([0x16, 0x03, 0x01, 0x00, 0xf1, 0x01, 0x0d, 0x0a, 0x0d, 0x0a])), /^HTTP\/1\.1 400 /);
});

test('a body that never ends', async () => {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n';
  const answer = await raw(`${head}{"messages": [`, (socket) => socket.end());
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /the request's body is not complete/);
  await raw(`${head}{"messages": [`, async (socket) => {
    await sleep(50);
    socket.destroy();
  });
});

test('headers that come too slowly end in 408, and nobody else waits', async () => {
  const started = Date.now();
  const slow = raw('GET /health HTTP/1.1\r\nHo', async (socket) => {
    for (let i = 0; i < 100 && !socket.closed && !socket.readableEnded; ++i) {
      await sleep(500);
      if (socket.writable) socket.write('x');
      if (socket.bytesRead > 0) break;
    }
    socket.end();
  });
  assert.equal((await server.health()).status, 'ok');
  assert.ok(Date.now() - started < 5000);
  assert.match(await slow, /^HTTP\/1\.1 408 /);
});

test('wrong paths and methods', async () => {
  for (const [path, method, status] of [
    ['/v1/nothing', 'GET', 404],
    ['/../etc/passwd', 'GET', 404],
    ['/v1/chat/completions', 'GET', 405],
    ['/health', 'DELETE', 405],
  ]) {
    const answer = await curl(['--path-as-is', '-X', method, server.url + path]);
    assert.equal(answer.status, status, `${method} ${path}`);
    assert.ok(JSON.parse(answer.body).error.message);
  }
});

test('a hundred clients that vanish', async () => {
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], max_tokens: 4000, stream: true });
  const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      raw(request.slice(0, i % 2 ? request.length : i * 2), async (socket) => {
        await sleep(i);
        socket.destroy();
      }),
    ),
  );
  await until(async () => {
    const health = await server.health();
    return health.requests_running === 0 && health.requests_waiting === 0;
  });
});
