// A Hugging Face hub with one repository, on a real socket, that misbehaves as told.
//   node hub_server.mjs SCENARIO.json
// Prints one line of JSON {"hub": url, "storage": url} when it listens; ends when its stdin closes.
//
// SCENARIO: {
//   root: folder that holds the files, repository: "owner/model", commit: 40 hex digits, log: a file, one line of
//   JSON a request,
//   token: required when set, page: rows per page of the list, redirect: true (large files come from the storage
//   port), tree: false (no such route), extra_paths: [more rows of the list], sizes: {path: what the list says},
//   tls: {key, cert}: files,
//   faults: {key: [fault, ...]}  key: a path (its bytes), "resolve " + path (the hub's answer when it redirects),
//     "info" or "list"; each request takes the next fault; "always:" + fault stays.
// }
// Faults: cut:N, stall:N (after N bytes of the body), slow:N (N bytes each 20 ms), status:CODE:RETRY_AFTER:X-Error-Code,
// corrupt, length:D (Content-Length off by D), long:N (N bytes too many, no Content-Length), etag:TEXT, norange,
// badrange (another range than was asked for), location:URL (redirects there), body:TEXT (200 with this text).
import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';

const scenario = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const commit = scenario.commit ?? '0123456789abcdef0123456789abcdef01234567';
const files = new Map();

function read(folder, prefix) {
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) {
      read(path, `${prefix}${name}/`);
      continue;
    }
    const bytes = readFileSync(path);
    const isLarge = /\.(safetensors|gguf|bin|pt|onnx)$/.test(name);
    const git = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    const sha = createHash('sha256').update(bytes).digest('hex');
    files.set(prefix + name, { bytes, isLarge, git, sha, etag: isLarge ? sha : git });
  }
}
read(scenario.root, '');

function nextFault(key) {
  const faults = scenario.faults?.[key];
  if (!faults?.length) return [];
  if (faults[0].startsWith('always:')) return faults[0].slice('always:'.length).split(':');
  return faults.shift().split(':');
}

function rows() {
  const all = [{ type: 'directory', path: 'folder', oid: 'f'.repeat(40), size: 0 }];
  for (const [path, file] of files) {
    const size = scenario.sizes?.[path] ?? file.bytes.length;
    const lfs = file.isLarge ? { lfs: { oid: file.sha, size, pointerSize: 135 } } : {};
    all.push({ type: 'file', path, oid: file.git, size, ...lfs });
  }
  for (const path of scenario.extra_paths ?? []) all.push({ type: 'file', path, oid: 'e'.repeat(40), size: 3 });
  return all;
}

function siblings() {
  return rows().filter((row) => row.type === 'file').map(({ path, oid, size, lfs }) => ({
    rfilename: path, blobId: oid, size, ...(lfs ? { lfs: { sha256: lfs.oid, size: lfs.size } } : {}),
  }));
}

function log(where, request, status) {
  const { range, authorization } = request.headers;
  appendFileSync(scenario.log, JSON.stringify({ where, url: request.url, range, authorization, status }) + '\n');
}

// Answers that are no file: statuses, texts, redirects. True when it was one.
function answerFault(where, request, response, fault) {
  const [kind, ...rest] = fault;
  const headers = {};
  let status = 200;
  if (kind === 'status') {
    status = Number(rest[0]);
    if (rest[1]) headers['Retry-After'] = rest[1];
    if (rest[2]) headers['X-Error-Code'] = rest[2];
    headers['X-Error-Message'] = 'the server\x01says no';
  } else if (kind === 'location') {
    status = 302;
    headers.Location = rest.join(':');
  } else if (kind !== 'body') {
    return false;
  }
  log(where, request, status);
  // X-Error-Message holds a control character on purpose: Node would refuse it in writeHead.
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const body = kind === 'body' ? rest.join(':') : '';
  response.socket.end(`HTTP/1.1 ${status} X\r\n${lines}Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`);
  return true;
}

function json(where, request, response, value, headers = {}) {
  const body = JSON.stringify(value);
  log(where, request, 200);
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

function sendFile(where, request, response, file, fault) {
  const [kind, value] = fault;
  const whole = file.bytes.length;
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  let begin = asked && kind !== 'norange' ? Number(asked[1]) : 0;
  if (begin >= whole && asked && kind !== 'norange') {
    log(where, request, 416);
    response.writeHead(416, { 'Content-Range': `bytes */${whole}` });
    response.end();
    return;
  }
  const partial = Boolean(asked) && kind !== 'norange';
  if (kind === 'badrange') begin = Math.max(0, begin - 1000);
  let body = file.bytes.subarray(begin);
  if (kind === 'corrupt') {
    body = Buffer.from(body);
    body[body.length >> 1] ^= 1;
  }
  const headers = { ETag: `"${kind === 'etag' ? value : file.etag}"`, 'Accept-Ranges': 'bytes' };
  if (where === 'storage') headers.ETag = `"storage-name-of-${file.etag.slice(0, 8)}-5"`;
  if (partial) headers['Content-Range'] = `bytes ${begin}-${whole - 1}/${whole}`;
  let length = body.length;
  if (kind === 'length') length += Number(value);
  if (kind === 'long') body = Buffer.concat([body, Buffer.alloc(Number(value))]);
  else headers['Content-Length'] = length;
  const status = partial ? 206 : 200;
  log(where, request, status);
  response.writeHead(status, headers);
  if (kind === 'cut' || kind === 'stall') {
    response.write(body.subarray(0, Number(value)), () => {
      if (kind === 'cut') response.socket.destroy();
    });
  } else if (kind === 'slow') {
    let sent = 0;
    const timer = setInterval(() => {
      response.write(body.subarray(sent, sent + Number(value)));
      sent += Number(value);
      if (sent < body.length) return;
      clearInterval(timer);
      response.end();
    }, 20);
    response.on('close', () => clearInterval(timer));
  } else if (kind === 'length') {
    response.flushHeaders();
    response.socket.write(body.subarray(0, Math.min(length, body.length)), () => response.socket.destroySoon());
  } else {
    response.end(body);
  }
}

let storageUrl = '';
const name = scenario.repository ?? 'owner/model';

function hub(request, response) {
  const url = new URL(request.url, 'http://x');
  const path = decodeURIComponent(url.pathname);
  if (scenario.token && request.headers.authorization !== `Bearer ${scenario.token}`) {
    answerFault('hub', request, response, ['status', '401']);
  } else if (path.startsWith(`/api/models/${name}/revision/`)) {
    const revision = path.slice(`/api/models/${name}/revision/`.length);
    if (answerFault('hub', request, response, nextFault('info'))) return;
    if (!['main', 'refs/pr/1', commit].includes(revision)) {
      answerFault('hub', request, response, ['status', '404', '', 'RevisionNotFound']);
      return;
    }
    json('hub', request, response, { id: name, sha: commit, siblings: siblings() });
  } else if (path === `/api/models/${name}/tree/${commit}` && scenario.tree !== false) {
    if (answerFault('hub', request, response, nextFault('list'))) return;
    const page = scenario.page ?? 1000;
    const begin = Number(url.searchParams.get('cursor') ?? 0);
    const all = rows();
    const next = new URL(request.url, `http://${request.headers.host}`);
    next.searchParams.set('cursor', String(begin + page));
    const headers = begin + page < all.length ? { Link: `<${next}>; rel="next"` } : {};
    json('hub', request, response, all.slice(begin, begin + page), headers);
  } else if (path.startsWith(`/${name}/resolve/${commit}/`)) {
    const wanted = path.slice(`/${name}/resolve/${commit}/`.length);
    const file = files.get(wanted);
    if (!file) {
      answerFault('hub', request, response, ['status', '404', '', 'EntryNotFound']);
    } else if (scenario.redirect && file.isLarge) {
      const fault = nextFault(`resolve ${wanted}`);
      if (answerFault('hub', request, response, fault)) return;
      log('hub', request, 302);
      const etag = fault[0] === 'etag' ? fault[1] : file.etag;
      response.writeHead(302, {
        Location: `${storageUrl}/blobs/${encodeURIComponent(wanted)}?signature=x`, 'X-Linked-Etag': `"${etag}"`,
        'X-Linked-Size': file.bytes.length, 'X-Repo-Commit': commit,
      });
      response.end('Found. Redirecting');
    } else {
      const fault = nextFault(wanted);
      if (!answerFault('hub', request, response, fault)) sendFile('hub', request, response, file, fault);
    }
  } else {
    answerFault('hub', request, response, ['status', '404', '', 'RepoNotFound']);
  }
}

function storage(request, response) {
  const wanted = decodeURIComponent(new URL(request.url, 'http://x').pathname).slice('/blobs/'.length);
  const fault = nextFault(wanted);
  if (!answerFault('storage', request, response, fault))
    sendFile('storage', request, response, files.get(wanted), fault);
}

function listen(handler) {
  const { tls } = scenario;
  const server = tls
    ? https.createServer({ key: readFileSync(tls.key), cert: readFileSync(tls.cert) }, handler)
    : http.createServer(handler);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`${tls ? 'https' : 'http'}://127.0.0.1:${server.address().port}`));
  });
}

storageUrl = await listen(storage);
const hubUrl = await listen(hub);
process.stdout.write(`${JSON.stringify({ hub: hubUrl, storage: storageUrl })}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
