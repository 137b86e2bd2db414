// What the model wrote around its tool calls comes back in a client's own JSON, and the next turn still hits the whole
// of it in the KV cache. The weights are random and held to a grammar: no text of theirs is the one that a tokenizer or
// JSON.stringify would write.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { startServer } from './server.mjs';

const parameters = {
  type: 'object',
  properties: {
    b: { type: 'array', items: { type: 'number' }, minItems: 12, maxItems: 12 },
    a: { type: 'string', minLength: 60, maxLength: 80 },
  },
  required: ['b', 'a'],
  additionalProperties: false,
};
const system = 'You measure the depth of trenches, one after the other, and tell what you found. '.repeat(4);
const pageTokens = 64;

// `hit`: of the turn behind the one that `prompt` and `completion` tokens made. Its last token is in no page.
function assertHits(hit, prompt, completion, what) {
  const whole = Math.floor((prompt + completion - 1) / pageTokens) * pageTokens;
  assert.ok(whole > prompt + pageTokens, `${what}: the call fills no page of its own (${prompt} + ${completion})`);
  assert.ok(hit >= whole, `${what}: ${hit} of ${whole} tokens were in the cache`);
}

for (const format of ['deepseek-v3.1', 'deepseek-v3']) {
  const servers = {};
  const clients = () => ({
    openai: new OpenAI({ baseURL: `${servers.url}/beta`, apiKey: 'none', maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: servers.url, apiKey: 'none', maxRetries: 0 }),
  });
  before(async () => Object.assign(servers, await startServer('--chat-format', format)));
  after(() => servers.stop());

  const tools = [{ type: 'function', function: { name: 'dive', strict: true, parameters } }];
  const chat = { model: 'deepseek-chat', tools, max_tokens: 700, temperature: 1 };
  const choice = { type: 'function', function: { name: 'dive' } };

  test(`${format}: chat completions, whole and streamed, sent back as it came`, async () => {
    const { openai } = clients();
    for (const stream of [false, true]) {
      const messages = [{ role: 'system', content: system }, { role: 'user', content: `How deep? ${stream}` }];
      const body = { ...chat, messages, tool_choice: choice, seed: 7 };
      const first = stream
        ? await openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion()
        : await openai.chat.completions.create(body);
      const { message } = first.choices[0];
      assert.deepEqual(Object.keys(JSON.parse(message.tool_calls[0].function.arguments)), ['b', 'a']);
      messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'Ten miles.' });
      const { usage } = await openai.chat.completions.create({ ...chat, messages, max_tokens: 1 });
      assertHits(usage.prompt_cache_hit_tokens, first.usage.prompt_tokens, first.usage.completion_tokens, `stream ${stream}`);
    }
  });

  test(`${format}: a client that writes the arguments in other keys' order and other spaces`, async () => {
    const { openai } = clients();
    const messages = [{ role: 'system', content: system }, { role: 'user', content: 'In another order?' }];
    const first = await openai.chat.completions.create({ ...chat, messages, tool_choice: choice, seed: 8 });
    const { message } = first.choices[0];
    const [call] = message.tool_calls;
    const { b, a } = JSON.parse(call.function.arguments);
    call.function.arguments = JSON.stringify({ a, b }, null, 3);
    const result = { role: 'tool', tool_call_id: call.id, content: 'Ten miles.' };
    const { usage } = await openai.chat.completions.create({ ...chat, messages: [...messages, message, result], max_tokens: 1 });
    assertHits(usage.prompt_cache_hit_tokens, first.usage.prompt_tokens, first.usage.completion_tokens, 'reordered');
    // What the model did not say is not taken for what it said.
    call.function.arguments = JSON.stringify({ b, a: `${a}.` });
    const other = await openai.chat.completions.create({ ...chat, messages: [...messages, message, result], max_tokens: 1 });
    assert.ok(other.usage.prompt_cache_hit_tokens < usage.prompt_cache_hit_tokens);
  });

  test(`${format}: Anthropic's messages, whole and streamed, whose input comes back parsed`, async () => {
    const { anthropic } = clients();
    for (let i = 0; i < 12; ++i) { // without a seed: other numbers and letters each time
      const stream = i % 2 === 1;
      const messages = [{ role: 'user', content: `How deep, please? ${i}` }];
      const body = {
        model: 'any', max_tokens: 700, temperature: 1, system,
        tools: [{ name: 'dive', strict: true, input_schema: parameters }],
      };
      const call = { ...body, messages, tool_choice: { type: 'tool', name: 'dive' } };
      const first = stream ? await anthropic.messages.stream(call).finalMessage() : await anthropic.messages.create(call);
      const use = first.content.at(-1);
      assert.deepEqual(Object.keys(use.input), ['b', 'a'], 'in the order in which the model wrote them');
      const prompt = first.usage.input_tokens + first.usage.cache_read_input_tokens;
      messages.push({ role: 'assistant', content: first.content });
      messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'Ten miles.' }] });
      const { usage } = await anthropic.messages.create({ ...body, messages, max_tokens: 1 });
      assertHits(usage.cache_read_input_tokens, prompt, first.usage.output_tokens, `stream ${stream}`);
      // Counted as they are: with the model's own tokens.
      const counted = await anthropic.messages.countTokens({ model: 'any', system, tools: body.tools, messages });
      assert.equal(counted.input_tokens, usage.input_tokens + usage.cache_read_input_tokens);
    }
  });

  test(`${format}: /responses, whose items come back one by one`, async () => {
    const { openai } = clients();
    const body = {
      model: 'deepseek-chat', instructions: system, temperature: 1, max_output_tokens: 700,
      tools: [{ type: 'function', name: 'dive', strict: true, parameters }],
    };
    const input = [{ role: 'user', content: 'How deep is it there?' }];
    const first = await openai.responses.create({ ...body, input, tool_choice: { type: 'function', name: 'dive' } });
    const call = first.output.find((item) => item.type === 'function_call');
    const { b, a } = JSON.parse(call.arguments);
    call.arguments = JSON.stringify({ a, b });
    input.push(...first.output, { type: 'function_call_output', call_id: call.call_id, output: 'Ten miles.' });
    const { usage } = await openai.responses.create({ ...body, input, max_output_tokens: 1 });
    assertHits(usage.input_tokens_details.cached_tokens, first.usage.input_tokens, first.usage.output_tokens, 'responses');
  });
}

test('the AI SDK, which parses arguments and writes them anew', async () => {
  const server = await startServer('--chat-format', 'deepseek-v3.1');
  after(() => server.stop());
  const hadal = createOpenAICompatible({ name: 'hadal', baseURL: `${server.url}/v1`, includeUsage: true });
  const inputSchema = z.object({ b: z.array(z.number()).length(12), a: z.string().min(60).max(80) });
  const result = await generateText({
    model: hadal('deepseek-chat'), system, prompt: 'How deep?', temperature: 1, seed: 3, maxRetries: 0, maxOutputTokens: 700,
    tools: { dive: tool({ inputSchema, strict: true, execute: async () => 'Ten miles.' }) },
    // The first step calls; the second may only answer.
    prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? 'required' : 'none' }),
    stopWhen: ({ steps }) => steps.length === 2,
  });
  assert.equal(result.steps.length, 2);
  // Without tools ("none") the second prompt is another from its first page on; so the third turn is asked by hand.
  const messages = [{ role: 'user', content: 'How deep?' }, ...result.steps[0].response.messages];
  const again = await generateText({
    model: hadal('deepseek-chat'), system, messages, maxRetries: 0, maxOutputTokens: 1,
    tools: { dive: tool({ inputSchema, strict: true }) },
  });
  const [step] = result.steps;
  assertHits(again.usage.cachedInputTokens, step.usage.inputTokens, step.usage.outputTokens, 'AI SDK');
});

test('a restart forgets the tokens: the call goes into the prompt as the client wrote it', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'hadal-replay-'));
  const messages = [{ role: 'user', content: `${system} How deep?` }];
  const body = { model: 'any', temperature: 1, tools: [{ name: 'dive', strict: true, input_schema: parameters }] };
  // With a server that runs until `use` is done.
  const serving = async (use) => {
    const server = await startServer('--chat-format', 'deepseek-v3.1', '--kv-dir', folder);
    try {
      return await use(server, new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 }));
    } finally {
      await server.stop();
    }
  };
  const first = await serving((_, client) =>
    client.messages.create({ ...body, messages, max_tokens: 700, tool_choice: { type: 'any' } }));
  const use = first.content.at(-1);
  messages.push({ role: 'assistant', content: first.content });
  messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'Ten miles.' }] });
  await serving(async (server, client) => {
    const { usage } = await client.messages.create({ ...body, messages, max_tokens: 1 });
    // Up to the page in which the call begins.
    assert.ok(usage.cache_read_input_tokens >= Math.floor((first.usage.input_tokens - 20) / pageTokens) * pageTokens);
    const post = async (where, json) => (await fetch(server.url + where, { method: 'POST', body: JSON.stringify(json) })).json();
    const call = { id: use.id, type: 'function', function: { name: use.name, arguments: JSON.stringify(use.input) } };
    const said = [messages[0], { role: 'assistant', tool_calls: [call] }, { role: 'tool', tool_call_id: use.id, content: 'Ten miles.' }];
    const { tokens } = await post('/tokenize', { messages: said });
    assert.ok((await post('/detokenize', { tokens })).prompt.includes(JSON.stringify(use.input)));
  });
  rmSync(folder, { recursive: true });
});
