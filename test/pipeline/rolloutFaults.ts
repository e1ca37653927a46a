// Rollouts judged while the way to the cluster misbehaves: never a false failure, and what is broken is still named. Also
// what is judged with few rights, and a StatefulSet that goes back. Each case has a way and a namespace of its own, and they
// go on side by side.
import assert from 'node:assert/strict';
import { type Cluster, openCluster } from '../../src/engine/cluster/index.ts';
import type { EventBody } from '../../src/engine/events/index.ts';
import { emptyBaseline, freeStuckPods } from '../../src/engine/rollout/index.ts';
import { realClock } from '../../src/engine/system/clock.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { ApiFront } from './support/apiFront.ts';
import { deploy, direct, expectVerdict, lab, removeDeployed, signal, watch } from './support/corpusCase.ts';
import { run, strand } from './support/suite.ts';

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

const fronts: ApiFront[] = [];
interface Way {
  readonly front: ApiFront;
  /** The cluster through the front. */
  readonly fronted: Cluster;
}
/** A case with a way to the cluster of its own. */
function test(name: string, work: (way: Way) => Promise<void>): void {
  strand()(name, async () => {
    const front = new ApiFront(lab.kubeconfig);
    fronts.push(front);
    await front.start();
    // The front adds the admin's certificate itself.
    await work({ front, fronted: await clusterAt(front.url) });
  });
}

const contacts = (events: readonly EventBody[]): readonly string[] =>
  events.flatMap((event) => (event.type === 'rollout.contact' ? [event.state] : []));

test('connections are cut every second while a slow version comes up', async ({ front, fronted }) => {
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

test('connections are cut every second while a version crashes', async ({ front, fronted }) => {
  const deployed = await deploy('crash-loop', 'cut-crash');
  const timer = setInterval(() => front.cut(), 1000);
  try {
    expectVerdict((await watch(fronted, deployed)).result, 'failed', 'crash');
  } finally {
    clearInterval(timer);
  }
});

test('watches are told 410 Gone again and again', async ({ front, fronted }) => {
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

test('every second request is throttled', async ({ front, fronted }) => {
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

test('the API server is away for 8 s: the time is said, and the version is ready', async ({ front, fronted }) => {
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

test('the API server stays away: unknown, never failed', async ({ front, fronted }) => {
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

strand()('without the right to read events, nodes, Jobs, claims or logs the cause is named all the same', async () => {
  const deployed = await deploy('image-missing-tag', 'rights');
  const cluster = await withRights(deployed.namespace, ['pods', 'deployments', 'replicasets']);
  expectVerdict((await watch(cluster, deployed)).result, 'failed', 'image.missing');
  const good = await deploy('crash-twice', 'rights');
  expectVerdict((await watch(cluster, good, { stabilityMs: 2000 })).result, 'ready');
});

strand()('without the right to read pods nothing is known, and the right is named', async () => {
  const deployed = await deploy('crash-loop', 'no-rights');
  const cluster = await withRights(deployed.namespace, ['deployments']);
  const { result } = await watch(cluster, { ...deployed, baseline: emptyBaseline });
  expectVerdict(result, 'unknown');
  assert.match(result.message, /cannot (list|watch) resource "(pods|replicasets)"/);
});

strand()('a StatefulSet that is put back while its broken pod holds it up is freed', async () => {
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
  for (const front of fronts) front.stop();
  await removeDeployed();
});
process.exit();
