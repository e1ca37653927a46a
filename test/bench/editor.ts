// `npm run bench -- editor`: what the extension costs before anybody uses it. Bytes of the minified bundles, and the time to
// load dist/extension.cjs in processes that have loaded nothing else, with an empty `vscode` in place of the editor's.
// `--check` fails when a budget is exceeded; without it the figures are only printed.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { liveViews } from '../../src/engine/rollout/index.ts';
import { workloadItem } from '../../src/extension/workloads/workloadItems.ts';

const budget = { kilobytes: 300, milliseconds: 25, expandMilliseconds: 100 };
const processes = 21;

/** Run in a fresh process: answers every name of `vscode` with a class, enough for the module's top level. */
const probe = `
const { createRequire, Module } = require('node:module');
const any = new Proxy(class {}, { get: (target, key) => (key in target ? target[key] : any), apply: () => any, getPrototypeOf: () => any });
// The bundle copies a module's own names and finds the others by its prototype, hence the trap for that.
const load = Module._load;
Module._load = (id, ...rest) => (id === 'vscode' ? any : load(id, ...rest));
const started = process.hrtime.bigint();
const spent = process.cpuUsage();
const extension = createRequire(process.argv[1])(process.argv[1]);
const nanoseconds = process.hrtime.bigint() - started;
if (typeof extension.activate !== 'function') throw new Error('the bundle has no activate()');
const { user, system } = process.cpuUsage(spent);
process.stdout.write(JSON.stringify({ wall: Number(nanoseconds) / 1e6, cpu: (user + system) / 1e3 }));
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
const load = () =>
  JSON.parse(execFileSync(process.execPath, ['-e', probe, entry], { encoding: 'utf8' })) as {
    readonly wall: number;
    readonly cpu: number;
  };
const middle = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
load(); // Does not count: it also reads the file from the disk.
const loads = Array.from({ length: processes }, load);
const wall = middle(loads.map((one) => one.wall));
// Processor time is what it costs; the clock also counts what else the machine does meanwhile.
const cpu = middle(loads.map((one) => one.cpu));
const size = bytesBelow(entry);
console.log(`dist/extension.cjs    ${kilobytes(size)} (budget ${budget.kilobytes} kB)`);
console.log(`dist/chunks           ${kilobytes(bytesBelow(join(dist, 'chunks')))}, loaded on first use`);
console.log(`dist/webview          ${kilobytes(bytesBelow(join(dist, 'webview')))}, icon font included`);
console.log(
  `loading the entry     median ${cpu.toFixed(1)} ms of processor time, ${wall.toFixed(1)} ms by the clock, ${processes} processes ` +
    `(budget ${budget.milliseconds} ms)`,
);
// What the Workloads view does between the cluster's answer and its rows, for a thousand workloads with three pods each.
const namespace = 'shop';
const many = Array.from({ length: 1_000 }, (_, index) => `web-${index}`);
const labelled = (app: string) => ({ app });
const objects: Parameters<typeof liveViews>[0] = {
  workloads: many.map((name, index) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, uid: `d-${index}`, generation: 1, creationTimestamp: '2026-11-21T10:00:00Z' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labelled(name) },
      template: { metadata: { labels: labelled(name) }, spec: { containers: [{ name: 'web', image: 'web:1.0' }] } },
    },
    status: { observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 },
  })),
  replicaSets: many.map((name, index) => ({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-5c4b9d7f6`,
      namespace,
      uid: `r-${index}`,
      labels: { ...labelled(name), 'pod-template-hash': '5c4b9d7f6' },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name, uid: `d-${index}`, controller: true }],
    },
    spec: {
      replicas: 3,
      template: { metadata: { labels: labelled(name) }, spec: { containers: [{ name: 'web', image: 'web:1.0' }] } },
    },
    status: { replicas: 3, readyReplicas: 3, availableReplicas: 3 },
  })),
  pods: many.flatMap((name, index) =>
    ['a', 'b', 'c'].map((letter) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${name}-5c4b9d7f6-${letter}`,
        namespace,
        uid: `p-${index}-${letter}`,
        creationTimestamp: '2026-11-21T10:00:00Z',
        labels: { ...labelled(name), 'pod-template-hash': '5c4b9d7f6' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${name}-5c4b9d7f6`, uid: `r-${index}`, controller: true },
        ],
      },
      spec: { containers: [{ name: 'web', image: 'web:1.0' }] },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [{ name: 'web', ready: true, restartCount: 0, state: { running: {} } }],
      },
    })),
  ),
  revisions: [],
  jobs: [],
  claims: [],
  events: [],
  nodes: [],
};
const targets = many.map((name) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name, namespace }));
const rounds = Array.from({ length: 11 }, () => {
  const began = process.cpuUsage();
  const rows = liveViews(objects, targets).map((workload) => workloadItem(workload, Date.now()));
  if (rows.filter(({ description }) => description.startsWith('3 of 3 available')).length !== many.length) {
    throw new Error('the rows are not what they should be');
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1e3;
});
const expand = middle(rounds);
console.log(
  `1,000 workloads       median ${expand.toFixed(1)} ms of processor time from the cluster's answer to rows (budget ${budget.expandMilliseconds} ms)`,
);
/** With `--tree`: the same in a real VS Code, with a thousand Deployments of the lab's cluster; the second look is warm. */
function treeMilliseconds(): number {
  const program = join(import.meta.dirname, '..', 'editor', 'main.ts');
  const { stdout, status } = spawnSync(process.execPath, [program, 'scale'], { encoding: 'utf8' });
  process.stdout.write(stdout.replace(/^(?! {5}|FAIL).*\n/gm, ''));
  if (status !== 0) throw new Error('the suite scale failed');
  return Math.min(...[...stdout.matchAll(/^ {5}(?:first|again): ([\d.]+) ms/gm)].map(([, ms]) => Number(ms)));
}
const tree = process.argv.includes('--tree') ? treeMilliseconds() : 0;
if (tree > 0)
  console.log(
    `1,000 rows in VS Code   ${tree.toFixed(1)} ms in the extension host (budget ${budget.expandMilliseconds} ms)`,
  );
const isOver =
  size > budget.kilobytes * 1000 ||
  Math.min(cpu, wall) > budget.milliseconds ||
  Math.max(expand, tree) > budget.expandMilliseconds;
if (isOver) console.log('over budget');
if (process.argv.includes('--check') && isOver) process.exitCode = 1;
