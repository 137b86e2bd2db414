// Dialogs about a key: make or change one, and show a secret, once.
import { copyText } from '../shared/clipboard';
import { button, make } from '../shared/dom';
import type { Key, KeySettings, Limits } from './admin';

interface Field {
  element: HTMLElement;
  value: () => string;
}

function field(label: string, value: string, hint = '', attributes: Record<string, string> = {}): Field {
  const input = make('input', { type: 'text', value, autocomplete: 'off', ...attributes });
  return { element: make('label', {}, make('span', {}, label), input, make('small', {}, hint)), value: () => input.value.trim() };
}

function check(label: string, on: boolean): { element: HTMLElement; on: () => boolean } {
  const input = make('input', { type: 'checkbox', checked: on });
  return { element: make('label', { class: 'check' }, input, label), on: () => input.checked };
}

export function openDialog(title: string, ...content: Node[]): HTMLDialogElement {
  const dialog = make('dialog', { class: 'dialog', 'aria-label': title }, make('h2', {}, title), ...content);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// A form in a dialog. `act` rejects with words for the person; the dialog stays then.
export function formDialog(title: string, action: string, fields: Node[], act: () => Promise<void>): void {
  const trouble = make('p', { class: 'bad', role: 'alert' });
  const submit = button(action, () => {}, { type: 'submit', class: 'button primary' });
  const form = make('form', { class: 'fields' }, ...fields, trouble);
  const dialog = openDialog(title, form);
  form.append(make('div', { class: 'actions' }, button('Cancel', () => dialog.close()), submit));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit.disabled = true;
    act().then(
      () => dialog.close(),
      (error: unknown) => {
        submit.disabled = false;
        trouble.textContent = error instanceof Error ? error.message : String(error);
      },
    );
  });
}

// Empty: no limit. Throws Error for what is not a number.
function wholeNumber(name: string, text: string): number | null {
  if (text === '') return null;
  const value = Number(text.replace(/[_ ]/g, ''));
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${name}: a whole number is expected, or nothing`);
  return value;
}

function amount(name: string, text: string): string | null {
  if (text === '') return null;
  if (!/^\d+(\.\d+)?$/.test(text)) throw new Error(`${name}: an amount such as 10.00 is expected`);
  return text;
}

const text = (value: number | string | null | undefined): string => (value === null || value === undefined ? '' : String(value));

// Makes a key, or changes `key`.
export function keyDialog(key: Key | null, currency: string, models: string[], save: (settings: KeySettings) => Promise<void>): void {
  const name = field('Name', key?.name ?? '', 'Whose it is', { required: '', maxlength: '100' });
  const concurrency = field('Requests at once', text(key?.limits.concurrency), 'Nothing: no limit', { inputmode: 'numeric' });
  const perMinute = field('Tokens per minute', text(key?.limits.tokens_per_minute), '', { inputmode: 'numeric' });
  const daily = field('Tokens per day', text(key?.limits.daily_tokens), '', { inputmode: 'numeric' });
  const monthly = field(`Spending per month, ${currency}`, text(key?.limits.monthly_spend), '', { inputmode: 'decimal' });
  const priority = field('Priority', text(key?.priority ?? 0), '-100 to 100, larger first', { inputmode: 'numeric' });
  const allowed = field('Models', key?.models.join(', ') ?? '', `Nothing: all. There are: ${models.join(', ')}`);
  const credit = field(`Credit to begin with, ${currency}`, '', '', { inputmode: 'decimal' });
  const postpaid = check('May spend without credit', key?.postpaid ?? false);
  const consent = check('Its owner lets feedback be stored, with the conversation', key?.consent ?? false);
  const admin = check('An admin: may use this console', false);
  const fields = [name, concurrency, perMinute, daily, monthly, priority, allowed].map(({ element }) => element);
  if (!key) fields.push(credit.element);
  fields.push(postpaid.element, consent.element);
  if (!key) fields.push(admin.element);
  formDialog(key ? `Change “${key.name}”` : 'New key', key ? 'Save' : 'Make the key', fields, async () => {
    const limits: Limits = {
      concurrency: wholeNumber('Requests at once', concurrency.value()),
      tokens_per_minute: wholeNumber('Tokens per minute', perMinute.value()),
      daily_tokens: wholeNumber('Tokens per day', daily.value()),
      monthly_spend: amount('Spending per month', monthly.value()),
    };
    const first = amount('Credit', credit.value());
    const wanted = Number(priority.value() || '0');
    if (!Number.isInteger(wanted)) throw new Error('Priority: a whole number is expected');
    await save({
      name: name.value(),
      limits,
      priority: wanted,
      models: allowed.value().split(/[\s,]+/).filter((model) => model !== ''),
      postpaid: postpaid.on(),
      consent: consent.on(),
      ...(key ? {} : { admin: admin.on(), ...(first === null ? {} : { credit: first }) }),
    });
  });
}

// The only time that a secret is seen.
export function secretDialog(name: string, secret: string): void {
  const shown = make('input', { type: 'text', value: secret, readonly: true, class: 'secret', 'aria-label': 'The secret' });
  const copy = button('Copy', async () => {
    copy.textContent = (await copyText(secret)) ? 'Copied' : 'Not copied';
  }, { class: 'button primary' });
  const dialog = openDialog(`The secret of “${name}”`,
    make('p', {}, 'It is shown here, and never again: the server keeps only its hash.'),
    make('div', { class: 'line' }, shown, copy),
    make('div', { class: 'actions' }, button('Done', () => dialog.close())));
  shown.select();
}
