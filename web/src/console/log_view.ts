// The latest errors and requests.
import { make } from '../shared/dom';
import { errors, feedback, requests } from './admin';
import { count, duration, money, when } from './format';
import { table } from './table';

export class LogView {
  constructor(private readonly element: HTMLElement) {}

  async show(): Promise<void> {
    const [wrong, served, told] = await Promise.all([errors(100), requests(50), feedback(50)]);
    this.element.replaceChildren(
      make('div', { class: 'heading' }, make('h2', {}, 'Errors')),
      table('Errors', [
        { title: 'At', cell: (row) => when(row.at) },
        { title: 'Status', cell: (row) => make('span', { class: row.status >= 500 ? 'bad' : '' }, String(row.status)) },
        { title: 'Key', cell: (row) => row.key_name ?? '–' },
        { title: 'Request', cell: (row) => make('code', {}, `${row.method} ${row.path}`) },
        { title: 'Code', cell: (row) => row.code ?? '' },
        { title: 'Message', cell: (row) => row.message },
      ], wrong.errors, 'None since the server started.'),
      make('div', { class: 'heading' }, make('h2', {}, 'Requests')),
      table('Requests', [
        { title: 'At', cell: (row) => when(row.at) },
        { title: 'Key', cell: (row) => row.key_name ?? '–' },
        { title: 'Model', cell: (row) => row.model },
        { title: 'Endpoint', cell: (row) => row.endpoint },
        { title: 'Ended', cell: (row) => make('span', { class: ['failed', 'crashed'].includes(row.status) ? 'bad' : '' }, row.status) },
        { title: 'Prompt', cell: (row) => count(row.prompt_tokens), number: true },
        { title: 'Cached', cell: (row) => count(row.cache_hit_tokens), number: true },
        { title: 'Answer', cell: (row) => count(row.completion_tokens), number: true },
        { title: 'Took', cell: (row) => duration(row.seconds), number: true },
        { title: 'Cost', cell: (row) => money(row.cost), number: true },
      ], served.requests, 'None yet.'),
      make('div', { class: 'heading' }, make('h2', {}, 'Feedback')),
      table('Feedback', [
        { title: 'At', cell: (row) => when(row.at) },
        { title: 'Key', cell: (row) => row.key_name ?? '–' },
        { title: 'Rating', cell: (row) => (row.rating === 'up' ? 'good' : 'bad') },
        { title: 'Comment', cell: (row) => row.comment ?? '' },
        { title: 'Request', cell: (row) => make('code', {}, row.request_id) },
      ], told.feedback, 'None. It is stored only for keys whose owner has agreed to it.'),
    );
  }
}
