// The model in the box, served and asked. Not whether it is right (bench and the model card say how often), but that it
// takes turns: it answers in words and ends by itself.
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

test('hadal-nano answers questions and ends its turns', async () => {
  const messages = [];
  for (const question of ['What is 7 + 12?', 'What does the word "ocean" mean?', 'How do you spell river?']) {
    messages.push({ role: 'user', content: question });
    const answer = await client.chat.completions.create({ model: 'hadal-nano', messages, temperature: 0, max_tokens: 200 });
    const { message, finish_reason } = answer.choices[0];
    assert.equal(finish_reason, 'stop', message.content);
    assert.match(message.content, /[a-z0-9]{1,}/i);
    assert.ok(!message.content.includes('\ufffd'), message.content);
    messages.push(message);
  }
});
