// Small helpers over the DOM.
export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing from the page`);
  return element as T;
}

type Child = Node | string;

// An element with attributes (true: without a value; false and undefined: left out) and children.
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number | boolean | undefined> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

export function button(
  label: string,
  run: () => void,
  attributes: Record<string, string | undefined> = {},
): HTMLButtonElement {
  const element = make('button', { type: 'button', class: 'button', ...attributes }, label);
  element.addEventListener('click', run);
  return element;
}

// An icon of the page's stroke style, from the path of a 24 by 24 drawing.
export function icon(path: string): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const line = document.createElementNS(space, 'path');
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

export function iconButton(label: string, path: string, run: () => void, className = 'button icon'): HTMLButtonElement {
  const element = make('button', { type: 'button', class: className, 'aria-label': label, title: label });
  element.append(icon(path));
  element.addEventListener('click', run);
  return element;
}

// Gives the person a file that the page has made.
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  make('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
