// What the person chooses: model and parameters, kept in this browser.
import { byId, make } from '../shared/dom';
import { read, write } from '../shared/store';
import type { ServedModel } from './completion';

interface Settings {
  model: string; // empty: the server's own choice
  temperature: number;
  topP: number;
  maxTokens: number;
  seed: string;
  form: 'text' | 'json';
  system: string;
  tools: string; // JSON, as the person wrote it
}

const kDefaults: Settings = { model: '', temperature: 0.7, topP: 1, maxTokens: 1024, seed: '', form: 'text', system: '', tools: '' };

// The tools of a request: a list of definitions, or of bare functions. Throws Error with words for the person.
export function parseTools(text: string): unknown[] {
  if (text.trim() === '') return [];
  let tools: unknown;
  try {
    tools = JSON.parse(text);
  } catch {
    throw new Error('This is not JSON.');
  }
  if (!Array.isArray(tools)) throw new Error('A JSON array of functions is expected.');
  return tools.map((tool: { type?: string; name?: string; function?: { name?: string } } | null, i) => {
    const definition = typeof tool?.name === 'string' && !tool.function ? { type: 'function', function: tool } : tool;
    const name = definition && 'function' in definition ? definition.function?.name : undefined;
    if (typeof name !== 'string' || name === '') throw new Error(`Tool ${i + 1} has no name.`);
    return definition;
  });
}

export class SettingsForm {
  private readonly settings: Settings = { ...kDefaults, ...read<Partial<Settings>>('browser', 'hadal.settings', {}) };
  private readonly form = byId<HTMLFormElement>('settings');
  private readonly toggle = byId<HTMLButtonElement>('settings-toggle');
  private readonly model = byId<HTMLSelectElement>('model-choice');
  private readonly temperature = byId<HTMLInputElement>('temperature');
  private readonly topP = byId<HTMLInputElement>('top-p');
  private readonly maxTokens_ = byId<HTMLSelectElement>('max-tokens');
  private readonly seed = byId<HTMLInputElement>('seed');
  private readonly answerForm = byId<HTMLSelectElement>('answer-form');
  private readonly system_ = byId<HTMLTextAreaElement>('system');
  private readonly tools = byId<HTMLTextAreaElement>('tools');
  private readonly toolsTrouble = byId<HTMLElement>('tools-trouble');

  constructor(private readonly changed: () => void) {
    const { settings } = this;
    this.temperature.value = String(settings.temperature);
    this.topP.value = String(settings.topP);
    this.maxTokens_.value = String(settings.maxTokens);
    this.seed.value = settings.seed;
    this.answerForm.value = settings.form;
    this.system_.value = settings.system;
    this.tools.value = settings.tools;
    this.toggle.addEventListener('click', () => (this.shown = !this.shown));
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.form.addEventListener('input', () => this.take());
    this.show();
  }

  get shown(): boolean {
    return !this.form.hidden;
  }
  set shown(shown: boolean) {
    this.form.hidden = !shown;
    this.toggle.setAttribute('aria-expanded', String(shown));
  }
  focusToggle(): void {
    this.toggle.focus();
  }

  get maxTokens(): number {
    return this.settings.maxTokens;
  }
  get system(): string {
    return this.settings.system.trim();
  }
  // The chosen model's name; empty: the server's own choice.
  get modelName(): string {
    return this.model.value;
  }

  offerModels(models: ServedModel[]): void {
    this.model.replaceChildren(...models.map(({ name }) => make('option', { value: name }, name)));
    if (models.some(({ name }) => name === this.settings.model)) this.model.value = this.settings.model;
    this.model.disabled = models.length < 2;
  }

  // For the request. Throws Error where the tools are wrong.
  parameters(): Record<string, unknown> {
    const { temperature, topP, maxTokens, seed, form } = this.settings;
    const tools = parseTools(this.settings.tools);
    return {
      ...(this.model.value !== '' ? { model: this.model.value } : {}),
      temperature,
      ...(topP < 1 ? { top_p: topP } : {}),
      max_tokens: maxTokens,
      ...(/^\d+$/.test(seed) ? { seed: Number(seed) } : {}),
      ...(form === 'json' ? { response_format: { type: 'json_object' } } : {}),
      ...(tools.length > 0 ? { tools } : {}),
    };
  }

  private take(): void {
    Object.assign(this.settings, {
      model: this.model.value,
      temperature: Number(this.temperature.value),
      topP: Number(this.topP.value),
      maxTokens: Number(this.maxTokens_.value),
      seed: this.seed.value.trim(),
      form: this.answerForm.value === 'json' ? 'json' : 'text',
      system: this.system_.value,
      tools: this.tools.value,
    } satisfies Settings);
    write('browser', 'hadal.settings', this.settings);
    this.show();
    this.changed();
  }

  private show(): void {
    byId<HTMLOutputElement>('temperature-value').textContent = this.settings.temperature.toFixed(1);
    byId<HTMLOutputElement>('top-p-value').textContent = this.settings.topP.toFixed(2);
    let trouble = '';
    try {
      parseTools(this.settings.tools);
    } catch (error) {
      trouble = (error as Error).message;
    }
    this.toolsTrouble.textContent = trouble;
  }
}
