import { describe, expect, it } from 'vitest';
import { parseApplication, readApplication } from '../../src/engine/argocd/application.ts';
import { judgeApplication } from '../../src/engine/argocd/judge.ts';
import {
  pausedReminder,
  pausePatch,
  refuseBusy,
  resumePatch,
  rollbackPatch,
  syncPatch,
  whoRestoresAutomation,
  whoUndoesRollback,
} from '../../src/engine/argocd/operations.ts';
import type { KubeObject } from '../../src/engine/cluster/index.ts';

const OLD = '1'.repeat(40);
const NEW = '2'.repeat(40);
const now = Date.parse('2026-11-21T08:00:00Z');

type Json = Record<string, unknown>;

/** An Application as the API server gives it after a good automatic sync (shape of Argo CD 3.5). */
function application(
  changes: { readonly spec?: Json; readonly status?: Json; readonly rest?: Json; readonly metadata?: Json } = {},
) {
  const object = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    metadata: { name: 'shop', namespace: 'argocd', resourceVersion: '41', ...changes.metadata },
    spec: {
      project: 'default',
      source: { repoURL: 'https://git.example.com/shop/deploy.git', path: 'k8s/prod', targetRevision: 'main' },
      destination: { server: 'https://kubernetes.default.svc', namespace: 'shop' },
      syncPolicy: {
        automated: { prune: true, selfHeal: true },
        syncOptions: ['CreateNamespace=true'],
        retry: { limit: 3 },
      },
      ...changes.spec,
    },
    status: {
      sync: { status: 'Synced', revision: NEW },
      health: { status: 'Healthy', lastTransitionTime: '2026-11-21T07:58:20Z' },
      reconciledAt: '2026-11-21T07:59:00Z',
      summary: { images: ['git.example.com/shop/web:1.1.0'] },
      resources: [
        {
          group: 'apps',
          version: 'v1',
          kind: 'Deployment',
          namespace: 'shop',
          name: 'web',
          status: 'Synced',
          health: { status: 'Healthy' },
        },
      ],
      operationState: {
        phase: 'Succeeded',
        message: 'successfully synced (all tasks run)',
        startedAt: '2026-11-21T07:58:00Z',
        finishedAt: '2026-11-21T07:58:05Z',
        operation: { initiatedBy: { automated: true }, retry: { limit: 3 }, sync: { revision: NEW } },
        syncResult: { revision: NEW, resources: [] },
      },
      history: [
        {
          id: 0,
          revision: OLD,
          deployedAt: '2026-11-20T07:58:05Z',
          source: { repoURL: 'https://git.example.com/shop/deploy.git', path: 'k8s/prod' },
          initiatedBy: { automated: true },
        },
        { id: 1, revision: NEW, deployedAt: '2026-11-21T07:58:05Z', initiatedBy: { automated: true } },
      ],
      ...changes.status,
    },
    ...changes.rest,
  };
  return readApplication(object as unknown as KubeObject);
}

const running = (message: string, more: Json = {}) => ({
  operationState: {
    phase: 'Running',
    message,
    startedAt: '2026-11-21T07:59:30Z',
    operation: { sync: { revision: NEW } },
    ...more,
  },
});

describe('an Application in plain words', () => {
  it.each([
    ['in order', application(), 'healthy', /matches 22222222.*calls its workloads healthy/],
    [
      'a comparison from before the operation ended',
      application({ status: { reconciledAt: '2026-11-21T07:58:01Z' } }),
      'stale',
      /from before the last operation ended/,
    ],
    ['git is further', application(), 'stale', /compared with 22222222, but git holds 33333333/, '3'.repeat(40)],
    [
      'a controller that does not look',
      application({ status: { reconciledAt: '2026-11-21T07:00:00Z', operationState: undefined } }),
      'stale',
      /60 min old/,
    ],
    [
      'never compared',
      application({ status: { reconciledAt: undefined, sync: undefined } }),
      'unknown',
      /not compared/,
    ],
    [
      'runs',
      application({ status: running('waiting for healthy state of apps/Deployment/web') }),
      'syncing',
      /apps\/Deployment\/web to become healthy/,
    ],
    [
      'a hook',
      application({ status: running('waiting for completion of hook batch/Job/migrate') }),
      'syncing',
      /hook batch\/Job\/migrate/,
    ],
    ['a sync window', application({ status: running('operation blocked by sync window') }), 'syncing', /sync window/],
    [
      'a retry, which is Running with a finish time',
      application({
        status: running('one or more tasks failed', {
          finishedAt: '2026-11-21T07:59:40Z',
          retryCount: 2,
          operation: { retry: { limit: 5 }, sync: {} },
        }),
      }),
      'syncing',
      /Retry 2 of 5/,
    ],
    [
      'a sync asked for that nobody took up',
      application({ rest: { operation: { sync: {} } } }),
      'syncing',
      /waits for Argo CD's controller/,
    ],
    [
      'a failed sync',
      application({
        status: {
          conditions: [{ type: 'SyncError', message: 'Failed sync attempt' }],
          operationState: {
            phase: 'Failed',
            message: 'one or more objects failed to apply',
            finishedAt: '2026-11-21T07:58:05Z',
            syncResult: {
              revision: NEW,
              resources: [
                {
                  kind: 'Service',
                  version: 'v1',
                  name: 'web',
                  namespace: 'shop',
                  status: 'SyncFailed',
                  message: 'port is invalid',
                },
              ],
            },
          },
        },
      }),
      'failed',
      /SyncError: Failed sync attempt/,
    ],
    [
      'does not render',
      application({
        status: {
          conditions: [{ type: 'ComparisonError', message: 'kustomize build failed' }],
          sync: { status: 'Unknown' },
        },
      }),
      'failed',
      /kustomize build failed/,
    ],
    [
      'a person is awaited',
      application({ spec: { syncPolicy: {} }, status: { sync: { status: 'OutOfSync', revision: NEW } } }),
      'out-of-sync',
      /automatic sync is off/,
    ],
    [
      'only deletions are left',
      application({
        spec: { syncPolicy: { automated: {} } },
        status: {
          sync: { status: 'OutOfSync', revision: NEW },
          resources: [
            {
              version: 'v1',
              kind: 'Service',
              name: 'old',
              namespace: 'shop',
              status: 'OutOfSync',
              requiresPruning: true,
            },
          ],
        },
      }),
      'out-of-sync',
      /only deletions are left/,
    ],
    [
      'drift without self-healing',
      application({
        spec: { syncPolicy: { automated: {} } },
        status: {
          sync: { status: 'OutOfSync', revision: NEW },
          resources: [{ group: 'apps', version: 'v1', kind: 'Deployment', name: 'web', status: 'OutOfSync' }],
        },
      }),
      'out-of-sync',
      /self-healing is off/,
    ],
    ['degraded', application({ status: { health: { status: 'Degraded' } } }), 'degraded', /Its workloads are degraded/],
    ['progressing', application({ status: { health: { status: 'Progressing' } } }), 'waiting', /to become ready/],
  ] as const)('%s', (_name, app, state, summary, gitRevision?: string) => {
    const status = judgeApplication(app, { now, ...(gitRevision !== undefined && { gitRevision }) });
    expect(status.summary).toMatch(summary);
    expect(status.state).toBe(state);
    expect(status.summary).toMatch(/^[A-Z].*\.$/s);
  });

  it('says that a stale Healthy is not to be trusted', () => {
    const status = judgeApplication(application({ status: { reconciledAt: '2026-11-21T07:58:01Z' } }), { now });
    expect(status.health).toBe(
      'Argo CD calls its workloads healthy (not to be trusted: sync and health are from before the last operation ended: Argo CD has not looked since)',
    );
  });

  it('reads several sources, one revision for each, and who writes the application itself', () => {
    const app = application({
      metadata: { annotations: { 'argocd.argoproj.io/tracking-id': 'apps:argoproj.io/Application:argocd/shop' } },
      spec: {
        source: undefined,
        sources: [
          { repoURL: 'a', chart: 'web', targetRevision: '1.2.3' },
          { repoURL: 'b', ref: 'values' },
        ],
      },
      status: { sync: { status: 'Synced', revisions: ['1.2.3', NEW] } },
    });
    expect(app.isMultiSource).toBe(true);
    expect(app.sync.revisions).toEqual(['1.2.3', NEW]);
    expect(app.parent).toEqual({ kind: 'Application', name: 'apps' });
    expect(judgeApplication(app, { now, gitRevision: OLD }).sync).toBe(
      'The cluster matches 1.2.3, 22222222 (2 sources)',
    );
    expect(whoRestoresAutomation(app)).toMatch(/Application apps writes this application/);
  });

  it('reads names with and without a namespace', () => {
    expect(parseApplication('shop')).toEqual({ namespace: 'argocd', name: 'shop' });
    expect(parseApplication('team/shop')).toEqual({ namespace: 'team', name: 'shop' });
  });
});

describe('what is written into an Application', () => {
  const request = { user: 'slipway', run: 'r1', reason: 'image web' };

  it('syncs as argocd does: options and retry copied, the stale result taken away, conditional on what was read', () => {
    expect(syncPatch(application(), { ...request, revisions: [NEW] })).toEqual({
      metadata: { resourceVersion: '41' },
      operation: {
        initiatedBy: { username: 'slipway' },
        info: [
          { name: 'slipwayRun', value: 'r1' },
          { name: 'Reason', value: 'image web' },
        ],
        sync: { revision: NEW, prune: true, syncStrategy: { hook: {} }, syncOptions: ['CreateNamespace=true'] },
        retry: { limit: 3 },
      },
      status: { operationState: null },
    });
  });

  it('syncs a part, without pruning, where there is neither policy nor state', () => {
    const app = application({ spec: { syncPolicy: undefined }, status: { operationState: undefined } });
    const resources = [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', namespace: 'shop' }];
    expect(syncPatch(app, { ...request, resources, prune: 'no' })).toMatchObject({
      operation: {
        sync: {
          syncStrategy: { hook: {} },
          resources: [{ group: 'apps', kind: 'Deployment', name: 'web', namespace: 'shop' }],
        },
      },
    });
    expect(syncPatch(app, request)).not.toHaveProperty('status');
  });

  it('rolls back with the source of the history entry', () => {
    const app = application();
    const entry = app.history.find(({ id }) => id === 0);
    expect(app.history.map(({ id }) => id)).toEqual([1, 0]);
    expect(rollbackPatch(app, entry ?? { id: 0, revisions: [], isAutomated: false }, request)).toMatchObject({
      operation: {
        sync: { revision: OLD, source: { path: 'k8s/prod' }, syncStrategy: { apply: {} } },
      },
    });
  });

  it('pauses automation and restores it exactly, with a reminder in between', () => {
    const app = application();
    expect(whoUndoesRollback(app)).toMatch(/go forward .*self-healing is on/);
    const patch = pausePatch(app, 'rolled back to 1', 'no') as {
      metadata: { annotations: Json };
      spec: { syncPolicy: Json };
    };
    expect(patch.spec.syncPolicy.automated).toBeNull();
    const paused = application({
      metadata: { annotations: patch.metadata.annotations },
      spec: { syncPolicy: { automated: { enabled: false } } },
    });
    expect(paused.automated.state).toBe('off');
    expect(whoUndoesRollback(paused)).toBeUndefined();
    expect(pausedReminder(paused)).toBe(
      'Automatic sync is paused: rolled back to 1. Resume it with `slipway argocd resume`.',
    );
    expect(resumePatch(paused)).toMatchObject({
      metadata: { annotations: { 'slipway.dev/paused-automation': null } },
      spec: { syncPolicy: { automated: { prune: true, selfHeal: true, enabled: null } } },
    });
    expect(resumePatch(app)).toBeUndefined();
    expect(pausePatch(app, 'x', 'yes')).toMatchObject({ spec: { syncPolicy: { automated: { enabled: false } } } });
  });

  it('refuses while another operation waits or runs, or the application is deleted', () => {
    expect(() => refuseBusy(application())).not.toThrow();
    expect(() => refuseBusy(application({ rest: { operation: {} } }))).toThrow(/waits/);
    expect(() => refuseBusy(application({ status: running('x') }))).toThrow(/runs: x/);
    expect(() => refuseBusy(application({ metadata: { deletionTimestamp: 'x' } }))).toThrow(/being deleted/);
  });
});
