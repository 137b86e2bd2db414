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

// It never learnt to call, so it calls when it must: a name and arguments that hold to the schema, and then it goes on.
test('hadal-nano calls a function that is demanded, and takes its result', async () => {
  const parameters = {
    type: 'object',
    properties: { city: { enum: ['Rome', 'Oslo'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
    required: ['city', 'days'],
    additionalProperties: false,
  };
  const tools = [{ type: 'function', function: { name: 'weather', description: 'Tells the weather.', parameters, strict: true } }];
  const messages = [{ role: 'user', content: 'What is the weather in Rome?' }];
  const asked = await client.chat.completions.create({
    model: 'hadal-nano', messages, tools, tool_choice: { type: 'function', function: { name: 'weather' } }, max_tokens: 60,
  });
  const [call] = asked.choices[0].message.tool_calls;
  assert.equal(asked.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'weather');
  const { city, days } = JSON.parse(call.function.arguments);
  assert.ok(['Rome', 'Oslo'].includes(city) && Number.isInteger(days), call.function.arguments);
  messages.push(asked.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'Rain.' });
  const told = await client.chat.completions.create({ model: 'hadal-nano', messages, tools, max_tokens: 20 });
  assert.ok(told.usage.prompt_tokens > asked.usage.prompt_tokens);
});
