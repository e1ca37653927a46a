// Cases of the rollout corpus, deployed and judged one at a time: for tests that disturb the way to the cluster meanwhile.
import assert from 'node:assert/strict';
import { type Cluster, type KubeObject, openCluster } from '../../../src/engine/cluster/index.ts';
import type { EventBody, ObjectRef } from '../../../src/engine/events/index.ts';
import { Secrets } from '../../../src/engine/events/secrets.ts';
import {
  type Baseline,
  type RolloutResult,
  registryAsker,
  takeBaseline,
  watchRollout,
} from '../../../src/engine/rollout/index.ts';
import { realClock } from '../../../src/engine/system/clock.ts';
import { createSystem } from '../../../src/engine/system/index.ts';
import { labEnv } from '../../lab/lab.ts';
import { readCorpus } from '../../rollout/case.ts';
import { buildImages } from '../../rollout/images.ts';
import { makeNamespace } from '../../rollout/run.ts';

export const lab = await labEnv();
await buildImages(lab);
const system = createSystem({ env: { ...process.env, ...lab.env } });
/** The way to the cluster that nobody disturbs. */
export const direct: Cluster = await openCluster(system, {
  kubeconfig: lab.kubeconfig,
  ...(lab.context !== undefined && { context: lab.context }),
});
export const signal: AbortSignal = new AbortController().signal;
const corpus = new Map(readCorpus().map((one) => [one.name, one]));
const namespaces = new Set<string>();

export interface Deployed {
  readonly targets: readonly ObjectRef[];
  readonly baseline: Baseline;
  readonly namespace: string;
}

/** Applies a case in the namespace `cluster-faults-<suffix>`, with `more` in the environment of its containers. */
export async function deploy(
  name: string,
  suffix: string,
  version: 'old' | 'objects' = 'objects',
  more: Readonly<Record<string, string>> = {},
): Promise<Deployed> {
  const one = corpus.get(name);
  if (one === undefined) throw new Error(`no case ${name}`);
  const namespace = `cluster-faults-${suffix}`;
  if (!namespaces.has(namespace)) await makeNamespace(direct, namespace, {}, signal);
  namespaces.add(namespace);
  const objects = one[version].map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
  const targets = objects
    .filter(({ kind }) => ['Deployment', 'StatefulSet', 'Job'].includes(kind))
    .map(({ apiVersion, kind, metadata }) => ({ apiVersion, kind, name: metadata.name, namespace }));
  const baseline = await takeBaseline(direct, targets, signal);
  for (const object of objects) await direct.apply(withEnv(object, more), { signal, isForced: true });
  return { targets, baseline, namespace };
}

function withEnv(object: KubeObject, more: Readonly<Record<string, string>>): KubeObject {
  const copy = structuredClone(object) as Container;
  for (const container of copy.spec?.template?.spec?.containers ?? []) {
    for (const one of container.env ?? []) one.value = more[one.name] ?? one.value;
  }
  return copy as KubeObject;
}
interface Container {
  readonly spec?: {
    readonly template?: {
      readonly spec?: { readonly containers?: readonly { readonly env?: { name: string; value: string }[] }[] };
    };
  };
}

export async function watch(
  cluster: Cluster,
  { targets, baseline }: Pick<Deployed, 'targets' | 'baseline'>,
  options: { readonly stabilityMs?: number; readonly noProgressMs?: number; readonly timeoutMs?: number } = {},
): Promise<{ readonly result: RolloutResult; readonly events: readonly EventBody[] }> {
  const events: EventBody[] = [];
  const result = await watchRollout(cluster, targets, baseline, {
    timeoutMs: 150_000,
    ...options,
    signal,
    clock: realClock,
    askRegistry: registryAsker(system, new Secrets()),
    emit: (event) => events.push(event),
  });
  return { result, events };
}

export function expectVerdict(result: RolloutResult, state: string, code?: string): void {
  assert.equal(result.state, state, JSON.stringify([result.message, result.causes]));
  if (code !== undefined) assert.equal(result.causes[0]?.code, code, JSON.stringify(result.causes));
}

export async function removeDeployed(): Promise<void> {
  for (const name of namespaces) await direct.remove({ apiVersion: 'v1', kind: 'Namespace', name }, { signal });
  await system.processes.dispose();
}
