// Where workloads stand now, without a rollout being judged: for status and describe.
import type { KubeObject } from '../cluster/object.ts';
import type { ObjectRef, PodView, WorkloadView } from '../events/index.ts';
import { isCancelled } from '../problems/index.ts';
import { attribute, indexSnapshot } from './attribution.ts';
import type { ObjectReader } from './baseline.ts';
import { conditionOf, standing } from './readiness.ts';
import { emptyBaseline, emptyMemory, emptySnapshot } from './snapshot.ts';
import { podView } from './verdictViews.ts';

export interface LiveWorkload {
  readonly ref: ObjectRef;
  readonly view: WorkloadView;
  /** Absent = it does not exist. */
  readonly object?: KubeObject;
  /** Those of the newest revision first. */
  readonly pods: readonly KubeObject[];
  /** Uids whose events speak of it: the workload, its newest revision and its pods. */
  readonly uids: ReadonlySet<string>;
}

/** One list of each kind and namespace. What may not be read is left out; throws only when the workloads may not be. */
export async function readLive(
  cluster: ObjectReader,
  targets: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<readonly LiveWorkload[]> {
  const found = await Promise.all(targets.map((target) => cluster.get(target, signal)));
  const workloads = (found as readonly (KubeObject | undefined)[]).filter((object) => object !== undefined);
  const namespaces = [...new Set(targets.map(({ namespace }) => namespace))];
  const optional = (error: unknown): readonly KubeObject[] => {
    if (isCancelled(error)) throw error;
    return [];
  };
  const list = async (apiVersion: string, kind: string, isGlobal = false): Promise<readonly KubeObject[]> => {
    const places = isGlobal ? [undefined] : namespaces;
    const lists = await Promise.all(
      places.map((namespace) =>
        cluster
          .list({ apiVersion, kind, ...(namespace !== undefined && { namespace }) }, signal)
          .then((items) => items as readonly KubeObject[], optional),
      ),
    );
    return lists.flat();
  };
  const needs = (...kinds: readonly string[]): boolean => workloads.some(({ kind }) => kinds.includes(kind));
  const [pods, replicaSets, revisions, jobs, nodes] = await Promise.all([
    list('v1', 'Pod'),
    needs('Deployment') ? list('apps/v1', 'ReplicaSet') : [],
    needs('StatefulSet', 'DaemonSet') ? list('apps/v1', 'ControllerRevision') : [],
    needs('CronJob', 'Job') ? list('batch/v1', 'Job') : [],
    needs('DaemonSet') ? list('v1', 'Node', true) : [],
  ]);
  const snapshot = { ...emptySnapshot, workloads, pods, replicaSets, revisions, jobs, nodes, memory: emptyMemory(0) };
  const index = indexSnapshot(snapshot, emptyBaseline);
  const isNodeFit = (name: string): boolean => {
    const node = nodes.find((one) => one.metadata.name === name);
    const ready = node === undefined ? undefined : conditionOf(node, 'Ready')?.status;
    return ready !== 'False' && ready !== 'Unknown';
  };
  return targets.map((ref): LiveWorkload => {
    const target = attribute(ref, index, emptyBaseline);
    const { object } = target;
    if (object === undefined) {
      const view: WorkloadView = { ref, state: 'unknown', message: 'It does not exist.', ...noCounts, pods: [] };
      return { ref, view, pods: [], uids: target.uids };
    }
    const now = standing({ ...target, object }, isNodeFit);
    const views: readonly PodView[] = [
      ...target.newPods.map((pod) => podView(pod, true)),
      ...[...target.oldPods, ...target.lostPods].map((pod) => podView(pod, false)),
    ];
    return {
      ref,
      object,
      view: {
        ref,
        state: now.state,
        message: now.failure?.message ?? now.message,
        desired: now.desired,
        updated: now.updated,
        ready: now.ready,
        available: now.available,
        ...(target.revision !== undefined && { revision: target.revision }),
        pods: views,
      },
      pods: [...target.newPods, ...target.oldPods, ...target.lostPods],
      uids: target.uids,
    };
  });
}

const noCounts = { desired: 0, updated: 0, ready: 0, available: 0 };
