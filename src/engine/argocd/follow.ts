/** Doing things to an Application and waiting for the controller's answer. Looks again and again; nothing is trusted that is older than the question. */
import type { KubeObject, ListQuery } from '../cluster/index.ts';
import { at, fieldsOf, listOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import {
  APPLICATION,
  type Application,
  applicationRef,
  type HistoryEntry,
  parseApplication,
  readApplication,
} from './application.ts';
import { isRunning } from './judge.ts';
import {
  pausePatch,
  RUN,
  refreshPatch,
  refuseBusy,
  resumePatch,
  rollbackPatch,
  type SyncRequest,
  syncPatch,
  terminatePatch,
  whoUndoesRollback,
} from './operations.ts';

/** What is needed of a cluster; every ClusterAccess fits. */
export interface ApplicationAccess {
  get(ref: ObjectRef, signal: AbortSignal): Promise<KubeObject | undefined>;
  list(query: ListQuery, signal: AbortSignal): Promise<readonly KubeObject[]>;
  merge(ref: ObjectRef, patch: object, options: { readonly signal: AbortSignal }): Promise<KubeObject>;
}

export interface FollowOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called when what is awaited, or its message, changes. */
  readonly onWait?: (text: string) => void;
}

const STEP_MS = 500;
/** The controller takes a refresh up within seconds; after this it is down, on another shard or told to skip. */
const REFRESH_LIMIT_MS = 60_000;

/** Throws SlipwayError `usage` when there is no such Application, `config` when the cluster has no Argo CD. */
export async function getApplication(
  access: ApplicationAccess,
  name: string,
  signal: AbortSignal,
): Promise<Application> {
  const wanted = parseApplication(name);
  const found = await access.get(applicationRef(wanted), signal);
  if (found !== undefined) return readApplication(found);
  const all = await access.list({ ...APPLICATION, isMetadataOnly: true }, signal);
  const elsewhere = all.filter((object) => object.metadata.name === wanted.name);
  const named = (elsewhere.length > 0 ? elsewhere : all)
    .slice(0, 8)
    .map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`);
  throw new SlipwayError({
    reason: 'usage',
    code: 'argocd.no-application',
    message: `There is no Application ${wanted.namespace}/${wanted.name} in this cluster.`,
    fix: named.length === 0 ? 'Is Argo CD installed here? No Application was found.' : `There is ${named.join(', ')}.`,
  });
}

/** Every Application of the cluster, or those of one namespace. */
export async function listApplications(
  access: ApplicationAccess,
  namespace: string | undefined,
  signal: AbortSignal,
): Promise<readonly Application[]> {
  const objects = await access.list({ ...APPLICATION, ...(namespace !== undefined && { namespace }) }, signal);
  return objects.map(readApplication);
}

async function again(access: ApplicationAccess, app: Application, signal: AbortSignal): Promise<Application> {
  const found = await access.get(applicationRef(app), signal);
  if (found !== undefined) return readApplication(found);
  throw new SlipwayError({
    reason: 'cluster',
    code: 'argocd.gone',
    message: `The Application ${app.namespace}/${app.name} was deleted meanwhile.`,
    fix: 'Look at who deleted it; its objects may be gone as well.',
  });
}

const isConflict = (error: unknown): boolean => SlipwayError.is(error, 'cluster') && error.code === 'api.Conflict';

/** A conditional write: when somebody else wrote in between, what is there now decides again. */
async function write(
  access: ApplicationAccess,
  app: Application,
  makePatch: (app: Application) => object,
  signal: AbortSignal,
): Promise<Application> {
  let current = app;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return readApplication(await access.merge(applicationRef(current), makePatch(current), { signal }));
    } catch (error) {
      if (!isConflict(error) || attempt === 5) throw error;
      current = await again(access, current, signal);
    }
  }
}

/** Asks for a comparison with git and waits until it was made. */
export async function refreshApplication(
  access: ApplicationAccess,
  app: Application,
  kind: 'normal' | 'hard',
  options: FollowOptions,
): Promise<Application> {
  const { clock, signal, onWait } = options;
  const before = app.reconciledAt;
  let current = await write(access, app, () => refreshPatch(kind), signal);
  const startedAt = clock.now();
  onWait?.(`${kind} refresh of ${app.namespace}/${app.name} asked for`);
  for (;;) {
    if (current.refresh === undefined && current.reconciledAt !== before) return current;
    // An unchanged status may not be written at all; then only the annotation goes.
    if (current.refresh === undefined && clock.now() - startedAt > 5_000) return current;
    if (clock.now() - startedAt > REFRESH_LIMIT_MS) throw notTaken(current, 'the refresh');
    await clock.sleep(STEP_MS, signal);
    current = await again(access, current, signal);
  }
}

function notTaken(app: Application, what: string): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: 'argocd.controller',
    message: `Argo CD did not take up ${what} of ${app.namespace}/${app.name} within a minute: ${
      app.isSkipped
        ? 'its annotation skip-reconcile keeps the controller away'
        : 'its application controller is down, or does not look after this namespace'
    }.`,
    fix: app.isSkipped
      ? 'Take the annotation argocd.argoproj.io/skip-reconcile off.'
      : "Look at the pods of argocd-application-controller, and at application.namespaces of Argo CD's settings.",
  });
}

/** Writes the operation as `argocd app sync` does; returns once it is asked for. Throws `locked` while another one runs. */
export function startSync(
  access: ApplicationAccess,
  app: Application,
  request: SyncRequest,
  signal: AbortSignal,
): Promise<Application> {
  return write(
    access,
    app,
    (current) => {
      refuseBusy(current);
      return syncPatch(current, request);
    },
    signal,
  );
}

/** Until our operation has ended, well or not. Throws `cluster` when the controller does not take it up. */
export async function awaitOperation(
  access: ApplicationAccess,
  app: Application,
  run: string,
  options: FollowOptions,
): Promise<Application> {
  const { clock, signal, onWait } = options;
  const startedAt = clock.now();
  let said = '';
  let current = app;
  for (;;) {
    const { operation } = current;
    const isOurs = operation?.info.get(RUN) === run;
    if (isOurs && !current.isOperationWaiting && !isRunning(operation)) return current;
    if (
      !isOurs &&
      !current.isOperationWaiting &&
      operation !== undefined &&
      !isRunning(operation) &&
      clock.now() - startedAt > STEP_MS * 4
    ) {
      throw new SlipwayError({
        reason: 'cluster',
        code: 'argocd.superseded',
        message: `Another sync took the place of the one asked for on ${current.namespace}/${current.name}.`,
        fix: 'See `slipway argocd status`; sync again when it is still needed.',
      });
    }
    if (current.isOperationWaiting && !isOurs && clock.now() - startedAt > REFRESH_LIMIT_MS)
      throw notTaken(current, 'the sync');
    const text = operation?.message ?? '';
    if (text !== said) {
      said = text;
      onWait?.(text);
    }
    await clock.sleep(STEP_MS, signal);
    current = await again(access, current, signal);
  }
}

export interface RevisionRequest {
  /** Whether a revision that Argo CD names is the wanted commit or comes after it. */
  readonly holds: (revision: string) => Promise<boolean>;
  /** ms since the epoch: what went wrong before does not count. */
  readonly since: number;
  readonly title: string;
}

/** Without any change of what Argo CD says for so long, something is stuck that nobody will move. */
const PATIENCE_MS = 10 * 60_000;

/**
 * Until Argo CD has synced the wanted commit, or one after it, and has looked since: then what it applied is known.
 * Health is not waited for. Throws SlipwayError `rollout` when it cannot be rendered or applied, `timeout` when nothing
 * moves, `cluster` when the Application is deleted.
 */
export async function awaitRevision(
  access: ApplicationAccess,
  app: Application,
  { holds, since, title }: RevisionRequest,
  options: FollowOptions,
): Promise<Application> {
  const { clock, signal, onWait } = options;
  const known = new Map<string, boolean>();
  const reached = async (revisions: readonly string[]): Promise<boolean> => {
    for (const revision of revisions) {
      if (!known.has(revision)) known.set(revision, await holds(revision));
      if (known.get(revision) === true) return true;
    }
    return false;
  };
  let current = app;
  let said = '';
  let lastChange = clock.now();
  let isRefreshedHard = false;
  for (;;) {
    const { operation } = current;
    if (current.isDeleting) throw gone(current);
    const isCompared = await reached(current.sync.revisions);
    const isOurs = operation !== undefined && (await reached(operation.revisions));
    refuseBroken(current, since, isCompared);
    if (
      isOurs &&
      !isRunning(operation) &&
      !current.isOperationWaiting &&
      (time(operation.finishedAt) ?? 0) >= since - 1_000
    ) {
      const failure = operationFailure(current);
      if (failure !== undefined) throw failure;
    }
    const isIdle = !isRunning(operation) && !current.isOperationWaiting && current.refresh === undefined;
    if (isIdle && isCompared && current.sync.status === 'Synced') {
      const compared = time(current.reconciledAt) ?? 0;
      if (compared >= (time(operation?.finishedAt) ?? 0)) return current;
      // An unchanged status may never be written again: ask once.
      if (!isRefreshedHard) {
        isRefreshedHard = true;
        current = await refreshApplication(access, current, 'hard', { clock, signal });
        continue;
      }
      return current;
    }
    const text = waitText(current, isCompared, title);
    if (text !== said) {
      said = text;
      lastChange = clock.now();
      onWait?.(text);
    }
    if (clock.now() - lastChange > PATIENCE_MS) {
      throw new SlipwayError({
        reason: 'timeout',
        code: 'argocd.stuck',
        message: `Argo CD has not applied ${title} to ${current.namespace}/${current.name}: ${text}, for 10 minutes.`,
        fix: 'See `slipway argocd status`; a sync that waits for ever is stopped with `slipway argocd terminate`.',
      });
    }
    await clock.sleep(STEP_MS, signal);
    current = await again(access, current, signal);
  }
}

const time = (text: string | undefined): number | undefined => {
  const value = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(value) ? undefined : value;
};

function gone(app: Application): SlipwayError {
  return new SlipwayError({
    reason: 'cluster',
    code: 'argocd.gone',
    message: `The Application ${app.namespace}/${app.name} is being deleted.`,
    fix: 'Look at who deleted it; its objects may be gone as well.',
  });
}

/** Conditions that keep a commit from ever being applied. */
function refuseBroken(app: Application, since: number, isCompared: boolean): void {
  for (const { type, message, at: when } of app.conditions) {
    const isNew = (time(when) ?? 0) >= since - 1_000;
    const isFatal =
      ((type === 'ComparisonError' || type === 'InvalidSpecError') && isNew) ||
      (type === 'SyncError' && isNew && isCompared);
    if (!isFatal || isRunning(app.operation)) continue;
    throw new SlipwayError({
      reason: 'rollout',
      code: `argocd.${type === 'SyncError' ? 'sync-failed' : 'comparison'}`,
      message: `Argo CD cannot apply what git holds for ${app.namespace}/${app.name}: ${message}`,
      fix: 'Mend what the message names in git, and push.',
      evidence: [`${type}: ${message}`],
    });
  }
}

function waitText({ operation, sync, isOperationWaiting }: Application, isCompared: boolean, title: string): string {
  if (operation?.phase === 'Running') return operation.message === '' ? 'the sync runs' : operation.message;
  if (isOperationWaiting) return 'the sync waits to be taken up';
  if (!isCompared) return `waiting for Argo CD to see ${title}`;
  return sync.status === 'OutOfSync' ? 'waiting for the sync to begin' : 'waiting for Argo CD to look again';
}

/** The failure that an ended operation means; undefined when it succeeded. */
export function operationFailure(app: Application): SlipwayError | undefined {
  const { operation } = app;
  if (operation === undefined || operation.phase === 'Succeeded') return undefined;
  const evidence = operation.results.flatMap(({ ref, status, message, hook, hookPhase }) =>
    status === 'SyncFailed' || hookPhase === 'Failed' || hookPhase === 'Error'
      ? [`${hook === undefined ? '' : `${hook} hook `}${ref.kind} ${ref.name}: ${message ?? status ?? ''}`]
      : [],
  );
  return new SlipwayError({
    reason: 'rollout',
    code: 'argocd.sync-failed',
    message: `Argo CD could not sync ${app.namespace}/${app.name}: ${operation.message || operation.phase}`,
    fix: 'Mend what the message names in git; Argo CD does not try the same revision again by itself.',
    evidence,
  });
}

export function terminateOperation(
  access: ApplicationAccess,
  app: Application,
  signal: AbortSignal,
): Promise<Application> {
  return write(
    access,
    app,
    (current) => {
      if (isRunning(current.operation)) return terminatePatch(current);
      throw new SlipwayError({
        reason: 'usage',
        code: 'argocd.not-running',
        message: `No sync of ${current.namespace}/${current.name} runs.`,
        fix: 'See `slipway argocd status`.',
      });
    },
    signal,
  );
}

/** The entry to go back to: the one asked for, else the newest whose revision is not the one that is live. */
export function historyEntry(app: Application, id: number | undefined): HistoryEntry {
  const live = app.history[0]?.revisions.join();
  const found =
    id === undefined
      ? app.history.find(({ revisions }) => revisions.join() !== live)
      : app.history.find((entry) => entry.id === id);
  if (found !== undefined) return found;
  throw new SlipwayError({
    reason: 'usage',
    code: 'argocd.no-revision',
    message:
      id === undefined
        ? `The history of ${app.namespace}/${app.name} holds no other revision than the live one.`
        : `The history of ${app.namespace}/${app.name} has no entry ${id}.`,
    fix: 'See `slipway argocd history`.',
  });
}

export interface RollbackRequest extends Omit<SyncRequest, 'revisions'> {
  readonly entry: HistoryEntry;
  /** `pause`: automatic sync is switched off first, with a reminder. `refuse`: then nothing is done. */
  readonly automation: 'pause' | 'refuse';
}

/**
 * Rolls back in the cluster only, as `argocd app rollback`. Git still holds the newer version, so this is the way for
 * emergencies. Throws `refused` under automatic sync, unless it may be paused.
 */
export async function rollBackInCluster(
  access: ApplicationAccess,
  app: Application,
  request: RollbackRequest,
  options: FollowOptions,
): Promise<Application> {
  const { signal } = options;
  refuseBusy(app);
  const undoes = whoUndoesRollback(app);
  let current = app;
  if (undoes !== undefined) {
    if (request.automation === 'refuse') {
      throw new SlipwayError({
        reason: 'refused',
        code: 'argocd.automated',
        message: `A rollback of ${app.namespace}/${app.name} in the cluster would not stay: ${undoes}.`,
        fix: 'Put the old version back in git (`slipway rollback`), or add --pause to switch automatic sync off until `slipway argocd resume`.',
      });
    }
    const why = `rolled back to ${request.entry.revisions.join(', ')} (history ${request.entry.id}): ${request.reason}`;
    const knowsEnabled = (await knowsAutomatedEnabled(access, signal)) ? 'yes' : 'no';
    current = await write(access, current, (now) => pausePatch(now, why, knowsEnabled), signal);
  }
  current = await write(
    access,
    current,
    (now) => {
      refuseBusy(now);
      return rollbackPatch(now, request.entry, request);
    },
    signal,
  );
  return awaitOperation(access, current, request.run, options);
}

/** Whether the CRD has `spec.syncPolicy.automated.enabled`; a server that drops unknown fields would keep syncing. */
async function knowsAutomatedEnabled(access: ApplicationAccess, signal: AbortSignal): Promise<boolean> {
  const crd = await access
    .get(
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        name: 'applications.argoproj.io',
      },
      signal,
    )
    // Without the right to read definitions the older form is taken: it is right for every version.
    .catch((error: unknown) => {
      if (SlipwayError.is(error, 'cluster')) return undefined;
      throw error;
    });
  return listOf(at(crd, 'spec', 'versions')).some(
    (version) =>
      fieldsOf(
        at(
          version,
          'schema',
          'openAPIV3Schema',
          'properties',
          'spec',
          'properties',
          'syncPolicy',
          'properties',
          'automated',
          'properties',
        ),
      ).enabled !== undefined,
  );
}

/** Switches automatic sync on again as it was. False when nothing was paused by us. */
export async function resumeAutomation(
  access: ApplicationAccess,
  app: Application,
  signal: AbortSignal,
): Promise<boolean> {
  if (resumePatch(app) === undefined) return false;
  await write(access, app, (current) => resumePatch(current) ?? {}, signal);
  return true;
}
