import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import { hasObserved, type PodsOf } from './attribution.ts';
import { conditionOf, isTrue, type Snapshot } from './snapshot.ts';

export interface Readiness {
  readonly state: 'ready' | 'progressing' | 'paused' | 'failed';
  /** One sentence. */
  readonly message: string;
  readonly desired: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
}

/** Whether a workload has arrived, by its own status only. The rules are those of rollout status, made strict. */
export function readinessOf(workload: KubeObject, pods: PodsOf, snapshot: Snapshot): Readiness {
  switch (workload.kind) {
    case 'Deployment':
      return deployment(workload);
    case 'StatefulSet':
      return statefulSet(workload);
    case 'DaemonSet':
      return daemonSet(workload, pods, snapshot);
    case 'Job':
      return job(workload);
    case 'Pod':
      return pod(workload);
    case 'PersistentVolumeClaim':
      return claim(workload);
    case 'CronJob':
    case 'Service':
    case 'ConfigMap':
    case 'Secret':
      return simple('ready', 'applied');
    default:
      return generic(workload);
  }
}

const status = (workload: KubeObject, field: string): number => numberOf(at(workload, 'status', field)) ?? 0;

function deployment(workload: KubeObject): Readiness {
  // The API server fills in 1 when replicas are not given.
  const desired = numberOf(at(workload, 'spec', 'replicas')) ?? 1;
  const updated = status(workload, 'updatedReplicas');
  const ready = status(workload, 'readyReplicas');
  const available = status(workload, 'availableReplicas');
  const total = status(workload, 'replicas');
  const counts = { desired, updated, ready, available };
  if (at(workload, 'spec', 'paused') === true)
    return { state: 'paused', message: 'the Deployment is paused', ...counts };
  if (!hasObserved(workload))
    return { state: 'progressing', message: 'waiting for the controller to see the change', ...counts };
  if (updated < desired)
    return { state: 'progressing', message: `${updated} of ${desired} pods are updated`, ...counts };
  if (total > updated)
    return {
      state: 'progressing',
      message: `${total - updated} old ${plural(total - updated, 'pod')} still to go`,
      ...counts,
    };
  if (available < updated)
    return { state: 'progressing', message: `${available} of ${updated} updated pods are available`, ...counts };
  return {
    state: 'ready',
    message: desired === 0 ? 'scaled to zero: nothing runs' : `${available} of ${desired} pods are available`,
    ...counts,
  };
}

function statefulSet(workload: KubeObject): Readiness {
  const desired = numberOf(at(workload, 'spec', 'replicas')) ?? 1;
  const partition = numberOf(at(workload, 'spec', 'updateStrategy', 'rollingUpdate', 'partition')) ?? 0;
  const ready = status(workload, 'readyReplicas');
  // availableReplicas is stable since 1.25; an older server does not have it.
  const available = numberOf(at(workload, 'status', 'availableReplicas')) ?? ready;
  const current = textOf(at(workload, 'status', 'currentRevision'));
  const target = textOf(at(workload, 'status', 'updateRevision'));
  const updated = current === target ? desired : status(workload, 'updatedReplicas');
  const counts = { desired, updated, ready, available };
  if (!hasObserved(workload))
    return { state: 'progressing', message: 'waiting for the controller to see the change', ...counts };
  if (textOf(at(workload, 'spec', 'updateStrategy', 'type')) === 'OnDelete') {
    return {
      state: 'ready',
      message: 'the template is updated; pods change when they are deleted (OnDelete)',
      ...counts,
    };
  }
  const wanted = Math.max(0, desired - partition);
  if (updated < wanted) return { state: 'progressing', message: `${updated} of ${wanted} pods are updated`, ...counts };
  if (ready < desired) return { state: 'progressing', message: `${ready} of ${desired} pods are ready`, ...counts };
  if (available < desired)
    return { state: 'progressing', message: `${available} of ${desired} pods are available`, ...counts };
  if (partition === 0 && current !== target)
    return { state: 'progressing', message: 'the last pods are being updated', ...counts };
  return {
    state: 'ready',
    message: `${available} of ${desired} pods are available${partition > 0 ? `, ${partition} held back by the partition` : ''}`,
    ...counts,
  };
}

function daemonSet(workload: KubeObject, pods: PodsOf, snapshot: Snapshot): Readiness {
  const desired = status(workload, 'desiredNumberScheduled');
  const updated = status(workload, 'updatedNumberScheduled');
  const ready = status(workload, 'numberReady');
  const available = status(workload, 'numberAvailable');
  const counts = { desired, updated, ready, available };
  if (!hasObserved(workload))
    return { state: 'progressing', message: 'waiting for the controller to see the change', ...counts };
  if (textOf(at(workload, 'spec', 'updateStrategy', 'type')) === 'OnDelete') {
    return {
      state: 'ready',
      message: 'the template is updated; pods change when they are deleted (OnDelete)',
      ...counts,
    };
  }
  // A pod on a node that is down cannot become available and must not hold up the others.
  const down = new Set(
    snapshot.nodes.filter((node) => !isTrue(conditionOf(node, 'Ready'))).map((node) => node.metadata.name),
  );
  const excused = [...pods.fresh, ...pods.old].filter((item) =>
    down.has(textOf(at(item, 'spec', 'nodeName')) ?? ''),
  ).length;
  if (updated < desired - excused)
    return { state: 'progressing', message: `${updated} of ${desired} pods are updated`, ...counts };
  if (available < desired - excused)
    return { state: 'progressing', message: `${available} of ${desired} pods are available`, ...counts };
  return {
    state: 'ready',
    message: `${available} of ${desired} pods are available${excused > 0 ? `, ${excused} on nodes that are down` : ''}`,
    ...counts,
  };
}

function job(workload: KubeObject): Readiness {
  const desired = numberOf(at(workload, 'spec', 'completions')) ?? 1;
  const succeeded = status(workload, 'succeeded');
  const counts = {
    desired,
    updated: status(workload, 'active') + succeeded,
    ready: status(workload, 'ready'),
    available: succeeded,
  };
  // FailureTarget comes before Failed since 1.31 and means the same.
  if (isTrue(conditionOf(workload, 'Failed')) || isTrue(conditionOf(workload, 'FailureTarget'))) {
    return { state: 'failed', message: 'the Job has failed', ...counts };
  }
  if (isTrue(conditionOf(workload, 'Complete'))) return { state: 'ready', message: 'the Job is complete', ...counts };
  if (at(workload, 'spec', 'suspend') === true) return { state: 'paused', message: 'the Job is suspended', ...counts };
  const failed = status(workload, 'failed');
  return {
    state: 'progressing',
    message:
      failed > 0
        ? `attempt ${failed + 1} of ${(numberOf(at(workload, 'spec', 'backoffLimit')) ?? 6) + 1}`
        : `${succeeded} of ${desired} completed`,
    ...counts,
  };
}

function pod(workload: KubeObject): Readiness {
  const phase = textOf(at(workload, 'status', 'phase')) ?? 'Pending';
  const isReady = phase === 'Succeeded' || isTrue(conditionOf(workload, 'Ready'));
  const counts = { desired: 1, updated: 1, ready: isReady ? 1 : 0, available: isReady ? 1 : 0 };
  if (isReady)
    return {
      state: 'ready',
      message: phase === 'Succeeded' ? 'the pod has ended well' : 'the pod is ready',
      ...counts,
    };
  if (phase === 'Failed') return { state: 'failed', message: 'the pod has failed', ...counts };
  return { state: 'progressing', message: `the pod is ${phase.toLowerCase()}`, ...counts };
}

function claim(workload: KubeObject): Readiness {
  const phase = textOf(at(workload, 'status', 'phase')) ?? 'Pending';
  // With WaitForFirstConsumer a claim stays Pending until a pod uses it: the pods are watched, not the claim.
  return simple(phase === 'Lost' ? 'failed' : 'ready', phase === 'Bound' ? 'bound' : phase.toLowerCase());
}

/** Other kinds by kstatus: Stalled fails, Ready or Available False waits, an unknown shape counts as applied. */
function generic(workload: KubeObject): Readiness {
  const observed = at(workload, 'status', 'observedGeneration');
  // Argo Rollouts writes it as a string.
  if (observed !== undefined && Number(observed) < (workload.metadata.generation ?? 0)) {
    return simple('progressing', 'waiting for its controller to see the change');
  }
  const stalled = conditionOf(workload, 'Stalled');
  if (isTrue(stalled)) return simple('failed', textOf(stalled?.message) ?? 'stalled');
  const phase = textOf(at(workload, 'status', 'phase'));
  if (workload.apiVersion.startsWith('argoproj.io/') && workload.kind === 'Rollout') {
    if (phase === 'Degraded') return simple('failed', textOf(at(workload, 'status', 'message')) ?? 'degraded');
    if (phase === 'Paused') return simple('paused', 'waits for a promotion');
    return simple(phase === 'Healthy' ? 'ready' : 'progressing', phase ?? 'progressing');
  }
  const waiting = listOf(at(workload, 'status', 'conditions')).find(
    (condition) => (condition.type === 'Ready' || condition.type === 'Available') && condition.status !== 'True',
  );
  if (waiting !== undefined)
    return simple('progressing', textOf(waiting.message) ?? `${String(waiting.type)} is ${String(waiting.status)}`);
  return simple('ready', 'applied');
}

function simple(state: Readiness['state'], message: string): Readiness {
  const done = state === 'ready' ? 1 : 0;
  return { state, message, desired: 1, updated: 1, ready: done, available: done };
}

const plural = (count: number, word: string): string => (count === 1 ? word : `${word}s`);
