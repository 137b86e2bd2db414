// The console in a real browser, and /metrics that it reads.
import assert from 'node:assert/strict';
import { beforeEach, afterEach, test } from 'node:test';
import { openBoth, screenshots, watch } from './browser.mjs';
import { startServer, until } from './server.mjs';

let server;
let browser;
let context;
let page;
let complaints;

openBoth(startServer, (...both) => ([server, browser] = both));

beforeEach(() => {
  complaints = [];
});
afterEach(async () => {
  await context?.close();
  context = undefined;
  assert.deepEqual(complaints, []); // script errors, blocked resources, failed requests
});

async function open(options = {}, route) {
  context = await browser.newContext({ viewport: { width: 1200, height: 900 }, colorScheme: 'light', ...options });
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  watch(page, [server.url], complaints);
  if (route) await page.route('**/metrics', route);
  await page.goto(`${server.url}/console`);
}

async function ask(content, maxTokens = 24) {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ messages: [{ role: 'user', content }], max_tokens: maxTokens }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).usage;
}

async function metrics() {
  const response = await fetch(`${server.url}/metrics`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const samples = {};
  for (const line of (await response.text()).split('\n')) {
    if (line === '' || line.startsWith('# HELP ') || line.startsWith('# TYPE ')) continue;
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line);
    assert.ok(match, line);
    samples[match[1]] = Number(match[2]);
  }
  return samples;
}

const figure = (name) => page.locator('#figures div', { has: page.getByText(name, { exact: true }) }).locator('dd');

test('/metrics counts what requests say they used', async () => {
  const before = await metrics();
  const usages = [await ask('the deep sea'), await ask('the deep sea '.repeat(40)), await ask('the deep sea '.repeat(40))];
  const sum = (name) => usages.reduce((total, usage) => total + usage[name], 0);
  const gained = (now, ...names) => names.reduce((total, name) => total + now[name] - before[name], 0);
  let now;
  await until(async () => {
    now = await metrics(); // the last request's counts come with the engine's next step
    return gained(now, 'hadal_generated_tokens_total') === sum('completion_tokens');
  });
  assert.equal(gained(now, 'hadal_requests_total'), 3);
  assert.equal(gained(now, 'hadal_prompt_tokens_total'), sum('prompt_tokens'));
  const hits = ['hadal_cache_hit_tokens_total{tier="memory"}', 'hadal_cache_hit_tokens_total{tier="disk"}'];
  assert.equal(gained(now, ...hits), sum('prompt_cache_hit_tokens'));
  assert.equal(gained(now, ...hits, 'hadal_cache_miss_tokens_total'), sum('prompt_tokens'));
  assert.ok(usages[2].prompt_cache_hit_tokens > 0, 'the same prompt again is a hit');
  assert.equal(gained(now, 'hadal_time_to_first_token_seconds_count'), 3);
  assert.equal(now['hadal_time_to_first_token_seconds_count'], now['hadal_time_to_first_token_seconds_bucket{le="+Inf"}']);
});

test('the console shows the load as it comes', async () => {
  await open();
  await page.locator('#model', { hasText: 'model' }).waitFor({ state: 'attached' }); // the model's name, from /metrics
  assert.equal(await page.locator('.plot').count(), 7);
  const text = 'a long question about the sea '.repeat(30);
  let asking = true;
  const load = (async () => {
    for (let i = 0; asking; ++i) await ask(`${text} ${i % 3}`, 200);
  })();
  try {
    const decode = page.locator('.plot', { hasText: 'Decode, tokens per second' });
    await until(async () => Number((await decode.locator('.key span span').textContent()).replace(/[^\d.]/g, '')) > 0);
    await until(async () => parseFloat(await figure('Hits since the start').textContent()) > 0);
    await until(async () => (await decode.locator('svg path').count()) === 1);
    assert.match(await figure('TTFT p50').textContent(), /\d+(\.\d+)? m?s/);
    assert.match(await figure('Memory pages').textContent(), /^[\d.k ]+ of [\d.k ]+$/);
    await page.waitForTimeout(7000); // for the screenshots, a few points
    await page.screenshot({ path: `${screenshots}/console-light.png`, fullPage: true });
    await decode.locator('svg').hover();
    await decode.locator('svg .rule').waitFor({ state: 'attached' });
    await page.getByRole('button', { name: 'Switch to dark colours' }).click();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.screenshot({ path: `${screenshots}/console-dark.png` });
  } finally {
    asking = false;
    await load;
  }
});

test('the chat page leads there, and back', async () => {
  await open();
  await page.getByRole('link', { name: 'Chat' }).click();
  await page.getByLabel('Your message').waitFor();
  await page.getByRole('link', { name: 'Console' }).click();
  await page.getByRole('heading', { name: 'Hadal console' }).waitFor();
});

test('trouble on disk is told, as text', async () => {
  let text = '';
  await open({}, async (route) => {
    const response = await route.fetch();
    const real = (await response.text()).replace(/^hadal_disk_(trouble|configured|available).*\n/gm, '');
    await route.fulfill({ response, body: real + text });
  });
  await figure('Bad pages').waitFor();
  const notice = page.locator('#notice');
  assert.equal(await notice.isHidden(), true);
  assert.equal(await figure('Disk').textContent(), 'off');
  text = 'hadal_disk_configured 1\nhadal_disk_available 0\nhadal_disk_trouble{message="/a \\"b\\": <img src=x> full"} 1\n';
  await until(async () => await notice.isVisible());
  assert.equal(await notice.textContent(),
    'The page directory is not available: /a "b": <img src=x> full. Answers go on without it.');
  assert.equal(await figure('Disk').textContent(), 'not available');
  text = 'hadal_disk_configured 1\nhadal_disk_available 1\n';
  await until(async () => await notice.isHidden());
});

test('a server that is away is told, and comes back', async () => {
  let away = false;
  await open({}, (route) => (away ? route.abort('connectionrefused') : route.continue()));
  await page.locator('#model', { hasText: 'model' }).waitFor({ state: 'attached' });
  away = true;
  await page.getByText('The server does not answer. This page keeps trying.').waitFor();
  away = false;
  await until(async () => await page.locator('#notice').isHidden());
  complaints = complaints.filter((text) => !text.includes('ERR_CONNECTION_REFUSED'));
});

test('a phone', async () => {
  await open({ viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
  await figure('Bad pages').waitFor();
  await ask('something small');
  await page.waitForTimeout(4500);
  const [scroll, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(scroll <= width, `${scroll} pixels wide in ${width}`);
  const label = await page.locator('.plot text').first().boundingBox();
  assert.ok(label.height >= 9, `labels of ${label.height} pixels`);
  await page.screenshot({ path: `${screenshots}/console-phone.png` });
});
