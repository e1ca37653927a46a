import { at, type KubeObject, numberOf, textOf } from '../cluster/object.ts';
import { isOwnedBy, type Snapshot } from './snapshot.ts';

/** The pods of a workload: those of the revision being rolled out, and the rest. */
export interface PodsOf {
  readonly fresh: readonly KubeObject[];
  readonly old: readonly KubeObject[];
  /** The ReplicaSet of the new revision; pods are created in its name, so its events count as well. */
  readonly replicaSet?: KubeObject;
  /** Words for the revision: the number of a Deployment, the hash of others. */
  readonly revision?: string;
  /** False until the controller has seen the new generation: nothing can be told before. */
  readonly isKnown: boolean;
}

/** Pod-level ends that are the cluster's doing; a replacement comes by itself. */
const DISRUPTED = new Set([
  'Evicted',
  'Preempting',
  'NodeLost',
  'NodeShutdown',
  'Shutdown',
  'OutOfcpu',
  'OutOfmemory',
  'OutOfpods',
  'NodeAffinity',
  'UnexpectedAdmissionError',
  'Terminated',
]);

/** Which pods speak for the rollout. Terminating pods and those the cluster took away never do. */
export function podsOf(workload: KubeObject, snapshot: Snapshot): PodsOf {
  const usable = snapshot.pods.filter((pod) => !isDisrupted(pod));
  switch (workload.kind) {
    case 'Deployment':
      return ofDeployment(workload, snapshot, usable);
    case 'StatefulSet':
      return ofStatefulSet(workload, usable);
    case 'DaemonSet':
      return ofDaemonSet(workload, snapshot, usable);
    case 'Job': {
      const fresh = usable.filter((pod) => isOwnedBy(pod, workload.metadata.uid));
      return { fresh, old: [], isKnown: true };
    }
    case 'Pod': {
      const fresh = usable.filter((pod) => pod.metadata.uid === workload.metadata.uid);
      return { fresh, old: [], isKnown: true };
    }
    default:
      return { fresh: [], old: [], isKnown: true };
  }
}

export function isDisrupted(pod: KubeObject): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return true;
  return textOf(at(pod, 'status', 'phase')) === 'Failed' && DISRUPTED.has(textOf(at(pod, 'status', 'reason')) ?? '');
}

export function hasObserved(workload: KubeObject): boolean {
  const observed = numberOf(at(workload, 'status', 'observedGeneration'));
  return observed !== undefined && observed >= (workload.metadata.generation ?? 0);
}

const REVISION = 'deployment.kubernetes.io/revision';

/**
 * The new ReplicaSet is the one whose revision annotation is the Deployment's, once the controller has seen the spec
 * (never the youngest: a rollback uses an old one again; deployment controller, all versions).
 */
function ofDeployment(workload: KubeObject, snapshot: Snapshot, usable: readonly KubeObject[]): PodsOf {
  const sets = snapshot.replicaSets.filter((set) => isOwnedBy(set, workload.metadata.uid));
  const revision = workload.metadata.annotations?.[REVISION];
  const isKnown = hasObserved(workload) && revision !== undefined;
  const current = isKnown ? sets.find((set) => set.metadata.annotations?.[REVISION] === revision) : undefined;
  const owned = (set: KubeObject) => usable.filter((pod) => isOwnedBy(pod, set.metadata.uid));
  return {
    fresh: current === undefined ? [] : owned(current),
    old: sets.filter((set) => set !== current).flatMap(owned),
    isKnown: isKnown && current !== undefined,
    ...(current !== undefined && { replicaSet: current }),
    ...(revision !== undefined && { revision }),
  };
}

function ofStatefulSet(workload: KubeObject, usable: readonly KubeObject[]): PodsOf {
  const revision = textOf(at(workload, 'status', 'updateRevision'));
  const pods = usable.filter((pod) => isOwnedBy(pod, workload.metadata.uid));
  return split(pods, revision, hasObserved(workload));
}

/** The newest ControllerRevision is the one being rolled out. */
function ofDaemonSet(workload: KubeObject, snapshot: Snapshot, usable: readonly KubeObject[]): PodsOf {
  const revisions = snapshot.controllerRevisions
    .filter((revision) => isOwnedBy(revision, workload.metadata.uid))
    .toSorted((a, b) => (numberOf(b.revision) ?? 0) - (numberOf(a.revision) ?? 0));
  const hash = revisions[0]?.metadata.labels?.['controller-revision-hash'];
  const pods = usable.filter((pod) => isOwnedBy(pod, workload.metadata.uid));
  return split(pods, hash, hasObserved(workload));
}

function split(pods: readonly KubeObject[], hash: string | undefined, isKnown: boolean): PodsOf {
  const isFresh = (pod: KubeObject): boolean => pod.metadata.labels?.['controller-revision-hash'] === hash;
  return {
    fresh: hash === undefined ? [] : pods.filter(isFresh),
    old: hash === undefined ? pods : pods.filter((pod) => !isFresh(pod)),
    isKnown: isKnown && hash !== undefined,
    ...(hash !== undefined && { revision: hash }),
  };
}
