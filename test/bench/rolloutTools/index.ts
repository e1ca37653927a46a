// The tools people use today, on one case of the corpus each: what they say of it in the end, and after how many seconds.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Cluster, KubeObject } from '../../../src/engine/cluster/index.ts';
import type { AskRegistry } from '../../../src/engine/rollout/index.ts';
import type { CorpusCase } from '../../rollout/case.ts';
import { deployOld, makeNamespace, play } from '../../rollout/run.ts';
import type { ArgoHealthRules } from './argoHealth/index.ts';

export interface Outcome {
  /** From just before the write. */
  readonly seconds: number;
  /** `none`: it came to no answer within its limit; `unfit`: the tool does not look at such a kind. */
  readonly state: 'ready' | 'failed' | 'none' | 'unfit';
  readonly words: string;
  /** Whether the words say what is wrong, and not only that time is up. */
  readonly isNamed?: boolean;
}

/** Kindly: anything that points at a thing one could mend. */
const namesCause = (words: string): boolean =>
  /image|pull|backoff limit|crash|OOM|quota|secret|configmap|probe|schedul|violates|forbidden|not found|claim|deadline of/i.test(
    words,
  );

export interface Bench {
  readonly cluster: Cluster;
  readonly env: NodeJS.ProcessEnv;
  /** For charts. */
  readonly folder: string;
  readonly askRegistry: AskRegistry;
  readonly signal: AbortSignal;
}

const TELLS_STATUS = new Set(['Deployment', 'StatefulSet', 'DaemonSet']);

/** `helm upgrade --install --atomic`; its rollback is part of the time, as the person waits for it too. */
export function helm(bench: Bench, one: CorpusCase, limitSeconds: number): Promise<Outcome> {
  return inNamespace(bench, one, 'helm', async (namespace, place) => {
    const chart = join(bench.folder, one.name);
    mkdirSync(join(chart, 'templates'), { recursive: true });
    writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: web\nversion: 0.1.0\n');
    const upgrade = (objects: readonly KubeObject[], ...more: readonly string[]) => {
      writeFileSync(join(chart, 'templates', 'all.yaml'), objects.map((object) => stringify(object)).join('---\n'));
      return program(bench, 'helm', ['upgrade', '--install', 'web', chart, '-n', namespace, ...more]);
    };
    if (one.old.length > 0) {
      await deployOld(bench.cluster, one, place(one.old), bench.askRegistry, bench.signal, async () => {
        const { code, text } = await upgrade(one.old);
        if (code !== 0) throw new Error(text);
      });
    }
    const limit = AbortSignal.timeout((limitSeconds * 2 + 60) * 1000);
    const upgraded = upgrade(one.objects, '--atomic', '--timeout', `${limitSeconds}s`);
    const meanwhile = one.during.map((step) => play(bench.cluster, step, namespace, place, limit));
    const { code, seconds, text } = await upgraded;
    await Promise.all(meanwhile);
    const words = lastLine(text);
    return code === 0
      ? { seconds, state: 'ready', words: 'deployed' }
      : { seconds, state: 'failed', words, isNamed: namesCause(words) };
  });
}

export interface Limits {
  readonly kubectlSeconds: number;
  readonly argoSeconds: number;
}

/** `kubectl rollout status` and Argo CD's own rules, which look at the same rollout and change nothing of it. */
export async function lookOn(
  bench: Bench,
  rules: ArgoHealthRules,
  one: CorpusCase,
  limits: Limits,
): Promise<Readonly<Record<'kubectl' | 'argo', Outcome>>> {
  return inNamespace(bench, one, 'status', async (namespace, place) => {
    const { cluster, signal } = bench;
    if (one.old.length > 0) await deployOld(cluster, one, place(one.old), bench.askRegistry, signal);
    const started = Date.now();
    const objects = place(one.objects);
    for (const object of objects) await cluster.apply(object, { signal, isForced: true });
    const meanwhile = one.during.map((step) => play(cluster, step, namespace, place, signal));
    const [kubectl, argo] = await Promise.all([
      status(bench, objects, started, limits.kubectlSeconds),
      health(bench, rules, objects, started, limits.argoSeconds),
    ]);
    await Promise.all(meanwhile);
    return { kubectl, argo };
  });
}

async function status(
  bench: Bench,
  objects: readonly KubeObject[],
  started: number,
  limitSeconds: number,
): Promise<Outcome> {
  const targets = objects.filter(({ kind }) => TELLS_STATUS.has(kind));
  if (targets.length === 0) return { seconds: 0, state: 'unfit', words: '' };
  const answers = await Promise.all(
    targets.map(({ kind, metadata: { name, namespace = '' } }) =>
      program(bench, 'kubectl', [
        ...['rollout', 'status', `${kind.toLowerCase()}/${name}`, '-n', namespace],
        `--timeout=${limitSeconds}s`,
      ]),
    ),
  );
  const bad = answers.find(({ code }) => code !== 0);
  const isTimeout = /timed out waiting for the condition/.test(bad?.text ?? '');
  if (bad === undefined) return { seconds: since(started), state: 'ready', words: 'rolled out' };
  const words = lastLine(bad.text);
  return { seconds: since(started), state: isTimeout ? 'none' : 'failed', words, isNamed: namesCause(words) };
}

/** As Argo CD would say of an application of these objects: the worst of their healths, asked each second. */
async function health(
  { cluster, signal }: Bench,
  rules: ArgoHealthRules,
  objects: readonly KubeObject[],
  started: number,
  limitSeconds: number,
): Promise<Outcome> {
  const worst = async () => {
    const all = await Promise.all(
      objects.map(async ({ apiVersion, kind, metadata: { name, namespace } }) => {
        const ref = { apiVersion, kind, name, ...(namespace !== undefined && { namespace }) };
        const live = await cluster.get(ref, signal);
        return live === undefined ? ({ status: 'Missing', message: '' } as const) : rules.healthOf(live);
      }),
    );
    return all.find(({ status }) => status === 'Degraded') ?? all.find(({ status }) => status !== 'Healthy');
  };
  for (;;) {
    const bad = await worst();
    const words = bad === undefined ? 'Healthy' : `${bad.status} ${bad.message ?? ''}`.trim().slice(0, 120);
    if (bad === undefined) return { seconds: since(started), state: 'ready', words };
    if (bad.status === 'Degraded')
      return { seconds: since(started), state: 'failed', words, isNamed: namesCause(words) };
    if (since(started) >= limitSeconds) return { seconds: since(started), state: 'none', words };
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function inNamespace<T>(
  { cluster, signal }: Bench,
  one: CorpusCase,
  tool: string,
  work: (namespace: string, place: (objects: readonly KubeObject[]) => readonly KubeObject[]) => Promise<T>,
): Promise<T> {
  const namespace = `corpus-${tool}-${one.name}`;
  await makeNamespace(cluster, namespace, one.namespaceLabels, signal);
  try {
    return await work(namespace, (objects) =>
      objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } })),
    );
  } finally {
    await cluster.remove({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, { signal });
  }
}

function program(
  { env }: Bench,
  file: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly seconds: number; readonly text: string }> {
  const started = Date.now();
  return new Promise((resolve, reject) => {
    let text = '';
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes) => {
        text += String(bytes);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, seconds: since(started), text }));
  });
}

const since = (started: number): number => (Date.now() - started) / 1000;
const lastLine = (text: string): string => (text.trim().split('\n').at(-1) ?? '').slice(0, 120);
