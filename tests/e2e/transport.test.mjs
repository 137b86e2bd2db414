// The transport as clients meet it: HTTPS with curl and Node, pipelining, readers that stall, bodies that trickle,
// limits, pages of other origins, time limits; and several models behind one server.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { model, run, sleep, startServer, until } from './server.mjs';

const directory = mkdtempSync(join(tmpdir(), 'hadal-transport-'));
let server;
before(async () => {
  server = await startServer(
    '--model', `first=${model}`, '--model', `second=${model},context=512,queue=3`, '--alias', 'gpt-4o=second',
    '--cors-origin', 'https://chat.example.org', '--proxy', 'none', '--max-connections-per-address', '20',
    '--write-timeout', '1', '--body-timeout', '2',
  );
});
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true });
});

const chat = (extra) => JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], max_tokens: 5, temperature: 0, ...extra });
const post = (body, headers = {}) => fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body, headers });
const request = (body) => `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

async function metric(name) {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  assert.ok(line, `${name} in\n${text}`);
  return Number(line.slice(name.length + 1));
}

function connect(options = {}) {
  const socket = net.connect({ port: server.port, host: '127.0.0.1', ...options });
  socket.received = '';
  socket.on('data', (data) => (socket.received += data));
  socket.on('error', () => {});
  return socket;
}

function makeCertificate(name) {
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key,
    '-out', certificate, '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    { stdio: 'pipe' });
  return { key, certificate };
}

async function curl(...args) {
  const child = spawn('curl', ['-sS', ...args]);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

test('several models: each by its name, with its own limits; aliases and modes', async () => {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  assert.deepEqual(ids, ['first', 'second', 'gpt-4o', 'deepseek-chat']);
  assert.equal((await client.models.retrieve('second')).context_length, 512);
  assert.equal((await client.models.retrieve('gpt-4o')).root, 'second');
  for (const name of ids) {
    const answer = await client.chat.completions.create({ model: name, messages: [{ role: 'user', content: 'hi' }], max_tokens: 3 });
    assert.equal(answer.model, name);
  }
  // A prompt of 600 tokens fits one of them.
  const long = { prompt: Array.from({ length: 600 }, () => 200), max_tokens: 2 };
  assert.equal((await client.completions.create({ model: 'first', ...long })).usage.prompt_tokens, 600);
  await assert.rejects(client.completions.create({ model: 'gpt-4o', ...long }), { status: 400, code: 'context_length_exceeded' });
  await assert.rejects(client.chat.completions.create({ model: 'third', messages: [{ role: 'user', content: 'hi' }] }), {
    status: 400, message: /Model Not Exist: "third"; this server has "first", "second"/ });
  const health = await server.health();
  assert.deepEqual(health.models.map(({ id }) => id), ['first', 'second']);
  assert.equal(health.requests_total, health.models[0].requests_total + health.models[1].requests_total);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  for (const id of ['first', 'second']) assert.match(text, new RegExp(`^hadal_requests_total\\{model="${id}"\\} [1-9]`, 'm'));
});

test('each model has a queue of its own', async () => {
  // A random model may end its answers soon: then they are asked again.
  await until(async () => {
    const sockets = Array.from({ length: 8 }, () => connect());
    for (const socket of sockets) socket.write(request(chat({ model: 'second', max_tokens: 400, temperature: 1, stream: true })));
    await until(() => sockets.every((socket) => socket.received !== ''));
    const refused = sockets.find((socket) => socket.received.startsWith('HTTP/1.1 503 '));
    if (refused) assert.match(refused.received, /\r\nRetry-After: \d+\r\n/);
    const other = await post(chat({ model: 'first' }));
    assert.equal(other.status, 200);
    await other.text();
    for (const socket of sockets) socket.destroy();
    return refused !== undefined;
  });
  await until(async () => (await server.health()).requests_running === 0);
});

test('pipelined requests are answered in order', async () => {
  const socket = connect();
  socket.write(request(chat()) + 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n' + request(chat({ stream: true })) + 'GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => /"object":"list"/.test(socket.received));
  const order = ['"object":"chat.completion"', '"status":"ok"', 'data: [DONE]', '"object":"list"'].map((part) => socket.received.indexOf(part));
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
  assert.ok(order[0] > 0);
  socket.destroy();
});

test('a reader that stalls is dropped, and its generation ends', async () => {
  const before = await metric('hadal_http_slow_readers_total');
  const sockets = [];
  const stall = () => {
    const socket = connect();
    socket.pause(); // the kernel's buffers fill, then the server's
    // Much text for each token: with every log-probability that there is.
    socket.write(request(chat({ model: 'first', max_tokens: 4000, temperature: 1, stream: true, n: 16, logprobs: true, top_logprobs: 20 })));
    sockets.push(socket);
  };
  const isDropped = async () => (await metric('hadal_http_slow_readers_total')) > before;
  // A random model may end its answers before they fill anything: then it is asked again.
  await until(async () => {
    if ((await server.health()).requests_running === 0 && !(await isDropped())) stall();
    await sleep(100);
    return isDropped();
  }, 90);
  await until(async () => (await server.health()).requests_running === 0);
  for (const socket of sockets) socket.destroy();
});

test('a body that trickles ends in 408', async () => {
  const socket = connect();
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
  const timer = setInterval(() => socket.write(' '), 100);
  await until(() => socket.received !== '');
  clearInterval(timer);
  assert.match(socket.received, /^HTTP\/1\.1 408 /);
});

test('one address may not take every connection; others still may', async () => {
  await until(async () => (await server.health()).connections < 5); // those of other tests are gone
  const sockets = Array.from({ length: 30 }, () => connect({ localAddress: '127.0.0.7' }));
  await until(() => sockets.filter((socket) => socket.received.startsWith('HTTP/1.1 429 ')).length === 10);
  const refused = sockets.find((socket) => socket.received !== '').received;
  assert.match(refused, /\r\nRetry-After: \d+\r\n/);
  assert.equal(JSON.parse(refused.split('\r\n\r\n')[1]).error.type, 'rate_limit_error');
  assert.equal((await server.health()).status, 'ok');
  for (const socket of sockets) socket.destroy();
});

test('pages of the origins that were named, and no others', async () => {
  const preflight = (origin) =>
    fetch(`${server.url}/v1/chat/completions`, { method: 'OPTIONS',
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'authorization, content-type' } });
  const allowed = await preflight('https://chat.example.org');
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://chat.example.org');
  assert.match(allowed.headers.get('access-control-allow-headers'), /authorization/);
  const other = await preflight('http://localhost:3000');
  assert.equal(other.headers.get('access-control-allow-origin'), null);
  const answer = await post(chat({ stream: true }), { Origin: 'https://chat.example.org' });
  assert.equal(answer.headers.get('access-control-allow-origin'), 'https://chat.example.org');
  assert.match(answer.headers.get('access-control-expose-headers'), /x-request-id/);
  await answer.text();
});

test('X-Request-Timeout-Ms is the time that a request has', async () => {
  const long = chat({ model: 'first', max_tokens: 4000, temperature: 1 });
  // On a busy machine nothing may be said in so little time, and a random model may end by itself.
  let milliseconds = 100;
  await until(async () => {
    const answer = await post(long, { 'X-Request-Timeout-Ms': String(milliseconds) });
    const { choices, error } = await answer.json();
    assert.equal(answer.status, choices ? 200 : 503, JSON.stringify(error));
    if (!choices) milliseconds *= 2;
    if (choices?.[0].finish_reason !== 'insufficient_system_resource') return false;
    assert.ok(choices[0].message.content.length > 0); // what was said until then
    return true;
  });
  for (const bad of ['0', '-1', 'soon', '1.5', '99999999999999999999']) {
    const refused = await post(long, { 'X-Request-Timeout-Ms': bad });
    assert.equal(refused.status, 400, bad);
    assert.equal((await refused.json()).error.param, 'X-Request-Timeout-Ms');
  }
});

test('flags that make no sense are named', async () => {
  for (const [flags, message] of [
    [['--tls-cert', '/nowhere.pem'], /--tls-key/],
    [['--tls-cert', '/nowhere.pem', '--tls-key', '/nowhere.key'], /\/nowhere\.pem/],
    [['--cors-origin', 'chat.example.org'], /chat\.example\.org/],
    [['--proxy', 'nginx'], /nginx/],
    [['--alias', 'a=nothing'], /nothing/],
    [['--model', `a=${model},threads=x`], /threads/],
    [['--model', model, '--model', model], /two models have the name/],
  ]) {
    const given = flags.includes('--model') ? [] : ['--model', model];
    const result = await run('serve', '--port', '0', '--kv-dir', 'none', ...given, ...flags);
    assert.equal(result.code, 2, `${flags}: ${result.stderr}`);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^hadal: [^\n]*\n$/);
  }
});

test('HTTPS: curl and Node, a stream, the protocol that was agreed on, old and plain clients refused', async () => {
  const { key, certificate } = makeCertificate('first');
  const secure = await startServer('--tls-cert', certificate, '--tls-key', key);
  assert.match(secure.url, /^https:/);
  const url = `https://127.0.0.1:${secure.port}`;
  const health = await curl('--cacert', certificate, '-w', '\n%{http_version}', `${url}/health`);
  assert.equal(health.code, 0, health.stderr);
  assert.match(health.stdout, /"status":"ok".*\n1\.1$/s);
  const stream = await curl('--cacert', certificate, '-N', '-d', chat({ stream: true, max_tokens: 20 }), `${url}/v1/chat/completions`);
  assert.equal(stream.code, 0, stream.stderr);
  assert.ok(stream.stdout.endsWith('data: [DONE]\n\n'));
  const old = await curl('--cacert', certificate, '--tls-max', '1.1', '--tlsv1.0', `${url}/health`);
  assert.notEqual(old.code, 0);
  const untrusted = await curl(`${url}/health`);
  assert.equal(untrusted.code, 60);
  const plain = await curl(`http://127.0.0.1:${secure.port}/health`);
  assert.match(plain.stdout, /use https:/);

  const agent = new https.Agent({ ca: execFileSync('cat', [certificate]), keepAlive: true, maxSockets: 1, ALPNProtocols: ['h2', 'http/1.1'] });
  const get = (path, body) => new Promise((resolve, reject) => {
    const message = https.request(`${url}${path}`, { agent, method: body ? 'POST' : 'GET' }, (response) => {
      let text = '';
      const [protocol, alpn] = [response.socket.getProtocol(), response.socket.alpnProtocol];
      response.on('data', (data) => (text += data));
      response.on('end', () => resolve({ text, protocol, alpn }));
    });
    message.on('error', reject);
    message.end(body);
  });
  const one = await get('/health');
  assert.equal(one.protocol, 'TLSv1.3');
  assert.equal(one.alpn, 'http/1.1');
  const large = await get('/v1/completions', JSON.stringify({ prompt: 'x'.repeat(300_000) })); // many records
  assert.match(large.text, /context_length_exceeded/);
  assert.match((await get('/v1/chat/completions', chat())).text, /"finish_reason":"length"/);
  agent.destroy();

  // Hang-ups are seen through TLS as well.
  const socket = (await import('node:tls')).connect({ port: secure.port, host: '127.0.0.1', ca: execFileSync('cat', [certificate]) });
  await once(socket, 'secureConnect');
  const healthNow = async () => JSON.parse((await curl('--cacert', certificate, `${url}/health`)).stdout);
  const ask = () => socket.write(request(chat({ max_tokens: 4000, temperature: 1, stream: true })));
  socket.on('data', (data) => String(data).includes('data: [DONE]') && ask()); // a random model may end soon
  ask();
  await until(async () => (await healthNow()).requests_running === 1);
  socket.destroy();
  await until(async () => (await healthNow()).requests_running === 0);
  // Bytes that are no handshake.
  const noise = net.connect(secure.port, '127.0.0.1');
  noise.on('error', () => {});
  noise.resume(); // reads, so that it sees the end
  noise.write('garbage garbage garbage garbage garbage\r\n\r\n');
  await once(noise, 'close');
  await secure.stop();
});

test('SIGHUP reads the certificate again, and keeps the old one when the new one is broken', async () => {
  const { key, certificate } = makeCertificate('old');
  const next = makeCertificate('new');
  const secure = await startServer('--tls-cert', certificate, '--tls-key', key);
  const subject = async () => /subject: CN=(\w+)/.exec((await curl('-vk', `https://127.0.0.1:${secure.port}/health`)).stderr)?.[1];
  assert.equal(await subject(), 'old');
  execFileSync('cp', [next.certificate, certificate]); // its key is still the old one's
  secure.child.kill('SIGHUP');
  await until(() => /not reloaded.*key/.test(secure.stderr));
  assert.equal(await subject(), 'old');
  execFileSync('cp', [next.key, key]);
  secure.child.kill('SIGHUP');
  await until(async () => (await subject()) === 'new');
  await secure.stop();
});

test('SIGHUP without TLS does no harm', async () => {
  server.child.kill('SIGHUP');
  await sleep(100);
  assert.equal((await server.health()).status, 'ok');
});

test('a kept connection of Node survives many requests', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set();
  for (let i = 0; i < 50; ++i) {
    await new Promise((resolve, reject) => {
      http.get(`${server.url}/v1/models`, { agent }, (response) => {
        ports.add(response.socket.localPort);
        response.resume().on('end', resolve);
      }).on('error', reject);
    });
  }
  assert.equal(ports.size, 1);
  agent.destroy();
});
