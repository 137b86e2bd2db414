// Asks for an API key.
import { button, make } from '../shared/dom';

// `use` says what is wrong with the key, or nothing when it was taken; the form goes then.
export function keyForm(words: string, use: (key: string, keep: boolean) => Promise<string>): HTMLFormElement {
  const form = make('form', { class: 'key-form' });
  const field = make('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', placeholder: 'sk-…', 'aria-label': 'API key' });
  const keep = make('input', { type: 'checkbox' });
  const trouble = make('p', { class: 'bad', role: 'alert' });
  const submit = button('Use this key', () => {}, { type: 'submit', class: 'button primary' });
  form.append(make('p', {}, words), make('div', { class: 'line' }, field, submit),
    make('label', { class: 'check' }, keep, 'Keep it in this browser'), trouble);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const key = field.value.trim();
    if (key === '') return;
    submit.disabled = true;
    void use(key, keep.checked).then((wrong) => {
      submit.disabled = false;
      trouble.textContent = wrong;
      if (wrong === '') form.remove();
    });
  });
  return form;
}
