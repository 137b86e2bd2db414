// Keys: what each may do and has done; make, change, top up, rotate, revoke.
import { callJson } from '../shared/api';
import { button, make } from '../shared/dom';
import { adminKey, changeKey, createKey, creditKey, listKeys, revokeKey, rotateKey, type Key } from './admin';
import { count, money, when } from './format';
import { formDialog, keyDialog, secretDialog } from './key_dialog';
import { table } from './table';

function limitsOf(key: Key): string {
  const { concurrency, tokens_per_minute, daily_tokens, monthly_spend } = key.limits;
  const parts: string[] = [];
  if (concurrency !== null) parts.push(`${concurrency} at once`);
  if (tokens_per_minute !== null) parts.push(`${count(tokens_per_minute)} tokens/min`);
  if (daily_tokens !== null) parts.push(`${count(daily_tokens)} tokens/day`);
  if (monthly_spend !== null) parts.push(`${money(monthly_spend)} a month`);
  if (key.models.length > 0) parts.push(key.models.join(', '));
  if (key.priority !== 0) parts.push(`priority ${key.priority}`);
  return parts.length > 0 ? parts.join(' · ') : 'none';
}

const todayOf = (key: Key): HTMLElement => make('div', {},
  `${count(key.today.requests)} requests`, make('br'), make('small', {}, `${count(key.today.tokens)} tokens`));

const usedOf = (key: Key): string =>
  key.running > 0 ? `now: ${key.running} running` : key.last_used_at === null ? 'never' : when(key.last_used_at);

function nameOf(key: Key): HTMLElement {
  const marks = [key.revoked ? 'revoked' : '', key.admin ? 'admin' : '', key.consent ? 'feedback' : '', key.postpaid ? 'postpaid' : '']
    .filter((mark) => mark !== '').map((mark) => make('span', { class: `mark-${mark} tag` }, mark));
  return make('div', { class: 'key-name' }, make('b', {}, key.name), make('code', {}, `${key.prefix}…`), ...marks);
}

export class KeysView {
  constructor(private readonly element: HTMLElement) {}

  async show(): Promise<void> {
    const { currency, keys } = await listKeys();
    const create = button('New key', () => void this.create(currency), { class: 'button primary' });
    this.element.replaceChildren(
      make('div', { class: 'heading' }, make('h2', {}, 'Keys'), create),
      table('Keys', [
        { title: 'Name', cell: nameOf },
        { title: 'Limits', cell: (key) => make('div', { class: 'limits' }, limitsOf(key)) },
        { title: `Balance, ${currency}`, cell: (key) => money(key.balance.total), number: true },
        { title: 'Today', cell: todayOf, number: true },
        { title: `Cost today, ${currency}`, cell: (key) => money(key.today.cost), number: true },
        { title: 'Last used', cell: usedOf },
        { title: '', cell: (key) => this.actions(key, currency) },
      ], [...keys].sort((a, b) => Number(a.revoked) - Number(b.revoked)), 'There are no keys yet.', (key) => (key.revoked ? 'revoked' : '')),
    );
  }

  private async models(): Promise<string[]> {
    const { data } = await callJson<{ data: { id: string }[] }>('/v1/models', { key: adminKey.key });
    return data.map(({ id }) => id);
  }

  private async create(currency: string): Promise<void> {
    keyDialog(null, currency, await this.models().catch(() => []), async (settings) => {
      const { key, secret } = await createKey(settings);
      await this.show();
      secretDialog(key.name, secret);
    });
  }

  private actions(key: Key, currency: string): HTMLElement {
    const place = make('div', { class: 'row-actions' });
    if (key.revoked) return place;
    const act = (label: string, run: () => void, danger = false): HTMLButtonElement =>
      button(label, run, { class: danger ? 'button small danger' : 'button small', 'aria-label': `${label}: ${key.name}` });
    place.append(
      act('Change', () => void this.change(key, currency)),
      act('Credit', () => this.credit(key, currency)),
      act('Rotate', () => this.rotate(key)),
      act('Revoke', () => this.revoke(key), true),
    );
    return place;
  }

  private async change(key: Key, currency: string): Promise<void> {
    keyDialog(key, currency, await this.models().catch(() => []), async (settings) => {
      await changeKey(key.id, settings);
      await this.show();
    });
  }

  private credit(key: Key, currency: string): void {
    const input = make('input', { type: 'text', inputmode: 'decimal', placeholder: '10.00', required: true });
    const granted = make('input', { type: 'checkbox' });
    const once = crypto.getRandomValues(new Uint32Array(4)).join('-');
    formDialog(`Credit for “${key.name}”`, 'Add', [
      make('label', {}, make('span', {}, `Amount, ${currency}`), input, make('small', {}, `Now ${money(key.balance.total)}. A negative amount takes back.`)),
      make('label', { class: 'check' }, granted, 'A gift rather than a payment'),
    ], async () => {
      await creditKey(key.id, input.value.trim(), granted.checked, once);
      await this.show();
    });
  }

  private rotate(key: Key): void {
    const hours = make('select', {}, ...[['0', 'at once'], ['3600', 'in an hour'], ['86400', 'in a day'], ['604800', 'in a week']]
      .map(([value, words]) => make('option', { value: value ?? '0' }, words ?? '')));
    formDialog(`Rotate “${key.name}”`, 'Make a new secret', [
      make('p', {}, 'The key keeps its limits, balance and records, and gets a new secret.'),
      make('label', {}, make('span', {}, 'The old secret ends'), hours),
    ], async () => {
      const { secret } = await rotateKey(key.id, Number(hours.value));
      await this.show();
      secretDialog(key.name, secret);
    });
  }

  private revoke(key: Key): void {
    formDialog(`Revoke “${key.name}”?`, 'Revoke', [
      make('p', {}, 'Programs that use it are refused from now on. Its records stay. This cannot be undone.'),
    ], async () => {
      await revokeKey(key.id);
      await this.show();
    });
  }
}
