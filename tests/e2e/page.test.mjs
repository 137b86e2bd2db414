// The chat page in a real browser.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { openBoth, screenshots, watch } from './browser.mjs';
import { startServer, until } from './server.mjs';

let server;
let browser;
let context;
let page;
let complaints;

openBoth(startServer, (...both) => ([server, browser] = both));

beforeEach(() => open({}));
afterEach(async () => {
  await context.close();
  assert.deepEqual(complaints, []); // script errors, blocked resources, failed requests
});

async function open(options) {
  await context?.close();
  complaints = [];
  context = await browser.newContext({
    viewport: { width: 1100, height: 760 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
    ...options,
  });
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  watch(page, [server.url, 'data:'], complaints);
  await page.goto(server.url);
  await page.locator('#model', { hasText: 'model' }).waitFor({ state: 'attached' }); // the model's name, from /v1/models
}

const input = () => page.getByLabel('Your message');
const answers = () => page.locator('.message.assistant');
const lastAnswer = () => answers().last();
const stop = () => page.getByRole('button', { name: 'Stop the answer' });
const idle = () => page.getByRole('button', { name: 'Send' }).waitFor();

async function settings(maxTokens) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Longest answer').selectOption(String(maxTokens));
  await page.getByRole('button', { name: 'Settings' }).click();
}

// The page with an answer of the given Markdown: the server's stream is replaced, everything else is real.
async function answerWith(markdown) {
  await page.route('**/v1/chat/completions', (route) => {
    const chunk = (delta, finish) =>
      `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    const pieces = markdown.match(/[\s\S]{1,7}/g).map((content) => chunk({ content }, null));
    return route.fulfill({
      contentType: 'text/event-stream',
      body: `: keep-alive\n\n${pieces.join('')}${chunk({ content: '' }, 'stop')}data: [DONE]\n\n`,
    });
  });
  await input().fill('show me');
  await input().press('Enter');
  await idle();
  await page.unroute('**/v1/chat/completions');
}

test('typing, streaming and a second turn, by keyboard alone', async () => {
  await page.screenshot({ path: `${screenshots}/welcome-light.png` });
  await settings(1024); // long enough to be seen growing on a quick machine
  await input().focus();
  await page.keyboard.type('What lives');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('down there?');
  assert.equal(await input().inputValue(), 'What lives\ndown there?');
  await page.evaluate(() => {
    window.lengths = new Set();
    new MutationObserver(() => {
      const bodies = document.querySelectorAll('.message.assistant .body');
      if (bodies.length > 0) window.lengths.add(bodies[bodies.length - 1].textContent.length);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const request = page.waitForRequest('**/v1/chat/completions');
  await page.keyboard.press('Enter');
  assert.deepEqual((await request).postDataJSON().messages, [{ role: 'user', content: 'What lives\ndown there?' }]);
  assert.equal(await input().inputValue(), '');
  await idle();
  const lengths = await page.evaluate(() => window.lengths.size); // it grew before it was done
  assert.ok(lengths > 2, `the answer came in ${lengths} pieces`);
  assert.match(await lastAnswer().locator('.note').innerText(), /1024 tokens · \d+ tokens\/s · reached the longest answer/);

  await settings(64);
  await input().focus();
  const second = page.waitForRequest('**/v1/chat/completions');
  await page.keyboard.type('And above?');
  await page.keyboard.press('Enter');
  const { messages } = (await second).postDataJSON();
  assert.deepEqual(
    messages.map((message) => message.role),
    ['user', 'assistant', 'user'],
  );
  await idle();
  assert.equal(await answers().count(), 2);
  await page.screenshot({ path: `${screenshots}/conversation-light.png` });

  await page.reload();
  assert.equal(await answers().count(), 2); // a reload keeps the conversation
});

for (const [way, act] of [
  ['the stop button', () => stop().click()],
  ['Escape', () => page.keyboard.press('Escape')],
]) {
  test(`${way} stops the answer, here and on the server`, async () => {
    await settings(4096);
    const before = await server.health();
    await input().fill('Talk for long.');
    await input().press('Enter');
    await stop().waitFor();
    await until(async () => (await lastAnswer().locator('.body').innerText()).length > 20);
    await page.screenshot({ path: `${screenshots}/streaming-light.png` });
    await act();
    await idle();
    assert.equal(await lastAnswer().locator('.note').innerText(), 'stopped');
    const text = await lastAnswer().locator('.body').innerText();
    await until(async () => (await server.health()).requests_running === 0);
    const after = await server.health();
    assert.ok(after.tokens_generated_total - before.tokens_generated_total < 4096);
    assert.equal(await lastAnswer().locator('.body').innerText(), text);
    assert.ok(await input().evaluate((element) => element === document.activeElement));
  });
}

test('a new chat forgets, and stops what runs', async () => {
  await settings(4096);
  await page.getByRole('button', { name: 'What does the word brave mean?' }).click();
  await stop().waitFor();
  await page.getByRole('button', { name: 'New chat' }).click();
  await idle();
  assert.equal(await page.locator('.message').count(), 0);
  assert.ok(await page.getByText('What would you like to ask?').isVisible());
  await until(async () => (await server.health()).requests_running === 0);
  await page.reload();
  assert.equal(await page.locator('.message').count(), 0);
});

test('Markdown is shown, and can do no harm', async () => {
  await answerWith(
    [
      '## The hadal zone',
      'Below **6000 m**. It is *dark*, `cold`, and ~~empty~~ not empty:',
      '- fish\n- shrimps\n  1. small\n  2. large',
      '| Trench | Depth |\n|---|---:|\n| Mariana | 10 935 m |\n| Tonga | 10 823 m |',
      '```cpp\nint main() { return 0; } // a line that is long enough to need scrolling in a narrow window, surely it is\n```',
      '> Named for Hades. [More](https://example.org/hadal)',
      '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><a href="javascript:window.hacked=1">x</a>' +
        '<iframe src="https://example.org"></iframe><p style="position:fixed">styled</p>',
    ].join('\n\n'),
  );
  const body = lastAnswer().locator('.body');
  assert.equal(await body.locator('h2').innerText(), 'The hadal zone');
  assert.equal(await body.locator('table td').count(), 4);
  assert.equal(await body.locator('ol li').count(), 2);
  const link = body.getByRole('link', { name: 'More' });
  assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
  assert.equal(await body.locator('img, script, iframe, [style], a[href^="javascript"]').count(), 0);
  assert.match(await body.innerText(), /<script>window\.hacked=1<\/script>/); // shown, not run
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await page.screenshot({ path: `${screenshots}/markdown-light.png` });
  await page.getByRole('button', { name: 'Switch to dark colours' }).click();
  await page.screenshot({ path: `${screenshots}/markdown-dark.png` });
  await page.setViewportSize({ width: 360, height: 640 });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await page.screenshot({ path: `${screenshots}/markdown-phone.png` });
});

test('copying an answer and a block of code', async () => {
  const markdown = 'Here:\n\n```\nlet depth = 10935;\n```\n\nThat is **all**.';
  await answerWith(markdown);
  await page.getByRole('button', { name: 'Copy this answer' }).click();
  await page.getByText('Copied').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), markdown);
  await page.getByRole('button', { name: 'Copy this code' }).click();
  await until(async () => (await page.evaluate(() => navigator.clipboard.readText())) === 'let depth = 10935;\n');
});

test('light and dark follow the system until someone chooses', async () => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await ground();
  assert.notEqual(light, dark);
  await page.screenshot({ path: `${screenshots}/welcome-dark.png` });
  await page.getByRole('button', { name: 'Switch to light colours' }).click();
  assert.equal(await ground(), light);
  await page.reload();
  assert.equal(await ground(), light); // remembered, against the system's preference
  await page.getByRole('button', { name: 'Switch to dark colours' }).click();
  assert.equal(await ground(), dark);
});

test('everything can be reached with Tab, and focus can be seen', async () => {
  await page.locator('.skip').focus();
  await page.keyboard.press('Shift+Tab'); // out of the page: the next Tab comes in from the top
  const seen = [];
  for (let i = 0; i < 12; ++i) {
    await page.keyboard.press('Tab');
    const { name, outlined } = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === document.body) return { name: 'body', outlined: true }; // the browser's own bar has the focus
      const style = getComputedStyle(element.matches('textarea') ? element.closest('form') : element);
      return {
        name: element.getAttribute('aria-label') ?? element.id ?? '',
        outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1,
      };
    });
    seen.push(name);
    assert.ok(outlined, `no visible focus on ${name} (${seen.length}. Tab)`);
    if (name === 'input') break;
  }
  for (const name of ['new-chat', 'Settings', 'Switch to dark colours', 'input']) {
    assert.ok(seen.includes(name), `${name} is not among ${seen}`);
  }
  await page.getByRole('button', { name: 'Settings' }).press('Enter');
  assert.ok(await page.getByLabel('Temperature').isVisible());
  await page.keyboard.press('Escape');
  assert.ok(!(await page.getByLabel('Temperature').isVisible()));
});

test('a phone has room for everything', async () => {
  await open({ viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await page.screenshot({ path: `${screenshots}/welcome-phone.png` });
  for (const name of ['New chat', 'Settings', 'Switch to dark colours', 'Send']) {
    const box = await page.getByRole('button', { name }).boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= 360 && box.y + box.height <= 640, name);
  }
  await settings(64);
  await input().fill('A word of many letters: ' + 'abyss'.repeat(60));
  await page.getByRole('button', { name: 'Send' }).tap();
  await idle();
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360));
  await page.screenshot({ path: `${screenshots}/conversation-phone.png` });
});

test('an error is said plainly, and there is a way on', async () => {
  await page.route('**/v1/chat/completions', (route) => route.abort());
  await input().fill('Is anyone there?');
  await input().press('Enter');
  await page.getByRole('alert').getByText('The server cannot be reached').waitFor();
  await page.screenshot({ path: `${screenshots}/error-light.png` });
  await page.unroute('**/v1/chat/completions');
  await settings(64);
  await page.getByRole('button', { name: 'Try again' }).click();
  await idle();
  assert.equal(await answers().count(), 1);
  assert.equal(await page.getByRole('alert').count(), 0);
  complaints = complaints.filter((text) => !text.includes('net::ERR_FAILED')); // the failure that was made above

  await input().fill('deep sea '.repeat(20000));
  await input().press('Enter');
  await page.getByRole('alert').getByText('maximum context length').waitFor();
  await page.getByRole('alert').getByRole('button', { name: 'New chat' }).click();
  assert.equal(await page.locator('.message').count(), 0);
  complaints = complaints.filter((text) => !text.includes('status of 400'));
});

test('a question outlives a reload before its answer is complete', async () => {
  await settings(4096);
  await input().fill('Are you there?');
  await input().press('Enter');
  await until(async () => (await lastAnswer().locator('.body').innerText()).length > 20);
  await page.reload();
  assert.equal(await page.locator('.message.user').innerText(), 'Are you there?');
  await settings(64);
  const request = page.waitForRequest('**/v1/chat/completions');
  await page.getByRole('alert').getByRole('button', { name: 'Ask again' }).click();
  assert.deepEqual((await request).postDataJSON().messages, [{ role: 'user', content: 'Are you there?' }]);
  await idle();
  assert.equal(await answers().count(), 1);
  assert.equal(await page.getByRole('alert').count(), 0);
});

test('a conversation longer than the context goes on without its oldest messages', async () => {
  const wide = server;
  server = await startServer('--context', '256');
  try {
    await open({});
    await settings(64);
    const ask = async (question) => {
      const asked = page.waitForRequest('**/v1/chat/completions');
      await input().fill(question);
      await input().press('Enter');
      const first = (await asked).postDataJSON().messages;
      await idle();
      return first;
    };
    for (let turn = 1; turn <= 6; ++turn) await ask(`Question ${turn}`);
    assert.equal(await page.getByRole('alert').count(), 0);
    assert.equal(await answers().count(), 6);
    assert.match(await lastAnswer().locator('.note').innerText(), /64 tokens .* the oldest messages no longer fit/);
    assert.deepEqual(complaints, []); // it knew without being refused

    // After a reload nothing is known of lengths: it sends all, is refused, and leaves out the oldest.
    await page.reload();
    const all = await ask('Question 7');
    assert.equal(all.length, 13);
    assert.equal(await page.getByRole('alert').count(), 0);
    assert.match(await lastAnswer().locator('.note').innerText(), /the oldest messages no longer fit/);
    const fitting = await ask('Question 8');
    assert.ok(fitting.length < 15, `${fitting.length} messages`);
    assert.equal(fitting[0].role, 'user');
    assert.deepEqual(fitting[fitting.length - 1], { role: 'user', content: 'Question 8' });
    assert.equal(await page.locator('.message.user').count(), 8); // all of it stays on the page
    complaints = complaints.filter((text) => !text.includes('status of 400'));
  } finally {
    await context.close();
    await server.stop();
    server = wide;
  }
});
