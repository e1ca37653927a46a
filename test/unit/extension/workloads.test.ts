import { describe, expect, it } from 'vitest';
import type { Description, LiveState, LiveWorkloadView } from '../../../src/engine/main.ts';
import { SlipwayError } from '../../../src/engine/problems/index.ts';
import type { EnvironmentConfig } from '../../../src/engine/project/model.ts';
import { descriptionText } from '../../../src/extension/workloads/descriptionText.ts';
import { ScaleUndo } from '../../../src/extension/workloads/scaleUndo.ts';
import {
  imageTag,
  liveEnvironmentItem,
  podItem,
  workloadItem,
} from '../../../src/extension/workloads/workloadItems.ts';
import { WorkloadStore } from '../../../src/extension/workloads/workloadStore.ts';

const now = Date.parse('2026-11-21T10:05:00Z');
const createdAt = '2026-11-21T10:00:00Z';

const api: LiveWorkloadView = {
  ref: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop-api', namespace: 'shop' },
  state: 'ready',
  message: '2 of 2 updated pods are available',
  desired: 2,
  updated: 2,
  ready: 2,
  available: 2,
  pods: [],
  images: ['registry.example/shop-api:main-4f2a9c1@sha256:0123456789abcdef'],
  createdAt,
};
const broken: LiveWorkloadView = {
  ...api,
  ref: { ...api.ref, kind: 'StatefulSet', name: 'shop-db' },
  state: 'progressing',
  available: 0,
  cause: 'CrashLoopBackOff: back-off 10s restarting failed container. Again and again.',
};

const dev = {
  name: 'dev',
  namespace: 'shop',
  isProtected: false,
  deploy: { kind: 'manifests', paths: [], images: [], prune: false },
  rollout: { rollback: true },
  smoke: [],
  place: { file: '/work/shop/slipway.yaml' },
} satisfies EnvironmentConfig;

const live = (workloads: readonly LiveWorkloadView[], contact: Partial<LiveState['contact']> = {}) =>
  ({ kind: 'live', state: { contact: { state: 'connected', since: 0, ...contact }, workloads } }) as const;

describe('rows of the Workloads view', () => {
  it.each([
    ['closed', { kind: 'closed' } as const, /^namespace shop$/],
    ['connecting', { kind: 'opening' } as const, /^connecting/],
    ['all ready', live([api]), /^1 workload, all ready/],
    ['one not ready', live([api, broken]), /^1 of 2 not ready/],
    ['one paused by a person', live([api, { ...api, state: 'paused' }]), /^2 workloads, 1 paused/],
    ['empty', live([]), /^nothing deployed/],
    ['lost', live([api], { state: 'lost', message: 'Forbidden. More.' }), /^contact lost: Forbidden/],
    ['reconnecting', live([api], { state: 'reconnecting' }), /^reconnecting/],
    [
      'failed',
      {
        kind: 'failed',
        failure: new SlipwayError({ reason: 'cluster', message: 'No such context. Really.' }),
      } as const,
      /^No such context · namespace shop$/,
    ],
  ])('environment, %s', (_name, standing, description) => {
    expect(liveEnvironmentItem(dev, standing).description).toMatch(description);
  });

  it('says count, tag and age of a healthy workload', () => {
    expect(workloadItem(api, now)).toMatchObject({
      label: 'shop-api',
      description: '2 of 2 available · main-4f2a9c1 · 5 min',
      contextValue: 'workload.Deployment.ready',
    });
  });

  it('puts the cause of trouble first', () => {
    const item = workloadItem(broken, now);
    expect(item.description).toMatch(/^CrashLoopBackOff: back-off 10s .* · 0 of 2 available · .* · StatefulSet$/);
    expect(item.icon).toBe('error');
    expect(item.spoken).toMatch(/StatefulSet shop-db, progressing, CrashLoopBackOff/);
  });

  it('says why a pod is not ready', () => {
    const item = podItem(
      {
        name: 'p',
        isNew: false,
        isReady: false,
        phase: 'Pending',
        reason: 'ImagePullBackOff',
        message: 'not found',
        restarts: 1,
      },
      now,
    );
    expect(item.description).toBe('ImagePullBackOff: not found · 1 restart · old version');
  });

  it.each([
    ['api', 'latest'],
    ['localhost:5000/api', 'latest'],
    ['localhost:5000/api:1.2', '1.2'],
    ['api@sha256:0123456789abcdef', 'sha256:0123456789ab'],
  ])('tag of %s is %s', (reference, tag) => expect(imageTag(reference)).toBe(tag));
});

describe('workload store', () => {
  const key = { folder: '/work/shop', environment: 'dev' };

  it('contacts nobody before an environment is opened, and once while it is', async () => {
    let asked = 0;
    const store = new WorkloadStore(async (_key, onChange) => {
      asked += 1;
      onChange({ contact: { state: 'connected', since: 0 }, workloads: [api] });
    });
    expect(store.get(key).kind).toBe('closed');
    expect(asked).toBe(0);
    await Promise.all([store.open(key), store.open(key)]);
    expect(asked).toBe(1);
    expect(store.get(key).kind).toBe('live');
  });

  it('ends the watch when it is closed, and hears nothing more', async () => {
    let signal: AbortSignal | undefined;
    let tell: ((state: LiveState) => void) | undefined;
    const store = new WorkloadStore(async (_key, onChange, stop) => {
      signal = stop;
      tell = onChange;
      onChange({ contact: { state: 'connected', since: 0 }, workloads: [] });
    });
    await store.open(key);
    store.close(key);
    expect(signal?.aborted).toBe(true);
    tell?.({ contact: { state: 'connected', since: 0 }, workloads: [api] });
    expect(store.get(key).kind).toBe('closed');
  });

  it('a failure is a state, and opening again after it tries anew', async () => {
    let asked = 0;
    const store = new WorkloadStore(async () => {
      asked += 1;
      throw new SlipwayError({ reason: 'cluster', message: 'refused' });
    });
    await store.open(key);
    expect(store.get(key)).toMatchObject({ kind: 'failed', failure: { message: 'refused' } });
    await store.reopen(key);
    expect(asked).toBe(2);
    store.close(key);
    await store.reopen(key);
    expect(asked).toBe(2);
  });

  it('shows what was seen last until there is something newer', async () => {
    const first = Promise.withResolvers<void>();
    let round = 0;
    const store = new WorkloadStore(async (_key, onChange) => {
      round += 1;
      if (round === 2) await first.promise;
      onChange({ contact: { state: 'connected', since: 0 }, workloads: round === 1 ? [api] : [] });
    });
    await store.open(key);
    const reopened = store.reopen(key);
    expect(store.get(key)).toMatchObject({ kind: 'live', state: { workloads: [api] } });
    first.resolve();
    await reopened;
    expect(store.get(key)).toMatchObject({ kind: 'live', state: { workloads: [] } });
  });
});

describe('description', () => {
  it('has the facts as comments above the object, so that the whole is YAML', () => {
    const description: Description = {
      object: api.ref,
      createdAt,
      workload: api,
      facts: [{ name: 'Replicas', value: '2' }],
      conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: '' }],
      pods: [],
      events: [],
      related: [{ object: { apiVersion: 'v1', kind: 'Service', name: 'shop-api' }, message: 'port 80' }],
      owners: [{ kind: 'helm', release: 'shop', namespace: 'shop', evidence: 'annotation' }],
      troubles: [{ title: 'Low memory', evidence: 'OOMKilled', fix: 'Raise the limit.' }],
      yaml: 'kind: Deployment\n',
    };
    const text = descriptionText(description, now);
    expect(text).toMatch(
      /^# Deployment shop-api, created 5 min ago\n# ready: 2 of 2 updated pods are available\n#\n# Troubles:/,
    );
    expect(text).toMatch(/\n# {3}Low memory {2}OOMKilled {2}Raise the limit\.\n/);
    expect(text).toMatch(/\n# {3}Service shop-api: port 80\n/);
    expect(text.split('\n\n').at(-1)).toBe('kind: Deployment\n');
    for (const line of text.split('\n\n')[0]?.split('\n') ?? []) expect(line).toMatch(/^#/);
  });
});

describe('undo of a scale', () => {
  const web = { folder: '/work/shop', environment: 'dev', named: 'deployment/shop-api' };

  it('is offered on the row while the workload has the number it was given', () => {
    const undo = new ScaleUndo();
    undo.remember(web, { before: 2, after: 5 });
    expect(undo.offer(web, 5)).toBe(2);
    // Somebody else has scaled it since.
    expect(undo.offer(web, 4)).toBeUndefined();
    expect(undo.offer({ ...web, environment: 'prod' }, 5)).toBeUndefined();
    const row = workloadItem({ ...api, desired: 5 }, now, { undo: undo.offer(web, 5) });
    expect(row.description).toMatch(/scaled from 2/);
    expect(row.contextValue).toBe('workload.Deployment.ready.scaled');
  });

  it('is gone when it was undone, and a scale to the same number leaves none', () => {
    const undo = new ScaleUndo();
    undo.remember(web, { before: 2, after: 5 });
    undo.forget(web);
    expect(undo.offer(web, 5)).toBeUndefined();
    undo.remember(web, { before: 3, after: 3 });
    expect(undo.get(web)).toBeUndefined();
  });
});
