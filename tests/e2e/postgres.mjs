// A PostgreSQL server of the test's own, as tests/ledger/postgres_server.h has one: a cluster in a temporary folder,
// reached by a Unix socket there. PostgreSQL refuses to run as root: then it runs as the user `postgres`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

export class PostgresServer {
  constructor() {
    this.bin = process.env.HADAL_POSTGRES_BIN;
    assert.ok(this.bin, 'PostgreSQL is not installed: setup/install.sh test brings it');
    this.folder = mkdtempSync('/tmp/hadal-pg-'); // short: Unix sockets have at most 107 bytes
    this.as = [];
    if (process.getuid() === 0) {
      const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'])));
      chownSync(this.folder, uid, gid);
      this.as = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
    }
    this.data = path.join(this.folder, 'data');
    this.run('initdb', '-D', this.data, '-U', 'hadal', '--auth=trust', '--no-sync', '--no-instructions');
    this.start();
  }

  start() {
    const options = `-k ${this.folder} -c listen_addresses='' -c fsync=off -c shared_buffers=16MB`;
    this.run('pg_ctl', '-D', this.data, '-w', '-l', path.join(this.folder, 'log'), '-o', options, 'start');
  }

  stop() {
    this.run('pg_ctl', '-D', this.data, '-w', '-m', 'immediate', 'stop');
  }

  remove() {
    this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get url() {
    return `postgresql://hadal@/postgres?host=${this.folder}`;
  }

  run(program, ...args) {
    const [command, ...rest] = [...this.as, path.join(this.bin, program), ...args];
    execFileSync(command, rest, { cwd: '/', stdio: 'ignore' });
  }
}
