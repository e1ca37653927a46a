// Rollouts judged while the way to the cluster, or the cluster itself, misbehaves: never a false failure, and what is
// broken is still named. Also what is judged with few rights, and a StatefulSet that goes back.
import assert from 'node:assert/strict';
import { type Cluster, type KubeObject, openCluster } from '../../src/engine/cluster/index.ts';
import type { EventBody, ObjectRef } from '../../src/engine/events/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import {
  type Baseline,
  emptyBaseline,
  freeStuckPods,
  type RolloutResult,
  registryAsker,
  takeBaseline,
  watchRollout,
} from '../../src/engine/rollout/index.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { disruptive, labEnv, restartPart } from '../lab/lab.ts';
import { readCorpus } from '../rollout/case.ts';
import { buildImages } from '../rollout/images.ts';
import { makeNamespace } from '../rollout/run.ts';
import { ApiFront } from './support/apiFront.ts';
import { run, test } from './support/suite.ts';

const lab = await labEnv();
await buildImages(lab);
const system = createSystem({ env: { ...process.env, ...lab.env } });
const direct = await openCluster(system, {
  kubeconfig: lab.kubeconfig,
  ...(lab.context !== undefined && { context: lab.context }),
});
const front = new ApiFront(lab.kubeconfig);
await front.start();
const signal = new AbortController().signal;
const corpus = new Map(readCorpus().map((one) => [one.name, one]));
const namespaces = new Set<string>();

/** A cluster as a kubeconfig with this server and token gives it. */
function clusterAt(server: string, token = 'none'): Promise<Cluster> {
  const name = 'front';
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  };
  const { KUBECONFIG: _, ...env } = { ...process.env, ...lab.env };
  return openCluster(createSystem({ env: { ...env, KUBE_CONFIG: JSON.stringify(config) } }), {});
}

// The front adds the admin's certificate itself.
const fronted = await clusterAt(front.url);

interface Deployed {
  readonly targets: readonly ObjectRef[];
  readonly baseline: Baseline;
  readonly namespace: string;
}

async function deploy(name: string, suffix: string, version: 'old' | 'objects' = 'objects'): Promise<Deployed> {
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
  for (const object of objects) await direct.apply(object as KubeObject, { signal, isForced: true });
  return { targets, baseline, namespace };
}

async function watch(
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

const contacts = (events: readonly EventBody[]): readonly string[] =>
  events.flatMap((event) => (event.type === 'rollout.contact' ? [event.state] : []));

function expectVerdict(result: RolloutResult, state: string, code?: string): void {
  assert.equal(result.state, state, JSON.stringify([result.message, result.causes]));
  if (code !== undefined) assert.equal(result.causes[0]?.code, code, JSON.stringify(result.causes));
}

test('connections are cut every second while a slow version comes up', async () => {
  const deployed = await deploy('slow-start', 'cut');
  const timer = setInterval(() => front.cut(), 1000);
  try {
    const { result } = await watch(fronted, deployed, { stabilityMs: 2000 });
    expectVerdict(result, 'ready');
    assert.ok(front.cuts > 20, `only ${front.cuts} connections were cut`);
  } finally {
    clearInterval(timer);
  }
});

test('connections are cut every second while a version crashes', async () => {
  const deployed = await deploy('crash-loop', 'cut-crash');
  const timer = setInterval(() => front.cut(), 1000);
  try {
    expectVerdict((await watch(fronted, deployed)).result, 'failed', 'crash');
  } finally {
    clearInterval(timer);
  }
});

test('watches are told 410 Gone again and again', async () => {
  front.isForgetful = true;
  try {
    const deployed = await deploy('statefulset-rolling', 'gone', 'old');
    expectVerdict((await watch(fronted, deployed, { stabilityMs: 2000 })).result, 'ready');
    const bad = await deploy('image-missing-tag', 'gone');
    expectVerdict((await watch(fronted, bad)).result, 'failed', 'image.missing');
    assert.ok(front.forgotten > 3, `only ${front.forgotten} watches were ended`);
  } finally {
    front.calm();
  }
});

test('every second request is throttled', async () => {
  front.isThrottling = true;
  try {
    const deployed = await deploy('crash-twice', 'throttled');
    expectVerdict((await watch(fronted, deployed, { stabilityMs: 2000 })).result, 'ready');
    const bad = await deploy('config-secret-missing', 'throttled-bad');
    expectVerdict((await watch(fronted, bad)).result, 'failed', 'config.missing');
    assert.ok(front.throttled > 5, `only ${front.throttled} requests were throttled`);
  } finally {
    front.calm();
  }
});

test('the API server is away for 8 s: the time is said, and the version is ready', async () => {
  const deployed = await deploy('slow-start', 'away');
  const watching = watch(fronted, deployed, { stabilityMs: 2000 });
  await realClock.sleep(3000);
  front.isAway = true;
  front.cut();
  await realClock.sleep(8000);
  front.calm();
  const { result, events } = await watching;
  expectVerdict(result, 'ready');
  assert.deepEqual(contacts(events), ['reconnecting', 'connected']);
  const back = events.findLast((event) => event.type === 'rollout.contact');
  assert.match(String(back?.type === 'rollout.contact' && back.message), /after ([7-9]|1\d)\.\d s/);
});

test('the API server stays away: unknown, never failed', async () => {
  const deployed = await deploy('crash-loop', 'lost');
  const watching = watch(fronted, deployed, { noProgressMs: 6000 });
  await realClock.sleep(1500);
  front.isAway = true;
  front.cut();
  const { result, events } = await watching;
  front.calm();
  expectVerdict(result, 'unknown');
  assert.deepEqual(contacts(events), ['reconnecting']);
});

test('the API server itself is restarted twice: a slow version is ready, a broken one is named', async () => {
  const [slow, broken] = [await deploy('slow-start', 'restart'), await deploy('crash-loop', 'restart-crash')];
  const watching = [watch(direct, slow, { stabilityMs: 2000 }), watch(direct, broken)] as const;
  await realClock.sleep(2000);
  await disruptive('rollout faults', async () => {
    await restartPart('kube-apiserver');
    await realClock.sleep(3000);
    await restartPart('kube-apiserver');
  });
  const [ready, failed] = await Promise.all(watching);
  expectVerdict(ready.result, 'ready');
  expectVerdict(failed.result, 'failed', 'crash');
});

/** A cluster with the rights of a service account. */
async function withRights(namespace: string, resources: readonly string[]): Promise<Cluster> {
  const meta = { name: 'limited', namespace };
  await direct.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta }, { signal });
  const groups = ['', 'apps', 'batch'];
  const rules = [{ apiGroups: groups, resources, verbs: ['get', 'list', 'watch'] }];
  await direct.apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: meta, rules }, { signal });
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'limited' };
  const subjects = [{ kind: 'ServiceAccount', ...meta }];
  await direct.apply(
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: meta, roleRef, subjects },
    { signal },
  );
  const answer = await direct.api.json<{ readonly status: { readonly token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/limited/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
    signal,
  });
  return clusterAt(direct.api.server, answer.status.token);
}

test('without the right to read events, nodes, Jobs, claims or logs the cause is named all the same', async () => {
  const deployed = await deploy('image-missing-tag', 'rights');
  const cluster = await withRights(deployed.namespace, ['pods', 'deployments', 'replicasets']);
  expectVerdict((await watch(cluster, deployed)).result, 'failed', 'image.missing');
  const good = await deploy('crash-twice', 'rights');
  expectVerdict((await watch(cluster, good, { stabilityMs: 2000 })).result, 'ready');
});

test('without the right to read pods nothing is known, and the right is named', async () => {
  const deployed = await deploy('crash-loop', 'no-rights');
  const cluster = await withRights(deployed.namespace, ['deployments']);
  const { result } = await watch(cluster, { ...deployed, baseline: emptyBaseline });
  expectVerdict(result, 'unknown');
  assert.match(result.message, /cannot (list|watch) resource "(pods|replicasets)"/);
});

test('a StatefulSet that is put back while its broken pod holds it up is freed', async () => {
  const before = await deploy('image-missing-statefulset', 'set', 'old');
  expectVerdict((await watch(direct, before, { stabilityMs: 0 })).result, 'ready');
  const bad = await deploy('image-missing-statefulset', 'set');
  expectVerdict((await watch(direct, bad)).result, 'failed', 'image.missing');
  const back = await deploy('image-missing-statefulset', 'set', 'old');
  const freed = await freeStuckPods(direct, back.targets, { clock: realClock, signal });
  assert.deepEqual(freed, ['db-1']);
  expectVerdict((await watch(direct, back, { stabilityMs: 0 })).result, 'ready');
});

await run('rolloutFaults', async () => {
  front.stop();
  for (const name of namespaces) await direct.remove({ apiVersion: 'v1', kind: 'Namespace', name }, { signal });
  system.processes.dispose();
});
process.exit();
