// How long until somebody knows: Slipway's verdict against `helm upgrade --atomic`, `kubectl rollout status` and Argo CD's
// own health rules over the deployed objects, on the same manifests, each in a namespace of its own.
//
//   npm run bench -- rollout [--helm-timeout 60] [--full] [name…]
//
// Helm's usual timeout is 300 s. It notices nothing before its timeout, so a shorter one is measured by default and said;
// `--full` measures with 300 s.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { type KubeObject, openCluster } from '../../src/engine/cluster/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { registryAsker } from '../../src/engine/rollout/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { labEnv } from '../lab/lab.ts';
import { type CorpusCase, readCorpus } from '../rollout/case.ts';
import { buildImages } from '../rollout/images.ts';
import { startRegistries } from '../rollout/registries.ts';
import { makeNamespace, runCase } from '../rollout/run.ts';
import { type ArgoHealth, buildArgoHealth } from './argoHealth/index.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(3),
  allowPositionals: true,
  options: {
    'helm-timeout': { type: 'string', default: '60' },
    full: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '4' },
  },
});
const limit = values.full ? 300 : Number(values['helm-timeout']);
const names =
  positionals.length > 0
    ? positionals
    : [
        'image-missing-tag',
        'image-auth-secret-missing',
        'config-secret-missing',
        'crash-loop-two-pods',
        'admission-podsecurity',
        'schedule-too-large',
        'crash-twice-two-pods',
        'all-at-once',
      ];

const lab = await labEnv();
await buildImages(lab);
const rules = buildArgoHealth({ ...process.env, ...lab.env });
const registries = await startRegistries(lab.registry);
const env = { ...process.env, ...lab.env };
const system = createSystem({ env });
const target = { kubeconfig: lab.kubeconfig, ...(lab.context !== undefined && { context: lab.context }) };
const cluster = await openCluster(system, target);
const signal = new AbortController().signal;
const work = mkdtempSync(join(tmpdir(), 'slipway-bench-'));

interface Outcome {
  readonly seconds: number;
  readonly what: string;
}

function program(
  file: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly seconds: number; readonly text: string }> {
  const started = Date.now();
  return new Promise((resolve, reject) => {
    let text = '';
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (bytes) => {
      text += String(bytes);
    });
    child.stderr.on('data', (bytes) => {
      text += String(bytes);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, seconds: (Date.now() - started) / 1000, text }));
  });
}

async function withNamespace(
  one: CorpusCase,
  tool: string,
  run: (namespace: string) => Promise<Outcome>,
): Promise<Outcome> {
  const namespace = `corpus-${tool}-${one.name}`;
  await makeNamespace(cluster, namespace, one.namespaceLabels, signal);
  try {
    return await run(namespace);
  } finally {
    await cluster.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal });
  }
}

const place = (objects: readonly KubeObject[], namespace: string): readonly KubeObject[] =>
  objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));

async function slipway(one: CorpusCase): Promise<Outcome> {
  const result = await runCase(
    cluster,
    { ...one, name: `slipway-${one.name}` },
    registryAsker(system, new Secrets()),
    signal,
  );
  const cause = result.verdict?.causes[0];
  return {
    seconds: result.verdictMs / 1000,
    what: `${result.verdict?.state ?? result.why}${cause === undefined ? '' : ` ${cause.code}`}`,
  };
}

function helm(one: CorpusCase): Promise<Outcome> {
  return withNamespace(one, 'helm', async (namespace) => {
    const chart = join(work, one.name);
    mkdirSync(join(chart, 'templates'), { recursive: true });
    writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 0.1.0\n');
    const write = (objects: readonly KubeObject[]) =>
      writeFileSync(join(chart, 'templates', 'all.yaml'), objects.map((object) => stringify(object)).join('---\n'));
    const args = ['upgrade', '--install', 'web', chart, '-n', namespace, '--atomic', '--timeout'];
    if (one.old.length > 0) {
      write(one.old);
      const first = await program('helm', [...args, '120s']);
      if (first.code !== 0)
        return { seconds: 0, what: `the version before failed: ${first.text.trim().slice(0, 200)}` };
    }
    write(one.objects);
    const { code, seconds, text } = await program('helm', [...args, `${limit}s`]);
    return { seconds, what: code === 0 ? 'deployed' : lastLine(text) };
  });
}

function kubectl(one: CorpusCase): Promise<Outcome> {
  return withNamespace(one, 'kubectl', async (namespace) => {
    const status = ['rollout', 'status', 'deployment/web', '-n', namespace, `--timeout=${limit}s`];
    if (one.old.length > 0) {
      for (const object of place(one.old, namespace)) await cluster.apply(object, { signal });
      const first = await program('kubectl', status);
      if (first.code !== 0) return { seconds: 0, what: 'the version before failed' };
    }
    const started = Date.now();
    for (const object of place(one.objects, namespace)) await cluster.apply(object, { signal, isForced: true });
    const { code, text } = await program('kubectl', status);
    return { seconds: (Date.now() - started) / 1000, what: code === 0 ? 'rolled out' : lastLine(text) };
  });
}

/** As Argo CD would say of an application of these objects: the worst of their healths, asked each second. */
function argocd(one: CorpusCase): Promise<Outcome> {
  return withNamespace(one, 'argocd', async (namespace) => {
    const worst = async (objects: readonly KubeObject[]): Promise<ArgoHealth> => {
      const all = await Promise.all(
        place(objects, namespace).map(async ({ apiVersion, kind, metadata: { name } }) => {
          const live = await cluster.get({ apiVersion, kind, name, namespace }, signal);
          return live === undefined ? ({ status: 'Missing' } as const) : rules.healthOf(live);
        }),
      );
      const bad = all.find(({ status }) => status === 'Degraded') ?? all.find(({ status }) => status !== 'Healthy');
      return bad ?? { status: 'Healthy' };
    };
    const until = async (objects: readonly KubeObject[]): Promise<Outcome> => {
      const started = Date.now();
      const passed = () => (Date.now() - started) / 1000;
      let health = await worst(objects);
      while (!['Healthy', 'Degraded'].includes(health.status) && passed() < limit) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        health = await worst(objects);
      }
      return { seconds: passed(), what: `${health.status} ${health.message ?? ''}`.trim().slice(0, 90) };
    };
    if (one.old.length > 0) {
      for (const object of place(one.old, namespace)) await cluster.apply(object, { signal });
      const first = await until(one.old);
      if (!first.what.startsWith('Healthy')) return { seconds: 0, what: 'the version before failed' };
    }
    for (const object of place(one.objects, namespace)) await cluster.apply(object, { signal, isForced: true });
    return until(one.objects);
  });
}

const lastLine = (text: string): string => (text.trim().split('\n').at(-1) ?? '').slice(0, 90);

const chosen = readCorpus().filter(({ name }) => names.includes(name));
const tasks = chosen.flatMap((one) => [
  { one, tool: 'slipway', run: slipway },
  { one, tool: 'helm', run: helm },
  { one, tool: 'kubectl', run: kubectl },
  { one, tool: 'argocd', run: argocd },
]);
const results = new Map<string, Outcome>();
await Promise.all(
  Array.from({ length: Number(values.jobs) }, async () => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      const outcome = await task
        .run(task.one)
        .catch((error: unknown) => ({ seconds: 0, what: error instanceof Error ? error.message : String(error) }));
      results.set(`${task.tool} ${task.one.name}`, outcome);
    }
  }),
);
rules.stop();
registries.close();
registries.closeAllConnections();
rmSync(work, { recursive: true, force: true });
system.processes.dispose();

console.log(
  `\nSeconds from the write to the answer. helm --atomic and kubectl rollout status with a limit of ${limit} s (helm's usual one is 300 s).`,
);
console.log(
  `argocd: the health rules of gitops-engine over the deployed objects, given up after ${limit} s; progressDeadlineSeconds is 600 s in these manifests.\n`,
);
for (const one of chosen) {
  console.log(`${one.name}: ${one.about}`);
  for (const tool of ['slipway', 'helm', 'kubectl', 'argocd']) {
    const outcome = results.get(`${tool} ${one.name}`);
    console.log(`  ${tool.padEnd(8)} ${(outcome?.seconds ?? 0).toFixed(1).padStart(6)} s  ${outcome?.what ?? ''}`);
  }
}
