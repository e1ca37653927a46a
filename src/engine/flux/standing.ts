// Where one Flux object stands, by kstatus and by what its conditions are silent about: pending requests, old generations.
import { at, fieldsOf, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';

export const REQUESTED_AT = 'reconcile.fluxcd.io/requestedAt';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** ISO time of the last change of `status`. */
  readonly since: string;
}

export function conditionOf(object: KubeObject, type: string): Condition | undefined {
  const found = listOf(at(object, 'status', 'conditions')).find((condition) => condition.type === type);
  if (found === undefined) return undefined;
  return {
    type,
    status: textOf(found.status) ?? 'Unknown',
    reason: textOf(found.reason) ?? '',
    message: (textOf(found.message) ?? '').trim(),
    since: textOf(found.lastTransitionTime) ?? '',
  };
}

export type StandingState = 'ready' | 'working' | 'failed' | 'suspended' | 'stale' | 'new' | 'deleting';

export interface Standing {
  readonly state: StandingState;
  /** `stalled`: the controller waits for a change of the spec. `retrying`: it tries again by itself. */
  readonly failure?: 'stalled' | 'retrying';
  readonly reason: string;
  /** The controller's own words. */
  readonly message: string;
  readonly since: string;
  /** A reconciliation was asked for and is not reported as done. */
  readonly pendingRequest?: string;
}

export const isSuspended = (object: KubeObject): boolean => at(object, 'spec', 'suspend') === true;

export const handledRequest = (object: KubeObject): string | undefined =>
  textOf(at(object, 'status', 'lastHandledReconcileAt'));

/**
 * kstatus as Flux uses it (fluxcd/pkg runtime, cli-utils): deletion, then an observed generation that is behind, then
 * Reconciling, Stalled, Ready. A suspended object keeps old conditions, so suspension comes before them.
 */
export function standingOf(object: KubeObject): Standing {
  const ready = conditionOf(object, 'Ready');
  const reconciling = conditionOf(object, 'Reconciling');
  const stalled = conditionOf(object, 'Stalled');
  const requested = object.metadata.annotations?.[REQUESTED_AT];
  const pending = requested !== undefined && requested !== handledRequest(object) ? requested : undefined;
  const say = (state: StandingState, condition: Condition | undefined, failure?: Standing['failure']): Standing => ({
    state,
    ...(failure !== undefined && { failure }),
    reason: condition?.reason ?? '',
    message: condition?.message ?? '',
    since: condition?.since ?? '',
    ...(pending !== undefined && { pendingRequest: pending }),
  });
  if (object.metadata.deletionTimestamp !== undefined) return say('deleting', ready);
  if (isSuspended(object)) return say('suspended', ready);
  const observed = numberOf(at(object, 'status', 'observedGeneration'));
  if (observed !== undefined && observed >= 0 && observed !== (object.metadata.generation ?? observed)) {
    // A failure in a new generation may be told before the generation counts as observed (kustomize-controller).
    if (ready?.status === 'False' && isOfGeneration(object, 'Ready')) return say('failed', ready, 'retrying');
    return say('stale', reconciling ?? ready);
  }
  if (stalled?.status === 'True') return say('failed', stalled, 'stalled');
  if (ready?.status === 'False') {
    // Between two attempts Ready keeps the last failure; with Progressing it is being tried right now.
    const isTrying = reconciling?.status === 'True' && reconciling.reason === 'Progressing';
    return isTrying ? say('working', reconciling) : say('failed', ready, 'retrying');
  }
  if (reconciling?.status === 'True') return say('working', reconciling);
  if (ready?.status === 'True') return say('ready', ready);
  if (ready !== undefined) return say('working', ready);
  return say('new', undefined);
}

function isOfGeneration(object: KubeObject, type: string): boolean {
  const found = listOf(at(object, 'status', 'conditions')).find((condition) => condition.type === type);
  return numberOf(found?.observedGeneration) === object.metadata.generation;
}

/** ISO time of the last write of the spec, from the managed fields; undefined when they do not tell. */
export function lastSpecWrite(object: KubeObject): string | undefined {
  return listOf(object.metadata.managedFields)
    .filter((entry) => entry.subresource !== 'status' && 'f:spec' in fieldsOf(entry.fieldsV1))
    .flatMap((entry) => textOf(entry.time) ?? [])
    .sort()
    .at(-1);
}

/** Managers other than us that declare `spec.suspend`: what they apply wins over a patch. */
export function suspendDeclaredBy(object: KubeObject): string | undefined {
  const entry = listOf(object.metadata.managedFields).find(
    ({ manager, operation, fieldsV1 }) =>
      operation === 'Apply' &&
      (manager === 'kustomize-controller' || manager === 'helm-controller') &&
      'f:suspend' in fieldsOf(at(fieldsV1, 'f:spec')),
  );
  return textOf(entry?.manager);
}

/** A duration as Flux writes it (`1m0s`, `1h30m`, `500ms`) in ms; undefined for anything else. */
export function durationMs(text: string | undefined): number | undefined {
  if (text === undefined || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
  let total = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(value) * units[unit as keyof typeof units];
  return total;
}

/** `12 s ago`, `3 min ago`, `2 h ago`, `5 days ago`. */
export function ago(time: string | undefined, now: number): string {
  const ms = time === undefined ? Number.NaN : now - Date.parse(time);
  if (Number.isNaN(ms)) return 'at an unknown time';
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`;
}
