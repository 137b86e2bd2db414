// A server with accounts, in the browser: an admin signs in and makes a key, its owner chats with it and gives feedback,
// and what came of it is in the console, until the key is rotated and revoked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test as nodeTest } from 'node:test';
import { launchBrowser, screenshots, watch } from './browser.mjs';
import { run, startScripted, until } from './server.mjs';

const hasKeys = (await run('keys', '--help')).code === 0; // until the ledger is in the program
const test = (name, body) => nodeTest(name, { skip: !hasKeys && 'this hadal has no keys' }, body);

let folder;
let server;
let browser;
let admin; // its secret
let complaints = [];
const contexts = [];

before(async () => {
  if (!hasKeys) return;
  folder = mkdtempSync(join(tmpdir(), 'hadal-keys-'));
  const database = join(folder, 'keys.db');
  const made = await run('keys', 'create', '--keys', database, '--name', 'ops', '--admin', '--json');
  assert.equal(made.code, 0, made.stderr);
  admin = JSON.parse(made.stdout).secret;
  writeFileSync(join(folder, 'prices.toml'), 'currency = "USD"\n\n[[model]]\nname = "*"\nhit = "1"\nmiss = "10"\noutput = "100"\n');
  server = await startScripted('--keys', database, '--prices', join(folder, 'prices.toml'));
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await Promise.all(contexts.splice(0).map((context) => context.close()));
  // What the tests provoke: a key that is missing, wrong or not an admin's, an amount that is none, a lost answer.
  assert.deepEqual(complaints.splice(0).filter((text) => !/status of (40[013]|422)|net::ERR_FAILED$/.test(text)), []);
});

async function open(path, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: 'light', reducedMotion: 'reduce', ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  watch(page, [server.url, 'data:'], complaints);
  await page.goto(`${server.url}${path}`);
  return page;
}

async function signIn(path = '/console', options = {}) {
  const page = await open(path, options);
  await page.getByLabel('Admin key').fill(admin);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Keys', exact: true }).waitFor();
  return page;
}

const tab = (page, name) => page.getByRole('link', { name, exact: true }).click();
const row = (page, name) => page.locator('#keys tbody tr', { hasText: name });
const secretOf = async (page) => {
  const secret = await page.getByRole('textbox', { name: 'The secret' }).inputValue();
  assert.match(secret, /^sk-/);
  await page.getByRole('button', { name: 'Done' }).click();
  return secret;
};
const status = (secret) =>
  fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'hello' }] }),
  }).then((response) => response.status);
const shot = async (page, name) => {
  await page.screenshot({ path: `${screenshots}/${name}-light.png` });
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.screenshot({ path: `${screenshots}/${name}-dark.png` });
  await page.emulateMedia({ colorScheme: 'light' });
};

let user; // the secret of the key that is made here

test('only an admin signs in, and signs out', async () => {
  const page = await open('/console');
  await page.getByLabel('Admin key').fill('sk-nobody');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The server does not know this key.').waitFor();
  await shot(page, 'console-sign-in');
  await page.getByLabel('Admin key').fill(admin);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.plot').first().waitFor();
  await page.reload(); // the tab remembers
  await page.locator('.plot').first().waitFor();
  assert.equal(await page.evaluate(() => Object.keys(localStorage).join()), ''); // and nothing else does
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Admin key').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem('hadal.admin_key')), null);
});

test('a key is made; its secret is shown once', async () => {
  const page = await signIn();
  await tab(page, 'Keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill('web <team>');
  await page.getByRole('textbox', { name: 'Requests at once' }).fill('many');
  await page.getByRole('button', { name: 'Make the key' }).click();
  await page.getByText('Requests at once: a whole number is expected').waitFor();
  await page.getByRole('textbox', { name: 'Requests at once' }).fill('4');
  await page.getByRole('textbox', { name: 'Tokens per day' }).fill('100000');
  await page.getByRole('textbox', { name: 'Credit to begin with' }).fill('2.50');
  await page.screenshot({ path: `${screenshots}/console-new-key-light.png` });
  await page.getByRole('button', { name: 'Make the key' }).click();
  await page.getByRole('textbox', { name: 'The secret' }).waitFor();
  await page.screenshot({ path: `${screenshots}/console-secret-light.png` });
  user = await secretOf(page);
  await row(page, 'web <team>').getByText('2.50').waitFor();
  await row(page, 'web <team>').getByText('4 at once · 100 k tokens/day').waitFor();
  assert.ok(!(await page.content()).includes(user)); // gone with the dialog
  assert.equal(await status(user), 200);

  const other = await open('/console'); // it is no admin's
  await other.getByLabel('Admin key').fill(user);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByText('This key is not an admin’s.').waitFor();
});

const ask = async (page, text) => {
  await page.getByLabel('Your message').fill(text);
  await page.getByLabel('Your message').press('Enter');
};

test('the chat page asks for a key, and feedback is kept only with consent, which it says', async () => {
  const page = await open('/');
  await page.getByText('This server asks for an API key.').waitFor();
  await shot(page, 'key-needed');
  await page.getByLabel('API key', { exact: true }).fill('sk-wrong');
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('.key-form .bad').getByText(/\w/).waitFor();
  await page.getByLabel('API key', { exact: true }).fill(user);
  await page.getByLabel('Keep it in this browser').check();
  await page.getByRole('button', { name: 'Use this key' }).click();
  await page.locator('.key-form').waitFor({ state: 'detached' });
  await ask(page, 'How deep?');
  const answer = page.locator('.message.assistant').last();
  await answer.getByRole('button', { name: /Good answer .*keeps nothing/ }).click();
  await answer.getByText('Not stored: the owner of this key has not agreed to it').waitFor();
  assert.equal(await answer.locator('.feedback .tiny').first().getAttribute('aria-pressed'), 'true');

  const console_ = await signIn('/console#keys'); // its owner agrees
  await console_.getByRole('button', { name: 'Change: web <team>' }).click();
  await console_.getByLabel('Its owner lets feedback be stored').check();
  await console_.getByRole('button', { name: 'Save' }).click();
  await row(console_, 'web <team>').getByText('feedback').waitFor();
  await until(async () => (await (await fetch(`${server.url}/user/consent`, { headers: { authorization: `Bearer ${user}` } })).json()).consent);

  await page.reload(); // the browser has kept the key
  await page.getByRole('button', { name: /Bad answer .*keeps it with this conversation/ }).click();
  await page.getByText('Stored with this conversation').waitFor();
  await shot(page, 'feedback');
  await tab(console_, 'Log');
  const told = console_.getByRole('region', { name: 'Feedback' }).locator('tbody tr');
  await told.first().waitFor();
  assert.equal(await told.count(), 1);
  assert.match(await told.innerText(), /web <team>\s+bad/);

  // The owner has it deleted, and takes the word back.
  await page.getByRole('button', { name: 'Settings' }).click();
  const word = page.getByLabel('Let the server keep my feedback');
  assert.ok(await word.isChecked());
  await page.getByText('It has kept 1.').waitFor();
  await shot(page, 'consent');
  await page.getByRole('button', { name: 'Delete what it kept' }).click();
  await page.getByText('It has kept 1.').waitFor({ state: 'detached' });
  await word.uncheck();
  await page.getByText('The server keeps nothing.').waitFor();
  await page.getByRole('button', { name: /Bad answer .*keeps nothing/ }).first().waitFor();
  const own = await (await fetch(`${server.url}/user/consent`, { headers: { authorization: `Bearer ${user}` } })).json();
  assert.deepEqual(own, { consent: false, feedback: { entries: 0, bytes: 0 } });
  await console_.screenshot({ path: `${screenshots}/console-log-light.png`, fullPage: true });

  await page.getByRole('button', { name: 'Forget the API key' }).click();
  await page.getByText('This server asks for an API key.').waitFor();
});

test('usage and cost, by key and by model; the machine and the prices', async () => {
  const page = await signIn('/console#usage');
  const line = page.getByRole('region', { name: 'Usage in this period' }).locator('tbody tr', { hasText: 'web <team>' });
  await until(async () => {
    await page.reload();
    await page.getByRole('heading', { name: 'Usage' }).waitFor();
    return (await line.count()) === 1 && Number((await line.locator('td').nth(1).innerText())) >= 2;
  });
  assert.ok(Number(await line.locator('td').last().innerText()) > 0, 'it cost something');
  await page.locator('#usage svg rect.s0').first().waitFor({ state: 'attached' });
  await page.getByLabel('What').selectOption('Cost');
  await page.getByLabel('Split').selectOption('by model');
  await page.locator('#usage th', { hasText: 'Model' }).waitFor();
  await shot(page, 'console-usage');
  await tab(page, 'Server');
  await page.getByText('full price').first().waitFor();
  await shot(page, 'console-server');
  await tab(page, 'Log');
  await page.getByRole('region', { name: 'Errors' }).getByText('401').first().waitFor(); // those of the tests above
});

test('a key is topped up, rotated and revoked', async () => {
  const page = await signIn('/console#keys');
  const key = row(page, 'web <team>');
  await page.getByRole('button', { name: 'Credit: web <team>' }).click();
  await page.getByRole('textbox', { name: 'Amount' }).fill('ten');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.locator('dialog .bad').getByText(/\w/).waitFor(); // the server's words
  // The answer to the first try is lost; the second adds nothing more.
  await page.route('**/credit', async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await page.getByRole('textbox', { name: 'Amount' }).fill('10');
  const lost = page.waitForEvent('requestfailed');
  await page.getByRole('button', { name: 'Add' }).click();
  await lost;
  await page.getByRole('button', { name: 'Add' }).click();
  await key.getByText(/^1[12]\.\d\d/).waitFor();

  await page.getByRole('button', { name: 'Rotate: web <team>' }).click();
  await page.getByRole('button', { name: 'Make a new secret' }).click();
  const fresh = await secretOf(page);
  assert.notEqual(fresh, user);
  await until(async () => (await status(user)) === 401);
  assert.equal(await status(fresh), 200);

  await page.getByRole('button', { name: 'Revoke: web <team>' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await status(fresh), 200);
  await page.getByRole('button', { name: 'Revoke: web <team>' }).click();
  await page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await key.getByText('revoked').waitFor();
  await until(async () => (await status(fresh)) === 401);
  assert.equal(await key.getByRole('button').count(), 0);
  await shot(page, 'console-keys');
});

test('a phone', async () => {
  const page = await signIn('/console#keys', { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: 'dark' });
  for (const name of ['Keys', 'Usage', 'Log', 'Server', 'Live']) {
    await tab(page, name);
    await page.locator(`section[aria-label="${name}"]`).locator('h2').first().waitFor();
    const [scroll, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(scroll <= width, `${name}: ${scroll} pixels in ${width}`);
    await page.screenshot({ path: `${screenshots}/console-${name.toLowerCase()}-phone.png` });
  }
});
