// The conversation on the page: asks, shows what comes, and keeps it.
import { ApiError } from '../shared/api';
import { byId } from '../shared/dom';
import { streamChat, type ChatResult } from './completion';
import { newConversation, save, setCurrentId, type Conversation } from './conversations';
import { Feedback } from './feedback';
import { History } from './history';
import { errorView, MessageView } from './message_view';
import { openCalls, toWire, type StoredMessage } from './messages';
import type { SettingsForm } from './settings';
import { toolForm } from './tool_form';

export interface TalkEvents {
  key: () => string;
  changed: () => void; // what runs, what is said, or what is kept
  keyRefused: (message: string, again: () => void) => void; // 401
}

function noteOf(result: ChatResult & { trimmed: boolean }, longest: number, seconds: number): string {
  const tokens = result.completionTokens;
  const parts: string[] = [];
  if (tokens > 0) parts.push(`${tokens} tokens`);
  if (tokens > 1 && seconds > 0) parts.push(`${Math.round(tokens / seconds)} tokens/s`);
  if (result.finishReason === 'length') parts.push(tokens < longest ? 'the model can hold no more' : 'reached the longest answer');
  if (result.trimmed) parts.push('the oldest messages no longer fit and were left out');
  return parts.join(' · ');
}

export class Talk {
  readonly history = new History();
  readonly feedback = new Feedback();
  private conversation = newConversation();
  private running: AbortController | null = null;
  private following = true;
  private readonly answers = new Map<StoredMessage, MessageView>(); // that have their feedback
  private readonly scroller = byId<HTMLElement>('scroller');
  private readonly list = byId<HTMLDivElement>('messages');
  private readonly status = byId<HTMLParagraphElement>('status');

  constructor(
    private readonly settings: SettingsForm,
    private readonly events: TalkEvents,
  ) {
    // Stay at the end, unless the person has scrolled up to read.
    this.scroller.addEventListener('scroll', () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      this.following = scrollHeight - scrollTop - clientHeight < 48;
    });
  }

  get current(): Conversation {
    return this.conversation;
  }
  get empty(): boolean {
    return this.conversation.messages.length === 0;
  }
  get busy(): boolean {
    return this.running !== null;
  }

  // Stops what runs, and shows another conversation; a new one without.
  open(conversation: Conversation = newConversation()): void {
    this.running?.abort();
    this.running = null;
    this.conversation = conversation;
    setCurrentId(conversation.id);
    this.following = true;
    this.status.textContent = '';
    this.showAll();
    this.events.changed();
  }

  showAll(): void {
    const { messages } = this.conversation;
    this.list.replaceChildren();
    this.answers.clear();
    for (const message of messages) this.show(message);
    const last = messages[messages.length - 1];
    if (this.busy) return;
    if (openCalls(messages).length > 0) this.askForResults();
    else if (last?.role === 'user' || last?.role === 'tool') {
      this.add(errorView('This page was closed before the answer was complete.', [{ label: 'Ask again', run: () => void this.answer() }]));
    }
  }

  send(text: string): void {
    if (this.busy || text.trim() === '') return;
    this.following = true;
    this.clearForms();
    for (const call of openCalls(this.conversation.messages)) {
      this.push({ role: 'tool', tool_call_id: call.id, content: '(no result)' });
    }
    this.push({ role: 'user', content: text.trim() });
    void this.answer();
  }

  stop(): void {
    this.running?.abort();
  }

  private clearForms(): void {
    for (const form of this.list.querySelectorAll('.error, .tool-form, .key-form')) form.remove();
  }

  private add(element: HTMLElement): void {
    this.list.append(element);
    this.follow();
  }

  private follow(): void {
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  private show(message: StoredMessage): MessageView {
    const { messages } = this.conversation;
    const called = messages.flatMap((other) => other.tool_calls ?? []).find((call) => call.id === message.tool_call_id);
    const view = new MessageView(message, called?.function.name ?? 'a tool');
    if (message.role === 'assistant') this.addFeedback(view, message);
    this.add(view.element);
    return view;
  }

  // Again, now that another fate of it is known; what the person is typing stays.
  showFeedback(): void {
    for (const [message, view] of this.answers) {
      view.element.querySelector('.feedback')?.remove();
      this.addFeedback(view, message);
    }
  }

  private addFeedback(view: MessageView, message: StoredMessage): void {
    const { conversation } = this;
    this.answers.set(message, view);
    view.addToFoot(this.feedback.buttons(message, () => conversation.messages, this.events.key, () => save(conversation)));
  }

  // Says what goes into the conversation at once, and keeps it: a reload while the answer comes keeps the question.
  private push(message: StoredMessage): MessageView {
    this.conversation.messages.push(message);
    this.conversation.updated = Date.now();
    this.keep();
    return this.show(message);
  }

  private keep(): void {
    if (!save(this.conversation)) this.status.textContent = 'This browser has no room left: delete conversations that you no longer need.';
    this.events.changed();
  }

  private askForResults(): void {
    const calls = openCalls(this.conversation.messages);
    this.add(toolForm(calls, (results) => {
      calls.forEach((call, i) => this.push({ role: 'tool', tool_call_id: call.id, content: results[i] ?? '' }));
      void this.answer();
    }));
  }

  private async answer(): Promise<void> {
    const { conversation } = this;
    const { messages } = conversation;
    let parameters: Record<string, unknown>;
    try {
      parameters = this.settings.parameters();
    } catch (error) {
      this.add(errorView(`The tools in the settings: ${(error as Error).message}`, [{ label: 'Try again', run: () => void this.answer() }]));
      return;
    }
    const controller = new AbortController();
    this.running = controller;
    const said = messages.map(toWire);
    const reply: StoredMessage = { role: 'assistant', content: '', model: this.settings.modelName };
    messages.push(reply);
    const view = new MessageView(reply);
    view.busy = true;
    this.add(view.element);
    this.events.changed();
    this.status.textContent = 'Answering';
    const longest = this.settings.maxTokens;
    const system = this.settings.system === '' ? [] : [{ role: 'system' as const, content: this.settings.system }];
    const started = performance.now();
    const grown = (): void => view.grown(() => this.follow());
    let failure: unknown = null;
    try {
      const result = await this.history.send(said, longest, (fitting) => {
        Object.assign(reply, { content: '', reasoning_content: undefined, tool_calls: undefined });
        return streamChat([...system, ...fitting], {
          key: this.events.key(),
          parameters,
          signal: controller.signal,
          onText: (text) => {
            if (reply.reasoning_content) reply.thoughtSeconds ??= (performance.now() - started) / 1000;
            reply.content += text;
            grown();
          },
          onReasoning: (text) => {
            reply.reasoning_content = (reply.reasoning_content ?? '') + text;
            grown();
          },
          onToolCalls: (calls) => {
            reply.tool_calls = calls;
            grown();
          },
        });
      });
      reply.requestId = result.requestId;
      if (reply.reasoning_content) reply.thoughtSeconds ??= (performance.now() - started) / 1000;
      view.setNote(noteOf(result, longest, (performance.now() - started) / 1000));
      this.status.textContent = 'Answer complete';
    } catch (error) {
      if (!controller.signal.aborted) {
        failure = error;
      } else {
        delete reply.tool_calls; // half a call is none
        view.setNote('stopped');
        this.status.textContent = 'Stopped';
      }
    }
    view.busy = false;
    if (this.running === controller) this.running = null;
    this.finish(conversation, reply, view, failure, controller.signal.aborted);
  }

  private finish(conversation: Conversation, reply: StoredMessage, view: MessageView, failure: unknown, stopped: boolean): void {
    const nothing = reply.content === '' && !reply.reasoning_content && !reply.tool_calls;
    if (failure !== null || (stopped && nothing)) conversation.messages.splice(conversation.messages.indexOf(reply), 1);
    conversation.updated = Date.now();
    if (this.conversation !== conversation) { // another one was opened meanwhile
      save(conversation);
      return;
    }
    if (nothing) view.element.remove();
    if (failure !== null) this.fail(failure, view);
    else if (!nothing) this.addFeedback(view, reply);
    this.keep();
    if (failure === null && !stopped && openCalls(conversation.messages).length > 0) this.askForResults();
    this.follow();
  }

  // What came of a broken answer stays on the page only if there is something to read.
  private fail(error: unknown, view: MessageView): void {
    const again = (): void => {
      view.element.remove();
      void this.answer();
    };
    this.status.textContent = '';
    const words = error instanceof Error ? error.message : String(error);
    if (error instanceof ApiError && error.status === 401) return this.events.keyRefused(words, again);
    const retry = { label: 'Try again', run: again };
    const fresh = { label: 'New chat', run: () => this.open() };
    const tooLong = error instanceof ApiError && error.code === 'context_length_exceeded';
    this.add(errorView(words, tooLong ? [fresh] : [retry, fresh]));
  }
}
