// Thumbs below an answer. Whether the server keeps them is said before anything is sent: only where the key's owner has
// consented, and only then the conversation goes along.
import { ApiError, call, callJson } from '../shared/api';
import { iconButton, make } from '../shared/dom';
import { toWire, type Rating, type StoredMessage } from './messages';

const kUp = 'M7 11v9H4v-9ZM7 11l4-7c2 0 2.500 1.500 2 3l-.7 3H19c1 0 1.700 1 1.400 2l-1.700 6.500c-.2.9-1 1.500-1.900 1.500H7';
const kDown = 'M7 13V4H4v9ZM7 13l4 7c2 0 2.500-1.500 2-3l-.7-3H19c1 0 1.700-1 1.400-2l-1.700-6.500c-.2-.9-1-1.500-1.900-1.500H7';

type Consent = 'stored' | 'not stored' | 'none'; // none: this server takes no feedback

// The word of the key's owner, and how much feedback the server keeps of this key; null: it cannot say.
export interface OwnersWord {
  consent: boolean;
  feedback: { entries: number } | null;
}

export class Feedback {
  private consent: Consent = 'none';

  // Asks the server what becomes of feedback with this key; null where it has no owner to ask.
  async learn(key: string): Promise<OwnersWord | null> {
    try {
      const word = await callJson<OwnersWord>('/user/consent', { key });
      this.heed(word, key);
      return key === '' ? null : word;
    } catch {
      this.consent = 'none';
      return null;
    }
  }

  heed({ consent }: OwnersWord, key: string): void {
    this.consent = consent ? 'stored' : key === '' ? 'none' : 'not stored';
  }

  // Buttons for the answer `message`, which `conversation` has; empty where there is nobody to tell.
  buttons(message: StoredMessage, conversation: () => StoredMessage[], key: () => string, changed: () => void): HTMLElement {
    const place = make('span', { class: 'feedback' });
    if (this.consent === 'none' || !message.requestId) return place;
    const said = make('span', { class: 'said', role: 'status' });
    const fate = this.consent === 'stored'
      ? 'the server keeps it with this conversation'
      : 'the server keeps nothing: the owner of this key has not agreed to it';
    const marks = new Map<Rating, HTMLButtonElement>();
    const show = (): void => marks.forEach((mark, rating) => mark.setAttribute('aria-pressed', String(message.rating === rating)));
    const give = async (rating: Rating): Promise<void> => {
      message.rating = rating;
      show();
      changed();
      said.textContent = await this.send(message, conversation(), rating, key());
    };
    marks.set('up', iconButton(`Good answer (${fate})`, kUp, () => void give('up'), 'tiny'));
    marks.set('down', iconButton(`Bad answer (${fate})`, kDown, () => void give('down'), 'tiny'));
    place.append(...marks.values(), said);
    show();
    return place;
  }

  private async send(message: StoredMessage, conversation: StoredMessage[], rating: Rating, key: string): Promise<string> {
    const end = conversation.indexOf(message) + 1;
    const body = {
      request_id: message.requestId,
      rating,
      ...(this.consent === 'stored' ? { conversation: conversation.slice(0, end).map(toWire) } : {}),
    };
    try {
      const response = await call('/feedback', { method: 'POST', key, body });
      const { stored } = (await response.json()) as { stored: boolean };
      return stored ? 'Stored with this conversation' : 'Not stored: the owner of this key has not agreed to it';
    } catch (error) {
      return error instanceof ApiError && error.status === 413 ? 'Not stored: too long' : 'Not stored: the server did not take it';
    }
  }
}
