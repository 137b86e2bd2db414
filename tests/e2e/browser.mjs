// Chromium for the tests of the pages, and where their screenshots go.
import { mkdirSync } from 'node:fs';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';

export const screenshots = process.env.HADAL_SCREENSHOTS ?? 'screenshots';
mkdirSync(screenshots, { recursive: true });

export const launchBrowser = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });

// Script errors, blocked resources, failed requests, and requests whose URL begins as none of `allowed`, go to
// `complaints`.
export function watch(page, allowed, complaints) {
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // A server without keys says 404 where the pages ask whether it has them.
    if (/\/(user\/consent|admin\/whoami)$/.test(message.location().url) && message.text().includes('404')) return;
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    if (!allowed.some((begin) => request.url().startsWith(begin))) complaints.push(request.url());
  });
}

// A server and a browser for all tests of a file, which gets them in `use`.
export function openBoth(startServer, use) {
  let server;
  let browser;
  before(async () => {
    server = await startServer();
    browser = await launchBrowser();
    use(server, browser);
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
}
