// The files of deploy/ against the program: what they name must be there. Docker and systemd themselves do not run here.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { binary, run, startServer } from './server.mjs';

const deploy = process.env.HADAL_DEPLOY;
const file = (name) => readFileSync(join(deploy, name), 'utf8');

let server;
let samples; // of /metrics: [name, labels], with a page directory, a hit and a miss behind it
let folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hadal-deploy-'));
  server = await startServer('--kv-dir', join(folder, 'kv'));
  const response = await fetch(`${server.url}/metrics`);
  samples = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => /^(\w+)(?:\{(.*)\})? \S+$/.exec(line)).map(([, name, labels = '']) => ({ name, labels }));
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

// Every series that a PromQL expression names is in /metrics, with the labels that it asks for or sums by.
function checkExpression(expression, where) {
  const series = [...expression.matchAll(/\b(hadal_\w+)(?:\{([^}]*)\})?/g)];
  assert.ok(series.length > 0 || expression.startsWith('up{'), `${where}: no series in ${expression}`);
  for (const [, name, matchers = ''] of series) {
    const found = samples.filter((sample) => sample.name === name);
    assert.ok(found.length > 0, `${where}: ${name} is not in /metrics`);
    for (const [, label, value] of matchers.matchAll(/(\w+)="([^"]*)"/g)) {
      assert.ok(found.some((sample) => sample.labels.includes(`${label}="${value}"`)), `${where}: ${name}{${label}="${value}"}`);
    }
    for (const [, labels] of expression.matchAll(/sum by \(([^)]*)\)/g)) {
      for (const label of labels.split(', ').filter((label) => label !== 'instance')) {
        assert.ok(found.every((sample) => sample.labels.includes(`${label}="`)), `${where}: ${name} has no label ${label}`);
      }
    }
  }
}

test('the dashboard asks for what /metrics has', () => {
  const dashboard = JSON.parse(file('grafana.json'));
  const expressions = dashboard.panels.flatMap((panel) => (panel.targets ?? []).map((target) => [panel.title, target.expr]));
  assert.ok(expressions.length >= 30);
  for (const [title, expression] of expressions) checkExpression(expression, title);
  assert.equal(new Set(dashboard.panels.map((panel) => panel.id)).size, dashboard.panels.length);
  const taken = new Set(); // no panel lies on another
  for (const { title, gridPos } of dashboard.panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; ++x) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; ++y) {
        assert.ok(!taken.has(`${x} ${y}`), title);
        taken.add(`${x} ${y}`);
      }
    }
  }
});

test('the alerts ask for what /metrics has', () => {
  const expressions = [...file('alerts.yml').matchAll(/^ +expr: (.*)$/gm)].map((match) => match[1]);
  assert.ok(expressions.length >= 6);
  for (const expression of expressions) checkExpression(expression, 'alerts.yml');
});

test('the unit and the container start the program with flags that it has', async () => {
  const help = (await run('serve', '--help')).stdout;
  const text = `${file('hadal.service')}\n${file('hadal.env')}\n${file('Dockerfile').split('ENTRYPOINT')[1]}`.replace(/^#.*$/gm, '');
  const flags = [...text.matchAll(/(?<=[\s"=])--[a-z][a-z-]*/g)].map((match) => match[0]).filter((flag) => flag !== '--help');
  for (const flag of ['--model', '--host', '--port', '--kv-dir', '--kv-disk', '--drain-seconds']) assert.ok(flags.includes(flag), flag);
  for (const flag of flags) assert.ok(new RegExp(`^ *${flag}[ ,]`, 'm').test(help), `hadal serve has no ${flag}`);
  for (const [, name] of file('hadal.service').matchAll(/\$\{?(HADAL_\w+)/g)) assert.match(file('hadal.env'), new RegExp(`^${name}=`, 'm'));
});

test('systemd takes the unit', { skip: !existsSync('/usr/bin/systemd-analyze') && 'systemd-analyze is not installed' }, () => {
  const path = join(folder, 'hadal.service');
  writeFileSync(path, file('hadal.service').replace('/usr/local/bin/hadal', binary));
  assert.equal(execFileSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }), '');
  const report = execFileSync('systemd-analyze', ['security', '--offline=true', path], { encoding: 'utf8' });
  const exposure = Number(/Overall exposure level[^:]*: ([\d.]+)/.exec(report)[1]);
  assert.ok(exposure < 2, `exposed: ${exposure}`);
});

// Debian's packages of the program's libraries. What these need themselves apt knows.
test('the container has the libraries that the program is linked with', () => {
  const wanted = [...execFileSync('objdump', ['-p', binary], { encoding: 'utf8' }).matchAll(/NEEDED +(\S+)/g)].map((match) => match[1]);
  const paths = [...execFileSync('ldd', [binary], { encoding: 'utf8' }).matchAll(/^\s(\S+) => (\S+)/gm)]
    .filter(([, name]) => wanted.includes(name)).map(([, , path]) => path.replace(/^\/usr/, ''));
  // Packages name their files with or without /usr; the other spelling is not found.
  const { stdout } = spawnSync('dpkg', ['-S', ...paths, ...paths.map((path) => `/usr${path}`)], { encoding: 'utf8' });
  const owners = new Set([...stdout.matchAll(/^([^:]+):/gm)].map((match) => match[1]));
  assert.ok(owners.has('libssl3'), stdout);
  assert.equal(stdout.trim().split('\n').length, paths.length);
  const listed = file('Dockerfile').split('FROM debian:bookworm-slim\n')[1];
  const inImage = ['libc6', 'libgcc-s1', 'libstdc++6', 'zlib1g']; // of bookworm-slim, or of every C++ library
  for (const owner of owners) {
    assert.ok(inImage.includes(owner) || listed.includes(` ${owner} `), `the program needs ${owner}, which the Dockerfile does not install`);
  }
});
