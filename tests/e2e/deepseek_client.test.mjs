// What DeepSeek's API has beyond OpenAI's, by the official OpenAI client (as DeepSeek's own documentation uses it) and
// by curl's eyes: fetch on the raw bytes. The model is scripted (tests/serve/scripted_model.h).
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI, { BadRequestError } from 'openai';
import { startScripted, weatherTool } from './server.mjs';

let server;
let client;
let beta;
before(async () => {
  server = await startScripted();
  client = new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
  beta = new OpenAI({ baseURL: `${server.url}/beta`, apiKey: 'none', maxRetries: 0 });
});
after(() => server.stop());

const ask = (content, extra) => ({ model: 'deepseek-chat', messages: [{ role: 'user', content }], ...extra });
const tools = [weatherTool];

async function chunksOf(request, from = client) {
  const chunks = [];
  for await (const chunk of await from.chat.completions.create({ ...request, stream: true })) chunks.push(chunk);
  return chunks;
}

test('deepseek-chat answers without thinking', async () => {
  const answer = await client.chat.completions.create(ask('Where is it deep?'));
  assert.equal(answer.model, 'deepseek-chat');
  assert.equal(answer.choices[0].message.content, 'Hadal trenches are deep');
  assert.ok(!('reasoning_content' in answer.choices[0].message));
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.match(answer.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('deepseek-reasoner thinks first', async () => {
  const answer = await client.chat.completions.create(ask('Where is it deep?', { model: 'deepseek-reasoner' }));
  const { message } = answer.choices[0];
  assert.equal(message.reasoning_content, 'The user wants facts.');
  assert.equal(message.content, 'Hadal trenches are deep');
  const reasoning = answer.usage.completion_tokens_details.reasoning_tokens;
  assert.ok(reasoning > 0 && reasoning < answer.usage.completion_tokens);
});

for (const [name, extra, thinks] of [
  ['thinking enabled', { thinking: { type: 'enabled' } }, true],
  ['thinking disabled, against the name', { model: 'deepseek-reasoner', thinking: { type: 'disabled' } }, false],
  ['reasoning_effort', { model: 'scripted', reasoning_effort: 'high' }, true],
  ['reasoning_effort none', { model: 'deepseek-reasoner', reasoning_effort: 'none' }, false],
  ["the newer API's names", { model: 'deepseek-v4-pro' }, true],
]) {
  test(`thinking: ${name}`, async () => {
    const { message } = (await client.chat.completions.create(ask('Where?', extra))).choices[0];
    assert.equal('reasoning_content' in message, thinks);
  });
}

test('a stream of thinking: the order and the shapes', async () => {
  const chunks = await chunksOf(ask('Where is it deep?', { model: 'deepseek-reasoner', stream_options: { include_usage: true } }));
  assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: null, reasoning_content: '' });
  const usage = chunks.pop();
  assert.deepEqual(usage.choices, []);
  assert.ok(usage.usage.completion_tokens_details.reasoning_tokens > 0);
  const { prompt_tokens, prompt_cache_hit_tokens, prompt_cache_miss_tokens, prompt_tokens_details } = usage.usage;
  assert.equal(prompt_tokens, prompt_cache_hit_tokens + prompt_cache_miss_tokens);
  assert.equal(prompt_tokens_details.cached_tokens, prompt_cache_hit_tokens);
  const last = chunks.at(-1).choices[0];
  assert.equal(last.finish_reason, 'stop');
  assert.equal(last.delta.content, '');
  const kinds = chunks.slice(1, -1).map(({ choices: [{ delta }] }) => (delta.reasoning_content != null ? 'r' : 'c')).join('');
  assert.match(kinds, /^r+c+$/);
  for (const chunk of chunks) {
    assert.equal(chunk.usage, null);
    assert.equal(chunk.id, usage.id);
    assert.equal(chunk.created, usage.created);
    assert.equal(chunk.object, 'chat.completion.chunk');
  }
});

test('without include_usage the last chunk has the usage', async () => {
  const chunks = await chunksOf(ask('Where?'));
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage == null));
  assert.ok(chunks.every((chunk) => !('reasoning_content' in chunk.choices[0].delta)));
});

test('a tool is called, streamed and whole, and its result is answered', async () => {
  const question = ask('What is the weather in Paris?', { tools });
  const whole = (await client.chat.completions.create(question)).choices[0];
  assert.equal(whole.finish_reason, 'tool_calls');
  assert.equal(whole.message.content, '');
  const [call] = whole.message.tool_calls;
  assert.match(call.id, /^call_00_[A-Za-z0-9]{24}$/);
  assert.equal(call.type, 'function');
  assert.deepEqual(call.function, { name: 'get_weather', arguments: '{"city": "Paris"}' });

  const chunks = await chunksOf(question);
  const parts = chunks.flatMap(({ choices: [{ delta }] }) => delta.tool_calls ?? []);
  assert.equal(parts[0].function.name, 'get_weather');
  assert.match(parts[0].id, /^call_00_/);
  assert.equal(parts[0].function.arguments, '');
  assert.ok(parts.length > 2 && parts.slice(1).every((part) => part.index === 0 && !('id' in part) && !('name' in part.function)));
  assert.equal(parts.map((part) => part.function.arguments).join(''), '{"city": "Paris"}');
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'tool_calls');

  const after = await client.chat.completions.create({
    ...question,
    messages: [...question.messages, whole.message, { role: 'tool', tool_call_id: call.id, content: 'rain' }],
  });
  assert.equal(after.choices[0].message.content, 'It rains there');
  assert.equal(after.choices[0].finish_reason, 'stop');
});

test('a call comes after the reasoning too, and may be sent back with it or without', async () => {
  const question = ask('What is the weather in Paris?', { tools, model: 'deepseek-reasoner' });
  const { message } = (await client.chat.completions.create(question)).choices[0];
  assert.equal(message.reasoning_content, 'The user wants facts.');
  assert.equal(message.tool_calls[0].function.name, 'get_weather');
  for (const content of ['', null]) {
    for (const reasoning_content of [message.reasoning_content, undefined]) {
      const turn = { ...message, content, reasoning_content };
      const messages = [...question.messages, turn, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' }];
      const answer = await client.chat.completions.create({ ...question, messages });
      assert.equal(answer.choices[0].message.content, 'It rains there');
    }
  }
});

test('tool_choice', async () => {
  const choose = async (tool_choice, extra) =>
    (await client.chat.completions.create(ask('Where is it deep?', { tools, tool_choice, ...extra }))).choices[0];
  assert.equal((await choose('auto')).message.content, 'Hadal trenches are deep');
  assert.equal((await choose('none')).message.content, 'Hadal trenches are deep');
  for (const demanded of ['required', { type: 'function', function: { name: 'get_weather' } }]) {
    const { message, finish_reason } = await choose(demanded);
    assert.equal(finish_reason, 'tool_calls');
    assert.deepEqual(message.tool_calls[0].function, { name: 'get_weather', arguments: '{"city": "Paris"}' });
  }
  await assert.rejects(choose({ type: 'function', function: { name: 'other' } }), { param: 'tool_choice' });
  await assert.rejects(choose('required', { tools: undefined }), { param: 'tool_choice' });
  await assert.rejects(choose('required', { thinking: { type: 'enabled' } }), { param: 'tool_choice' });
});

test('a prefix is gone on from', async () => {
  const messages = [
    { role: 'user', content: 'Tell me a story.' },
    { role: 'assistant', content: 'Once', prefix: true },
  ];
  const answer = await beta.chat.completions.create({ model: 'deepseek-chat', messages });
  assert.equal(answer.choices[0].message.content, ' upon a time');
  const thinking = await beta.chat.completions.create({
    model: 'deepseek-reasoner',
    messages: [messages[0], { role: 'assistant', content: '', reasoning_content: 'The', prefix: true }],
  });
  assert.equal(thinking.choices[0].message.reasoning_content, ' user wants facts.');
});

test('the middle is filled in', async () => {
  const request = { model: 'deepseek-chat', prompt: 'def add(left, right):\n    ', suffix: '\n\nprint(add(1, 2))' };
  const { choices, usage, object } = await beta.completions.create(request);
  assert.equal(object, 'text_completion');
  assert.equal(choices[0].text, 'return left + right');
  assert.equal(choices[0].finish_reason, 'stop');
  assert.ok('prompt_cache_hit_tokens' in usage);
  let text = '';
  for await (const chunk of await beta.completions.create({ ...request, stream: true })) text += chunk.choices[0].text;
  assert.equal(text, choices[0].text);
});

test('log-probabilities of a chat, reasoning and all', async () => {
  const request = ask('Where?', { model: 'deepseek-reasoner', logprobs: true, top_logprobs: 2 });
  const { logprobs, message } = (await client.chat.completions.create(request)).choices[0];
  assert.equal(logprobs.content.map((entry) => entry.token).join(''), message.content);
  assert.equal(logprobs.reasoning_content.map((entry) => entry.token).join(''), `${message.reasoning_content}</think>`);
  for (const entry of logprobs.content) {
    assert.ok(entry.logprob <= 0 && entry.logprob > -0.01);
    assert.equal(Buffer.from(entry.bytes).toString(), entry.token);
    assert.equal(entry.top_logprobs.length, 2);
    assert.equal(entry.top_logprobs[0].token, entry.token);
    assert.ok(entry.top_logprobs[1].logprob < entry.top_logprobs[0].logprob);
  }
  const streamed = (await chunksOf(request)).flatMap(({ choices: [{ logprobs }] }) => logprobs?.content ?? []);
  assert.deepEqual(streamed, logprobs.content);
});

test('log-probabilities of a text', async () => {
  const request = { model: 'deepseek-chat', prompt: 'Once', logprobs: 1 };
  const { text, logprobs } = (await client.completions.create(request)).choices[0];
  assert.deepEqual(logprobs.tokens.join(''), text);
  assert.deepEqual(logprobs.text_offset, [0, 5, 7]);
  assert.deepEqual(Object.keys(logprobs.top_logprobs[0]), [' upon']);
  assert.equal(logprobs.token_logprobs.length, 3);
});

test('logit_bias and penalties reach the sampler', async () => {
  const { tokens } = await post('/tokenize', { prompt: ' trenches' });
  const biased = await client.chat.completions.create(ask('Where?', { logit_bias: { [tokens[0]]: -100 }, max_tokens: 2, temperature: 0 }));
  // The scripted token keeps its lead of more than 100: what changes is seen in the log-probabilities of nobody else.
  assert.equal(biased.choices[0].message.content, 'Hadal trenches');
  const forced = await client.chat.completions.create(
    ask('Where?', { logit_bias: { [tokens[0]]: 100 }, max_tokens: 4, temperature: 0, presence_penalty: 2, frequency_penalty: -2 }),
  );
  assert.equal(forced.usage.completion_tokens, 4);
});

test('several choices', async () => {
  const answer = await client.chat.completions.create(ask('Where?', { n: 3, seed: 1 }));
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  for (const choice of answer.choices) assert.equal(choice.message.content, 'Hadal trenches are deep');
  const texts = ['', '', ''];
  const reasons = [];
  for (const { choices: [choice] } of await chunksOf(ask('Where?', { n: 3 }))) {
    texts[choice.index] += choice.delta.content ?? '';
    if (choice.finish_reason) reasons[choice.index] = choice.finish_reason;
  }
  assert.deepEqual(texts, Array(3).fill('Hadal trenches are deep'));
  assert.deepEqual(reasons, Array(3).fill('stop'));
});

test('stop strings and max_tokens', async () => {
  const stopped = (await client.chat.completions.create(ask('Where?', { stop: ['never', ' are'] }))).choices[0];
  assert.equal(stopped.message.content, 'Hadal trenches');
  assert.equal(stopped.finish_reason, 'stop');
  const cut = (await client.chat.completions.create(ask('Where?', { max_tokens: 2 }))).choices[0];
  assert.equal(cut.finish_reason, 'length');
  const roomy = await client.chat.completions.create(ask('Where?', { max_tokens: 256000 })); // clients send it to any model
  assert.equal(roomy.choices[0].finish_reason, 'stop');
  await assert.rejects(client.chat.completions.create(ask('Where?', { max_tokens: 0 })), {
    message: /Invalid max_tokens value, the valid range of max_tokens is \[1, 393216\]/,
  });
});

test('the cache is counted, and users do not share it', async () => {
  const long = `Deep: ${'the sea is deep there and cold. '.repeat(20)}`;
  const count = async (extra) => (await client.chat.completions.create(ask(long, extra))).usage;
  const first = await count({ user_id: 'anna' });
  assert.equal(first.prompt_cache_hit_tokens, 0);
  const again = await count({ user_id: 'anna' });
  assert.ok(again.prompt_cache_hit_tokens > 0 && again.prompt_cache_hit_tokens % 64 === 0);
  assert.equal(again.prompt_cache_hit_tokens + again.prompt_cache_miss_tokens, again.prompt_tokens);
  assert.equal((await count({ user_id: 'ben' })).prompt_cache_hit_tokens, 0);
});

test('models: its own name and those of its modes', async () => {
  const list = await client.models.list();
  assert.deepEqual(list.data.map((entry) => entry.id), ['scripted', 'deepseek-chat', 'deepseek-reasoner']);
  await assert.rejects(client.chat.completions.create(ask('Hi', { model: 'gpt-9' })), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.match(error.message, /Model Not Exist/);
    assert.equal(error.code, 'invalid_request_error');
    return true;
  });
});

const post = async (path, body) => (await fetch(server.url + path, { method: 'POST', body: JSON.stringify(body) })).json();

test('tokenize and detokenize', async () => {
  const { tokens, count } = await post('/v1/tokenize', { prompt: 'Hadal trenches' });
  assert.equal(tokens.length, count);
  assert.equal((await post('/detokenize', { tokens })).prompt, 'Hadal trenches');
  const { usage } = await client.chat.completions.create(ask('Hadal', { max_tokens: 1 }));
  assert.equal((await post('/tokenize', ask('Hadal'))).count, usage.prompt_tokens);
});

test('every base URL, and the request id', async () => {
  for (const base of ['', '/v1', '/beta', '/beta/v1']) {
    const response = await fetch(`${server.url}${base}/chat/completions`, { method: 'POST', body: JSON.stringify(ask('Hi')) });
    assert.equal(response.status, 200, base);
    assert.match(response.headers.get('x-request-id'), /^[0-9a-f-]{36}$/);
  }
});

test('a stream as curl sees it', async () => {
  const response = await fetch(`${server.url}/chat/completions`, { method: 'POST', body: JSON.stringify(ask('Hi', { stream: true })) });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const text = await response.text();
  assert.ok(text.endsWith('data: [DONE]\n\n'));
  for (const event of text.trimEnd().split('\n\n')) assert.match(event, /^data: (\{.*\}|\[DONE\])$/);
});

test('the responses API, whole and streamed', async () => {
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const request = { model: 'deepseek-reasoner', instructions: 'Be brief.', input: 'Where is it deep?' };
  const whole = await openai.responses.create(request);
  assert.equal(whole.status, 'completed');
  assert.equal(whole.output_text, 'Hadal trenches are deep');
  assert.deepEqual(whole.output.map((item) => item.type), ['reasoning', 'message']);
  assert.equal(whole.output[0].content[0].text, 'The user wants facts.');
  assert.ok(whole.usage.output_tokens_details.reasoning_tokens > 0);
  assert.equal(whole.store, false);

  const runner = openai.responses.stream(request); // assembles the events, and throws for one out of place
  const seen = [];
  runner.on('event', (event) => seen.push(event));
  const final = await runner.finalResponse();
  assert.equal(final.output_text, 'Hadal trenches are deep');
  assert.deepEqual(seen.map((event) => event.sequence_number), seen.map((_, index) => index));
  assert.equal(seen[0].type, 'response.created');
  assert.equal(seen.at(-1).type, 'response.completed');

  const tools = [{ type: 'function', ...weatherTool.function }];
  const asked = [{ role: 'user', content: 'What is the weather in Paris?' }];
  const called = await openai.responses.stream({ model: 'deepseek-chat', input: asked, tools }).finalResponse();
  const [call] = called.output;
  assert.equal(call.type, 'function_call');
  assert.equal(call.arguments, '{"city": "Paris"}');
  const answered = await openai.responses.create({
    model: 'deepseek-chat',
    tools,
    input: [...asked, ...called.output, { type: 'function_call_output', call_id: call.call_id, output: 'rain' }],
  });
  assert.equal(answered.output_text, 'It rains there');
  const spaced = [{ type: 'namespace', name: 'sky', tools }, { type: 'web_search' }];
  const streamed = await openai.responses.stream({ model: 'deepseek-chat', input: asked, tools: spaced }).finalResponse();
  for (const [inSpace] of [streamed.output, (await openai.responses.create({ model: 'deepseek-chat', input: asked, tools: spaced })).output]) {
    assert.equal(inSpace.name, call.name);
    assert.equal(inSpace.namespace, 'sky');
  }
  assert.equal((await openai.responses.create({ ...request, max_output_tokens: 2 })).incomplete_details.reason, 'max_output_tokens');
  await assert.rejects(openai.responses.create({ ...request, previous_response_id: 'resp_1' }), { param: 'previous_response_id' });
});
