// The chat page: wires the message box, the conversations, the settings and the server together.
import { ApiError } from '../shared/api';
import { byId, download, make } from '../shared/dom';
import { KeyStore } from '../shared/store';
import { setUpTheme } from '../shared/theme';
import { ChatList } from './chat_list';
import { servedModels } from './completion';
import { ConsentForm } from './consent';
import { currentId, load } from './conversations';
import { asJson, asMarkdown, fileName } from './export';
import { keyForm } from './key_form';
import { SettingsForm } from './settings';
import { Talk } from './talk';

const input = byId<HTMLTextAreaElement>('input');
const gate = byId<HTMLDivElement>('gate');
const keys = new KeyStore('hadal.key');
const examples = [
  'What does the word brave mean?',
  'Repeat these words: river, stone, lamp',
  'What day comes after Monday?',
  'Tell me a short story about a rabbit.',
];

const settings = new SettingsForm(showModel);
const talk = new Talk(settings, { key: () => keys.key, changed: refresh, keyRefused: askForKey });
const consent = new ConsentForm(() => keys.key, (word) => {
  talk.feedback.heed(word, keys.key);
  talk.showFeedback();
});
const chats = byId<HTMLElement>('chats');
const chatsToggle = byId<HTMLButtonElement>('chats-toggle');
const chatList = new ChatList(byId('chat-list'), {
  open: (id) => {
    const found = load(id);
    if (found) talk.open(found);
    if (matchMedia('(max-width: 60rem)').matches) showChats(false);
  },
  renamed: (id, title) => {
    if (id === talk.current.id) talk.current.title = title;
  },
  removed: (id) => {
    if (id === talk.current.id) talk.open();
  },
});

function refresh(): void {
  byId('welcome').hidden = !talk.empty;
  byId('stop').hidden = !talk.busy;
  byId('send').hidden = talk.busy;
  byId<HTMLButtonElement>('send').disabled = input.value.trim() === '';
  for (const id of ['export-markdown', 'export-json']) byId<HTMLButtonElement>(id).disabled = talk.empty;
  if (!chats.hidden) chatList.show(talk.current.id);
}

// ---- The message box ----

function fitInput(): void {
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight}px`;
  refresh();
}

function send(text: string): void {
  if (talk.busy || text.trim() === '') return;
  input.value = '';
  fitInput();
  talk.send(text);
}

function stop(): void {
  talk.stop();
  input.focus();
}

byId<HTMLFormElement>('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  send(input.value);
});
input.addEventListener('input', fitInput);
input.addEventListener('keydown', (event) => {
  // isComposing: Enter that ends a word in an input method is not a send.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send(input.value);
});
byId('stop').addEventListener('click', stop);
byId('new-chat').addEventListener('click', () => {
  talk.open();
  input.focus();
});
for (const text of examples) {
  const example = make('button', { type: 'button', class: 'example' }, text);
  example.addEventListener('click', () => {
    send(text);
    input.focus();
  });
  byId('examples').append(example);
}

// ---- Conversations ----

function showChats(shown: boolean): void {
  chats.hidden = !shown;
  chatsToggle.setAttribute('aria-expanded', String(shown));
  if (shown) chatList.show(talk.current.id);
}

chatsToggle.addEventListener('click', () => showChats(chats.hidden));
byId('export-markdown').addEventListener('click', () =>
  download(fileName(talk.current, 'md'), 'text/markdown', asMarkdown(talk.current)));
byId('export-json').addEventListener('click', () =>
  download(fileName(talk.current, 'json'), 'application/json', asJson(talk.current)));

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing) return;
  if (talk.busy) {
    stop();
  } else if (settings.shown) {
    settings.shown = false;
    settings.focusToggle();
  } else if (!chats.hidden) {
    showChats(false);
    chatsToggle.focus();
  }
});

// ---- The server: its models, and the key that it may ask for ----

let contexts = new Map<string, number>();

function showModel(): void {
  const name = settings.modelName;
  byId('model').textContent = name;
  document.title = name === '' ? 'Hadal' : `Hadal · ${name}`;
  talk.history.setContext(contexts.get(name) ?? 0);
}

// What becomes of feedback; an operator, or another page of the owner's, may have changed it.
async function learnConsent(): Promise<void> {
  consent.show(await talk.feedback.learn(keys.key));
  talk.showFeedback();
}

byId('settings-toggle').addEventListener('click', () => void learnConsent());

// Throws ApiError.
async function connect(): Promise<void> {
  const models = await servedModels(keys.key);
  contexts = new Map(models.map(({ name, contextTokens }) => [name, contextTokens]));
  settings.offerModels(models);
  showModel();
  await learnConsent();
  byId('forget-key').hidden = keys.key === '';
}

function askForKey(message: string, again?: () => void): void {
  const words = keys.key === '' ? 'This server asks for an API key. Whoever runs it can make you one.' : message;
  gate.replaceChildren(keyForm(words, async (key, keep) => {
    keys.set(key, keep);
    try {
      await connect();
    } catch (error) {
      keys.forget();
      return error instanceof Error ? error.message : String(error);
    }
    again?.();
    input.focus();
    return '';
  }));
  gate.querySelector('input')?.focus();
}

byId('forget-key').addEventListener('click', () => {
  keys.forget();
  location.reload();
});

async function begin(): Promise<void> {
  try {
    await connect();
  } catch (error) {
    const refused = error instanceof ApiError && error.status === 401;
    byId('model').textContent = refused ? 'key needed' : 'not connected';
    if (refused) askForKey(error.message);
  }
}

setUpTheme(byId<HTMLButtonElement>('theme'));
talk.open(load(currentId()) ?? undefined);
refresh();
input.focus();
void begin();
