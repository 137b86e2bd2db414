// Answers that hold to a form, from a model with random weights: nothing but the grammar makes them valid.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject } from 'ai';
import OpenAI, { BadRequestError } from 'openai';
import { z } from 'zod';
import { startServer, weatherTool } from './server.mjs';

let server;
let client;
before(async () => {
  server = await startServer('--chat-format', 'deepseek-v3.1', '--kv-dir', 'none');
  client = new OpenAI({ baseURL: `${server.url}/beta`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

const ask = (extra) => ({ model: 'deepseek-chat', messages: [{ role: 'user', content: 'JSON, please.' }], max_tokens: 120, temperature: 1, ...extra });
const create = async (extra) => (await client.chat.completions.create(ask(extra))).choices[0];
// Keys in no alphabetical order: the answer has them in this one.
const person = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 0, maximum: 120 }, city: { enum: ['Oslo', 'Rome'] } },
  required: ['name', 'age', 'city'],
  additionalProperties: false,
};

function assertPerson(text, keys = ['name', 'age', 'city']) {
  const value = JSON.parse(text);
  assert.deepEqual(Object.keys(value), keys);
  assert.ok(Number.isInteger(value.age) && value.age >= 0 && value.age <= 120);
  assert.ok(['Oslo', 'Rome'].includes(value.city));
}

test('JSON mode is JSON, also where max_tokens is small', async () => {
  for (let seed = 0; seed < 4; ++seed) {
    for (const max_tokens of [8, 120]) {
      const { message, finish_reason } = await create({ response_format: { type: 'json_object' }, max_tokens, seed });
      assert.equal(typeof JSON.parse(message.content), 'object', message.content);
      assert.equal(finish_reason, 'stop');
    }
  }
});

test('JSON Schema, whole and streamed', async () => {
  const response_format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema: person } };
  for (let seed = 0; seed < 3; ++seed) assertPerson((await create({ response_format, seed })).message.content);
  let text = '';
  for await (const chunk of await client.chat.completions.create(ask({ response_format, stream: true }))) {
    text += chunk.choices[0].delta.content ?? '';
  }
  assertPerson(text);
});

test('a grammar', async () => {
  const response_format = { type: 'grammar', grammar: 'root ::= "yes" | "no" " "{1,3} "indeed"' };
  for (let seed = 0; seed < 4; ++seed) assert.match((await create({ response_format, seed })).message.content, /^(yes|no {1,3}indeed)$/);
});

test('a schema that is not supported is refused, with the place', async () => {
  const schema = { type: 'object', properties: { when: { type: 'string', contentEncoding: 'base64' } } };
  await assert.rejects(create({ response_format: { type: 'json_schema', json_schema: { name: 'x', schema } } }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, 'response_format');
    assert.match(error.message, /properties\/when/);
    return true;
  });
  await assert.rejects(create({ response_format: { type: 'grammar', grammar: 'root ::= (' } }), /line 1/);
});

const strictTool = { type: 'function', function: { name: 'add_person', strict: true, parameters: person } };

test('strict tools: demanded calls hold to the schema', async () => {
  for (const tool_choice of ['required', { type: 'function', function: { name: 'add_person' } }]) {
    for (let seed = 0; seed < 3; ++seed) {
      const { message, finish_reason } = await create({ tools: [strictTool], tool_choice, seed });
      assert.equal(finish_reason, 'tool_calls');
      for (const call of message.tool_calls) {
        assert.equal(call.function.name, 'add_person');
        assertPerson(call.function.arguments);
      }
    }
  }
});

test('other tools: calls have a name that is offered and an object of JSON', async () => {
  for (let seed = 0; seed < 3; ++seed) {
    const { message } = await create({ tools: [weatherTool], tool_choice: 'required', seed });
    for (const call of message.tool_calls) {
      assert.equal(call.function.name, 'get_weather');
      assert.equal(typeof JSON.parse(call.function.arguments), 'object');
    }
  }
});

test("strict tools that DeepSeek's API refuses are refused", async () => {
  const open = { ...person, required: ['name'] };
  const tools = [{ type: 'function', function: { name: 'add_person', strict: true, parameters: open } }];
  await assert.rejects(create({ tools }), { param: 'tools' });
});

test('the other dialects', async () => {
  const openai = await client.responses.create({
    model: 'deepseek-chat',
    input: 'JSON, please.',
    max_output_tokens: 120,
    text: { format: { type: 'json_schema', name: 'person', schema: person } },
  });
  assertPerson(openai.output_text);
  const anthropic = new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
  const message = await anthropic.messages.create({
    model: 'any',
    max_tokens: 120,
    messages: [{ role: 'user', content: 'JSON, please.' }],
    tools: [{ name: 'add_person', strict: true, input_schema: person }],
    tool_choice: { type: 'any' },
  });
  const { input } = message.content.find((block) => block.type === 'tool_use');
  assertPerson(JSON.stringify(input));
});

test("the AI SDK's generateObject", async () => {
  const hadal = createOpenAICompatible({ name: 'hadal', baseURL: `${server.url}/v1`, supportsStructuredOutputs: true });
  const { object } = await generateObject({
    model: hadal('deepseek-chat'),
    schema: z.object({ title: z.string().max(10), ratings: z.array(z.number().int().min(1).max(5)).max(3) }),
    prompt: 'A film.',
    maxOutputTokens: 150,
  });
  assert.equal(typeof object.title, 'string');
  assert.ok(object.ratings.every((rating) => rating >= 1 && rating <= 5));
});
