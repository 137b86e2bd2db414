// A coding agent (pi, from npm) run without a person against the server, in each of the three dialects that it speaks.
// The model is scripted: it calls the agent's `read` on notes.txt, then speaks. So a whole turn of the agent is seen: its
// system prompt and tools go in, a call comes out as a stream, the agent runs it, its result goes in, an answer comes out.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { startScripted } from './server.mjs';

const pi = join(dirname(fileURLToPath(import.meta.url)), 'agent/node_modules/@mariozechner/pi-coding-agent/dist/cli.js');
const [major, minor] = process.versions.node.split('.').map(Number);
const skip = major > 20 || (major === 20 && minor >= 6) ? false : 'the agent wants Node 20.6';
const notes = 'The trench is 10935 metres deep.';

let server;
let recorder; // between the agent and the server: what was asked, and how it was answered
let seen = [];
let folder;
before(async () => {
  server = await startScripted();
  folder = mkdtempSync(join(tmpdir(), 'hadal-agent-'));
  recorder = http.createServer((request, response) => {
    const entry = { path: request.url, body: '', answer: '' };
    seen.push(entry);
    const passed = http.request(`${server.url}${request.url}`, { method: request.method, headers: request.headers }, (answer) => {
      entry.status = answer.statusCode;
      entry.type = answer.headers['content-type'];
      response.writeHead(answer.statusCode, answer.headers);
      answer.on('data', (data) => (entry.answer += data));
      answer.pipe(response);
    });
    request.on('data', (data) => (entry.body += data));
    request.pipe(passed);
  }).listen(0, '127.0.0.1');
  await once(recorder, 'listening');
});
after(async () => {
  recorder.close();
  recorder.closeAllConnections();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

// The agent's events, one JSON object a line.
async function runAgent(api, path, prompt) {
  const home = join(folder, api);
  const work = join(home, 'work');
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, 'notes.txt'), `${notes}\n`);
  const model = { id: 'deepseek-chat', contextWindow: 32768, maxTokens: 512 };
  const provider = { baseUrl: `http://127.0.0.1:${recorder.address().port}${path}`, api, apiKey: 'sk-anything', models: [model] };
  writeFileSync(join(home, 'models.json'), JSON.stringify({ providers: { hadal: provider } }));
  const child = spawn(process.execPath, [pi, '-p', '--mode', 'json', '--no-session', '--offline', '--provider', 'hadal', '--model', 'deepseek-chat', prompt], {
    cwd: work,
    env: { PATH: process.env.PATH, HOME: home, PI_CODING_AGENT_DIR: home, PI_OFFLINE: '1', PI_TELEMETRY: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let said = '';
  child.stdout.on('data', (data) => (out += data));
  child.stderr.on('data', (data) => (said += data));
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  assert.equal(code, 0, said || out);
  return out.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
}

const textOf = (content) => content.map((block) => block.text ?? '').join('');

for (const [api, path, endpoint, end] of [
  ['openai-completions', '/v1', '/v1/chat/completions', 'data: [DONE]\n\n'],
  ['anthropic-messages', '/anthropic', '/anthropic/v1/messages', '"type":"message_stop"}\n\n'],
  ['openai-responses', '/v1', '/v1/responses', 'response.completed'],
]) {
  test(`pi over ${api}`, { skip: skip || (!existsSync(pi) && 'the agent is not installed') }, async () => {
    seen = [];
    const events = await runAgent(api, path, 'What do my notes say about the trench?');
    for (const entry of seen) {
      assert.ok(entry.path.startsWith(endpoint), entry.path);
      assert.equal(entry.status, 200, entry.answer);
      assert.match(entry.type, /^text\/event-stream/);
      assert.ok(entry.answer.includes(end), entry.answer.slice(-300));
    }
    assert.equal(seen.length, 2); // the call, and after its result the answer
    assert.ok(JSON.parse(seen[0].body).tools.length >= 4);
    assert.ok(seen[1].body.includes(notes));

    const ran = events.find((event) => event.type === 'tool_execution_end');
    assert.equal(ran?.toolName, 'read', JSON.stringify(events.slice(-3)));
    assert.equal(ran.isError, false);
    assert.ok(textOf(ran.result.content).includes(notes));
    const answers = events.filter((event) => event.type === 'message_end' && event.message.role === 'assistant').map((event) => event.message);
    assert.deepEqual(answers.map((message) => message.stopReason), ['toolUse', 'stop']);
    assert.equal(textOf(answers[1].content), 'Notes say ten kilometres');
    assert.ok(answers.every((message) => message.usage.input + message.usage.cacheRead > 500 && message.usage.output > 0));
  });
}
