// Which pods and events belong to the new revision: only those are judged.
import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { type Baseline, type BaselineWorkload, type Snapshot, targetKey, templateHash } from './snapshot.ts';

/** A target with what belongs to it. */
export interface Attributed {
  readonly ref: ObjectRef;
  readonly key: string;
  /** Absent = it does not exist now. */
  readonly object: KubeObject | undefined;
  readonly before: BaselineWorkload | undefined;
  /** The controller has seen the newest specification. */
  readonly isObserved: boolean;
  /** The template is the one that was there before the write. */
  readonly isUnchanged: boolean;
  readonly template: string;
  /** ReplicaSet or ControllerRevision of the new template. */
  readonly revisionObject: KubeObject | undefined;
  readonly revision: string | undefined;
  /** Pods of the new revision that count. */
  readonly newPods: readonly KubeObject[];
  readonly oldPods: readonly KubeObject[];
  /** Pods of the new revision that were put away by the cluster (evicted, node lost); replacements come. */
  readonly lostPods: readonly KubeObject[];
  /** Uids whose events may speak of the new revision: the workload, its new revision and pods. */
  readonly uids: ReadonlySet<string>;
}

export interface Index {
  readonly workloads: ReadonlyMap<string, KubeObject>;
  readonly podsByOwner: ReadonlyMap<string, readonly KubeObject[]>;
  readonly setsByOwner: ReadonlyMap<string, readonly KubeObject[]>;
  readonly revisionsByOwner: ReadonlyMap<string, readonly KubeObject[]>;
  readonly jobsByOwner: ReadonlyMap<string, readonly KubeObject[]>;
  /** Events that are not in the baseline, or grew since, by uid of the object they speak of. */
  readonly events: ReadonlyMap<string, readonly EventFact[]>;
  readonly claims: ReadonlyMap<string, KubeObject>;
}

export interface EventFact {
  readonly uid: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  /** How often since the baseline. */
  readonly count: number;
  /** ISO time of the last one, by the server's clock; may be empty. */
  readonly lastAt: string;
  readonly objectKind: string;
}

export function indexSnapshot(snapshot: Snapshot, baseline: Baseline): Index {
  const events = new Map<string, EventFact[]>();
  for (const event of snapshot.events) {
    const fact = eventFact(event, baseline);
    if (fact === undefined) continue;
    const uid = textOf(at(event, 'involvedObject', 'uid')) ?? '';
    const list = events.get(uid);
    if (list === undefined) events.set(uid, [fact]);
    else list.push(fact);
  }
  return {
    workloads: new Map(snapshot.workloads.map((object) => [targetKey(refFor(object)), object])),
    podsByOwner: byOwner(snapshot.pods),
    setsByOwner: byOwner(snapshot.replicaSets),
    revisionsByOwner: byOwner(snapshot.revisions),
    jobsByOwner: byOwner(snapshot.jobs),
    events,
    claims: new Map(
      snapshot.claims.map((claim) => [`${claim.metadata.namespace ?? ''}/${claim.metadata.name}`, claim]),
    ),
  };
}

const refFor = (object: KubeObject): ObjectRef => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name,
  ...(object.metadata.namespace !== undefined && { namespace: object.metadata.namespace }),
});

function byOwner(objects: readonly KubeObject[]): ReadonlyMap<string, readonly KubeObject[]> {
  const found = new Map<string, KubeObject[]>();
  for (const object of objects) {
    const uid = object.metadata.ownerReferences?.find((owner) => owner.controller === true)?.uid;
    if (uid === undefined) continue;
    const list = found.get(uid);
    if (list === undefined) found.set(uid, [object]);
    else list.push(object);
  }
  return found;
}

/** How often an event happened; newer API servers count in `series`. */
export const eventCount = (event: KubeObject): number =>
  numberOf(at(event, 'series', 'count')) ?? numberOf(event.count) ?? 1;

function eventFact(event: KubeObject, baseline: Baseline): EventFact | undefined {
  // Counted against the baseline, not by time: clocks of cluster and this machine may differ by minutes.
  const count = eventCount(event) - (baseline.events[event.metadata.uid ?? ''] ?? 0);
  if (count <= 0) return undefined;
  return {
    uid: event.metadata.uid ?? '',
    type: textOf(event.type) ?? 'Normal',
    reason: textOf(event.reason) ?? '',
    message: textOf(event.message) ?? '',
    count,
    lastAt:
      textOf(at(event, 'series', 'lastObservedTime')) ?? textOf(event.lastTimestamp) ?? textOf(event.eventTime) ?? '',
    objectKind: textOf(at(event, 'involvedObject', 'kind')) ?? '',
  };
}

export function podTemplate(workload: KubeObject): unknown {
  return workload.kind === 'CronJob'
    ? at(workload, 'spec', 'jobTemplate', 'spec', 'template')
    : at(workload, 'spec', 'template');
}

const hashes = new WeakMap<KubeObject, string>();

/** {@link templateHash} of a workload's or ReplicaSet's template, computed once for each version of the object. */
export function hashOf(object: KubeObject): string {
  const known = hashes.get(object);
  if (known !== undefined) return known;
  const hash = templateHash(podTemplate(object));
  hashes.set(object, hash);
  return hash;
}

export function attribute(ref: ObjectRef, index: Index, baseline: Baseline): Attributed {
  const key = targetKey(ref);
  const object = index.workloads.get(key);
  const named = baseline.workloads[key];
  // Deleted and made again under the same name: nothing of the old one counts.
  const before = named !== undefined && named.uid === object?.metadata.uid ? named : undefined;
  if (object === undefined) {
    return {
      ref,
      key,
      object,
      before,
      isObserved: false,
      isUnchanged: false,
      template: '',
      revisionObject: undefined,
      revision: undefined,
      newPods: [],
      oldPods: [],
      lostPods: [],
      uids: new Set(),
    };
  }
  const template = hashOf(object);
  const owned = findPods(object, index, template);
  const newPods: KubeObject[] = [];
  const lostPods: KubeObject[] = [];
  const oldPods = owned.oldPods.filter((pod) => !isOver(pod));
  for (const pod of owned.newPods) {
    if (isLost(pod, object.kind)) lostPods.push(pod);
    else if (pod.metadata.deletionTimestamp === undefined) newPods.push(pod);
  }
  return {
    ref,
    key,
    object,
    before,
    isObserved: observedGeneration(object) >= (object.metadata.generation ?? 0),
    isUnchanged: before?.template === template,
    template,
    revisionObject: owned.revisionObject,
    revision: owned.revision,
    newPods,
    oldPods,
    lostPods,
    uids: new Set(
      [object.metadata.uid, owned.revisionObject?.metadata.uid, ...newPods.map((pod) => pod.metadata.uid)].filter(
        (uid) => uid !== undefined,
      ),
    ),
  };
}

/** Kinds without the field count as observed. An Argo Rollout writes it as text. */
function observedGeneration(object: KubeObject): number {
  const observed = at(object, 'status', 'observedGeneration');
  const needs = ['Deployment', 'StatefulSet', 'DaemonSet', 'Rollout'].includes(object.kind);
  if (observed === undefined) return needs ? 0 : Number.POSITIVE_INFINITY;
  return Number(observed);
}

interface OwnedPods {
  readonly revisionObject: KubeObject | undefined;
  readonly revision: string | undefined;
  readonly newPods: readonly KubeObject[];
  readonly oldPods: readonly KubeObject[];
}

function findPods(object: KubeObject, index: Index, template: string): OwnedPods {
  const uid = object.metadata.uid ?? '';
  const owned = index.podsByOwner.get(uid) ?? [];
  switch (object.kind) {
    case 'Deployment':
    case 'Rollout': {
      const sets = index.setsByOwner.get(uid) ?? [];
      const current = object.kind === 'Deployment' ? newSet(object, sets, template) : newRolloutSet(object, sets);
      return {
        revisionObject: current,
        revision: current?.metadata.annotations?.[REVISION] ?? object.metadata.annotations?.[REVISION],
        newPods: current === undefined ? [] : (index.podsByOwner.get(current.metadata.uid ?? '') ?? []),
        oldPods: sets
          .filter((set) => set !== current)
          .flatMap((set) => index.podsByOwner.get(set.metadata.uid ?? '') ?? []),
      };
    }
    case 'StatefulSet': {
      const name = textOf(at(object, 'status', 'updateRevision'));
      const revisionObject = index.revisionsByOwner.get(uid)?.find((revision) => revision.metadata.name === name);
      return split(owned, revisionObject, name, name);
    }
    case 'DaemonSet': {
      const revisions = index.revisionsByOwner.get(uid) ?? [];
      const newest = [...revisions].sort((a, b) => (numberOf(b.revision) ?? 0) - (numberOf(a.revision) ?? 0))[0];
      const hash = newest?.metadata.labels?.[CONTROLLER_HASH];
      return split(owned, newest, hash, newest === undefined ? undefined : String(newest.revision));
    }
    case 'CronJob':
      return { revisionObject: undefined, revision: undefined, newPods: [], oldPods: [] };
    case 'Pod':
      return { revisionObject: undefined, revision: undefined, newPods: [object], oldPods: [] };
    default:
      return { revisionObject: undefined, revision: undefined, newPods: owned, oldPods: [] };
  }
}

/** Pods carry their revision's hash in a label, for a StatefulSet its whole name. */
function split(
  pods: readonly KubeObject[],
  revisionObject: KubeObject | undefined,
  hash: string | undefined,
  revision: string | undefined,
): OwnedPods {
  // Without the right to read revisions every pod counts as new only when there is but one hash.
  const isNew = (pod: KubeObject): boolean =>
    hash === undefined
      ? new Set(pods.map((other) => other.metadata.labels?.[CONTROLLER_HASH])).size <= 1
      : pod.metadata.labels?.[CONTROLLER_HASH] === hash;
  return {
    revisionObject,
    revision,
    newPods: pods.filter(isNew),
    oldPods: pods.filter((pod) => !isNew(pod)),
  };
}

/**
 * As the Deployment controller finds it (deployment_util.FindNewReplicaSet, Kubernetes 1.35): equal template, the oldest
 * when several are. Never the youngest by age: going back re-uses an old one.
 */
function newSet(deployment: KubeObject, sets: readonly KubeObject[], template: string): KubeObject | undefined {
  const equal = sets
    .filter((set) => hashOf(set) === template)
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1))[0];
  if (equal !== undefined) return equal;
  // Templates may differ in form only (a default that was added by a newer API server): then the controller's number says it.
  if (observedGeneration(deployment) < (deployment.metadata.generation ?? 0)) return undefined;
  const revision = deployment.metadata.annotations?.[REVISION];
  return revision === undefined
    ? undefined
    : sets.find((set) => set.metadata.annotations?.[REVISION] === revision && !isBeingDeleted(set));
}

function newRolloutSet(rollout: KubeObject, sets: readonly KubeObject[]): KubeObject | undefined {
  const hash = textOf(at(rollout, 'status', 'currentPodHash'));
  return hash === undefined
    ? undefined
    : sets.find((set) => set.metadata.labels?.['rollouts-pod-template-hash'] === hash);
}

const isBeingDeleted = (object: KubeObject): boolean => object.metadata.deletionTimestamp !== undefined;

const LOST_REASONS = new Set([
  'Evicted',
  'Preempting',
  'NodeLost',
  'NodeShutdown',
  'Terminated',
  'NodeAffinity',
  'UnexpectedAdmissionError',
  'Shutdown',
]);

/** Put away by the cluster, not failed by itself: a replacement comes. */
function isLost(pod: KubeObject, ownerKind: string): boolean {
  if (ownerKind === 'Pod') return false;
  if (listOf(at(pod, 'status', 'conditions')).some(({ type, status }) => type === DISRUPTED && status === 'True'))
    return true;
  const reason = textOf(at(pod, 'status', 'reason'));
  return (
    at(pod, 'status', 'phase') === 'Failed' &&
    reason !== undefined &&
    (LOST_REASONS.has(reason) || reason.startsWith('OutOf'))
  );
}

const isOver = (pod: KubeObject): boolean => ['Failed', 'Succeeded'].includes(String(at(pod, 'status', 'phase')));

const DISRUPTED = 'DisruptionTarget';
const REVISION = 'deployment.kubernetes.io/revision';
const CONTROLLER_HASH = 'controller-revision-hash';

/** What the new revision's events say, its claims' too. */
export function eventsOf(index: Index, uids: Iterable<string>): readonly EventFact[] {
  const found: EventFact[] = [];
  for (const uid of uids) found.push(...(index.events.get(uid) ?? []));
  return found;
}

/** Where a pod comes from, for PersistentVolumeClaims: names of claims that it mounts. */
export function claimNames(pod: KubeObject): readonly string[] {
  return listOf(at(pod, 'spec', 'volumes')).flatMap((volume) => {
    const name = textOf(at(volume, 'persistentVolumeClaim', 'claimName'));
    if (name !== undefined) return [name];
    return volume.ephemeral === undefined ? [] : [`${pod.metadata.name}-${textOf(volume.name) ?? ''}`];
  });
}
