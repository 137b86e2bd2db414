// The key's owner lets the server keep feedback, or takes that back, and has deleted what it kept.
import { callJson } from '../shared/api';
import { byId } from '../shared/dom';
import type { OwnersWord } from './feedback';

export class ConsentForm {
  private readonly place = byId('consent');
  private readonly box = byId<HTMLInputElement>('consent-given');
  private readonly erase = byId<HTMLButtonElement>('consent-erase');
  private readonly said = byId('consent-said');
  private given = false; // as the server last said

  constructor(private readonly key: () => string, private readonly changed: (word: OwnersWord) => void) {
    this.box.addEventListener('change', () => void this.say({ consent: this.box.checked }));
    this.erase.addEventListener('click', () => void this.say({ consent: this.box.checked, delete_stored: true }));
  }

  // Hidden where there is no owner to ask.
  show(word: OwnersWord | null): void {
    this.place.hidden = word === null;
    if (word === null) return;
    const kept = word.feedback?.entries ?? 0;
    this.box.checked = this.given = word.consent;
    this.erase.hidden = kept === 0;
    const now = word.consent ? 'With each of your thumbs the server keeps the conversation.' : 'The server keeps nothing.';
    this.said.textContent = kept === 0 ? now : `${now} It has kept ${kept}.`;
  }

  private async say(body: { consent: boolean; delete_stored?: boolean }): Promise<void> {
    this.box.disabled = this.erase.disabled = true;
    try {
      const word = await callJson<OwnersWord>('/user/consent', { method: 'PUT', key: this.key(), body });
      this.show(word);
      this.changed(word);
    } catch (error) {
      this.box.checked = this.given;
      this.said.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      this.box.disabled = this.erase.disabled = false;
    }
  }
}
