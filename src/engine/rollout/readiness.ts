// When a workload is ready, by the rules of its kind. What cannot be known of a kind counts as done once applied.
import { at, type Fields, fieldsOf, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { Attributed } from './attribution.ts';

/** Where one workload stands, as its controller reports it. */
export interface Standing {
  /** `failed`: the object itself says so, in `failure`. */
  readonly state: 'progressing' | 'ready' | 'paused' | 'failed';
  readonly message: string;
  readonly desired: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
  readonly failure?: { readonly code: 'job' | 'controller'; readonly reason: string; readonly message: string };
  /** True when nothing is expected to run: scaled to zero, suspended. */
  readonly isIdle?: boolean;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** Changes when the controller says something new. */
  readonly time: string;
}

export function conditionsOf(object: KubeObject): readonly Condition[] {
  return listOf(at(object, 'status', 'conditions')).map((condition) => ({
    type: textOf(condition.type) ?? '',
    status: textOf(condition.status) ?? '',
    reason: textOf(condition.reason) ?? '',
    message: textOf(condition.message) ?? '',
    time: textOf(condition.lastUpdateTime) ?? textOf(condition.lastTransitionTime) ?? '',
  }));
}

export const conditionOf = (object: KubeObject, type: string): Condition | undefined =>
  conditionsOf(object).find((condition) => condition.type === type);

/** Where a target stands by its own status. `nodes` say which pods of a DaemonSet nobody can expect to run. */
export function standing(
  attributed: Attributed & { readonly object: KubeObject },
  nodes: readonly KubeObject[],
): Standing {
  const { object } = attributed;
  switch (object.kind) {
    case 'Deployment':
      return deployment(attributed);
    case 'StatefulSet':
      return statefulSet(attributed);
    case 'DaemonSet':
      return daemonSet(attributed, nodes);
    case 'Job':
      return job(object);
    case 'CronJob':
      return done('The schedule is in place; its pods run at their times.');
    case 'Pod':
      return pod(object);
    case 'PersistentVolumeClaim':
      return claim(object);
    case 'Rollout':
      return argoRollout(attributed);
    default:
      return generic(object);
  }
}

const done = (message: string): Standing => ({
  state: 'ready',
  message,
  desired: 0,
  updated: 0,
  ready: 0,
  available: 0,
});

const count = (status: Fields, field: string): number => numberOf(status[field]) ?? 0;
const allPods = (amount: number): string => (amount === 1 ? 'Its pod is' : `All ${amount} pods are`);
const pods = (amount: number): string => (amount === 1 ? '1 pod' : `${amount} pods`);

function deployment({ object, isObserved, revisionObject }: Attributed & { readonly object: KubeObject }): Standing {
  const status = fieldsOf(object.status);
  const desired = numberOf(at(object, 'spec', 'replicas')) ?? 1;
  const updated = isObserved ? count(status, 'updatedReplicas') : 0;
  const total = count(status, 'replicas');
  const ready = isObserved ? (numberOf(at(revisionObject, 'status', 'readyReplicas')) ?? 0) : 0;
  const available = isObserved ? (numberOf(at(revisionObject, 'status', 'availableReplicas')) ?? 0) : 0;
  const numbers = { desired, updated, ready, available };
  if (at(object, 'spec', 'paused') === true)
    return { state: 'paused', message: 'The Deployment is paused: nothing rolls out until it is resumed.', ...numbers };
  if (!isObserved)
    return { state: 'progressing', message: 'The controller has not seen the new version yet.', ...numbers };
  // Deployment-wide numbers decide (an API server without ReplicaSets for us to read still gives these).
  const allAvailable = count(status, 'availableReplicas');
  if (updated < desired)
    return { state: 'progressing', message: `${updated} of ${pods(desired)} are of the new version.`, ...numbers };
  if (total > updated)
    return { state: 'progressing', message: `${pods(total - updated)} of the old version still run.`, ...numbers };
  if (allAvailable < updated || (revisionObject !== undefined && available < desired))
    return { state: 'progressing', message: `${available} of ${desired} new pods are available.`, ...numbers };
  return desired === 0
    ? { state: 'ready', message: 'Scaled to zero: nothing runs.', ...numbers, isIdle: true }
    : { state: 'ready', message: `${allPods(desired)} available.`, ...numbers };
}

function statefulSet({ object, isObserved, newPods }: Attributed & { readonly object: KubeObject }): Standing {
  const status = fieldsOf(object.status);
  const desired = numberOf(at(object, 'spec', 'replicas')) ?? 1;
  const partition = numberOf(at(object, 'spec', 'updateStrategy', 'rollingUpdate', 'partition')) ?? 0;
  const isOnDelete = at(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  const isSame = status.currentRevision === status.updateRevision;
  const updated = !isObserved ? 0 : isSame ? count(status, 'replicas') : count(status, 'updatedReplicas');
  const goal = Math.max(0, desired - partition);
  const ready = isObserved ? newPods.filter(isPodReady).length : 0;
  // Absent before Kubernetes 1.25.
  const available = numberOf(status.availableReplicas) ?? count(status, 'readyReplicas');
  const numbers = { desired, updated, ready, available: isObserved ? Math.min(available, Math.max(ready, 0)) : 0 };
  if (!isObserved)
    return { state: 'progressing', message: 'The controller has not seen the new version yet.', ...numbers };
  if (desired === 0) {
    return count(status, 'replicas') > 0
      ? { state: 'progressing', message: 'Pods are going away.', ...numbers }
      : { state: 'ready', message: 'Scaled to zero: nothing runs.', ...numbers, isIdle: true };
  }
  if (isOnDelete && !isSame && updated < desired) {
    return {
      state: count(status, 'readyReplicas') >= desired ? 'ready' : 'progressing',
      message: `The template is updated; ${updated} of ${pods(desired)} run it, the others change when they are deleted (OnDelete).`,
      ...numbers,
    };
  }
  if (updated < goal)
    return { state: 'progressing', message: `${updated} of ${pods(goal)} are of the new version.`, ...numbers };
  if (count(status, 'readyReplicas') < desired || available < desired) {
    return {
      state: 'progressing',
      message: `${Math.min(available, count(status, 'readyReplicas'))} of ${pods(desired)} are available.`,
      ...numbers,
    };
  }
  if (partition === 0 && !isSame)
    return { state: 'progressing', message: 'The controller is finishing the update.', ...numbers };
  return {
    state: 'ready',
    message:
      partition > 0
        ? `${pods(goal)} above partition ${partition} run the new version.`
        : `${allPods(desired)} available.`,
    ...numbers,
  };
}

function daemonSet(
  { object, isObserved, newPods }: Attributed & { readonly object: KubeObject },
  nodes: readonly KubeObject[],
): Standing {
  const status = fieldsOf(object.status);
  const desired = count(status, 'desiredNumberScheduled');
  const updated = isObserved ? count(status, 'updatedNumberScheduled') : 0;
  const available = isObserved ? count(status, 'numberAvailable') : 0;
  const ready = isObserved ? newPods.filter(isPodReady).length : 0;
  const numbers = { desired, updated, ready, available: Math.min(available, updated) };
  if (!isObserved)
    return { state: 'progressing', message: 'The controller has not seen the new version yet.', ...numbers };
  if (desired === 0)
    return { state: 'ready', message: 'No node wants this pod: nothing runs.', ...numbers, isIdle: true };
  if (at(object, 'spec', 'updateStrategy', 'type') === 'OnDelete' && updated < desired) {
    return {
      state: count(status, 'numberReady') >= desired ? 'ready' : 'progressing',
      message: `The template is updated; ${updated} of ${pods(desired)} run it, the others change when they are deleted (OnDelete).`,
      ...numbers,
    };
  }
  // Pods on nodes that are down cannot become ready by anything this deploy does (krane counts the same way).
  const down = new Set(nodes.filter(isDown).map(({ metadata }) => metadata.name));
  const excused = newPods.filter((one) => !isPodReady(one) && down.has(textOf(at(one, 'spec', 'nodeName')) ?? ''));
  const missing = Math.max(desired - updated, desired - available) - excused.length;
  if (missing > 0) {
    return {
      state: 'progressing',
      message:
        updated < desired
          ? `${updated} of ${pods(desired)} are of the new version.`
          : `${available} of ${pods(desired)} are available.`,
      ...numbers,
    };
  }
  const note = excused.length > 0 ? `, without ${pods(excused.length)} on nodes that are down` : '';
  return { state: 'ready', message: `${allPods(desired)} available${note}.`, ...numbers };
}

/** A node that says nothing of its readiness is taken to be up. */
function isDown(node: KubeObject): boolean {
  const ready = conditionOf(node, 'Ready')?.status;
  return ready === 'False' || ready === 'Unknown';
}

function job(object: KubeObject): Standing {
  const status = fieldsOf(object.status);
  const desired = numberOf(at(object, 'spec', 'completions')) ?? 1;
  const succeeded = count(status, 'succeeded');
  const numbers = { desired, updated: desired, ready: succeeded, available: succeeded };
  const isTrue = (type: string): Condition | undefined => {
    const condition = conditionOf(object, type);
    return condition?.status === 'True' ? condition : undefined;
  };
  // FailureTarget (Kubernetes 1.31) comes before Failed and is as final.
  const failed = isTrue('Failed') ?? isTrue('FailureTarget');
  if (failed !== undefined) {
    return {
      state: 'failed',
      message: `The Job failed: ${failed.reason}.`,
      ...numbers,
      failure: { code: 'job', reason: failed.reason, message: failed.message },
    };
  }
  if (isTrue('Complete') !== undefined) return { state: 'ready', message: 'The Job is complete.', ...numbers };
  if (at(object, 'spec', 'suspend') === true)
    return { state: 'paused', message: 'The Job is suspended: nothing runs until it is resumed.', ...numbers };
  const attempts = count(status, 'failed');
  const limit = numberOf(at(object, 'spec', 'backoffLimit')) ?? 6;
  return {
    state: 'progressing',
    message:
      attempts > 0
        ? `The Job runs; ${attempts} of ${limit + 1} attempts failed.`
        : `The Job runs; ${succeeded} of ${desired} completed.`,
    ...numbers,
  };
}

export function isPodReady(one: KubeObject): boolean {
  return (
    one.metadata.deletionTimestamp === undefined &&
    listOf(at(one, 'status', 'conditions')).some(({ type, status }) => type === 'Ready' && status === 'True')
  );
}

function pod(object: KubeObject): Standing {
  const phase = textOf(at(object, 'status', 'phase')) ?? 'Pending';
  const isReady = isPodReady(object) || phase === 'Succeeded';
  const amount = isReady ? 1 : 0;
  const numbers = { desired: 1, updated: 1, ready: amount, available: amount };
  if (isReady)
    return {
      state: 'ready',
      message: phase === 'Succeeded' ? 'The pod has ended well.' : 'The pod is ready.',
      ...numbers,
    };
  if (phase === 'Failed') {
    const reason = textOf(at(object, 'status', 'reason')) ?? 'Failed';
    return {
      state: 'failed',
      message: 'The pod has failed.',
      ...numbers,
      failure: { code: 'controller', reason, message: textOf(at(object, 'status', 'message')) ?? 'the pod ended' },
    };
  }
  return { state: 'progressing', message: `The pod is ${phase}.`, ...numbers };
}

function claim(object: KubeObject): Standing {
  const phase = textOf(at(object, 'status', 'phase')) ?? 'Pending';
  if (phase === 'Bound') return done('The volume is bound.');
  const failure = { code: 'controller', reason: phase, message: 'the volume behind the claim is gone' } as const;
  if (phase === 'Lost') return { ...done('The volume is lost.'), state: 'failed', failure };
  return { ...done('The claim waits for a volume.'), state: 'progressing' };
}

function argoRollout({ object, isObserved }: Attributed & { readonly object: KubeObject }): Standing {
  const status = fieldsOf(object.status);
  const numbers = {
    desired: numberOf(at(object, 'spec', 'replicas')) ?? 1,
    updated: count(status, 'updatedReplicas'),
    ready: count(status, 'readyReplicas'),
    available: count(status, 'availableReplicas'),
  };
  const message = textOf(status.message) ?? '';
  if (!isObserved)
    return { state: 'progressing', message: 'The controller has not seen the new version yet.', ...numbers };
  switch (status.phase) {
    case 'Healthy':
      return { state: 'ready', message: 'The Rollout is healthy.', ...numbers };
    case 'Paused':
      return { state: 'paused', message: `The Rollout waits for promotion. ${message}`.trim(), ...numbers };
    case 'Degraded':
      return {
        state: 'failed',
        message: 'The Rollout is degraded.',
        ...numbers,
        failure: { code: 'controller', reason: 'Degraded', message },
      };
    default:
      return { state: 'progressing', message: message || 'The Rollout progresses.', ...numbers };
  }
}

/** Rules of kstatus (sigs.k8s.io/cli-utils): conditions by their common names, nothing known = done once applied. */
function generic(object: KubeObject): Standing {
  const conditions = conditionsOf(object);
  const find = (type: string, status: string): Condition | undefined =>
    conditions.find((condition) => condition.type === type && condition.status === status);
  const observed = numberOf(at(object, 'status', 'observedGeneration'));
  if (observed !== undefined && observed < (object.metadata.generation ?? 0))
    return { ...done('The controller has not seen the newest version yet.'), state: 'progressing' };
  const stalled = find('Stalled', 'True');
  if (stalled !== undefined) {
    return {
      ...done(stalled.message),
      state: 'failed',
      failure: { code: 'controller', reason: stalled.reason, message: stalled.message },
    };
  }
  const waiting =
    find('Reconciling', 'True') ?? find('Ready', 'False') ?? find('Ready', 'Unknown') ?? find('Available', 'False');
  if (waiting !== undefined)
    return { ...done(waiting.message || `${waiting.type} is ${waiting.status}.`), state: 'progressing' };
  return done('Applied.');
}
