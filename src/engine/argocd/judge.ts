/**
 * What an Application's state means, in plain words, and how far it can be believed. Argo CD's sync and health come from
 * separate loops, so `Healthy` right after an operation may be from before it (argo-cd#4669): it counts only when the
 * last comparison is newer than the operation and is of the revision that is meant.
 */
import { nameOf } from '../cluster/object.ts';
import type { Application, OperationState } from './application.ts';

export interface JudgeOptions {
  /** ms since the epoch, by this machine's clock. */
  readonly now: number;
  /** The commit that git holds at the source's target revision, where it could be asked. */
  readonly gitRevision?: string;
}

/** How far sync and health can be believed. */
export interface Freshness {
  readonly state: 'fresh' | 'stale' | 'unknown';
  /** One sentence. */
  readonly why: string;
}

export interface ApplicationStatus {
  readonly name: string;
  readonly namespace: string;
  /** The one word for lists. */
  readonly state: 'healthy' | 'syncing' | 'waiting' | 'out-of-sync' | 'degraded' | 'failed' | 'stale' | 'unknown';
  /** One sentence: what is the case, and what it waits for. */
  readonly summary: string;
  readonly sync: string;
  readonly health: string;
  readonly freshness: Freshness;
  readonly operation?: string;
  /** What has to happen next, and by whom; absent when nothing is awaited. */
  readonly waitsFor?: string;
  /** Errors with what to do, worst first. */
  readonly problems: readonly { readonly message: string; readonly fix?: string }[];
  readonly revisions: readonly string[];
  readonly images: readonly string[];
  readonly automation: string;
}

/** A controller that has not compared for so long (3 min poll and its jitter, twice) is late. */
const LATE_MS = 6 * 60_000;

export function judgeApplication(app: Application, options: JudgeOptions): ApplicationStatus {
  const freshness = freshnessOf(app, options);
  const problems = problemsOf(app);
  const operation = app.operation === undefined ? undefined : operationText(app.operation);
  const waitsFor = waitsForOf(app, freshness);
  const state = stateOf(app, freshness, problems.length > 0);
  const sync = syncText(app, options);
  const health = healthText(app, freshness);
  return {
    name: app.name,
    namespace: app.namespace,
    state,
    summary: summaryOf(state, {
      sync,
      health,
      operation: app.isOperationWaiting ? 'A sync was asked for' : operation,
      waitsFor,
      problem: problems[0]?.message,
      freshness,
    }),
    sync,
    health,
    freshness,
    ...(operation !== undefined && { operation }),
    ...(waitsFor !== undefined && { waitsFor }),
    problems,
    revisions: app.sync.revisions,
    images: app.images,
    automation: automationText(app),
  };
}

const short = (revision: string): string => (/^[0-9a-f]{40,64}$/.test(revision) ? revision.slice(0, 8) : revision);
const shortAll = (revisions: readonly string[]): string => revisions.map(short).join(', ') || 'no revision';

/** ISO times compare as texts only when they are written alike. */
const time = (text: string | undefined): number | undefined => {
  const value = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(value) ? undefined : value;
};

export function freshnessOf(app: Application, { now, gitRevision }: JudgeOptions): Freshness {
  const compared = time(app.reconciledAt);
  if (compared === undefined)
    return { state: 'unknown', why: 'Argo CD has not compared this application with git yet.' };
  const finished = time(app.operation?.finishedAt);
  if (finished !== undefined && compared < finished) {
    return {
      state: 'stale',
      why: 'Sync and health are from before the last operation ended: Argo CD has not looked since.',
    };
  }
  const [revision] = app.sync.revisions;
  if (gitRevision !== undefined && !app.isMultiSource && revision !== undefined && revision !== gitRevision) {
    return {
      state: 'stale',
      why: `Argo CD has compared with ${short(revision)}, but git holds ${short(gitRevision)}.`,
    };
  }
  if (app.refresh !== undefined)
    return { state: 'stale', why: `A ${app.refresh} refresh was asked for and has not been done yet.` };
  if (now - compared > LATE_MS) {
    const minutes = Math.round((now - compared) / 60_000);
    return {
      state: 'stale',
      why: `The last comparison with git is ${minutes} min old; Argo CD looks every 3 min, so its controller is late or down.`,
    };
  }
  return { state: 'fresh', why: `Compared with git at ${app.reconciledAt ?? ''}.` };
}

const ERRORS: Readonly<Record<string, string>> = {
  ComparisonError: 'Mend what the message names: the manifests do not render, or the repository cannot be read.',
  InvalidSpecError: 'Correct the Application: repository, path, project or destination.',
  SyncError: 'Argo CD does not try this revision again by itself: mend the cause and push, or sync by hand.',
  UnknownError: "Look into the log of Argo CD's application controller.",
  DeletionError: 'Something keeps an object from being deleted; look at its finalizers.',
};

function problemsOf(app: Application): ApplicationStatus['problems'] {
  const problems: { message: string; fix?: string }[] = [];
  for (const { type, message } of app.conditions) {
    const fix = ERRORS[type];
    if (fix !== undefined) problems.push({ message: `${type}: ${message}`, fix });
  }
  const { operation } = app;
  if (operation?.phase === 'Failed' || operation?.phase === 'Error') {
    problems.push({ message: `The last sync failed: ${operation.message || operation.phase}.`.replace(/\.\.$/, '.') });
    for (const { ref, status, message, hook, hookPhase } of operation.results) {
      const isBadHook = hook !== undefined && (hookPhase === 'Failed' || hookPhase === 'Error');
      if (status !== 'SyncFailed' && !isBadHook) continue;
      problems.push({ message: `${isBadHook ? `${hook} hook ` : ''}${nameOf(ref)}: ${message ?? 'it failed'}` });
    }
  }
  for (const { ref, health, message } of app.resources) {
    if (health === 'Degraded')
      problems.push({ message: `${nameOf(ref)} is degraded${message === undefined ? '' : `: ${message}`}` });
  }
  if (app.isSkipped) {
    problems.push({
      message: 'The annotation argocd.argoproj.io/skip-reconcile keeps Argo CD away from this application.',
      fix: 'Take the annotation off.',
    });
  }
  return problems;
}

export const isRunning = (operation: OperationState | undefined): boolean =>
  operation?.phase === 'Running' || operation?.phase === 'Terminating';

function operationText(operation: OperationState): string {
  const { phase, message, revisions, retryCount, retryLimit, finishedAt, isAutomated, initiatedBy } = operation;
  const by = isAutomated ? 'automatic' : initiatedBy === undefined ? 'manual' : `by ${initiatedBy}`;
  const what = `sync of ${shortAll(revisions)} (${by})`;
  // A retrying operation is Running although it has a finish time.
  const retry = phase === 'Running' && finishedAt !== undefined;
  if (retry) return `Retry ${retryCount} of ${retryLimit || 'no limit'} of the ${what} is awaited: ${message}`;
  switch (phase) {
    case 'Running':
      return `A ${what} runs: ${message || 'just started'}`;
    case 'Terminating':
      return `The ${what} is being stopped`;
    case 'Succeeded':
      return `The last ${what} succeeded${finishedAt === undefined ? '' : ` at ${finishedAt}`}`;
    default:
      return `The last ${what} failed: ${message}`;
  }
}

function waitsForOf(app: Application, freshness: Freshness): string | undefined {
  const { operation } = app;
  if (app.isDeleting) return 'the deletion of its objects';
  if (operation?.phase === 'Running') {
    if (/blocked by sync window/i.test(operation.message))
      return 'a sync window that lets it in; it never fails by itself';
    const hook = /waiting for completion of hook (\S+)/i.exec(operation.message)?.[1];
    if (hook !== undefined) return `the hook ${hook} to end; a hook that never ends blocks newer commits as well`;
    const healthy = /waiting for healthy state of (\S+)/i.exec(operation.message)?.[1];
    if (healthy !== undefined) return `${healthy} to become healthy, before the next sync wave begins`;
    return 'the running sync to end';
  }
  if (operation?.phase === 'Terminating') return 'the running sync to stop';
  if (app.isOperationWaiting) return "Argo CD's controller to take up the sync that was asked for";
  if (app.refresh !== undefined) return "Argo CD's controller to compare with git";
  if (app.sync.status === 'OutOfSync') {
    if (app.automated.state === 'off') return 'a person to sync it: automatic sync is off';
    if (app.conditions.some(({ type }) => type === 'SyncError'))
      return 'a new commit or a person: automatic sync does not try a failed revision again';
    const onlyPruning = app.resources.every(({ sync, requiresPruning }) => sync !== 'OutOfSync' || requiresPruning);
    if (onlyPruning && app.resources.length > 0 && !app.automated.prune)
      return 'a person to sync with pruning: only deletions are left, and automatic pruning is off';
    const isSynced = operation?.phase === 'Succeeded' && same(operation.revisions, app.sync.revisions);
    if (isSynced && !app.automated.selfHeal)
      return 'a new commit or a person: the live objects were changed, and self-healing is off';
    return 'automatic sync, which starts within seconds of the comparison';
  }
  if (app.health.status === 'Progressing') return 'its workloads to become ready';
  return freshness.state === 'fresh' ? undefined : "Argo CD's controller to look again";
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, index) => item === b[index]);

function stateOf(app: Application, freshness: Freshness, hasProblems: boolean): ApplicationStatus['state'] {
  const { operation } = app;
  if (isRunning(operation) || app.isOperationWaiting) return 'syncing';
  if (operation?.phase === 'Failed' || operation?.phase === 'Error') return 'failed';
  if (app.conditions.some(({ type }) => ERRORS[type] !== undefined)) return 'failed';
  if (freshness.state === 'unknown') return 'unknown';
  if (freshness.state === 'stale') return 'stale';
  if (app.sync.status === 'OutOfSync') return 'out-of-sync';
  if (app.health.status === 'Degraded' || app.health.status === 'Missing' || hasProblems) return 'degraded';
  if (app.health.status === 'Progressing' || app.health.status === 'Suspended') return 'waiting';
  return app.sync.status === 'Synced' && app.health.status === 'Healthy' ? 'healthy' : 'unknown';
}

function syncText(app: Application, { gitRevision }: JudgeOptions): string {
  const revisions = shortAll(app.sync.revisions);
  const many = app.isMultiSource ? ` (${app.sources.length} sources)` : '';
  const git =
    gitRevision !== undefined && !app.isMultiSource && app.sync.revisions[0] !== gitRevision
      ? `; git holds ${short(gitRevision)}`
      : '';
  switch (app.sync.status) {
    case 'Synced':
      return `The cluster matches ${revisions}${many}${git}`;
    case 'OutOfSync': {
      const out = app.resources.filter(({ sync }) => sync === 'OutOfSync').map(({ ref }) => nameOf(ref));
      const names =
        out.length === 0 ? '' : `: ${out.slice(0, 3).join(', ')}${out.length > 3 ? ` and ${out.length - 3} more` : ''}`;
      return `The cluster differs from ${revisions}${many}${names}${git}`;
    }
    default:
      return `Argo CD could not compare the cluster with git${git}`;
  }
}

function healthText(app: Application, freshness: Freshness): string {
  const { status, message } = app.health;
  const words: Readonly<Record<string, string>> = {
    Healthy: 'Argo CD calls its workloads healthy',
    Progressing: 'Its workloads are not ready yet',
    Suspended: 'Its workloads are paused',
    Missing: 'Some of its objects are not there',
    Degraded: 'Its workloads are degraded',
  };
  const text = `${words[status] ?? 'Its health is not known'}${message === undefined ? '' : `: ${message}`}`;
  return freshness.state === 'fresh' ? text : `${text} (not to be trusted: ${lower(freshness.why).replace(/\.$/, '')})`;
}

const lower = (text: string): string =>
  text.startsWith('Argo CD') ? text : `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;

function automationText(app: Application): string {
  if (app.automated.state === 'off') return 'Automatic sync is off';
  const extras = [...(app.automated.selfHeal ? ['self-healing'] : []), ...(app.automated.prune ? ['pruning'] : [])];
  return `Automatic sync is on${extras.length === 0 ? '' : `, with ${extras.join(' and ')}`}`;
}

interface Words {
  readonly sync: string;
  readonly health: string;
  readonly operation: string | undefined;
  readonly waitsFor: string | undefined;
  readonly problem: string | undefined;
  readonly freshness: Freshness;
}

function summaryOf(state: ApplicationStatus['state'], words: Words): string {
  const waits = words.waitsFor === undefined ? '' : ` It waits for ${words.waitsFor}.`;
  const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
  switch (state) {
    case 'healthy':
      return `${sentence(words.sync)} ${sentence(words.health)}`;
    case 'syncing':
      return `${sentence(words.operation ?? 'A sync was asked for')}${waits}`;
    case 'failed':
      return sentence(words.problem ?? words.operation ?? 'The last sync failed');
    case 'degraded':
      return `${sentence(words.sync)} ${sentence(words.problem ?? words.health)}`;
    case 'stale':
      return `${sentence(words.freshness.why)}${waits}`;
    case 'unknown':
      return `${sentence(words.freshness.state === 'fresh' ? words.sync : words.freshness.why)}${waits}`;
    default:
      return `${sentence(state === 'waiting' ? words.health : words.sync)}${waits}`;
  }
}
