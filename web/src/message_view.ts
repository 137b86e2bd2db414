// One message on the page.
import { copyText } from './clipboard';
import { renderMarkdown } from './markdown';
import type { StoredMessage } from './store';

function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', label);
  button.addEventListener('click', async () => {
    const copied = await copyText(text());
    button.textContent = copied ? 'Copied' : 'Not copied';
    setTimeout(() => (button.textContent = 'Copy'), 1600);
  });
  return button;
}

export class MessageView {
  readonly element = document.createElement('article');
  private readonly body = document.createElement('div');
  private readonly foot = document.createElement('div');
  private readonly note = document.createElement('span');
  private frame = 0;

  constructor(private readonly message: StoredMessage) {
    const who = message.role === 'user' ? 'You' : 'Hadal';
    this.element.className = `message ${message.role}`;
    this.element.setAttribute('aria-label', who);
    this.body.className = 'body';
    this.foot.className = 'foot';
    this.note.className = 'note';
    this.element.append(this.body);
    if (message.role === 'assistant') {
      this.foot.append(copyButton('Copy this answer', () => this.message.content), this.note);
      this.element.append(this.foot);
    }
    this.render();
  }

  get busy(): boolean {
    return this.element.classList.contains('busy');
  }

  // While busy, a screen reader waits with reading out.
  set busy(busy: boolean) {
    this.element.classList.toggle('busy', busy);
    this.element.setAttribute('aria-busy', String(busy));
    this.render();
  }

  // Text comes faster than a screen shows it: at most one rendering a frame.
  append(text: string, shown: () => void): void {
    this.message.content += text;
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render();
      shown();
    });
  }

  setNote(note: string): void {
    this.message.note = note;
    this.note.textContent = note;
  }

  render(): void {
    const { role, content, note } = this.message;
    this.note.textContent = note ?? '';
    if (role === 'user') {
      this.body.textContent = content;
      return;
    }
    this.body.replaceChildren(renderMarkdown(content));
    this.foot.hidden = this.busy;
    if (this.busy) return;
    for (const block of this.body.querySelectorAll('pre')) {
      const frame = document.createElement('div');
      frame.className = 'code';
      block.replaceWith(frame);
      frame.append(block, copyButton('Copy this code', () => block.textContent ?? ''));
    }
  }
}

// What went wrong, with a way on.
export function errorView(text: string, actions: { label: string; run: () => void }[]): HTMLElement {
  const element = document.createElement('div');
  element.className = 'error';
  element.setAttribute('role', 'alert');
  const words = document.createElement('p');
  words.textContent = text;
  element.append(words);
  for (const action of actions) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'button';
    button.textContent = action.label;
    button.addEventListener('click', () => {
      element.remove();
      action.run();
    });
    element.append(button);
  }
  return element;
}
