// The chat page: wires the message box, the conversation and the server together.
import { ApiError, servedModel, streamChat, type ChatResult } from './api';
import { History } from './history';
import { errorView, MessageView } from './message_view';
import { loadMessages, loadSettings, saveMessages, saveSettings, type StoredMessage } from './store';
import { setUpTheme } from './theme';

function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing from index.html`);
  return element as T;
}

const scroller = byId<HTMLElement>('scroller');
const welcome = byId<HTMLElement>('welcome');
const list = byId<HTMLDivElement>('messages');
const input = byId<HTMLTextAreaElement>('input');
const sendButton = byId<HTMLButtonElement>('send');
const stopButton = byId<HTMLButtonElement>('stop');
const status = byId<HTMLParagraphElement>('status');

const examples = [
  'What does the word brave mean?',
  'Repeat these words: river, stone, lamp',
  'What day comes after Monday?',
  'Tell me a short story about a rabbit.',
];

let messages: StoredMessage[] = loadMessages();
const settings = loadSettings();
const memory = new History();
let running: AbortController | null = null;

// ---- Scrolling: stay at the end, unless the person has scrolled up to read ----

let following = true;
scroller.addEventListener('scroll', () => {
  following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
});
function follow(): void {
  if (following) scroller.scrollTop = scroller.scrollHeight;
}

// ---- Showing ----

function add(element: HTMLElement): void {
  list.append(element);
  follow();
}

function refresh(): void {
  welcome.hidden = messages.length > 0;
  stopButton.hidden = running === null;
  sendButton.hidden = running !== null;
  sendButton.disabled = input.value.trim() === '';
}

function fitInput(): void {
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight}px`;
  refresh();
}

// ---- Talking ----

function send(text: string): void {
  if (running || text.trim() === '') return;
  const message: StoredMessage = { role: 'user', content: text.trim() };
  messages.push(message);
  saveMessages(messages); // a reload while the answer comes keeps the question
  input.value = '';
  fitInput();
  following = true;
  for (const error of list.querySelectorAll('.error')) error.remove();
  add(new MessageView(message).element);
  void answer();
}

function noteOf(result: ChatResult & { trimmed: boolean }, longest: number, seconds: number): string {
  const tokens = result.completionTokens;
  const parts: string[] = [];
  if (tokens > 0) parts.push(`${tokens} tokens`);
  if (tokens > 1 && seconds > 0) parts.push(`${Math.round(tokens / seconds)} tokens/s`);
  if (result.finishReason === 'length') {
    parts.push(tokens < longest ? 'the model can hold no more' : 'reached the longest answer');
  }
  if (result.trimmed) parts.push('the oldest messages no longer fit and were left out');
  return parts.join(' · ');
}

async function answer(): Promise<void> {
  const conversation = messages;
  const controller = new AbortController();
  running = controller;
  const reply: StoredMessage = { role: 'assistant', content: '' };
  const view = new MessageView(reply);
  view.busy = true;
  const longest = settings.maxTokens;
  const said = conversation.map(({ role, content }) => ({ role, content }));
  conversation.push(reply);
  add(view.element);
  refresh();
  status.textContent = 'Answering';
  const started = performance.now();
  let failure: unknown = null;
  try {
    const result = await memory.send(said, longest, (fitting) =>
      streamChat(fitting, {
        temperature: settings.temperature,
        maxTokens: longest,
        signal: controller.signal,
        onText: (text) => view.append(text, follow),
      }),
    );
    view.setNote(noteOf(result, longest, (performance.now() - started) / 1000));
    status.textContent = 'Answer complete';
  } catch (error) {
    if (controller.signal.aborted) {
      view.setNote('stopped');
      status.textContent = 'Stopped';
    } else {
      failure = error;
    }
  }
  view.busy = false;
  if (running === controller) running = null;
  if (messages !== conversation) return; // a new chat began meanwhile
  if (failure !== null) {
    fail(failure, view, reply);
  } else if (reply.content === '' && controller.signal.aborted) {
    messages.pop();
    view.element.remove();
  }
  saveMessages(messages);
  refresh();
  follow();
}

function fail(error: unknown, view: MessageView, reply: StoredMessage): void {
  const code = error instanceof ApiError ? error.code : '';
  const words = error instanceof Error ? error.message : String(error);
  status.textContent = '';
  messages.pop(); // what came of a broken answer stays on the page only if there is something to read
  if (reply.content === '') view.element.remove();
  const retry = {
    label: 'Try again',
    run: () => {
      view.element.remove();
      void answer();
    },
  };
  const fresh = { label: 'New chat', run: newChat };
  add(errorView(words, code === 'context_length_exceeded' ? [fresh] : [retry, fresh]));
}

function stop(): void {
  running?.abort();
  input.focus();
}

function newChat(): void {
  running?.abort();
  running = null;
  messages = [];
  saveMessages(messages);
  list.replaceChildren();
  status.textContent = 'New chat';
  following = true;
  refresh();
  input.focus();
}

// ---- Wiring ----

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
stopButton.addEventListener('click', stop);
byId<HTMLButtonElement>('new-chat').addEventListener('click', newChat);

const settingsForm = byId<HTMLFormElement>('settings');
const settingsToggle = byId<HTMLButtonElement>('settings-toggle');
function showSettings(shown: boolean): void {
  settingsForm.hidden = !shown;
  settingsToggle.setAttribute('aria-expanded', String(shown));
}
settingsToggle.addEventListener('click', () => showSettings(settingsForm.hidden));
const temperature = byId<HTMLInputElement>('temperature');
const temperatureValue = byId<HTMLOutputElement>('temperature-value');
const maxTokens = byId<HTMLSelectElement>('max-tokens');
temperature.value = String(settings.temperature);
temperatureValue.textContent = settings.temperature.toFixed(1);
maxTokens.value = String(settings.maxTokens);
settingsForm.addEventListener('submit', (event) => event.preventDefault());
settingsForm.addEventListener('input', () => {
  settings.temperature = Number(temperature.value);
  settings.maxTokens = Number(maxTokens.value);
  temperatureValue.textContent = settings.temperature.toFixed(1);
  saveSettings(settings);
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || event.isComposing) return;
  if (running) {
    stop();
  } else if (!settingsForm.hidden) {
    showSettings(false);
    settingsToggle.focus();
  }
});

for (const text of examples) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'example';
  button.textContent = text;
  button.addEventListener('click', () => {
    send(text);
    input.focus();
  });
  byId<HTMLDivElement>('examples').append(button);
}

setUpTheme(byId<HTMLButtonElement>('theme'));
for (const message of messages) list.append(new MessageView(message).element);
if (messages[messages.length - 1]?.role === 'user') {
  const ask = { label: 'Ask again', run: () => void answer() };
  add(errorView('This page was closed before the answer was complete.', [ask]));
}
refresh();
follow();
input.focus();
servedModel()
  .then(({ name, contextTokens }) => {
    memory.setContext(contextTokens);
    byId<HTMLSpanElement>('model').textContent = name;
    document.title = `Hadal · ${name}`;
  })
  .catch(() => {
    byId<HTMLSpanElement>('model').textContent = 'not connected';
  });
