// What clients send that means nothing here is read past, as docs/guide/compatibility.md says; what is not there is said
// so. The model is scripted: greedy answers are the same with and without.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startScripted, weatherTool } from './server.mjs';

let server;
before(async () => (server = await startScripted()));
after(() => server.stop());

async function call(path, body, headers = {}) {
  const response = await fetch(server.url + path, {
    method: body ? 'POST' : 'GET', headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json().catch(() => null) };
}
const user = { role: 'user', content: 'Where is it deep?' };
const chat = async (extra) => {
  const { status, body } = await call('/v1/chat/completions', { model: 'deepseek-chat', messages: [user], max_tokens: 50, ...extra });
  assert.equal(status, 200, JSON.stringify(body));
  return { message: body.choices[0].message, prompt: body.usage.prompt_tokens };
};
const message = async (extra, headers) => {
  const { status, body } = await call('/anthropic/v1/messages', { model: 'any', max_tokens: 50, messages: [user], ...extra }, headers);
  assert.equal(status, 200, JSON.stringify(body));
  return { content: body.content, prompt: body.usage.input_tokens + body.usage.cache_read_input_tokens };
};

test('chat: parallel_tool_calls', async () => {
  const tools = [weatherTool];
  assert.equal((await chat({ tools, parallel_tool_calls: false })).prompt, (await chat({ tools })).prompt);
});

test("chat: a message's name", async () => {
  assert.deepEqual(await chat({ messages: [{ ...user, name: 'Ada' }] }), await chat());
  const { status } = await call('/v1/chat/completions', { messages: [{ ...user, name: 5 }] });
  assert.equal(status, 422, 'but it is text');
});

test('messages: output_config is checked, and its format holds', async () => {
  assert.deepEqual(await message({ output_config: { effort: 'high' } }), await message());
  const refused = await call('/anthropic/v1/messages', { model: 'any', max_tokens: 50, messages: [user], output_config: { effort: 'huge' } });
  assert.equal(refused.status, 400);
  assert.match(refused.body.error.message, /output_config\.effort/);
  const schema = { type: 'object', properties: { deep: { enum: [true] } }, required: ['deep'], additionalProperties: false };
  const { content } = await message({ output_config: { format: { type: 'json_schema', schema } } });
  assert.deepEqual(JSON.parse(content[0].text), { deep: true });
});

test('messages: cache_control, citations, is_error, containers, tiers and versions', async () => {
  const plain = await message();
  const extra = {
    container: null, mcp_servers: [], service_tier: 'auto',
    messages: [{ role: 'user', content: [{ type: 'text', text: user.content, cache_control: { type: 'ephemeral' }, citations: null }] }],
  };
  assert.deepEqual(await message(extra, { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'any-2025-01-01' }), plain);
  const tools = [{ name: 'get_weather', input_schema: weatherTool.function.parameters }];
  const results = (more) => [user,
    { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'get_weather', input: { city: 'Paris' } }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'no wind', ...more }] }];
  assert.deepEqual(await message({ tools, messages: results({ is_error: true }) }), await message({ tools, messages: results() }));
});

test('messages: batches and files are not there, and say so', async () => {
  for (const path of ['/anthropic/v1/messages/batches', '/anthropic/v1/files']) {
    const { status, body } = await call(path, {});
    assert.equal(status, 404, path);
    assert.equal(body.type, 'error');
    assert.equal(body.error.type, 'not_found_error');
  }
});

test('responses: metadata, user and parallel_tool_calls come back, truncation and include are read past', async () => {
  const body = { model: 'deepseek-chat', input: user.content, max_output_tokens: 50 };
  const plain = (await call('/v1/responses', body)).body;
  const extra = { metadata: { trip: '7' }, user: 'ada', parallel_tool_calls: false, truncation: 'auto', include: ['reasoning.encrypted_content'] };
  const { status, body: answer } = await call('/v1/responses', { ...body, ...extra });
  assert.equal(status, 200);
  assert.deepEqual([answer.metadata, answer.user, answer.parallel_tool_calls], [{ trip: '7' }, 'ada', false]);
  assert.deepEqual([plain.metadata, plain.user, plain.parallel_tool_calls], [{}, null, true]);
  assert.equal(answer.output[0].content[0].text, plain.output[0].content[0].text);
  assert.equal(answer.usage.input_tokens, plain.usage.input_tokens);
});
