// `npm run bench -- editor`: what the extension costs before anybody uses it. Bytes of the minified bundles, and the time to
// load dist/extension.cjs in processes that have loaded nothing else, with an empty `vscode` in place of the editor's.
// `--check` fails when a budget is exceeded; without it the figures are only printed.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const budget = { kilobytes: 300, milliseconds: 25 };
const processes = 21;

/** Run in a fresh process: answers every name of `vscode` with a class, enough for the module's top level. */
const probe = `
const { createRequire, Module } = require('node:module');
const any = new Proxy(class {}, { get: (target, key) => (key in target ? target[key] : any), apply: () => any });
const load = Module._load;
Module._load = (id, ...rest) => (id === 'vscode' ? any : load(id, ...rest));
const started = process.hrtime.bigint();
const extension = createRequire(process.argv[1])(process.argv[1]);
const nanoseconds = process.hrtime.bigint() - started;
if (typeof extension.activate !== 'function') throw new Error('the bundle has no activate()');
process.stdout.write(String(Number(nanoseconds) / 1e6));
`;

function bytesBelow(path: string): number {
  const found = statSync(path);
  return found.isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesBelow(join(path, name)), 0)
    : found.size;
}

const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;

const root = join(import.meta.dirname, '..', '..');
// As it ships; dist/ holds the minified bundles afterwards.
execFileSync(process.execPath, ['esbuild.mjs', '--production'], { cwd: root, stdio: 'inherit' });
const dist = join(root, 'dist');
const entry = join(dist, 'extension.cjs');
const load = () => Number(execFileSync(process.execPath, ['-e', probe, entry], { encoding: 'utf8' }));
load(); // Does not count: it also reads the file from the disk.
const times = Array.from({ length: processes }, load).sort((a, b) => a - b);
const median = times[processes >> 1] ?? Number.NaN;
const size = bytesBelow(entry);
console.log(`dist/extension.cjs    ${kilobytes(size)} (budget ${budget.kilobytes} kB)`);
console.log(`dist/chunks           ${kilobytes(bytesBelow(join(dist, 'chunks')))}, loaded on first use`);
console.log(`dist/webview          ${kilobytes(bytesBelow(join(dist, 'webview')))}, icon font included`);
console.log(
  `loading the entry     median ${median.toFixed(1)} ms of ${processes} processes, ` +
    `${times[0]?.toFixed(1)} to ${times.at(-1)?.toFixed(1)} (budget ${budget.milliseconds} ms)`,
);
const isOver = size > budget.kilobytes * 1000 || median > budget.milliseconds;
if (isOver) console.log('over budget');
if (process.argv.includes('--check') && isOver) process.exitCode = 1;
