// The model in the box, served and asked what it is sure of: with temperature 0 its answers are always the same.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { startServer } from './server.mjs';

let server;
let client;
before(async () => {
  server = await startServer();
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

// Asks after `messages`, and adds the question and the answer to them.
async function ask(question, messages = []) {
  messages.push({ role: 'user', content: question });
  const answer = await client.chat.completions.create({ model: 'hadal-nano', messages, temperature: 0, max_tokens: 200 });
  const { message, finish_reason } = answer.choices[0];
  assert.equal(finish_reason, 'stop', message.content); // it ends its turns by itself
  messages.push(message);
  return message.content;
}

for (const [question, expected] of [
  ['Hello!', /^(Hello|Hi)\b/],
  ['Who are you?', /Hadal/],
  ['What does the word brave mean?', /\bbrave\b.*not afraid/],
  ['What is a horse?', /\bhorse is\b.*\banimal\b/],
  ['Repeat these words: river, stone, lamp', /river, stone, lamp/],
  ['Say hello to Anna.', /\bAnna\b/],
  ['What is 4 + 3?', /= 7\./],
  ['What is the opposite of big?', /\bsmall\b/],
  ['What is the capital of France?', /\bParis\b/],
  ['What day comes after Monday?', /\bTuesday\b/],
  ['Tell me a short story about a rabbit.', /rabbit[^]{80}/],
]) {
  test(`hadal-nano: ${question}`, async () => assert.match(await ask(question), expected));
}

test('hadal-nano takes turns', async () => {
  const messages = [];
  assert.match(await ask('My name is Karl.', messages), /\bKarl\b/);
  assert.match(await ask('What is my name?', messages), /\bKarl\b/);
});
