// The console: signs an admin in, and shows one part at a time.
import { ApiError } from '../shared/api';
import { button, byId, make } from '../shared/dom';
import { setUpTheme } from '../shared/theme';
import { adminKey, whoami } from './admin';
import { KeysView } from './keys_view';
import { runLive, say } from './live';
import { LogView } from './log_view';
import { ServerView } from './server_view';
import { UsageView } from './usage_view';

const kRefreshMs = 10_000;

interface View {
  title: string;
  show?: () => Promise<void>; // Live keeps itself up to date
}

const keys = new KeysView(byId('keys'));
const usage = new UsageView(byId('usage'));
const log = new LogView(byId('log'));
const server = new ServerView(byId('server'));
const views: Record<string, View> = {
  live: { title: 'Live' },
  keys: { title: 'Keys', show: () => keys.show() },
  usage: { title: 'Usage', show: () => usage.show() },
  log: { title: 'Log', show: () => log.show() },
  server: { title: 'Server', show: () => server.show() },
};

const tabs = byId('tabs');
let signedIn = false; // with an admin's key; a server without keys has the live view alone

const current = (): string => {
  const name = location.hash.slice(1);
  return signedIn && name in views ? name : 'live';
};

async function refresh(): Promise<void> {
  const name = current();
  try {
    await views[name]?.show?.();
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return askForKey(error.message);
    say(error instanceof Error ? error.message : String(error), true);
  }
}

function showView(): void {
  const name = current();
  for (const id of Object.keys(views)) byId(id).hidden = id !== name;
  for (const tab of tabs.children) {
    if (tab.getAttribute('href') === `#${name}`) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  say('', false);
  void refresh();
}

let live = false;
function enter(withKeys: boolean): void {
  signedIn = withKeys;
  tabs.hidden = !withKeys;
  byId('sign-out').hidden = !withKeys;
  byId('sign-in').replaceChildren();
  showView();
  if (!live) void runLive(() => (byId('sign-in').hasChildNodes() ? null : adminKey.key));
  live = true;
}

function askForKey(trouble: string): void {
  adminKey.forget();
  signedIn = false;
  tabs.hidden = true;
  byId('sign-out').hidden = true;
  for (const id of Object.keys(views)) byId(id).hidden = true;
  const field = make('input', { type: 'password', autocomplete: 'off', placeholder: 'sk-…', 'aria-label': 'Admin key' });
  const form = make('form', { class: 'sign-in' }, make('h2', {}, 'Sign in'),
    make('p', {}, 'With an admin key, as ', make('code', {}, 'hadal keys create --admin'), ' makes one. It is kept until this tab closes.'),
    make('div', { class: 'line' }, field, button('Sign in', () => {}, { type: 'submit', class: 'button primary' })),
    make('p', { class: 'bad', role: 'alert' }, trouble));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (field.value.trim() === '') return;
    adminKey.set(field.value.trim(), false);
    void signIn();
  });
  byId('sign-in').replaceChildren(form);
  field.focus();
}

async function signIn(): Promise<void> {
  const tried = adminKey.key !== '';
  try {
    await whoami();
    enter(true);
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 0;
    if (status === 401) askForKey(tried ? 'The server does not know this key.' : '');
    else if (status === 403) askForKey('This key is not an admin’s.');
    else enter(false); // a server without keys; or none, which the live view tells
  }
}

for (const [name, { title }] of Object.entries(views)) tabs.append(make('a', { href: `#${name}` }, title));
addEventListener('hashchange', showView);
byId('sign-out').addEventListener('click', () => askForKey(''));
setInterval(() => {
  if (signedIn && current() !== 'live' && !document.hidden && !document.querySelector('dialog')) void refresh();
}, kRefreshMs);
setUpTheme(byId<HTMLButtonElement>('theme'));
void signIn();
