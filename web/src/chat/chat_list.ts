// The panel with the conversations that this browser keeps: open, rename, delete.
import { button, iconButton, make } from '../shared/dom';
import { list, removeOne, rename, type Entry } from './conversations';

const kPencil = 'M4 20h4L19 9l-4-4L4 16Z';
const kBin = 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13';

export interface ChatListEvents {
  open: (id: string) => void;
  renamed: (id: string, title: string) => void;
  removed: (id: string) => void;
}

function when(milliseconds: number): string {
  const date = new Date(milliseconds);
  const sameDay = date.toDateString() === new Date().toDateString();
  return sameDay
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString([], { day: 'numeric', month: 'short', year: 'numeric' });
}

export class ChatList {
  private current = '';

  constructor(
    private readonly element: HTMLElement,
    private readonly events: ChatListEvents,
  ) {
    addEventListener('storage', () => this.show(this.current)); // another tab wrote
  }

  show(current: string): void {
    this.current = current;
    if (this.element.querySelector('input, .sure')) return; // somebody is at it
    const entries = list();
    this.element.replaceChildren(
      ...(entries.length > 0
        ? entries.map((entry) => this.row(entry))
        : [make('li', { class: 'none' }, 'No conversations yet. They are kept in this browser, not on the server.')]),
    );
  }

  private row(entry: Entry): HTMLLIElement {
    const row = make('li', { class: entry.id === this.current ? 'chat current' : 'chat' });
    const open = make('button', { type: 'button', class: 'open', 'aria-current': entry.id === this.current ? 'true' : undefined },
      make('span', { class: 'title' }, entry.title), make('time', {}, when(entry.updated)));
    open.addEventListener('click', () => this.events.open(entry.id));
    row.append(
      open,
      iconButton(`Rename “${entry.title}”`, kPencil, () => this.edit(row, entry), 'tiny'),
      iconButton(`Delete “${entry.title}”`, kBin, () => this.confirm(row, entry), 'tiny'),
    );
    return row;
  }

  private edit(row: HTMLLIElement, entry: Entry): void {
    const field = make('input', { type: 'text', value: entry.title, maxlength: 120, 'aria-label': 'Title' });
    let done = false;
    const end = (keep: boolean): void => {
      if (done) return;
      done = true;
      const title = field.value.trim();
      if (keep && title !== '' && title !== entry.title) {
        rename(entry.id, title);
        this.events.renamed(entry.id, title);
      }
      row.replaceChildren();
      this.show(this.current);
    };
    field.addEventListener('keydown', (event) => {
      if (event.isComposing) return;
      if (event.key === 'Escape') event.stopPropagation();
      if (event.key === 'Enter' || event.key === 'Escape') end(event.key === 'Enter');
    });
    field.addEventListener('blur', () => end(true));
    row.replaceChildren(field);
    field.select();
  }

  private confirm(row: HTMLLIElement, entry: Entry): void {
    const back = (): void => {
      row.replaceChildren();
      this.show(this.current);
    };
    const remove = button('Delete', () => {
      removeOne(entry.id);
      this.events.removed(entry.id);
      back();
    }, { class: 'button danger' });
    row.replaceChildren(make('span', { class: 'sure' }, `Delete “${entry.title}”?`), remove, button('Keep', back));
    remove.focus();
  }
}
