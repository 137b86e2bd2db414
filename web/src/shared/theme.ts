// Light or dark: the system's preference until the person chooses.
import { saveTheme } from './store';

const system = matchMedia('(prefers-color-scheme: dark)');

function current(): 'light' | 'dark' {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return system.matches ? 'dark' : 'light';
}

export function setUpTheme(button: HTMLButtonElement): void {
  const label = (): void => {
    button.setAttribute('aria-label', current() === 'dark' ? 'Switch to light colours' : 'Switch to dark colours');
  };
  button.addEventListener('click', () => {
    const next = current() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    saveTheme(next);
    label();
  });
  system.addEventListener('change', label);
  label();
}
