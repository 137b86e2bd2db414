// hadal serve --keys: who may ask, what it costs, what operators see. Real clients, a real database.
import Anthropic from '@anthropic-ai/sdk';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import OpenAI, { AuthenticationError, PermissionDeniedError, RateLimitError } from 'openai';
import { costOf, nanos, TestLedger } from './ledger.mjs';
import { run, until } from './server.mjs';

const ledger = new TestLedger();
const price = { hit: 14_000_000n, miss: 140_000_000n, output: 280_000_000n };
let server;
let admin;
before(async () => {
  admin = (await ledger.createKey('ops', '--admin')).secret;
  server = await ledger.serve();
});
after(async () => {
  await server.stop();
  await ledger.checkBalances();
  ledger.remove();
});

const openai = (key) => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 });
const chat = (extra) => ({
  model: 'model',
  messages: [{ role: 'user', content: 'What lives in the hadal zone?' }],
  max_tokens: 16,
  temperature: 0,
  ...extra,
});

async function call(path, key, body, method = body ? 'POST' : 'GET') {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function balance(key) {
  const { body } = await call('/user/balance', key);
  return nanos(body.balance_infos[0].total_balance);
}

// A key that the server knows: changes are seen within a second.
async function newKey(name, ...flags) {
  const made = await ledger.createKey(name, ...flags);
  await until(async () => (await call('/v1/models', made.secret)).status === 200);
  return made;
}

function curl(...args) {
  return execFileSync('curl', ['-s', ...args], { encoding: 'utf8' });
}

test('401 in each dialect: no key, a wrong one, a revoked one', async () => {
  const body = JSON.stringify(chat());
  const none = JSON.parse(curl(`${server.url}/v1/chat/completions`, '-d', body));
  assert.match(none.error.message, /^Authentication Fails/);
  const wrong = curl('-i', `${server.url}/chat/completions`, '-H', 'Authorization: Bearer sk-wrong-here', '-d', body);
  assert.match(wrong, /^HTTP\/1.1 401 Unauthorized\r\n/);
  assert.match(wrong, /\r\nWWW-Authenticate: Bearer\r\n/);
  assert.deepEqual(JSON.parse(wrong.slice(wrong.indexOf('\r\n\r\n') + 4)), {
    error: {
      message: 'Authentication Fails, Your api key: ****here is invalid',
      type: 'authentication_error',
      param: null,
      code: 'invalid_request_error',
    },
  });
  await assert.rejects(openai('sk-wrong').chat.completions.create(chat()), AuthenticationError);
  await assert.rejects(openai('sk-wrong').models.list(), AuthenticationError);
  const claude = new Anthropic({ baseURL: server.url, apiKey: 'sk-wrong', maxRetries: 0 });
  await assert.rejects(claude.messages.create({ ...chat(), model: 'claude-x' }), (error) => {
    assert.ok(error instanceof Anthropic.AuthenticationError);
    assert.equal(error.error.error.type, 'authentication_error');
    return true;
  });
  for (const path of ['/v1/completions', '/v1/messages', '/v1/responses', '/v1/tokenize', '/feedback']) {
    assert.equal((await call(path, null, {})).status, 401, path);
  }
  for (const path of ['/user/balance', '/v1/models', '/metrics', '/admin/keys']) {
    assert.equal((await call(path, null)).status, 401, path);
  }
  assert.equal((await call('/health', null)).status, 200);
  assert.equal((await server.health()).tokens_generated_total, undefined); // from which others' answers could be followed
  const { key, secret } = await newKey('short-lived', '--credit', '1');
  await openai(secret).chat.completions.create(chat());
  await ledger.hadal('keys', 'revoke', key.id);
  await until(async () => (await call('/v1/models', secret)).status === 401, 3);
});

test('402 without a balance, as DeepSeek says it', async () => {
  const { key, secret } = await newKey('poor');
  const { status, body } = await call('/v1/chat/completions', secret, chat());
  assert.equal(status, 402);
  assert.deepEqual(body, {
    error: { message: 'Insufficient Balance', type: 'unknown_error', param: null, code: 'invalid_request_error' },
  });
  const claude = new Anthropic({ baseURL: server.url, apiKey: secret, maxRetries: 0 });
  await assert.rejects(claude.messages.create({ ...chat(), model: 'model' }), (error) => {
    assert.equal(error.status, 402);
    assert.equal(error.error.error.type, 'billing_error');
    return true;
  });
  assert.equal((await call('/user/balance', secret)).body.is_available, false);
  await ledger.hadal('keys', 'credit', key.id, '0.000001');
  await until(async () => (await call('/user/balance', secret)).body.is_available, 3);
  await openai(secret).chat.completions.create(chat()); // the one that crosses zero is finished
  assert.ok((await balance(secret)) < 0n);
  assert.equal((await call('/v1/chat/completions', secret, chat())).status, 402);
  await ledger.hadal('keys', 'set', key.id, '--postpaid', 'on');
  await until(async () => (await call('/v1/chat/completions', secret, chat())).status === 200, 3);
});

test('403 for a model that is not the key’s', async () => {
  const { secret } = await newKey('narrow', '--credit', '1', '--model', 'another');
  await assert.rejects(openai(secret).chat.completions.create(chat()), (error) => {
    assert.ok(error instanceof PermissionDeniedError);
    assert.equal(error.code, 'model_not_allowed');
    assert.equal(error.type, 'permission_error');
    return true;
  });
  const { secret: wide } = await newKey('wide', '--credit', '1', '--model', 'deepseek-chat');
  await openai(wide).chat.completions.create(chat({ model: 'deepseek-chat' }));
});

test('429 with Retry-After: concurrency, tokens of a minute, of a day, money of a month', async () => {
  const { secret: one } = await newKey('one', '--credit', '1', '--concurrency', '1');
  const controller = new AbortController();
  const stream = await openai(one).chat.completions.create(chat({ stream: true, max_tokens: 4000 }), {
    signal: controller.signal,
  });
  for await (const _ of stream) break; // it runs
  const refused = (key, code, wait) => async (request) => {
    await assert.rejects(openai(key).chat.completions.create(request), (error) => {
      assert.ok(error instanceof RateLimitError, error);
      assert.equal(error.type, 'rate_limit_error');
      assert.equal(error.code, code);
      const seconds = Number(error.headers.get('retry-after'));
      assert.ok(seconds >= 1 && seconds <= wait, `${seconds}`);
      return true;
    });
  };
  const parallel = await openai(one).chat.completions.create(chat({ max_tokens: 4000, stream: true })).catch((e) => e);
  if (!(parallel instanceof RateLimitError)) {
    // The loop above has left, and with it its request: begin again with one that stays.
    const second = await openai(one).chat.completions.create(chat()).catch((error) => error);
    assert.ok(second instanceof RateLimitError, second);
    assert.equal(second.code, 'concurrency_limit');
    assert.ok(Number(second.headers.get('retry-after')) >= 1);
    parallel.controller.abort();
  }
  controller.abort();
  // One after the other is one at a time, on other connections too.
  await until(async () => (await call('/v1/chat/completions', one, chat({ max_tokens: 1 }))).status === 200, 5);
  for (let i = 0; i < 20; ++i) {
    const answer = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${one}`, connection: 'close' },
      body: JSON.stringify(chat({ max_tokens: 2, stream: i % 2 === 0 })),
    });
    assert.equal(answer.status, 200);
    await answer.text();
  }
  const { secret: slow } = await newKey('slow', '--credit', '1', '--tokens-per-minute', '60');
  await openai(slow).chat.completions.create(chat());
  await refused(slow, 'rate_limit_exceeded', 60)(chat({ messages: [{ role: 'user', content: 'deep sea '.repeat(12) }] }));
  const { secret: daily } = await newKey('daily', '--credit', '1', '--daily-tokens', '50');
  await openai(daily).chat.completions.create(chat());
  await refused(daily, 'daily_tokens_limit', 86400)(chat({ messages: [{ role: 'user', content: 'deep sea '.repeat(12) }] }));
  const { secret: thrifty } = await newKey('thrifty', '--credit', '1', '--monthly-spend', '0.000001');
  await openai(thrifty).chat.completions.create(chat());
  await refused(thrifty, 'insufficient_quota', 32 * 86400)(chat());
});

test('the balance is right to the nano-unit: whole answers, streams, several choices, every dialect', async () => {
  const { secret } = await newKey('exact', '--credit', '1.234567891');
  let expected = 1_234_567_891n;
  assert.equal(await balance(secret), expected);
  const client = openai(secret);
  const pay = async (usage) => {
    expected -= costOf(usage, price);
    assert.equal(await balance(secret), expected);
  };
  await pay((await client.chat.completions.create(chat())).usage);
  await pay((await client.chat.completions.create(chat({ n: 3, temperature: 1, seed: 5 }))).usage);
  await pay((await client.completions.create({ model: 'model', prompt: 'The deep sea', max_tokens: 7 })).usage);
  for (const include_usage of [true, false]) {
    const stream = await client.chat.completions.create(
      chat({ stream: true, max_tokens: 33, ...(include_usage ? { stream_options: { include_usage } } : {}) }),
    );
    let usage = null;
    for await (const chunk of stream) usage = chunk.usage ?? usage;
    await pay(usage);
  }
  const claude = new Anthropic({ baseURL: server.url, apiKey: secret, maxRetries: 0 });
  const message = await claude.messages.create({ ...chat({ max_tokens: 9 }), model: 'model' });
  await pay({
    prompt_cache_hit_tokens: message.usage.cache_read_input_tokens,
    prompt_cache_miss_tokens: message.usage.input_tokens,
    completion_tokens: message.usage.output_tokens,
  });
  const answer = await client.responses.create({ model: 'model', input: 'hello', max_output_tokens: 5 });
  const cached = answer.usage.input_tokens_details.cached_tokens;
  await pay({
    prompt_cache_hit_tokens: cached,
    prompt_cache_miss_tokens: answer.usage.input_tokens - cached,
    completion_tokens: answer.usage.output_tokens,
  });
  // What is refused costs nothing.
  await assert.rejects(client.chat.completions.create(chat({ temperature: 9 })));
  assert.equal(await balance(secret), expected);
});

test('a client that leaves pays for what was made for it', async () => {
  const { key, secret } = await newKey('leaver', '--credit', '1');
  const stream = await openai(secret).chat.completions.create(
    chat({ stream: true, max_tokens: 4000, temperature: 1, logprobs: true }),
  );
  let received = 0;
  for await (const chunk of stream) {
    received += chunk.choices[0]?.logprobs?.content?.length ?? 0;
    if (received >= 20) break;
  }
  let record;
  await until(async () => {
    record = [...(await ledger.records()).values()].find((r) => r.key === key.id);
    return record !== undefined;
  });
  assert.equal(record.status, 'cancelled');
  assert.ok(record.completion_tokens >= received, `${record.completion_tokens} of ${received}`);
  assert.ok(record.completion_tokens < 2000, `${record.completion_tokens}`);
  assert.equal((await balance(secret)) + nanos(record.cost), 1_000_000_000n);
  // So does one that waits for a whole answer and leaves.
  const controller = new AbortController();
  const waiting = openai(secret).chat.completions.create(chat({ max_tokens: 4000, temperature: 1 }), {
    signal: controller.signal,
  });
  const generated = async () => (await call('/admin/server', admin)).body.models[0].generated_tokens_total;
  const before = await generated();
  await until(async () => (await generated()) >= before + 20);
  controller.abort();
  await assert.rejects(waiting);
  await until(async () => [...(await ledger.records()).values()].filter((r) => r.key === key.id).length === 2);
  const whole = [...(await ledger.records()).values()].find((r) => r.key === key.id && r.id !== record.id);
  assert.equal(whole.status, 'cancelled');
  assert.ok(whole.completion_tokens >= 20 && whole.completion_tokens < 4000, `${whole.completion_tokens}`);
  assert.equal((await balance(secret)) + nanos(record.cost) + nanos(whole.cost), 1_000_000_000n);
});

test('a rotated key: both secrets for its grace, then the new one', async () => {
  const { key, secret } = await newKey('rotating');
  const { secret: second } = await ledger.hadal('keys', 'rotate', key.id, '--grace', '1h');
  await until(async () => (await call('/v1/models', second)).status === 200, 3);
  assert.equal((await call('/v1/models', secret)).status, 200);
  const { secret: third } = await ledger.hadal('keys', 'rotate', key.id);
  await until(async () => (await call('/v1/models', second)).status === 401, 3);
  assert.equal((await call('/v1/models', third)).status, 200);
  assert.equal((await call('/v1/models', secret)).status, 401);
});

test('prices are read again: when the file changes, and on SIGHUP', async () => {
  const { secret } = await newKey('shopper', '--credit', '1');
  const prices = async () => (await call('/admin/server', admin)).body.prices.models[0].output;
  const write = (output) =>
    writeFileSync(ledger.prices, `currency = "USD"\n[[model]]\nname = "*"\nhit = "0.014"\nmiss = "0.14"\noutput = "${output}"\n`);
  assert.equal(await prices(), '0.28');
  write('1000');
  await until(async () => (await prices()) === '1000.00', 5);
  const before = await balance(secret);
  const { usage } = await openai(secret).chat.completions.create(chat());
  assert.equal(before - (await balance(secret)), costOf(usage, { ...price, output: 1_000_000_000_000n }));
  write('0.28');
  server.child.kill('SIGHUP');
  await until(async () => (await prices()) === '0.28', 5);
  assert.equal((await server.health()).status, 'ok');
});

test('what operators see: keys made, changed, credited, revoked; usage; errors; the machine', async () => {
  const made = await call('/admin/keys', admin, {
    name: 'from the page',
    limits: { concurrency: 4, monthly_spend: '2.50' },
    models: ['model'],
    credit: '3',
  });
  assert.equal(made.status, 201);
  const { id } = made.body.key;
  const { secret } = made.body;
  assert.deepEqual(made.body.key.limits, {
    concurrency: 4,
    tokens_per_minute: null,
    daily_tokens: null,
    monthly_spend: '2.50',
  });
  assert.equal(made.body.key.balance.total, '3.00');
  const { usage } = await openai(secret).chat.completions.create(chat()); // at once, not in a second
  const cost = costOf(usage, price);
  const changed = await call(`/admin/keys/${id}`, admin, { limits: { concurrency: null, daily_tokens: 1000 }, priority: 5 });
  assert.equal(changed.body.key.limits.concurrency, null);
  assert.equal(changed.body.key.limits.daily_tokens, 1000);
  assert.equal(changed.body.key.limits.monthly_spend, '2.50');
  assert.equal(changed.body.key.priority, 5);
  assert.equal(changed.body.key.today.tokens, usage.total_tokens);
  assert.equal(nanos(changed.body.key.balance.total), 3_000_000_000n - cost);
  for (const repeated of [false, true]) { // a retry adds nothing
    const credited = await call(`/admin/keys/${id}/credit`, admin, { amount: '1.5', granted: true, idempotency_key: 'gift 1' });
    assert.equal(credited.body.key.balance.granted, '1.50');
    assert.equal(credited.body.repeated, repeated);
  }
  const another = await call(`/admin/keys/${id}/credit`, admin, { amount: '2', granted: true, idempotency_key: 'gift 1' });
  assert.equal(another.status, 400);
  const named = await fetch(`${server.url}/admin/keys/${id}/credit`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'idempotency-key': 'gift 1' },
    body: JSON.stringify({ amount: '1.5', granted: true }),
  });
  assert.equal((await named.json()).repeated, true);
  const once = () => ledger.hadal('keys', 'credit', id, '0.25', '--granted', '--idempotency-key', 'gift 2');
  assert.equal((await once()).key.balance.granted, (await once()).key.balance.granted);
  await assert.rejects(ledger.hadal('keys', 'credit', id, '0.25', '--idempotency-key', ''), /--idempotency-key is empty/);
  assert.equal((await call(`/admin/keys/${id}/credit`, admin, { amount: '-0.25', granted: true })).status, 200);
  const rotated = await call(`/admin/keys/${id}/rotate`, admin, {});
  assert.equal((await call('/v1/models', secret)).status, 401);
  assert.equal((await call('/v1/models', rotated.body.secret)).status, 200);
  const seen = (await call('/admin/keys', admin)).body.keys.find((key) => key.id === id);
  assert.equal(seen.name, 'from the page');
  assert.ok(!JSON.stringify(seen).includes(rotated.body.secret));
  for (const by of ['hour', 'day', 'key', 'model']) {
    const { status, body } = await call(`/admin/usage?by=${by}&key=${id}`, admin);
    assert.equal(status, 200);
    assert.equal(body.rows.length, 1, by);
    assert.equal(nanos(body.total.cost), cost);
    assert.equal(body.rows[0].completion_tokens, usage.completion_tokens);
  }
  const split = (await call('/admin/usage?by=hour&split=key', admin)).body.rows;
  assert.ok(split.some((row) => row.key === id && row.key_name === 'from the page' && row.start % 3600 === 0));
  const requests = (await call(`/admin/requests?key=${id}&limit=5`, admin)).body.requests;
  assert.equal(requests.length, 1);
  assert.equal(requests[0].status, 'length');
  assert.equal(requests[0].endpoint, 'chat/completions');
  const revoked = await call(`/admin/keys/${id}/revoke`, admin, {});
  assert.equal(revoked.body.key.revoked, true);
  assert.equal((await call('/v1/models', rotated.body.secret)).status, 401);

  const { secret: broke } = await newKey('broke');
  assert.equal((await call('/v1/chat/completions', broke, chat())).status, 402);
  const errors = (await call('/admin/errors?limit=200', admin)).body.errors;
  assert.ok(errors.some((e) => e.status === 401 && e.path === '/v1/models' && e.key === null));
  assert.ok(errors.some((e) => e.status === 402 && e.key_name === 'broke' && e.message === 'Insufficient Balance'));
  const { body } = await call('/admin/server', admin);
  assert.equal(body.models[0].id, 'model');
  assert.ok(body.models[0].generated_tokens_total > 0);
  assert.ok(body.machine.processors >= 1 && body.machine.memory_bytes > 1e8);
  assert.equal(body.ledger.backend, 'sqlite');
  assert.equal((await call('/admin/whoami', admin)).body.key.name, 'ops');

  const { secret: user } = await newKey('user');
  for (const path of ['/admin/keys', '/admin/server', '/admin/errors', '/metrics']) {
    assert.equal((await call(path, user)).status, 403, path);
  }
  assert.equal((await call('/admin/keys/key_none', admin)).status, 404);
  assert.equal((await call('/admin/keys', admin, { name: '' })).status, 400);
  assert.equal((await call('/admin/keys', admin, { name: 'x', limits: { concurrency: 0 } })).status, 400);
  assert.equal((await call('/admin/keys', admin, { name: 'x', limits: 'many' })).status, 422);
  assert.equal((await call(`/admin/keys/${id}/credit`, admin, { amount: '1e9' })).status, 400);
  assert.equal((await call('/admin/usage?by=week', admin)).status, 400);
  assert.equal((await call('/admin/nothing', admin)).status, 404);
  const metrics = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${admin}` } });
  assert.match(await metrics.text(), /hadal_generated_tokens_total/);
});

test('feedback is stored only where the key’s owner has consented', async () => {
  const { key, secret } = await newKey('talker', '--credit', '1');
  const { headers } = await call('/v1/chat/completions', secret, chat());
  const request_id = headers.get('x-request-id');
  const say = (extra) =>
    call('/feedback', secret, { request_id, rating: 'up', comment: 'good', conversation: [{ role: 'user', content: 'hi' }], ...extra });
  assert.equal((await call('/user/consent', secret)).body.consent, false);
  const refused = await say();
  assert.equal(refused.status, 200);
  assert.equal(refused.body.stored, false);
  assert.match(refused.body.reason, /consent/);
  await ledger.hadal('keys', 'set', key.id, '--consent', 'on');
  await until(async () => (await call('/user/consent', secret)).body.consent, 30);
  assert.deepEqual((await say()).body, { stored: true });
  const { feedback } = (await call('/admin/feedback', admin)).body;
  assert.equal(feedback.length, 1);
  assert.equal(feedback[0].key_name, 'talker');
  assert.deepEqual(feedback[0].conversation, [{ role: 'user', content: 'hi' }]);
  assert.equal((await say({ rating: 'great' })).status, 400);
  assert.equal((await say({ comment: 'x'.repeat(300_000) })).status, 413);
});

test('feedback is about a request that the key made: known at once, kept through a restart', async () => {
  const mine = await newKey('asker', '--credit', '1', '--consent', 'on');
  const other = await newKey('neighbour', '--credit', '1', '--consent', 'on');
  const say = (key, request_id, extra) => call('/feedback', key.secret, { request_id, rating: 'up', ...extra });
  const ids = [];
  for (let i = 0; i < 5; ++i) { // at once: its record may not be in the database yet
    const answer = await call('/v1/chat/completions', mine.secret, chat({ max_tokens: 1 }));
    ids.push(answer.headers.get('x-request-id'));
    assert.deepEqual((await say(mine, ids[i])).body, { stored: true });
  }
  for (const [key, id] of [[other, ids[0]], [mine, 'r-1'], [mine, '0'.repeat(36)]]) {
    const refused = await say(key, id);
    assert.equal(refused.status, 404);
    assert.equal(refused.body.error.code, 'request_not_found');
    assert.equal(refused.body.error.param, 'request_id');
  }
  // A stream that is under way can be spoken of.
  const stop = new AbortController();
  const stream = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST', headers: { authorization: `Bearer ${mine.secret}` }, signal: stop.signal, body: JSON.stringify(chat({ stream: true, max_tokens: 3000 })),
  });
  assert.deepEqual((await say(mine, stream.headers.get('x-request-id'))).body, { stored: true });
  stop.abort();
  await server.stop();
  server = await ledger.serve();
  assert.deepEqual((await say(mine, ids[0], { rating: 'down' })).body, { stored: true });
  const { feedback } = (await call('/user/consent', mine.secret)).body;
  assert.equal(feedback.entries, 6, 'one word a request, the last one');
});

test('consent is its owner’s: given, withdrawn, and what was stored deleted', async () => {
  const mine = await newKey('owner', '--credit', '1');
  const consent = (body, method) => call('/user/consent', mine.secret, body, method);
  const { headers } = await call('/v1/chat/completions', mine.secret, chat({ max_tokens: 1 }));
  const say = () => call('/feedback', mine.secret, { request_id: headers.get('x-request-id'), rating: 'up', comment: 'x'.repeat(10) });
  assert.equal((await say()).body.stored, false);
  assert.deepEqual((await consent({ consent: true }, 'PUT')).body, { consent: true, deleted: 0, feedback: { entries: 0, bytes: 0 } });
  assert.equal((await say()).body.stored, true, 'in force with the answer');
  const key = (await call(`/admin/keys/${mine.key.id}`, admin)).body.key;
  assert.equal(key.consent, true, 'operators see it');
  assert.deepEqual((await consent({ consent: false }, 'PUT')).body, { consent: false, deleted: 0, feedback: { entries: 1, bytes: 10 } });
  assert.equal((await say()).body.stored, false);
  assert.deepEqual((await consent()).body, { consent: false, feedback: { entries: 1, bytes: 10 } });
  assert.deepEqual((await consent({ consent: false, delete_stored: true }, 'PUT')).body, { consent: false, deleted: 1, feedback: { entries: 0, bytes: 0 } });
  const { feedback } = (await call('/admin/feedback?limit=500', admin)).body;
  assert.ok(feedback.every((one) => one.key !== mine.key.id));
  assert.equal((await consent({ consent: 'no' }, 'PUT')).status, 422);
  assert.equal((await consent({}, 'PUT')).status, 400);
  assert.equal((await call('/user/consent', 'sk-wrong', { consent: true }, 'PUT')).status, 401);
  assert.equal((await call('/user/consent', undefined, { consent: true }, 'PUT')).status, 401);
});

test('the commands: usage by key and as CSV, and bad input in one line', async () => {
  const csv = await run('usage', '--keys', ledger.database, '--by', 'key', '--csv');
  assert.equal(csv.code, 0);
  const lines = csv.stdout.trim().split('\n');
  assert.match(lines[0], /^start,key,key_name,model,requests,.*,cost_USD$/);
  assert.ok(lines.some((line) => line.includes(',exact,')));
  const table = await run('usage', '--keys', ledger.database);
  assert.match(table.stdout, /requests .*cost USD/);
  for (const args of [
    ['keys', 'revoke', 'nobody', '--keys', ledger.database],
    ['keys', 'create', '--name', 'x', '--concurrency', 'many', '--keys', ledger.database],
    ['keys', 'credit', 'exact', '1.2.3', '--keys', ledger.database],
    ['usage', '--from', 'yesterday', '--keys', ledger.database],
    ['keys', 'list'],
  ]) {
    const result = await run(...args);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, /^hadal: [^\n]+\n$/);
  }
});

test('price suggest: from speeds, from records, and from a running server', async () => {
  const given = JSON.parse(
    (await run('price', 'suggest', '--prompt-speed', '1000', '--output-speed', '100', '--cost-per-hour', '3.6', '--margin', '50', '--json')).stdout,
  );
  assert.equal(given.miss, '1.50');
  assert.equal(given.output, '15.0');
  assert.equal(given.hit, '0.150');
  const records = await ledger.hadal('price', 'suggest', '--from', '1h', '--cost-per-hour', '1');
  assert.ok(Number(records.output) > Number(records.miss) && Number(records.miss) > 0);
  const { secret } = await newKey('load', '--credit', '10');
  const load = Promise.all([1, 2, 3].map(() => openai(secret).chat.completions.create(chat({ max_tokens: 1500, temperature: 1 }))));
  const watched = await run('price', 'suggest', '--url', server.url, '--token', admin, '--seconds', '1.5', '--cost-per-hour', '1', '--json');
  assert.equal(watched.code, 0, watched.stderr);
  assert.ok(JSON.parse(watched.stdout).output_tokens_per_second > 0);
  await load;
  assert.equal((await run('price', 'suggest', '--cost-per-hour', '1')).code, 2);
});
