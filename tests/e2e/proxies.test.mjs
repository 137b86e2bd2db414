// nginx and HAProxy with the examples of deploy/, in front of two servers that share a KV directory: TLS, streams that
// are not held back, each caller at its own server, and the other one when that goes.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startServer, until } from './server.mjs';

const deploy = process.env.HADAL_DEPLOY;
let folder;
let ca;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'hadal-proxies-'));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj',
    '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', join(folder, 'key.pem'), '-out',
    join(folder, 'cert.pem')], { stdio: 'ignore' });
  ca = readFileSync(join(folder, 'cert.pem'));
  writeFileSync(join(folder, 'both.pem'), Buffer.concat([ca, readFileSync(join(folder, 'key.pem'))]));
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

// The example with this test's addresses in it: each replacement must find its place.
function adapted(name, replacements) {
  let text = readFileSync(join(deploy, name), 'utf8');
  for (const [from, to] of replacements) {
    assert.ok(text.includes(from), `${name} has no "${from}"`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const proxies = {
  nginx: async (servers, port, plainPort) => {
    const home = join(folder, 'nginx');
    mkdirSync(home, { recursive: true });
    const site = adapted('nginx.conf', [
      ['server 10.0.0.11:8080', `server 127.0.0.1:${servers[0].port}`],
      ['server 10.0.0.12:8080', `server 127.0.0.1:${servers[1].port}`],
      ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
      ['listen 80;', `listen 127.0.0.1:${plainPort};`],
      ['/etc/letsencrypt/live/hadal.example.org/fullchain.pem', join(folder, 'cert.pem')],
      ['/etc/letsencrypt/live/hadal.example.org/privkey.pem', join(folder, 'key.pem')],
    ]);
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${home}/${name};`).join(' ');
    writeFileSync(join(home, 'nginx.conf'), `pid ${home}/pid; error_log stderr warn; worker_processes 2; daemon off;
      ${process.getuid() === 0 ? 'user root;' : ''}
      events {} http { access_log off; ${paths} ${site} }`);
    return spawn('/usr/sbin/nginx', ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr']);
  },
  haproxy: async (servers, port, plainPort) => {
    const path = join(folder, 'haproxy.cfg');
    writeFileSync(path, adapted('haproxy.cfg', [
      ['server one 10.0.0.11:8080', `server one 127.0.0.1:${servers[0].port}`],
      ['server two 10.0.0.12:8080', `server two 127.0.0.1:${servers[1].port}`],
      ['maxconn 20000', 'maxconn 500'], // as many files as a test may open
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['bind :80', `bind 127.0.0.1:${plainPort}`],
      ['/etc/haproxy/hadal.pem', join(folder, 'both.pem')],
    ]));
    return spawn('/usr/sbin/haproxy', ['-db', '-f', path]);
  },
};

// One request: {status, headers, text, pieces}; `onPiece(text so far, request)` sees each piece as it comes.
function ask(url, { method = 'POST', headers = {}, body, onPiece } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { method, ca, headers: { 'content-type': 'application/json', ...headers }, agent: false }, (response) => {
      let text = '';
      let pieces = 0;
      response.on('data', (data) => {
        text += data;
        ++pieces;
        onPiece?.(text, request);
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text, pieces }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const requests = (server) => server.health().then((health) => health.requests_total);
const chat = (content, extra) => ({ messages: [{ role: 'user', content }], max_tokens: 4, temperature: 0, ...extra });

for (const [name, start] of Object.entries(proxies)) {
  test(`${name} in front of two servers`, { skip: !existsSync(`/usr/sbin/${name}`) && `${name} is not installed` }, async (t) => {
    const directory = join(folder, `kv-${name}`);
    const servers = [await startServer('--kv-dir', directory), await startServer('--kv-dir', directory)];
    const [port, plainPort] = [await freePort(), await freePort()];
    const proxy = await start(servers, port, plainPort);
    const ended = once(proxy, 'close');
    let said = '';
    proxy.stdout.on('data', (data) => (said += data));
    proxy.stderr.on('data', (data) => (said += data));
    const url = `https://127.0.0.1:${port}`; // localhost may be ::1 first
    const stopped = new Set();
    try {
      await until(async () => {
        assert.equal(proxy.exitCode, null, said);
        return ask(`${url}/health`, { method: 'GET' }).then((answer) => answer.status === 200, () => false);
      });

      // Which server answered: the one whose count went up.
      const served = async (headers, content = 'hello') => {
        const before = await Promise.all(servers.map(requests));
        const answer = await ask(`${url}/v1/chat/completions`, { headers, body: chat(content) });
        assert.equal(answer.status, 200, answer.text);
        const after = await Promise.all(servers.map(requests));
        const gained = after.map((count, i) => count - before[i]);
        assert.equal(gained[0] + gained[1], 1);
        return gained.indexOf(1);
      };
      const key = (i) => ({ authorization: `Bearer sk-caller-${i}` });
      const homes = [];
      await t.test('the same key goes to the same server, and both have work', async () => {
        for (let i = 0; i < 24 && new Set(homes).size < 2 || i < 6; ++i) homes.push(await served(key(i)));
        assert.deepEqual([...new Set(homes)].sort(), [0, 1]);
        for (const i of [0, homes.indexOf(1 - homes[0])]) {
          for (let again = 0; again < 3; ++again) assert.equal(await served(key(i), `again ${again}`), homes[i]);
        }
        const anthropic = await served({ 'x-api-key': 'sk-caller-a' });
        assert.equal(await served({ 'x-api-key': 'sk-caller-a' }), anthropic);
      });

      await t.test('X-Affinity spreads one key, and each session stays', async () => {
        const sessions = [];
        for (let i = 0; i < 24 && new Set(sessions).size < 2; ++i) sessions.push(await served({ ...key(0), 'x-affinity': `session-${i}` }));
        assert.equal(new Set(sessions).size, 2);
        assert.equal(await served({ ...key(0), 'x-affinity': 'session-0' }), sessions[0]);
      });

      await t.test('streams are not held back', async () => {
        let seen = null; // at the tenth piece: requests that ran, and pieces until the server said so
        let pieces = 0;
        const gaps = []; // between pieces, milliseconds
        let last = performance.now();
        const answer = await ask(`${url}/v1/chat/completions`, {
          headers: key(0),
          body: chat('tell', { stream: true, max_tokens: 800 }),
          onPiece: () => {
            gaps.push(performance.now() - last);
            last = performance.now();
            ++pieces;
            if (pieces === 10) seen = servers[homes[0]].health().then((health) => [health.requests_running, pieces]);
          },
        });
        const [running, early] = await seen;
        assert.equal(answer.headers['content-type'].split(';')[0], 'text/event-stream');
        assert.ok(answer.text.endsWith('data: [DONE]\n\n'));
        assert.equal(running, 1, `${early} of ${pieces} pieces had come`);
        assert.ok(pieces > 400 && early < pieces / 2, `${early} of ${pieces}`);
        t.diagnostic(`800 tokens in ${pieces} pieces, longest gap ${Math.max(...gaps.slice(1)).toFixed(0)} ms`);
      });

      await t.test('a client that hangs up is noticed behind the proxy', async () => {
        await ask(`${url}/v1/chat/completions`, {
          headers: key(0),
          body: chat('tell on', { stream: true, max_tokens: 8000, temperature: 1 }),
          onPiece: (_, request) => request.destroy(),
        }).catch(() => {});
        await until(async () => (await servers[homes[0]].health()).requests_running === 0, 5);
      });

      await t.test('what is not for everyone, too large or not TLS', async () => {
        assert.equal((await ask(`${url}/metrics`, { method: 'GET' })).status, 403);
        const large = await ask(`${url}/v1/chat/completions`, { headers: { 'content-length': String(20 << 20) }, body: {} })
          .catch((error) => ({ status: error.code }));
        assert.ok([413, 'ECONNRESET', 'EPIPE'].includes(large.status), String(large.status));
        const plain = await fetch(`http://127.0.0.1:${plainPort}/v1/models`, { redirect: 'manual', headers: { host: 'hadal.example.org' } });
        assert.equal(plain.status, 308);
        assert.match(plain.headers.get('location'), /^https:\/\//);
      });

      await t.test("one server stopped: the other answers, from the first one's pages", async () => {
        const home = homes[0];
        const long = 'the deep sea is dark and cold and wide '.repeat(60);
        const usage = async () => {
          const answer = await ask(`${url}/v1/chat/completions`, { headers: key(0), body: chat(long) });
          assert.equal(answer.status, 200, answer.text);
          return JSON.parse(answer.text).usage;
        };
        const first = await usage();
        assert.ok(first.prompt_tokens > 300 && first.prompt_cache_hit_tokens === 0, JSON.stringify(first));
        await until(async () => /^hadal_disk_pending_pages\{operation="write"\} 0$/m.test(await (await fetch(`${servers[home].url}/metrics`)).text()));
        await servers[home].stop();
        stopped.add(home);
        const second = await usage();
        assert.ok(second.prompt_cache_hit_tokens >= first.prompt_tokens - 64, JSON.stringify(second));
        assert.ok((await requests(servers[1 - home])) > 0);
        for (let i = 0; i < 6; ++i) assert.equal((await ask(`${url}/v1/chat/completions`, { headers: key(i), body: chat('hello') })).status, 200);
      });
    } finally {
      proxy.kill('SIGTERM');
      await ended;
      for (const [i, server] of servers.entries()) if (!stopped.has(i)) await server.stop();
    }
  });
}
