import * as v from 'valibot';
import type { ListQuery } from '../cluster/index.ts';
import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { Json, ObjectRef } from '../events/index.ts';
import { isCancelled } from '../problems/index.ts';
import { attribute, eventCount, hashOf, indexSnapshot } from './attribution.ts';
import { conditionsOf, standing } from './readiness.ts';
import { type Baseline, type BaselineWorkload, emptyBaseline, emptyMemory, emptySnapshot } from './snapshot.ts';

/** What is needed of a cluster: its answers are Kubernetes objects. */
export interface ObjectReader {
  get(ref: ObjectRef, signal: AbortSignal): Promise<unknown>;
  list(query: ListQuery, signal: AbortSignal): Promise<readonly unknown[]>;
}

/**
 * Looks at the targets before the write: which revision runs, how often containers restarted, which events there are. What
 * cannot be read is left out. Throws SlipwayError `cluster` only when the workloads themselves cannot be read.
 */
export async function takeBaseline(
  cluster: ObjectReader,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<Baseline> {
  const found = await Promise.all(targets.map((target) => cluster.get(target, signal)));
  const workloads = (found as readonly (KubeObject | undefined)[]).filter((object) => object !== undefined);
  if (workloads.length === 0) return emptyBaseline;
  const namespaces = [...new Set(targets.map(({ namespace }) => namespace))];
  const list = async (apiVersion: string, kind: string): Promise<readonly KubeObject[]> => {
    const lists = await Promise.all(
      namespaces.map((namespace) =>
        cluster
          .list({ apiVersion, kind, ...(namespace !== undefined && { namespace }) }, signal)
          .catch((error: unknown) => {
            if (isCancelled(error)) throw error;
            return [];
          }),
      ),
    );
    return lists.flat() as readonly KubeObject[];
  };
  const [pods, replicaSets, revisions, events] = await Promise.all([
    list('v1', 'Pod'),
    list('apps/v1', 'ReplicaSet'),
    list('apps/v1', 'ControllerRevision'),
    list('v1', 'Event'),
  ]);
  const snapshot = { ...emptySnapshot, workloads, pods, replicaSets, revisions, memory: emptyMemory(0) };
  const index = indexSnapshot(snapshot, emptyBaseline);
  const all = targets.map((target) => attribute(target, index, emptyBaseline));
  const related = new Set(
    all.flatMap(({ uids, oldPods }) => [...uids, ...oldPods.flatMap((pod) => pod.metadata.uid ?? [])]),
  );
  const isRelated = (object: KubeObject): boolean => related.has(object.metadata.uid ?? '');
  return {
    workloads: Object.fromEntries(
      all.flatMap((attributed) => {
        const { object, key } = attributed;
        if (object === undefined) return [];
        const before: BaselineWorkload = {
          uid: object.metadata.uid ?? '',
          generation: object.metadata.generation ?? 0,
          template: hashOf(object),
          isHealthy: standing({ ...attributed, object }, []).state === 'ready',
          ...(attributed.revision !== undefined && { revision: attributed.revision }),
          conditions: Object.fromEntries(conditionsOf(object).map(({ type, time }) => [type, time])),
        };
        return [[key, before]];
      }),
    ),
    restarts: Object.fromEntries(
      pods
        .filter(isRelated)
        .flatMap((pod) =>
          ['initContainerStatuses', 'containerStatuses'].flatMap((field) =>
            listOf(at(pod, 'status', field)).map((status) => [
              `${pod.metadata.uid ?? ''}/${textOf(status.name) ?? ''}`,
              numberOf(status.restartCount) ?? 0,
            ]),
          ),
        ),
    ),
    events: Object.fromEntries(
      events
        .filter(
          (event) =>
            related.has(textOf(at(event, 'involvedObject', 'uid')) ?? '') ||
            at(event, 'involvedObject', 'kind') === 'PersistentVolumeClaim',
        )
        .map((event) => [event.metadata.uid ?? '', eventCount(event)]),
    ),
  };
}

/** A baseline that was kept in a step's outputs; {@link emptyBaseline} when there is none. */
export function readBaseline(value: Json | undefined): Baseline {
  const found = v.safeParse(BaselineSchema, value);
  return found.success ? (found.output as Baseline) : emptyBaseline;
}

const BaselineSchema = v.object({
  workloads: v.record(
    v.string(),
    v.object({
      uid: v.string(),
      generation: v.number(),
      template: v.string(),
      isHealthy: v.boolean(),
      revision: v.optional(v.string()),
      conditions: v.record(v.string(), v.string()),
    }),
  ),
  restarts: v.record(v.string(), v.number()),
  events: v.record(v.string(), v.number()),
});
