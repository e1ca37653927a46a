import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import type { ClusterAccess } from '../../src/engine/deploy/access.ts';
import type { LookUp } from '../../src/engine/deploy/checkImages.ts';
import type { Deployer, WayBack } from '../../src/engine/deploy/deployer.ts';
import { rollBack } from '../../src/engine/deploy/rollback.ts';
import type { EventBody } from '../../src/engine/events/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { type Failure, SlipwayError } from '../../src/engine/problems/index.ts';
import type { EnvironmentConfig } from '../../src/engine/project/model.ts';
import { createSystem, FakeClock } from '../../src/engine/system/index.ts';

const uid = 'u1';
const deployment = (status: object, revision = '3'): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'web',
    namespace: 'shop',
    uid,
    generation: 5,
    annotations: { 'deployment.kubernetes.io/revision': revision },
  },
  spec: { replicas: 2, selector: { matchLabels: { app: 'web' } } },
  status: { observedGeneration: 5, ...status },
});
const healthy = { updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2, replicas: 2 };
const set = (hash: string, revision: string): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  metadata: {
    name: `web-${hash}`,
    labels: { 'pod-template-hash': hash },
    annotations: { 'deployment.kubernetes.io/revision': revision },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid }],
  },
});
const pod = (name: string, hash: string, isReady: boolean, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', labels: { app: 'web', 'pod-template-hash': hash }, ...more },
  spec: { containers: [{ name: 'web', image: 'acme/web:1' }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
});

interface World {
  readonly workload: KubeObject;
  readonly pods: readonly KubeObject[];
}

/** A cluster that goes on to its next state each time a workload is read. */
function cluster(states: readonly World[], removed: string[] = []): ClusterAccess {
  let step = 0;
  const now = (): World => states[Math.min(step, states.length - 1)] as World;
  const unexpected = () => Promise.reject(new Error('not asked for'));
  return {
    context: 'test',
    get: async () => {
      const { workload } = now();
      step += 1;
      return workload;
    },
    list: async ({ kind }) => {
      if (kind === 'ReplicaSet') return [set('old', '3'), set('bad', '2')];
      return kind === 'Pod' ? (states[Math.max(0, Math.min(step - 1, states.length - 1))] as World).pods : [];
    },
    remove: async (ref) => {
      removed.push(ref.name);
      return true;
    },
    apply: unexpected,
    create: unexpected,
    merge: unexpected,
    patch: unexpected,
    isNamespaced: async () => true,
  };
}

const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' };
const way: WayBack = {
  kind: 'revision',
  revision: '1',
  trust: 'verified',
  images: ['acme/web:1'],
  targets: [target],
};
const why: Failure = { reason: 'rollout', code: 'image.missing', message: 'acme/web:2 is not in the registry' };

async function roll(options: {
  readonly why?: Failure;
  readonly way?: WayBack;
  readonly states?: readonly World[];
  readonly unhealthyBefore?: readonly string[];
  readonly lookUp?: LookUp;
  readonly undo?: Error;
  readonly wanted?: string;
}) {
  const events: EventBody[] = [];
  const calls: string[] = [];
  const clock = new FakeClock(10_000);
  const bad: World = { workload: deployment({ ...healthy, updatedReplicas: 1, unavailableReplicas: 1 }), pods: [] };
  const access = cluster(options.states ?? [bad, { workload: deployment(healthy), pods: [pod('a', 'old', true)] }]);
  const unexpected = () => Promise.reject(new Error('not asked for'));
  const deployer: Deployer = {
    kind: 'helm',
    render: unexpected,
    diff: unexpected,
    apply: unexpected,
    halfWritten: unexpected,
    targets: () => [target],
    owners: unexpected,
    unlock: unexpected,
    liveTargets: unexpected,
    history: unexpected,
    wayBack: async () => options.way ?? way,
    undo: async ({ revision }) => {
      calls.push(`undo ${revision}`);
      if (options.undo !== undefined) throw options.undo;
      return '4';
    },
    markVerified: async (revision) => void calls.push(`verified ${revision}`),
  };
  const system = { ...createSystem(), clock };
  const running = rollBack({
    why: options.why ?? why,
    deployer,
    deployed: {
      environment: 'dev',
      deployer: 'helm',
      images: {},
      revision: '2',
      previous: '1',
      targets: ['Deployment/shop/web'],
      startedAt: new Date(4_000).toISOString(),
      unhealthyBefore: options.unhealthyBefore ?? [],
    },
    access,
    registry: { lookUp: async () => options.lookUp ?? { state: 'present', digest: 'sha256:aa', platforms: [] } },
    environment: {
      name: 'dev',
      namespace: 'shop',
      deploy: { kind: 'helm', release: 'web' },
    } as EnvironmentConfig,
    context: {
      system,
      root: '/w',
      folder: '/w/.slipway/runs/r1',
      emit: (event) => void events.push(event),
      secrets: new Secrets(),
      signal: new AbortController().signal,
      outputs: () => {
        throw new Error('not asked for');
      },
    },
    ...(options.wanted !== undefined && { wanted: options.wanted, isByCommand: true }),
  });
  let isDone = false;
  const settled = running.then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error }),
  );
  void settled.then(() => {
    isDone = true;
  });
  for (let i = 0; i < 20_000 && !isDone; i += 1) {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    if (!isDone) clock.advance(150);
  }
  const { value, error } = await settled;
  const finished = events.findLast((event) => event.type === 'rollback.finished');
  return { value, error, finished, calls, events, types: events.map((event) => event.type) };
}

describe('rollBack', () => {
  test('goes to the verified revision, waits until it alone serves, says how long it took and marks it', async () => {
    const removing = { deletionTimestamp: '2026-01-01T00:00:00Z' };
    const states: World[] = [
      { workload: deployment({ ...healthy, unavailableReplicas: 1, replicas: 3 }), pods: [] },
      { workload: deployment(healthy), pods: [pod('a', 'old', true), pod('x', 'bad', false)] },
      { workload: deployment(healthy), pods: [pod('a', 'old', true), pod('x', 'bad', false, removing)] },
    ];
    const { value, finished, calls, types } = await roll({ states });
    expect(value).toBe(true);
    expect(finished).toMatchObject({ outcome: 'restored', target: 'revision 1', sinceDeployMs: expect.any(Number) });
    expect(calls).toEqual(['undo 1', 'verified 4']);
    expect(types.at(0)).toBe('rollback.started');
    expect(types).toContain('rollout.progress');
  });

  test.each([
    ['a baseline that did not serve', { unhealthyBefore: ['Deployment shop/web'] }, /was not healthy before/],
    ['lost contact', { why: { reason: 'cluster', message: 'gone' } as Failure }, /not the app's/],
    ['somebody else', { why: { ...why, code: 'superseded' } }, /somebody else/],
    ['a gone image', { lookUp: { state: 'absent', nearestTags: [] } as LookUp, states: undefined }, /no longer has/],
  ])('%s: nothing is written', async (_name, options, words) => {
    const pods: readonly KubeObject[] = [];
    const bad: World = { workload: deployment({ ...healthy, unavailableReplicas: 1 }), pods };
    const { value, finished, calls } = await roll({ ...options, states: [bad] });
    expect(value).toBe(false);
    expect(finished).toMatchObject({ outcome: 'refused', message: expect.stringMatching(words) });
    expect(calls).toEqual([]);
  });

  test('an image that has gone but still runs is no obstacle', async () => {
    const states: World[] = [
      { workload: deployment({ ...healthy, unavailableReplicas: 1 }), pods: [pod('a', 'old', true)] },
      { workload: deployment(healthy), pods: [pod('a', 'old', true)] },
    ];
    const gone: LookUp = { state: 'absent', nearestTags: [] };
    // The first list of pods is before the first read of a workload: both see the old pod.
    expect((await roll({ lookUp: gone, states })).value).toBe(true);
  });

  test('a first release is left for diagnosis, and said so', async () => {
    const { value, finished, calls } = await roll({ way: { kind: 'none', why: 'This is the first release.' } });
    expect(value).toBe(false);
    expect(finished).toMatchObject({
      outcome: 'nothing-to-restore',
      message: 'This is the first release. What was deployed is left as it is, for diagnosis.',
    });
    expect(calls).toEqual([]);
  });

  test('the last look: a workload that has recovered is not rolled back after a rollout, but is after a smoke test', async () => {
    const states: World[] = [{ workload: deployment(healthy), pods: [pod('a', 'old', true)] }];
    const rollout = await roll({ states });
    expect(rollout.finished).toMatchObject({ outcome: 'refused', message: expect.stringMatching(/last look/) });
    const smoke = await roll({ states, why: { reason: 'smoke', message: 'GET /healthz: status 500' } });
    expect(smoke.finished).toMatchObject({ outcome: 'restored' });
  });

  test('a rollback that fails says so and fails', async () => {
    const refused = new SlipwayError({ reason: 'tool-failed', message: 'helm said no' });
    const { error, finished } = await roll({ undo: refused });
    expect(error).toBe(refused);
    expect(finished).toMatchObject({ outcome: 'failed', message: expect.stringContaining('helm said no') });
  });

  test('one that never comes back is a failure in the end, not a wait for ever', async () => {
    const stuck: World = {
      workload: deployment({ ...healthy, availableReplicas: 1, unavailableReplicas: 1 }),
      pods: [],
    };
    const { error, finished } = await roll({ states: [stuck] });
    expect(error).toMatchObject({ code: 'rollback.stalled' });
    expect(finished).toMatchObject({ outcome: 'failed' });
  });

  test('by command, a chosen revision is gone to whatever the state before was', async () => {
    const { value, calls } = await roll({ unhealthyBefore: ['Deployment shop/web'], wanted: '1' });
    expect(value).toBe(true);
    expect(calls[0]).toBe('undo 1');
  });
});
