// A real `hadal serve` on a free port, for as long as a test needs it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export const binary = process.env.HADAL_BINARY;
export const model = process.env.HADAL_MODEL;
assert.ok(binary && model, 'HADAL_BINARY and HADAL_MODEL say what to test; ctest sets them');

// Runs to the end: {code, stdout, stderr}.
export async function run(...args) {
  const child = spawn(binary, args);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

export async function startServer(...args) {
  // A KV cache of its own, in memory, unless the test says otherwise; and the small model.
  const given = (flag) => (args.includes(flag) ? [] : [flag, { '--model': model, '--kv-dir': 'none' }[flag]]);
  const env = { ...process.env, ...(typeof args.at(-1) === 'object' ? args.pop() : {}) }; // the last one may be variables
  const flags = [...given('--model'), ...given('--kv-dir'), '--port', '0', '--threads', '1', ...args];
  const child = spawn(binary, ['serve', ...flags], { env });
  const server = { child, stdout: '', stderr: '', exited: once(child, 'close') };
  child.stdout.on('data', (data) => (server.stdout += data));
  child.stderr.on('data', (data) => (server.stderr += data));
  await until(() => {
    assert.equal(child.exitCode, null, `hadal serve ended at once: ${server.stderr}`);
    return /https?:\/\/\S+/.test(server.stdout);
  });
  server.url = server.stdout.match(/(https?:\/\/[^/\s]+)/)[1];
  server.port = Number(new URL(server.url).port);
  server.health = async () => (await fetch(`${server.url}/health`)).json();
  server.stop = async () => {
    child.kill('SIGTERM');
    const [code, signal] = await server.exited;
    assert.equal(signal, null, server.stderr);
    assert.equal(code, 0, server.stderr);
  };
  return server;
}

// The model that says what tests/serve/scripted_model.h lists; HADAL_MODEL is its directory.
export const startScripted = (...args) => startServer('--chat-format', 'deepseek-v3.1', '--kv-dir', 'none', ...args);

export const weatherTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The forecast for a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

export async function until(condition, seconds = 30, what = condition) {
  const end = Date.now() + seconds * 1000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
    await sleep(10);
  }
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
