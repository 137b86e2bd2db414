// The machine, its models, its prices, its ledger.
import { make } from '../shared/dom';
import { serverState } from './admin';
import { ago, bytes, count } from './format';
import { table } from './table';

function facts(title: string, rows: [string, string][]): HTMLElement {
  return make('div', { class: 'facts' }, make('h2', {}, title),
    make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])));
}

export class ServerView {
  constructor(private readonly element: HTMLElement) {}

  async show(): Promise<void> {
    const state = await serverState();
    const { machine, ledger, prices } = state;
    const cards = [
      facts('Machine', [
        ['Processor', machine.cpu],
        ['Cores for this server', String(machine.processors)],
        ['Memory', `${bytes(machine.memory_available_bytes)} free of ${bytes(machine.memory_bytes)}`],
        ['Load', machine.load.map((load) => load.toFixed(2)).join(' · ')],
        ['Version', state.version],
        ['Running for', ago(state.uptime_seconds)],
        ['Connections', String(state.connections)],
      ]),
      ...state.models.map((model) => facts(model.id, [
        ['Architecture', model.architecture],
        ['Parameters', `${count(model.parameters)}, ${count(model.active_parameters)} for one token`],
        ['Context', `${model.context_length} tokens`],
        ['Requests', `${model.running} running, ${model.waiting} waiting, ${count(model.requests_total)} so far`],
        ['KV pages in memory', `${count(model.kv_pages_used)} used of ${count(model.kv_pages)}`],
        ['KV pages on disk', bytes(model.kv_disk_bytes)],
      ])),
      facts('Ledger', [
        ['Database', `${ledger.backend}${ledger.available ? '' : ', which does not answer'}`],
        ['Open requests', String(ledger.open_requests)],
        ['Waiting to be written', String(ledger.pending)],
        ['Feedback stored', String(ledger.feedback)],
      ]),
    ];
    this.element.replaceChildren(
      make('div', { class: 'cards' }, ...cards),
      make('div', { class: 'heading' }, make('h2', {}, prices ? `Prices, ${prices.currency} per million tokens` : 'Prices')),
      table('Prices', [
        { title: 'Model', cell: (row) => row.model },
        { title: 'From the cache', cell: (row) => row.hit, number: true },
        { title: 'Computed', cell: (row) => row.miss, number: true },
        { title: 'Answer', cell: (row) => row.output, number: true },
        { title: 'Now', cell: (row) => (row.off_peak_now ? 'off-peak' : 'full price') },
      ], prices?.models ?? [], 'This server was started without a price file: nothing costs anything.'),
    );
  }
}
