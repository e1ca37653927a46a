import type { KubeObject, ListQuery } from '../cluster/index.ts';
import { at, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { podsOf } from './attribution.ts';
import { readinessOf } from './readiness.ts';
import {
  type Baseline,
  conditionOf,
  containersOf,
  eventCount,
  type Snapshot,
  type WorkloadBaseline,
} from './snapshot.ts';

/** What is needed of a cluster: its answers are Kubernetes objects. */
export interface ObjectReader {
  get(ref: ObjectRef, signal: AbortSignal): Promise<unknown>;
  list(query: ListQuery, signal: AbortSignal): Promise<readonly unknown[]>;
}

/**
 * How things stand before a deploy, so that afterwards only what is new counts: restarts, events, conditions. Taken
 * before the first write. Objects that do not exist yet have no part in it.
 */
export async function takeBaseline(
  cluster: ObjectReader,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<Baseline> {
  const namespaces = [...new Set(targets.map((target) => target.namespace ?? 'default'))];
  const list = async (apiVersion: string, kind: string): Promise<readonly KubeObject[]> =>
    (
      await Promise.all(namespaces.map((namespace) => cluster.list({ apiVersion, kind, namespace }, signal)))
    ).flat() as readonly KubeObject[];
  // Without the right to read events the rollout goes on, only with fewer words.
  const [found, replicaSets, controllerRevisions, pods, events] = await Promise.all([
    Promise.all(targets.map((target) => cluster.get(target, signal))),
    list('apps/v1', 'ReplicaSet'),
    list('apps/v1', 'ControllerRevision'),
    list('v1', 'Pod'),
    list('v1', 'Event').catch(() => []),
  ]);
  const workloads = (found as readonly (KubeObject | undefined)[]).filter((object) => object !== undefined);
  const snapshot: Snapshot = {
    workloads,
    replicaSets,
    controllerRevisions,
    pods,
    events,
    nodes: [],
    answers: new Map(),
  };
  const known: Record<string, WorkloadBaseline> = {};
  const restarts: Record<string, Record<string, number>> = {};
  let isHealthy = workloads.length > 0;
  for (const workload of workloads) {
    const own = podsOf(workload, snapshot);
    isHealthy &&= readinessOf(workload, own, snapshot).state === 'ready';
    known[workload.metadata.uid ?? ''] = {
      generation: workload.metadata.generation ?? 0,
      progressingAt: textOf(conditionOf(workload, 'Progressing')?.lastUpdateTime) ?? '',
      template: JSON.stringify(at(workload, 'spec', 'template') ?? null),
    };
    for (const pod of [...own.fresh, ...own.old]) {
      restarts[pod.metadata.uid ?? ''] = Object.fromEntries(
        containersOf(pod).map((container) => [container.name, container.restarts]),
      );
    }
  }
  return {
    takenAt: new Date().toISOString(),
    workloads: known,
    restarts,
    events: Object.fromEntries(events.map((event) => [event.metadata.uid ?? '', eventCount(event)])),
    wasHealthy: isHealthy,
  };
}
