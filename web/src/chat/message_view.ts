// One message on the page.
import { copyText } from '../shared/clipboard';
import { button, make } from '../shared/dom';
import { renderMarkdown } from './markdown';
import type { StoredMessage, ToolCall } from './messages';

function copyButton(label: string, text: () => string): HTMLButtonElement {
  const element = button('Copy', async () => {
    const copied = await copyText(text());
    element.textContent = copied ? 'Copied' : 'Not copied';
    setTimeout(() => (element.textContent = 'Copy'), 1600);
  }, { class: 'copy', 'aria-label': label });
  return element;
}

// JSON with line breaks; what is not (yet) JSON as it is.
export function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

function callView(call: ToolCall): HTMLElement {
  return make('details', { class: 'call', open: true },
    make('summary', {}, 'Calls ', make('code', {}, call.function.name || '…')),
    make('pre', {}, make('code', {}, pretty(call.function.arguments))));
}

export class MessageView {
  readonly element = make('article');
  private readonly body = make('div', { class: 'body' });
  private readonly reasoning = make('details', { class: 'reasoning' });
  private readonly reasoningTitle = make('summary');
  private readonly reasoningText = make('div', { class: 'thoughts' });
  private readonly calls = make('div', { class: 'calls' });
  private readonly foot = make('div', { class: 'foot' });
  private readonly note = make('span', { class: 'note' });
  private readonly copy = copyButton('Copy this answer', () => this.message.content);
  private frame = 0;

  // `tool`: the function's name, where the message is a tool's result.
  constructor(
    private readonly message: StoredMessage,
    tool = '',
  ) {
    const { role } = message;
    this.element.className = `message ${role}`;
    this.element.setAttribute('aria-label', role === 'user' ? 'You' : role === 'tool' ? `Result of ${tool}` : 'Hadal');
    if (role === 'assistant') {
      this.reasoning.append(this.reasoningTitle, this.reasoningText);
      this.foot.append(this.copy, this.note);
      this.element.append(this.reasoning, this.body, this.calls, this.foot);
    } else {
      if (role === 'tool') this.element.append(make('p', { class: 'what' }, 'Result of ', make('code', {}, tool)));
      this.element.append(this.body);
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

  // The message has grown. That comes faster than a screen shows it: at most one rendering a frame.
  grown(shown: () => void): void {
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

  // Beside the copy button.
  addToFoot(element: HTMLElement): void {
    this.note.before(element);
  }

  render(): void {
    const { role, content, note } = this.message;
    this.note.textContent = note ?? '';
    if (role !== 'assistant') {
      this.body.textContent = content;
      return;
    }
    this.renderReasoning();
    this.body.replaceChildren(renderMarkdown(content));
    this.calls.replaceChildren(...(this.message.tool_calls ?? []).map(callView));
    this.foot.hidden = this.busy;
    this.copy.hidden = content === '';
    if (this.busy) return;
    for (const block of this.body.querySelectorAll('pre')) {
      const frame = make('div', { class: 'code' });
      block.replaceWith(frame);
      frame.append(block, copyButton('Copy this code', () => block.textContent ?? ''));
    }
  }

  private renderReasoning(): void {
    const { reasoning_content: reasoning, content, thoughtSeconds } = this.message;
    this.reasoning.hidden = !reasoning;
    const thinking = this.busy && content === '' && !this.message.tool_calls;
    this.reasoning.classList.toggle('thinking', thinking);
    this.reasoningTitle.textContent = thinking ? 'Thinking …'
      : thoughtSeconds === undefined ? 'Reasoning' : `Thought for ${thoughtSeconds < 10 ? thoughtSeconds.toFixed(1) : Math.round(thoughtSeconds)} s`;
    this.reasoningText.textContent = reasoning ?? '';
  }
}

// What went wrong, with a way on.
export function errorView(text: string, actions: { label: string; run: () => void }[]): HTMLElement {
  const element = make('div', { class: 'error', role: 'alert' }, make('p', {}, text));
  for (const action of actions) {
    element.append(button(action.label, () => {
      element.remove();
      action.run();
    }));
  }
  return element;
}
