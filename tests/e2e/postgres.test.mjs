// `hadal serve --keys postgresql://...` against a real PostgreSQL: what keys.test.mjs and ledger_kill.test.mjs show with
// SQLite, once more over the other backend.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { costOf, nanos, TestLedger } from './ledger.mjs';
import { PostgresServer } from './postgres.mjs';
import { sleep, until } from './server.mjs';

const price = { hit: 14_000_000n, miss: 140_000_000n, output: 280_000_000n }; // ledger.mjs's default

let postgres;
let ledger;
before(() => {
  postgres = new PostgresServer();
  ledger = new TestLedger();
  ledger.database = postgres.url;
});
after(() => {
  ledger?.remove();
  postgres?.remove();
});

const ask = (server, secret, body) =>
  fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'How deep?' }], max_tokens: 20, ...body }),
  });
const balance = async (server, secret) => {
  const answer = await fetch(`${server.url}/user/balance`, { headers: { authorization: `Bearer ${secret}` } });
  return nanos((await answer.json()).balance_infos[0].total_balance);
};
const start = (...flags) => ledger.serve('--ledger-dir', ledger.folder, ...flags);

test('a request is a row of usage and its price leaves the balance; 402, a kill and a restart', { timeout: 120_000 }, async () => {
  const rich = await ledger.createKey('rich', '--credit', '1');
  const poor = await ledger.createKey('poor');
  let server = await start();
  const { body: state } = { body: await (await ask(server, rich.secret)).json() };
  const cost = costOf(state.usage, price);
  assert.ok(cost > 0n);
  await until(async () => (await ledger.records()).size === 1);
  const [record] = [...(await ledger.records()).values()];
  assert.equal(record.completion_tokens, state.usage.completion_tokens);
  assert.equal(record.prompt_tokens, state.usage.prompt_tokens);
  assert.equal(nanos(record.cost), cost);
  assert.equal(await balance(server, rich.secret), 1_000_000_000n - cost);

  const refused = await ask(server, poor.secret);
  assert.equal(refused.status, 402);
  assert.equal((await refused.json()).error.message, 'Insufficient Balance');
  await ledger.hadal('keys', 'credit', poor.key.id, '0.5'); // another process: seen by the server
  await until(async () => (await ask(server, poor.secret, { max_tokens: 1 })).status === 200, 10);

  // Killed in the middle of a stream: the next start settles what the client was sent.
  const stream = await ask(server, rich.secret, { stream: true, max_tokens: 4000, logprobs: true });
  const id = stream.headers.get('x-request-id');
  let seen = 0;
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const bytes of stream.body) {
      text += decoder.decode(bytes, { stream: true });
      seen = [...text.matchAll(/data: (\{.*\})\n\n/g)]
        .reduce((sum, [, json]) => sum + (JSON.parse(json).choices[0]?.logprobs?.content?.length ?? 0), 0);
      if (seen >= 10) server.child.kill('SIGKILL');
    }
  } catch {
    // the connection broke, as it must
  }
  await server.exited;
  server = await start();
  await until(async () => (await ledger.records()).has(id), 20);
  const crashed = (await ledger.records()).get(id);
  assert.equal(crashed.status, 'crashed');
  assert.ok(crashed.completion_tokens >= seen, `${crashed.completion_tokens} counted, ${seen} seen`);
  await ledger.checkBalances();
  const left = await balance(server, rich.secret);
  assert.equal(left, 1_000_000_000n - cost - nanos(crashed.cost));

  // The database goes away and comes back: nobody is refused meanwhile, and nothing is lost.
  postgres.stop();
  const meanwhile = await (await ask(server, rich.secret)).json();
  assert.ok(meanwhile.usage.completion_tokens > 0);
  await sleep(200);
  postgres.start();
  const settled = left - costOf(meanwhile.usage, price);
  await until(async () => (await ledger.hadal('keys', 'list')).keys.some(({ balance }) => nanos(balance.total ?? balance) === settled), 30);
  await ledger.checkBalances();
  await server.stop();
});
