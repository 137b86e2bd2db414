import { readFileSync } from 'node:fs';
import { defineConfig } from 'vite';

// `npm run dev` serves the pages alone and passes the API on to a hadal serve at its usual port.
const api = 'http://127.0.0.1:8080';

// <!-- part: NAME --> in a page stands for parts/NAME.html: what the pages share.
const parts = {
  name: 'parts',
  transformIndexHtml: {
    order: 'pre',
    handler: (html) =>
      html.replace(/<!-- part: (\w+) -->/g, (_, name) => readFileSync(new URL(`parts/${name}.html`, import.meta.url), 'utf8').trim()),
  },
};

export default defineConfig({
  base: '/',
  plugins: [parts],
  build: {
    target: 'es2020',
    cssTarget: 'chrome100',
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    rollupOptions: { input: ['index.html', 'console.html'] },
  },
  server: { proxy: Object.fromEntries(['/v1', '/health', '/metrics', '/admin', '/feedback', '/user'].map((path) => [path, api])) },
});
