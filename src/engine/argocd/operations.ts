/**
 * Patches of an Application that do what `argocd app sync`, `rollback`, `refresh` and `terminate-op` do, with the
 * Kubernetes API only. The Application has no status subresource, so one merge patch may write spec, status and
 * `operation` (argo-cd 3.5: server/application/application.go, controller/appcontroller.go). Pure.
 */
import { at, isFields } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { type Application, type HistoryEntry, REFRESH } from './application.ts';
import { isRunning } from './judge.ts';

/** Keeps the automation that a rollback took away, byte for byte as JSON. */
export const PAUSED = 'slipway.dev/paused-automation';
/** Why and when automatic sync was paused: what the reminder says. */
export const PAUSED_WHY = 'slipway.dev/paused-because';

export const refreshPatch = (kind: 'normal' | 'hard'): object => ({ metadata: { annotations: { [REFRESH]: kind } } });

export interface SyncRequest {
  /** One for each source; empty = what the target revisions are now. */
  readonly revisions?: readonly string[];
  readonly user: string;
  readonly run: string;
  readonly reason: string;
  readonly prune?: 'yes' | 'no';
  /** Only these objects; such a sync leaves no history. */
  readonly resources?: readonly ObjectRef[];
}

/** A merge patch, conditional on the version that was read: on 409 the caller reads again. */
export function syncPatch(app: Application, request: SyncRequest): object {
  const policy = at(app.object, 'spec', 'syncPolicy');
  const revisions = request.revisions ?? [];
  const resources = request.resources?.map(({ apiVersion, kind, name, namespace }) => ({
    group: apiVersion.includes('/') ? apiVersion.split('/')[0] : '',
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
  }));
  const syncOptions = at(policy, 'syncOptions');
  return operationPatch(app, request, {
    sync: {
      ...(app.isMultiSource
        ? revisions.length > 0 && { revisions }
        : revisions[0] !== undefined && { revision: revisions[0] }),
      ...((request.prune === undefined ? app.automated.prune : request.prune === 'yes') && { prune: true }),
      syncStrategy: { hook: {} },
      ...(Array.isArray(syncOptions) && syncOptions.length > 0 && { syncOptions }),
      ...(resources !== undefined && resources.length > 0 && { resources }),
    },
    ...(isFields(at(policy, 'retry')) && { retry: at(policy, 'retry') }),
  });
}

/** Back to an entry of the history. Automatic sync must be off, or the controller goes forward again within seconds. */
export function rollbackPatch(app: Application, entry: HistoryEntry, request: Omit<SyncRequest, 'revisions'>): object {
  const [revision] = entry.revisions;
  return operationPatch(app, request, {
    sync: {
      ...(entry.sources === undefined
        ? { ...(revision !== undefined && { revision }), ...(entry.source !== undefined && { source: entry.source }) }
        : { revisions: entry.revisions, sources: entry.sources }),
      ...(request.prune === 'yes' && { prune: true }),
      syncStrategy: { apply: {} },
    },
  });
}

function operationPatch(
  app: Application,
  { user, run, reason }: Pick<SyncRequest, 'user' | 'run' | 'reason'>,
  operation: object,
): object {
  const hasState = isFields(at(app.object, 'status', 'operationState'));
  return {
    metadata: { resourceVersion: app.object.metadata.resourceVersion },
    operation: {
      // Not automated: sync windows then treat it as a person's.
      initiatedBy: { username: user },
      info: [
        { name: RUN, value: run },
        { name: 'Reason', value: reason },
      ],
      ...operation,
    },
    // As the API server does; without it a stale result can be read as this one's (argo-cd#20875).
    ...(hasState && { status: { operationState: null } }),
  };
}

/** Name of the `info` entry by which our own operation is known again. */
export const RUN = 'slipwayRun';

export const terminatePatch = (app: Application): object => ({
  metadata: { resourceVersion: app.object.metadata.resourceVersion },
  status: { operationState: { phase: 'Terminating' } },
});

/**
 * Automatic sync off, with what it was kept in an annotation so that {@link resumePatch} restores it exactly.
 * `knowsEnabled`: the CRD has `spec.syncPolicy.automated.enabled` (Argo CD 3.2 and newer).
 */
export function pausePatch(app: Application, why: string, knowsEnabled: 'yes' | 'no'): object {
  const automated = at(app.object, 'spec', 'syncPolicy', 'automated');
  return {
    metadata: {
      resourceVersion: app.object.metadata.resourceVersion,
      annotations: { [PAUSED]: JSON.stringify(automated), [PAUSED_WHY]: why },
    },
    spec: { syncPolicy: { automated: knowsEnabled === 'yes' ? { enabled: false } : null } },
  };
}

/** Undefined when nothing was paused by us. Throws `config` when the annotation was damaged. */
export function resumePatch(app: Application): object | undefined {
  const kept = app.object.metadata.annotations?.[PAUSED];
  if (kept === undefined) return undefined;
  let automated: unknown;
  try {
    automated = JSON.parse(kept);
  } catch (error) {
    throw new SlipwayError(
      {
        reason: 'config',
        code: 'argocd.paused',
        message: `The annotation ${PAUSED} of ${app.namespace}/${app.name} does not hold the former automation.`,
        fix: 'Write spec.syncPolicy.automated by hand and take the annotation off.',
        evidence: [kept],
      },
      { cause: error },
    );
  }
  const now = at(app.object, 'spec', 'syncPolicy', 'automated');
  // A merge patch adds: what is there now and was not there before has to be named to go.
  const gone = isFields(now) && isFields(automated) ? Object.keys(now).filter((key) => !(key in automated)) : [];
  const restored = isFields(automated)
    ? { ...automated, ...Object.fromEntries(gone.map((key) => [key, null])) }
    : automated;
  return {
    metadata: {
      resourceVersion: app.object.metadata.resourceVersion,
      annotations: { [PAUSED]: null, [PAUSED_WHY]: null },
    },
    spec: { syncPolicy: { automated: restored } },
  };
}

/** The lasting reminder of a paused automation; undefined when there is none. */
export function pausedReminder(app: Application): string | undefined {
  const annotations = app.object.metadata.annotations ?? {};
  if (annotations[PAUSED] === undefined) return undefined;
  const why = annotations[PAUSED_WHY];
  return `Automatic sync is paused${why === undefined ? '' : `: ${why}`}. Resume it with \`slipway argocd resume\`.`;
}

/** Refuses what Argo CD would refuse or mix up: two operations at once, a deleted application. */
export function refuseBusy(app: Application): void {
  const name = `${app.namespace}/${app.name}`;
  if (app.isDeleting) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'argocd.deleting',
      message: `The application ${name} is being deleted.`,
      fix: 'Wait until it is gone, or take its finalizer off.',
    });
  }
  if (!app.isOperationWaiting && !isRunning(app.operation)) return;
  throw new SlipwayError({
    reason: 'locked',
    code: 'argocd.busy',
    message: `Another sync of ${name} ${app.isOperationWaiting ? 'waits' : 'runs'}${app.operation?.initiatedBy === undefined ? '' : ` (${app.operation.initiatedBy})`}${app.operation?.message ? `: ${app.operation.message}` : ''}.`,
    fix: 'Wait for it, or stop it with `slipway argocd terminate` and sync again.',
  });
}

/**
 * What would undo a rollback in the cluster, in one sentence; undefined when it would stay. The API server refuses it for
 * every automated application; through Kubernetes it is carried out, and then undone.
 */
export function whoUndoesRollback(app: Application): string | undefined {
  if (app.automated.state === 'off') return undefined;
  return `automatic sync is on, so Argo CD would go forward to what git holds again within seconds${app.automated.selfHeal ? ' (self-healing is on as well)' : ''}`;
}

/** Who would switch a paused automation on again; undefined when nobody is known to. */
export function whoRestoresAutomation(app: Application): string | undefined {
  if (app.parent === undefined) return undefined;
  return `the ${app.parent.kind} ${app.parent.name} writes this application and may switch automatic sync on again`;
}
