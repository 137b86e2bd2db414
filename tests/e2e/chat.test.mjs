// The chat page with a model that thinks and calls tools, and what the browser keeps.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { openBoth, screenshots, watch } from './browser.mjs';
import { startScripted, until, weatherTool } from './server.mjs';

let server;
let browser;
let context;
let page;
let complaints;

openBoth(startScripted, (...both) => ([server, browser] = both));

beforeEach(() => open({}));
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []);
});

async function open(options) {
  await context?.close();
  complaints = [];
  context = await browser.newContext({ viewport: { width: 1200, height: 800 }, colorScheme: 'light', reducedMotion: 'reduce', ...options });
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  watch(page, [server.url, 'data:', 'blob:'], complaints);
  await page.goto(server.url);
  await page.locator('#model', { hasText: 'scripted' }).waitFor({ state: 'attached' });
}

const input = () => page.getByLabel('Your message');
const lastAnswer = () => page.locator('.message.assistant').last();
const idle = () => page.getByRole('button', { name: 'Send', exact: true }).waitFor();
const settings = () => page.getByRole('button', { name: 'Settings' }).click();
const panel = () => page.getByRole('button', { name: 'Conversations' }).click();
async function ask(text) {
  const request = page.waitForRequest('**/v1/chat/completions');
  await input().fill(text);
  await input().press('Enter');
  const body = (await request).postDataJSON();
  await idle();
  return body;
}
const shot = async (name) => {
  await page.screenshot({ path: `${screenshots}/${name}-light.png` });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: `${screenshots}/${name}-dark.png` });
  await page.emulateMedia({ colorScheme: 'light' });
};

test('a model that thinks: its reasoning is folded, opens, is kept and is not sent back', async () => {
  await settings();
  await page.locator('#model-choice').selectOption('deepseek-reasoner');
  await shot('settings');
  await settings();
  const first = await ask('How deep are they?');
  assert.equal(first.model, 'deepseek-reasoner');
  const reasoning = lastAnswer().locator('details.reasoning');
  assert.equal(await reasoning.evaluate((element) => element.open), false);
  assert.match(await reasoning.locator('summary').innerText(), /^Thought for [\d.]+ s$/);
  assert.equal(await reasoning.locator('.thoughts').isVisible(), false);
  assert.equal(await lastAnswer().locator('.body').innerText(), 'Hadal trenches are deep');
  await reasoning.locator('summary').click();
  assert.equal(await reasoning.locator('.thoughts').innerText(), 'The user wants facts.');
  await shot('reasoning');
  await page.reload();
  assert.equal(await lastAnswer().locator('.thoughts').textContent(), 'The user wants facts.');
  const second = await ask('And then?');
  assert.deepEqual(second.messages, [
    { role: 'user', content: 'How deep are they?' },
    { role: 'assistant', content: 'Hadal trenches are deep' },
    { role: 'user', content: 'And then?' },
  ]);
});

test('parameters go into the request', async () => {
  await settings();
  await page.locator('#model-choice').selectOption('deepseek-chat');
  await page.locator('#temperature').fill('0.2');
  await page.locator('#top-p').fill('0.9');
  await page.getByLabel('Longest answer').selectOption('64');
  await page.getByLabel('Seed').fill('42');
  await page.getByLabel('System message').fill('You are a diver.');
  await settings();
  const { messages, stream_options, ...body } = await ask('Hello');
  assert.deepEqual(body, { model: 'deepseek-chat', temperature: 0.2, top_p: 0.9, max_tokens: 64, seed: 42, stream: true });
  assert.deepEqual(messages, [{ role: 'system', content: 'You are a diver.' }, { role: 'user', content: 'Hello' }]);
  await page.reload();
  await page.locator('#model', { hasText: 'deepseek-chat' }).waitFor({ state: 'attached' });
  assert.equal(await page.getByLabel('Seed').inputValue(), '42');
});

test('a tool: its call is shown, its result is asked for, and the answer follows', async () => {
  await settings();
  await page.locator('#model-choice').selectOption('deepseek-chat');
  await page.getByLabel('Tools').fill('[{"name": ');
  await page.getByText('This is not JSON.').waitFor();
  await page.getByLabel('Tools').fill(JSON.stringify([weatherTool.function]));
  await settings();
  const first = await ask('What is the weather in Paris?');
  assert.deepEqual(first.tools, [weatherTool]);
  const call = lastAnswer().locator('.call');
  assert.equal(await call.locator('summary').innerText(), 'Calls get_weather');
  assert.equal(await call.locator('pre').innerText(), '{\n  "city": "Paris"\n}');
  await shot('tool-call');
  await page.reload(); // the question for the result outlives it
  const request = page.waitForRequest('**/v1/chat/completions');
  await page.getByLabel('Result of get_weather').fill('{"sky": "rain"}');
  await page.getByRole('button', { name: 'Send the result' }).click();
  const { messages } = (await request).postDataJSON();
  assert.deepEqual(messages.map((message) => message.role), ['user', 'assistant', 'tool']);
  assert.equal(messages[1].tool_calls[0].function.arguments, '{"city": "Paris"}');
  assert.deepEqual(messages[2], { role: 'tool', content: '{"sky": "rain"}', tool_call_id: messages[1].tool_calls[0].id });
  await until(async () => (await lastAnswer().locator('.body').innerText()) === 'It rains there');
  assert.equal(await page.locator('.message.tool .body').innerText(), '{"sky": "rain"}');
  await page.screenshot({ path: `${screenshots}/tool-result-light.png` });
});

test('conversations are kept in the browser: opened, renamed, deleted', async () => {
  await ask('The first question, about fish');
  await page.getByRole('button', { name: 'New chat' }).click();
  await ask('The second question');
  await panel();
  const rows = page.locator('#chat-list .chat');
  assert.deepEqual(await rows.locator('.title').allInnerTexts(), ['The second question', 'The first question, about fish']);
  await shot('conversations');

  await rows.nth(1).locator('.open').click();
  assert.equal(await page.locator('.message.user').innerText(), 'The first question, about fish');
  await page.getByRole('button', { name: 'Rename “The first question, about fish”' }).click();
  await page.getByLabel('Title').fill('Fish <b>');
  await page.getByLabel('Title').press('Enter');
  assert.equal(await page.locator('.chat.current .title').innerText(), 'Fish <b>');
  await page.getByRole('button', { name: 'Rename “Fish <b>”' }).click();
  await page.getByLabel('Title').fill('Never');
  await page.getByLabel('Title').press('Escape');

  const other = await context.newPage(); // a new tab begins anew, and knows all of them
  await other.goto(server.url);
  assert.equal(await other.locator('.message').count(), 0);
  await other.getByRole('button', { name: 'Conversations' }).click();
  assert.deepEqual(await other.locator('.chat .title').allInnerTexts(), ['The second question', 'Fish <b>']);
  await other.close();

  await ask('More about fish'); // what was used last comes first
  assert.deepEqual(await rows.locator('.title').allInnerTexts(), ['Fish <b>', 'The second question']);
  await page.getByRole('button', { name: 'Delete “The second question”' }).click();
  await page.getByRole('button', { name: 'Keep', exact: true }).click();
  assert.equal(await rows.count(), 2);
  await page.getByRole('button', { name: 'Delete “The second question”' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  assert.deepEqual(await rows.locator('.title').allInnerTexts(), ['Fish <b>']);
  assert.equal(await page.locator('.message.user').count(), 2); // the one that is open stays
  await page.getByRole('button', { name: 'Delete “Fish <b>”' }).click();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  assert.equal(await page.locator('.message').count(), 0);
  await page.reload();
  assert.equal(await page.locator('.message').count(), 0);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('hadal.chat.')).length), 0);
});

test('a conversation is exported', async () => {
  await settings();
  await page.locator('#model-choice').selectOption('deepseek-reasoner');
  await settings();
  await ask('How deep?');
  await panel();
  const file = async (name) => {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name, exact: true }).click();
    const done = await download;
    return [done.suggestedFilename(), readFileSync(await done.path(), 'utf8')];
  };
  const [jsonName, json] = await file('JSON');
  assert.equal(jsonName, 'How-deep.json');
  const { title, messages } = JSON.parse(json);
  assert.equal(title, 'How deep?');
  assert.deepEqual(messages.map(({ role, content, reasoning_content }) => [role, content, reasoning_content]),
    [['user', 'How deep?', undefined], ['assistant', 'Hadal trenches are deep', 'The user wants facts.']]);
  const [markdownName, markdown] = await file('Markdown');
  assert.equal(markdownName, 'How-deep.md');
  assert.match(markdown, /^# How deep\?\n\n## You\n\nHow deep\?\n\n## deepseek-reasoner\n\n<details>[^]*The user wants facts\.[^]*<\/details>\n\nHadal trenches are deep\n$/);
});

test('a phone: the list lies over the talk, and everything fits', async () => {
  await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: 'dark' });
  const fits = async (what) => {
    const [scroll, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(scroll <= width, `${what}: ${scroll} pixels in ${width}`);
  };
  await settings();
  await fits('settings');
  await page.screenshot({ path: `${screenshots}/settings-phone.png` });
  await page.locator('#model-choice').selectOption('deepseek-reasoner');
  await settings();
  await ask('How deep are they, and who has been there?');
  await page.locator('details.reasoning summary').click();
  await fits('reasoning');
  await page.screenshot({ path: `${screenshots}/reasoning-phone.png` });
  await panel();
  await fits('list');
  await page.screenshot({ path: `${screenshots}/conversations-phone.png` });
  await page.locator('.chat .open').first().tap();
  assert.equal(await page.locator('#chats').isVisible(), false);
});
