// Rollouts that are slow, disturbed or odd, and healthy: none of them may be called failed. And who is to be judged at all.
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/object.ts';
import {
  type Answer,
  emptyBaseline,
  emptyMemory,
  emptySnapshot,
  evaluate,
  type Question,
  templateHash,
} from '../../src/engine/rollout/index.ts';
import {
  becomesReady,
  crash,
  deployed,
  deployment,
  ended,
  event,
  NAMESPACE,
  node,
  pod,
  replicaSet,
  Story,
  waiting,
  webPod,
} from './rolloutStory.ts';

const reply =
  (...known: readonly Partial<Answer>[]) =>
  (question: Question, now: number): Answer | undefined => {
    const found = known.find(({ kind }) => kind === question.kind);
    return found === undefined ? undefined : ({ similar: [], detail: '', ...found, at: now } as unknown as Answer);
  };

const rise = (story: Story): Story => becomesReady(story).put(webPod({ isReady: true }));

describe('slow, and never called failed', () => {
  const rows: readonly (readonly [string, (story: Story) => void])[] = [
    [
      'a pull of 8 minutes',
      (story) => {
        story.put(webPod({}), event('web-new-1', 'Pulling', 'Pulling image', { type: 'Normal' }));
        for (let minute = 0; minute < 8; minute += 1) expect(story.wait(60).state).toBe('progressing');
      },
    ],
    [
      'a pull of 14 minutes, past the limit without progress',
      (story) => {
        story.put(webPod({}), event('web-new-1', 'Pulling', 'Pulling image', { type: 'Normal' }));
        for (let minute = 0; minute < 14; minute += 1) expect(story.wait(60).state).toBe('progressing');
      },
    ],
    [
      'two crashes, then up',
      (story) => {
        story.reply = reply({ kind: 'logs', text: 'fatal: bad settings' });
        crash(story, 0);
        story.wait(1);
        crash(story, 1);
        story.wait(10);
      },
    ],
    [
      'six crashes while another workload, its database, comes up',
      (story) => {
        const database = (ready: number): KubeObject => ({
          ...deployment({
            status: { updatedReplicas: 1, replicas: 1, availableReplicas: ready, readyReplicas: ready },
          }),
          metadata: { ...deployment().metadata, name: 'database', uid: 'uid-database' },
        });
        story.target(database(0));
        story.put({ ...replicaSet('database-a', { owner: 'database', status: {} }) });
        story.reply = reply({ kind: 'logs', text: 'dial tcp 10.0.0.9:5432: connect: connection refused' });
        for (const [run, pause] of [
          [0, 1],
          [1, 10],
          [2, 20],
          [3, 40],
          [4, 15],
        ] as const) {
          crash(story, run);
          expect(story.wait(pause).state).toBe('progressing');
        }
        story.put(
          replicaSet('database-a', { owner: 'database', status: { readyReplicas: 1, availableReplicas: 1 } }),
          database(1),
        );
        story.look();
      },
    ],
    [
      'crashes until the proxy beside it is up',
      (story) => {
        story.reply = reply({ kind: 'logs', text: 'panic: no identity' });
        for (const run of [0, 1, 2, 3]) {
          const state = ended(story, 1, run);
          const base = webPod({ phase: 'Running', restarts: run, state });
          const mesh = { name: 'proxy', ready: false, restartCount: 0, state: { running: {} } };
          story.put({
            ...base,
            spec: {
              ...(base.spec as object),
              containers: [
                { name: 'app', image: 'a' },
                { name: 'proxy', image: 'p' },
              ],
            },
            status: {
              ...(base.status as { containerStatuses: object[] }),
              containerStatuses: [...(base.status as { containerStatuses: object[] }).containerStatuses, mesh],
            },
          });
          expect(story.wait(10).state).toBe('progressing');
        }
      },
    ],
    [
      'a registry that answers 503, then comes back',
      (story) => {
        story.put(
          webPod({
            state: waiting(
              'ErrImagePull',
              'unexpected status from HEAD request to https://reg.io/v2/web/manifests/2: 503 Service Unavailable',
            ),
          }),
        );
        story.wait(10);
        story.put(webPod({ state: waiting('ImagePullBackOff', 'Back-off pulling image "reg.io/web:2"') }));
        story.wait(20);
      },
    ],
    [
      'refused, then the secret arrives',
      (story) => {
        story.reply = reply({ kind: 'pull-secret-works', state: 'unknown' });
        story.put(webPod({ state: waiting('ErrImagePull', 'failed to authorize: 401 Unauthorized') }));
        story.wait(10);
        story.put(webPod({ state: waiting('ImagePullBackOff', 'Back-off pulling image "reg.io/web:2"') }));
        story.wait(20);
        story.reply = reply({ kind: 'pull-secret-works', state: 'works' });
        story.wait(60);
      },
    ],
    [
      'a node that an autoscaler makes in 3 minutes',
      (story) => {
        story.put(node('node-1'));
        story.reply = reply({ kind: 'autoscaler', state: 'present' });
        story.put(event('web-new-1', 'TriggeredScaleUp', 'pod triggered scale-up', { type: 'Normal' }));
        story.put(
          webPod({
            node: null,
            container: { resources: { requests: { cpu: '16' } } },
            conditions: [
              { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'Insufficient cpu' },
            ],
          }),
        );
        expect(story.wait(180).state).toBe('progressing');
      },
    ],
    [
      'a webhook that is away for 40 s',
      (story) => {
        const message = 'Internal error occurred: failed calling webhook "inject.example.com": connection refused';
        story.put(
          replicaSet('web-new', {
            status: { conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }] },
          }),
        );
        story.wait(40);
      },
    ],
    [
      'an eviction and its replacement',
      (story) => {
        story.put(webPod({}));
        story.wait(5);
        const gone = webPod({ phase: 'Failed' });
        story.put({ ...gone, status: { ...(gone.status as object), reason: 'Evicted', message: 'low on memory' } });
        story.wait(5);
        story.put(pod('web-new-2', { owner: 'web-new' }));
        story.wait(5);
        story.remove('Pod/web-new-1').remove('Pod/web-new-2');
      },
    ],
    [
      'a ConfigMap that comes late',
      (story) => {
        story.reply = reply({ kind: 'object-exists', state: 'absent' });
        story.put(webPod({ state: waiting('CreateContainerConfigError', 'configmap "settings" not found') }));
        story.wait(12);
        story.reply = reply({ kind: 'object-exists', state: 'present' });
        story.wait(60);
      },
    ],
    [
      'restarts by liveness twice before it is quick enough',
      (story) => {
        story.reply = reply({ kind: 'logs', text: 'starting' });
        for (const run of [0, 1]) {
          story.put(
            event('web-new-1', 'Killing', 'Container app failed liveness probe, will be restarted', {
              type: 'Normal',
              name: 'k',
              count: run + 1,
            }),
          );
          crash(story, run, 137);
          story.wait(20);
        }
      },
    ],
    [
      'contact lost for 20 minutes in the middle of a wait',
      (story) => {
        story.put(webPod({}));
        story.wait(300);
        story.contact = { state: 'lost', since: story.now };
        expect(story.look().state).toBe('progressing');
        story.now += 20 * 60_000 - 1;
        story.contact = { state: 'connected' };
        expect(story.look().state).toBe('progressing');
        expect(story.wait(200).state).toBe('progressing');
      },
    ],
  ];
  test.each(rows)('%s', (_name, play) => {
    const story = deployed();
    story.look();
    play(story);
    expect(story.last?.state).toBe('progressing');
    rise(story);
    expect(story.wait(60).state).toBe('ready');
  });

  test('without contact for the whole limit the verdict is unknown, never failed', () => {
    const story = deployed().put(webPod({}));
    story.look();
    story.contact = { state: 'lost', since: story.now };
    expect(story.wait(599).state).toBe('progressing');
    expect(story.wait(2).state).toBe('unknown');
  });

  test('a version that crashes right after it was ready does not pass the stability window', () => {
    const story = deployed();
    story.reply = reply({ kind: 'logs', text: 'licence expired' });
    rise(story);
    expect(story.wait(5).state).toBe('progressing');
    becomesReady(story).put(webPod({ isReady: true, restarts: 1, lastState: ended(story, 1, 0) }));
    story.look();
    expect(story.wait(9).state).toBe('progressing');
    expect(story.wait(2).state).toBe('ready');
  });

  test("ends that may be a probe's doing are not called a crash before the event had time to come", () => {
    const story = deployed();
    story.reply = reply({ kind: 'logs', text: 'listening' });
    const container = {
      livenessProbe: { httpGet: { path: '/live', port: 80 }, periodSeconds: 1, failureThreshold: 2 },
    };
    for (const run of [0, 1, 2]) {
      const state = ended(story, 0, run);
      story.put(
        webPod({ container, phase: 'Running', restarts: run, state: waiting('CrashLoopBackOff'), lastState: state }),
      );
      expect(story.wait(10).state).toBe('progressing');
    }
    story.put(
      event('web-new-1', 'Killing', 'Container app failed liveness probe, will be restarted', { type: 'Normal' }),
    );
    expect(story.look().causes[0]?.code).toBe('probe.kill');
  });

  test('learned restarts and a setting of the person raise what counts as a crash loop', () => {
    for (const options of [
      { learnedRestarts: { 'Deployment/shop/web': 3 } },
      { crashExits: 6 },
      { crashExits: 'never' as const },
    ]) {
      const story = deployed();
      story.options = options;
      story.reply = reply({ kind: 'logs', text: 'fatal: bad settings' });
      for (const run of [0, 1, 2, 3]) {
        crash(story, run);
        expect(story.wait(10).state).toBe('progressing');
      }
    }
  });
});

describe('only the new version is judged', () => {
  test('pods of the old version may crash', () => {
    const story = deployed().put(webPod({}));
    story.put(replicaSet('web-old', { revision: '1', image: 'reg.io/web:1' }));
    story.put(
      pod('web-old-1', { owner: 'web-old', restarts: 40, state: waiting('CrashLoopBackOff'), image: 'reg.io/web:1' }),
    );
    expect(story.wait(300).state).toBe('progressing');
    expect(story.last?.workloads[0]?.pods.map(({ name, isNew }) => [name, isNew])).toEqual([
      ['web-new-1', true],
      ['web-old-1', false],
    ]);
  });

  test('going back to an older ReplicaSet: the template decides, not the age', () => {
    const story = new Story().target(deployment({ image: 'reg.io/web:1', revision: '3' }));
    story.put(replicaSet('web-old', { revision: '1', image: 'reg.io/web:1' }));
    story.put({ ...replicaSet('web-newer', { revision: '2', image: 'reg.io/web:2' }) });
    story.put(
      pod('web-old-1', { owner: 'web-old', image: 'reg.io/web:1' }),
      pod('web-newer-1', { owner: 'web-newer' }),
    );
    story.look();
    expect(story.last?.workloads[0]?.pods.find(({ isNew }) => isNew)?.name).toBe('web-old-1');
  });

  test('restarts and events of before do not count', () => {
    const story = deployed();
    story.baseline = {
      workloads: {
        'Deployment/shop/web': { uid: 'uid-web', generation: 2, template: '', isHealthy: false, conditions: {} },
      },
      restarts: { 'uid-web-new-1/app': 12 },
      events: { 'uid-old-event': 7 },
    };
    story.put(
      event('web-new-1', 'Killing', 'Container app failed liveness probe, will be restarted', {
        name: 'old-event',
        count: 7,
      }),
    );
    story.put(
      webPod({ phase: 'Running', restarts: 12, state: waiting('CrashLoopBackOff'), lastState: ended(story, 1, 11) }),
    );
    expect(story.wait(120).state).toBe('progressing');
    expect([...story.warnings]).toEqual([]);
  });

  test('a progress deadline of before does not count, a new one does', () => {
    const old = {
      type: 'Progressing',
      status: 'False',
      reason: 'ProgressDeadlineExceeded',
      message: 'x',
      lastUpdateTime: '2026-11-20T00:00:00Z',
    };
    const story = deployed().put(webPod({}));
    story.baseline = {
      ...emptyBaseline,
      workloads: {
        'Deployment/shop/web': {
          uid: 'uid-web',
          generation: 1,
          template: '',
          isHealthy: false,
          conditions: { Progressing: old.lastUpdateTime },
        },
      },
    };
    story.put(deployment({ status: { conditions: [old] } }));
    expect(story.wait(60).state).toBe('progressing');
    story.put(deployment({ status: { conditions: [{ ...old, lastUpdateTime: '2026-11-21T10:09:00Z' }] } }));
    expect(story.look().causes[0]?.code).toBe('deadline');
  });

  test('a template that changes after us is superseded, a scaled workload is not', () => {
    const story = deployed().put(webPod({}));
    story.look();
    story.put(deployment({ replicas: 5, generation: 3 }));
    expect(story.look().state).toBe('progressing');
    story.put(deployment({ image: 'reg.io/web:3', generation: 4 }));
    expect(story.look().state).toBe('superseded');
  });

  test('while the write goes on only what has moved counts', () => {
    const story = deployed().put(webPod({ state: waiting('InvalidImageName') }));
    story.options = { phase: 'applying' };
    const hash = templateHash((deployment().spec as { template: unknown }).template);
    story.baseline = {
      ...emptyBaseline,
      workloads: {
        'Deployment/shop/web': { uid: 'uid-web', generation: 2, template: hash, isHealthy: true, conditions: {} },
      },
    };
    expect(story.wait(60).state).toBe('progressing');
    story.put(deployment({ generation: 3 }));
    expect(story.look().causes[0]?.code).toBe('image.invalid');
  });
});

describe('one pod is not the version', () => {
  test('two of three are up: the third has to crash five times without any progress for 2 min', () => {
    const story = deployed({ replicas: 3 });
    story.reply = reply({ kind: 'logs', text: 'fatal: this node has no clock' });
    const status = { updatedReplicas: 3, replicas: 3, readyReplicas: 2, availableReplicas: 2 };
    story.put(deployment({ replicas: 3, status }), replicaSet('web-new', { replicas: 3, status }));
    story.put(
      pod('web-new-2', { owner: 'web-new', isReady: true }),
      pod('web-new-3', { owner: 'web-new', isReady: true }),
    );
    for (const [run, pause] of [
      [0, 1],
      [1, 10],
      [2, 20],
      [3, 40],
      [4, 40],
    ] as const) {
      crash(story, run);
      expect(story.wait(pause).state).toBe('progressing');
    }
    crash(story, 5);
    const last = story.wait(60);
    expect(last.causes[0]).toMatchObject({ code: 'crash' });
    expect(last.causes[0]?.message).toContain('1 of 3 new pods');
  });

  test('a cause of the template needs one pod only', () => {
    const story = deployed({ replicas: 2 }).put(pod('web-new-2', { owner: 'web-new' }));
    story.put(webPod({ state: waiting('InvalidImageName') }));
    expect(story.look().state).toBe('failed');
    expect(story.last?.isCollecting).toBe(true);
  });
});

describe('other kinds', () => {
  const judge = (objects: readonly KubeObject[], target: KubeObject, wait = 15): string => {
    const story = new Story().target(target).put(...objects);
    return story.wait(wait).state;
  };
  const meta = (name: string, more: object = {}): KubeObject['metadata'] => ({
    name,
    namespace: NAMESPACE,
    uid: `uid-${name}`,
    generation: 1,
    ...more,
  });
  const sts = (spec: object, status: object): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta('db'),
    spec: { replicas: 2, template: {}, ...spec },
    status: { observedGeneration: 1, ...status },
  });
  const setPod = (name: string, hash: string, isReady = true): KubeObject => {
    const made = pod(name, { labels: { 'controller-revision-hash': hash }, isReady });
    return {
      ...made,
      metadata: {
        ...made.metadata,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true }],
      },
    };
  };
  const full = {
    replicas: 2,
    readyReplicas: 2,
    availableReplicas: 2,
    updatedReplicas: 2,
    currentRevision: 'db-2',
    updateRevision: 'db-2',
  };
  const job = (status: object, spec: object = {}): KubeObject => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: meta('task'),
    spec: { template: {}, ...spec },
    status,
  });
  const other = (conditions: readonly object[], more: object = {}): KubeObject => ({
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: meta('w'),
    spec: {},
    status: { conditions, ...more },
  });
  const rows: readonly (readonly [string, string, KubeObject, readonly KubeObject[]])[] = [
    ['StatefulSet, all updated', 'ready', sts({}, full), [setPod('db-0', 'db-2'), setPod('db-1', 'db-2')]],
    [
      'StatefulSet, one old pod left',
      'progressing',
      sts({}, { ...full, updatedReplicas: 1, currentRevision: 'db-1' }),
      [setPod('db-0', 'db-1'), setPod('db-1', 'db-2')],
    ],
    [
      'StatefulSet, partition',
      'ready',
      sts(
        { updateStrategy: { rollingUpdate: { partition: 1 } } },
        { ...full, updatedReplicas: 1, currentRevision: 'db-1' },
      ),
      [setPod('db-0', 'db-1'), setPod('db-1', 'db-2')],
    ],
    [
      'StatefulSet, OnDelete',
      'ready',
      sts({ updateStrategy: { type: 'OnDelete' } }, { ...full, updatedReplicas: 0, currentRevision: 'db-1' }),
      [],
    ],
    [
      'StatefulSet, not available yet',
      'progressing',
      sts({}, { ...full, availableReplicas: 1 }),
      [setPod('db-0', 'db-2'), setPod('db-1', 'db-2')],
    ],
    ['StatefulSet that no controller has seen', 'progressing', sts({}, { ...full, observedGeneration: 0 }), []],
    ['Job complete', 'ready', job({ succeeded: 1, conditions: [{ type: 'Complete', status: 'True' }] }), []],
    [
      'Job that is almost complete',
      'progressing',
      job({ conditions: [{ type: 'SuccessCriteriaMet', status: 'True' }] }),
      [],
    ],
    [
      'Job failed',
      'failed',
      job({ conditions: [{ type: 'FailureTarget', status: 'True', reason: 'BackoffLimitExceeded', message: 'x' }] }),
      [],
    ],
    ['Job with failed attempts', 'progressing', job({ active: 1, failed: 2 }), []],
    ['Job that is suspended', 'paused', job({}, { suspend: true }), []],
    ['CronJob', 'ready', { apiVersion: 'batch/v1', kind: 'CronJob', metadata: meta('c'), spec: {} }, []],
    ['Pod that has ended well', 'ready', pod('p', { phase: 'Succeeded' }), []],
    ['Pod that failed', 'failed', pod('p', { phase: 'Failed' }), []],
    ['Deployment, paused', 'paused', deployment({ spec: { paused: true } }), []],
    [
      'Deployment, zero replicas',
      'ready',
      deployment({ replicas: 0, status: { updatedReplicas: 0, replicas: 0 } }),
      [replicaSet('web-new')],
    ],
    [
      'claim, bound',
      'ready',
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: meta('d'), status: { phase: 'Bound' } },
      [],
    ],
    [
      'claim that waits for a consumer',
      'ready',
      { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: meta('d'), status: { phase: 'Pending' } },
      [event('d', 'WaitForFirstConsumer', 'waiting', { type: 'Normal' })],
    ],
    ['unknown kind without conditions', 'ready', other([]), []],
    ['unknown kind, Ready False', 'progressing', other([{ type: 'Ready', status: 'False', message: 'soon' }]), []],
    ['unknown kind, Stalled', 'failed', other([{ type: 'Stalled', status: 'True', message: 'no' }]), []],
    ['unknown kind, not observed', 'progressing', other([], { observedGeneration: 0 }), []],
    [
      'Argo Rollout, healthy, generation as text',
      'ready',
      {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: meta('r'),
        spec: {},
        status: { observedGeneration: '1', phase: 'Healthy' },
      },
      [],
    ],
    [
      'Argo Rollout, paused',
      'paused',
      {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: meta('r'),
        spec: {},
        status: { observedGeneration: '1', phase: 'Paused' },
      },
      [],
    ],
    [
      'Argo Rollout, degraded',
      'failed',
      {
        apiVersion: 'argoproj.io/v1alpha1',
        kind: 'Rollout',
        metadata: meta('r'),
        spec: {},
        status: { observedGeneration: '1', phase: 'Degraded', message: 'x' },
      },
      [],
    ],
  ];
  test.each(rows)('%s is %s', (_name, state, target, objects) => {
    expect(judge(objects, target)).toBe(state);
  });

  test('a DaemonSet does not wait for a node that is down', () => {
    const hash = '7d9f';
    const set: KubeObject = {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: meta('agent'),
      spec: { template: {} },
      status: {
        observedGeneration: 1,
        desiredNumberScheduled: 2,
        updatedNumberScheduled: 2,
        numberAvailable: 1,
        numberReady: 1,
      },
    };
    const owner = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'agent', uid: 'uid-agent', controller: true };
    const revision: KubeObject = {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: { ...meta('agent-1'), labels: { 'controller-revision-hash': hash }, ownerReferences: [owner] },
      revision: 1,
    };
    const on = (name: string, where: string, isReady: boolean): KubeObject => {
      const made = pod(name, { labels: { 'controller-revision-hash': hash }, node: where, isReady });
      return { ...made, metadata: { ...made.metadata, ownerReferences: [owner] } };
    };
    const objects = [revision, on('a-1', 'node-1', true), on('a-2', 'node-2', false), node('node-1')];
    expect(judge([...objects, node('node-2')], set)).toBe('progressing');
    expect(judge([...objects, node('node-2', { isReady: false })], set)).toBe('ready');
  });

  test('an ordered StatefulSet that waits for a broken old pod is stuck', () => {
    const story = new Story().target(
      sts({}, { ...full, updatedReplicas: 0, readyReplicas: 1, availableReplicas: 1, currentRevision: 'db-1' }),
    );
    story.put(setPod('db-0', 'db-1'), setPod('db-1', 'db-1', false));
    const last = story.wait(60);
    expect(last.causes[0]?.code).toBe('sts.stuck');
    expect(last.causes[0]?.fix).toContain('delete pod db-1');
  });

  test('what is not there after half a minute was not deployed', () => {
    const snapshot = { ...emptySnapshot, memory: emptyMemory(0) };
    const options = {
      targets: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: NAMESPACE }],
      phase: 'applied' as const,
    };
    const first = evaluate(snapshot, emptyBaseline, 0, options);
    expect([first.state, first.wakeAt]).toEqual(['progressing', 30_000]);
    expect(evaluate({ ...snapshot, memory: first.memory }, emptyBaseline, 30_000, options).causes[0]?.code).toBe(
      'deleted',
    );
  });
});
