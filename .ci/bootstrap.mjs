// Entry of `npm start` and `npm test` on a fresh machine: plain JavaScript for whatever Node (20+) is there. Installs the
// locked dependencies when package-lock.json changed since the last time, then hands over to the pinned Node 24.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [job, ...rest] = process.argv.slice(2);
const entry = { start: 'test/start.ts', test: 'test/all.ts' }[job ?? ''];
if (entry === undefined) {
  console.error('usage: node .ci/bootstrap.mjs start|test');
  process.exit(2);
}

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
const stamp = join(root, 'node_modules', '.slipway-lock');
const node = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
if (!existsSync(node) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  console.log('Installing the locked npm dependencies …');
  const npm = process.env.npm_execpath;
  // Warnings are about the Node that is here now; what is installed runs on the pinned one.
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const installed =
    npm === undefined
      ? spawnSync('npm', args, { cwd: root, stdio: 'inherit' })
      : spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: 'inherit' });
  if (installed.status !== 0) process.exit(installed.status ?? 1);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

const path = `${join(root, 'node_modules', '.bin')}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH ?? ''}`;
const ended = spawnSync(node, [join(root, entry), ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: path },
});
process.exit(ended.status ?? 1);
