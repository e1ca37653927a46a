import { at, type KubeObject, listOf, nameOf, textOf } from '../cluster/index.ts';
import type { ObjectRef, PodView, WorkloadView } from '../events/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';

const STEP_MS = 150;
/** Without any progress for so long the rollback itself has failed. */
const PATIENCE_MS = 10 * 60_000;

/**
 * Until only the restored version serves: every replica is of the current revision and available, and no pod of
 * another revision is left that is not on its way out. A pod with a deletion time is no endpoint any more
 * (EndpointSlice controller), so the grace of a stopping container is not waited for.
 * Throws SlipwayError `rollout` when nothing moves.
 */
export async function awaitRestored(
  access: ClusterAccess,
  clock: Clock,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
  onProgress: (workloads: readonly WorkloadView[]) => void,
): Promise<void> {
  let last = '';
  let since = clock.now();
  for (;;) {
    const states = await Promise.all(targets.map((target) => stateOf(access, target, signal)));
    const text = JSON.stringify(states.map(({ view }) => view));
    if (text !== last) {
      last = text;
      since = clock.now();
      onProgress(states.map(({ view }) => view));
    }
    if (states.every(({ isRestored }) => isRestored)) return;
    if (clock.now() - since > PATIENCE_MS) {
      const open = states.filter(({ isRestored }) => !isRestored);
      throw new SlipwayError({
        reason: 'rollout',
        code: 'rollback.stalled',
        message: `The old version of ${open.map(({ view }) => nameOf(view.ref)).join(', ')} does not come back: nothing has moved for ${PATIENCE_MS / 60_000} minutes.`,
        fix: 'Look at its pods; the way back is blocked by something else than the new version.',
        evidence: open.map(({ view }) => `${nameOf(view.ref)}: ${view.message}`),
      });
    }
    await clock.sleep(STEP_MS, signal);
  }
}

interface State {
  readonly view: WorkloadView;
  readonly isRestored: boolean;
}

async function stateOf(access: ClusterAccess, target: ObjectRef, signal: AbortSignal): Promise<State> {
  const workload = await access.get(target, signal);
  if (workload === undefined) {
    const view = {
      ref: target,
      state: 'unknown',
      message: 'It does not exist.',
      ...counts(0, 0, 0, 0),
      pods: [],
    } as const;
    return { view, isRestored: false };
  }
  const status = (field: string): number => Number(at(workload, 'status', field) ?? 0);
  const isDaemon = target.kind === 'DaemonSet';
  const desired = isDaemon ? status('desiredNumberScheduled') : Number(at(workload, 'spec', 'replicas') ?? 1);
  const updated = isDaemon ? status('updatedNumberScheduled') : status('updatedReplicas');
  const ready = isDaemon ? status('numberReady') : status('readyReplicas');
  const available = isDaemon ? status('numberAvailable') : status('availableReplicas');
  const pods = await podsOf(access, workload, signal);
  const isNew = await currentMark(access, workload, signal);
  const others = pods.filter((pod) => !isNew(pod) && pod.metadata.deletionTimestamp === undefined);
  const isSeen = status('observedGeneration') >= Number(workload.metadata.generation ?? 0);
  const isServing = isSeen && updated >= desired && available >= desired;
  const hasNoReplicas = target.kind === 'Job' || target.kind === 'CronJob' || target.kind === 'Pod';
  const isRestored = hasNoReplicas || (isServing && others.length === 0);
  const view: WorkloadView = {
    ref: target,
    state: isRestored ? 'ready' : 'progressing',
    message: isRestored
      ? `${available} of ${amountOf(desired)} of the old version ${desired === 1 ? 'serves' : 'serve'}`
      : `${available} of ${amountOf(desired)} of the old version ${desired === 1 ? 'serves' : 'serve'}, ${others.length} of the failed one are left`,
    ...counts(desired, updated, ready, available),
    pods: pods.filter((pod) => pod.metadata.deletionTimestamp === undefined).map((pod) => podView(pod, isNew(pod))),
  };
  return { view, isRestored };
}

const counts = (desired: number, updated: number, ready: number, available: number) => ({
  desired,
  updated,
  ready,
  available,
});

async function podsOf(
  access: ClusterAccess,
  workload: KubeObject,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const labels = Object.entries((at(workload, 'spec', 'selector', 'matchLabels') ?? {}) as Record<string, string>);
  const namespace = workload.metadata.namespace;
  if (labels.length === 0 || namespace === undefined) return [];
  const selector = labels.map(([key, value]) => `${key}=${value}`).join(',');
  return access.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels: selector }, signal);
}

/** Tells pods of the workload's current revision from others, by the labels its controller puts on them. */
async function currentMark(
  access: ClusterAccess,
  workload: KubeObject,
  signal: AbortSignal,
): Promise<(pod: KubeObject) => boolean> {
  const namespace = workload.metadata.namespace ?? '';
  const isOwned = (object: KubeObject) =>
    listOf(object.metadata.ownerReferences).some((owner) => owner.uid === workload.metadata.uid);
  if (workload.kind === 'Deployment') {
    const key = 'deployment.kubernetes.io/revision';
    const sets = await access.list({ apiVersion: 'apps/v1', kind: 'ReplicaSet', namespace }, signal);
    const current = sets.find(
      (set) => isOwned(set) && set.metadata.annotations?.[key] === workload.metadata.annotations?.[key],
    );
    const hash = current?.metadata.labels?.['pod-template-hash'];
    return (pod) => pod.metadata.labels?.['pod-template-hash'] === hash;
  }
  if (workload.kind === 'StatefulSet') {
    const update = at(workload, 'status', 'updateRevision');
    return (pod) => pod.metadata.labels?.['controller-revision-hash'] === update;
  }
  const revisions = await access.list({ apiVersion: 'apps/v1', kind: 'ControllerRevision', namespace }, signal);
  const newest = revisions.filter(isOwned).sort((a, b) => Number(b.revision) - Number(a.revision))[0];
  const hash = newest?.metadata.labels?.['controller-revision-hash'];
  return (pod) => hash === undefined || pod.metadata.labels?.['controller-revision-hash'] === hash;
}

const isReady = (pod: KubeObject): boolean =>
  listOf(at(pod, 'status', 'conditions')).some(({ type, status }) => type === 'Ready' && status === 'True');

function podView(pod: KubeObject, isNew: boolean): PodView {
  const statuses = listOf(at(pod, 'status', 'containerStatuses'));
  const waiting = statuses
    .map((status) => at(status, 'state', 'waiting', 'reason'))
    .find((reason) => reason !== undefined);
  const reason = textOf(waiting);
  const node = textOf(at(pod, 'spec', 'nodeName'));
  return {
    name: pod.metadata.name,
    isNew,
    isReady: isReady(pod),
    phase: textOf(at(pod, 'status', 'phase')) ?? 'Unknown',
    restarts: statuses.reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0),
    ...(node !== undefined && { node }),
    ...(reason !== undefined && { reason }),
  };
}

const amountOf = (count: number): string => (count === 1 ? '1 pod' : `${count} pods`);
