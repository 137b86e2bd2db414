// The model has called tools, and the person is their runtime: a box for each result.
import { button, make } from '../shared/dom';
import type { ToolCall } from './messages';

export function toolForm(calls: ToolCall[], send: (results: string[]) => void): HTMLFormElement {
  const form = make('form', { class: 'tool-form', 'aria-label': 'Results of the tools' });
  const boxes = calls.map((call) => {
    const box = make('textarea', { rows: 2, placeholder: 'What the tool answers: text or JSON' });
    form.append(make('label', {}, make('span', {}, 'Result of ', make('code', {}, call.function.name)), box));
    return box;
  });
  const submit = button(calls.length === 1 ? 'Send the result' : 'Send the results', () => {}, { type: 'submit', class: 'button primary' });
  form.append(submit);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    form.remove();
    send(boxes.map((box) => box.value));
  });
  return form;
}
