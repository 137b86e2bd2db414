// A table that scrolls sideways on a narrow screen.
import { make } from '../shared/dom';

export interface Column<Row> {
  title: string;
  cell: (row: Row) => Node | string;
  number?: boolean; // right-aligned
}

export function table<Row>(label: string, columns: Column<Row>[], rows: Row[], none: string, rowClass?: (row: Row) => string): HTMLElement {
  if (rows.length === 0) return make('p', { class: 'none' }, none);
  const head = make('tr', {}, ...columns.map(({ title, number }) => make('th', { scope: 'col', class: number ? 'number' : undefined }, title)));
  const lines = rows.map((row) =>
    make('tr', { class: rowClass?.(row) }, ...columns.map(({ cell, number }) => make('td', { class: number ? 'number' : undefined }, cell(row)))));
  return make('div', { class: 'table', role: 'region', 'aria-label': label, tabindex: 0 },
    make('table', {}, make('thead', {}, head), make('tbody', {}, ...lines)));
}
