// What runs now, without a rollout being judged: read once for status and describe, or kept true by watches for a view.
import { at, type Cluster, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import type { ObjectRef, PodView, WorkloadView } from '../events/index.ts';
import { isCancelled } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { attribute, indexSnapshot, podTemplate } from './attribution.ts';
import type { ObjectReader } from './baseline.ts';
import { standing } from './readiness.ts';
import { emptyBaseline, emptyMemory, emptySnapshot, type Snapshot } from './snapshot.ts';
import { podView } from './verdictViews.ts';
import { type ContactState, RolloutWatches } from './watches.ts';

export interface LiveWorkloadView extends WorkloadView {
  /** References of its containers, in their order. */
  readonly images: readonly string[];
  /** ISO time. */
  readonly createdAt?: string;
  /** The server counts every change of what is wanted, whoever makes it. */
  readonly generation?: number;
  /** Why it is not as it should be, in words; absent while nothing points at a trouble. */
  readonly cause?: string;
}

export interface LiveState {
  readonly contact: ContactState;
  /** In the order of the targets; those that do not exist are left out. */
  readonly workloads: readonly LiveWorkloadView[];
}

export interface LiveWatchOptions {
  readonly clock: Clock;
  /** Ends the watches. */
  readonly signal: AbortSignal;
  readonly onChange: (state: LiveState) => void;
}

/** Changes within so long are told together; looking at a thousand workloads again costs some ten milliseconds. */
const GATHER_MS = 250;

export interface LiveWorkload {
  readonly ref: ObjectRef;
  readonly view: LiveWorkloadView;
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
  const objects = { ...emptySnapshot, workloads, pods, replicaSets, revisions, jobs, nodes };
  return liveWorkloads(objects, targets);
}

/** One list and one watch per kind and namespace. Resolves when everything has been listed once and told. */
export async function watchLive(
  cluster: Cluster,
  targets: readonly ObjectRef[],
  { clock, signal, onChange }: LiveWatchOptions,
): Promise<void> {
  let isReady = false;
  let isWaiting = false;
  const tell = (): void => onChange({ contact: watches.contact(), workloads: liveViews(watches.objects(), targets) });
  const watches = new RolloutWatches(
    cluster,
    targets,
    {
      clock,
      signal,
      onChange: () => {
        if (!isReady || isWaiting) return;
        isWaiting = true;
        clock.sleep(GATHER_MS, signal).then(
          () => {
            isWaiting = false;
            tell();
          },
          () => {},
        );
      },
    },
    'running',
  );
  await watches.ready();
  isReady = true;
  if (!signal.aborted) tell();
}

type Objects = Omit<Snapshot, 'contact' | 'answers' | 'memory'>;

/** Pure: the views of the targets that exist. */
export const liveViews = (objects: Objects, targets: readonly ObjectRef[]): readonly LiveWorkloadView[] =>
  liveWorkloads(objects, targets).flatMap(({ object, view }) => (object === undefined ? [] : [view]));

function liveWorkloads(objects: Objects, targets: readonly ObjectRef[]): readonly LiveWorkload[] {
  const snapshot = { ...objects, contact: { state: 'connected' }, answers: new Map(), memory: emptyMemory(0) } as const;
  const index = indexSnapshot(snapshot, emptyBaseline);
  return targets.map((ref): LiveWorkload => {
    const target = attribute(ref, index, emptyBaseline);
    const { object, uids } = target;
    if (object === undefined) {
      const none = { desired: 0, updated: 0, ready: 0, available: 0, pods: [], images: [] };
      return {
        ref,
        view: { ref, state: 'unknown', message: 'Not in the cluster: not deployed yet, or deleted.', ...none },
        pods: [],
        uids,
      };
    }
    const now = standing({ ...target, object }, objects.nodes);
    const others = [...target.oldPods, ...target.lostPods];
    const pods = [...target.newPods.map((pod) => podView(pod, true)), ...others.map((pod) => podView(pod, false))];
    const cause = now.failure?.message ?? troubleOf(pods);
    const view: LiveWorkloadView = {
      ref,
      state: now.state,
      message: now.failure?.message ?? now.message,
      desired: now.desired,
      updated: now.updated,
      ready: now.ready,
      available: now.available,
      ...(target.revision !== undefined && { revision: target.revision }),
      pods,
      images: imagesOf(object),
      ...(object.metadata.creationTimestamp !== undefined && { createdAt: object.metadata.creationTimestamp }),
      ...(typeof object.metadata.generation === 'number' && { generation: object.metadata.generation }),
      ...(cause !== undefined && { cause }),
    };
    return { ref, object, view, pods: [...target.newPods, ...others], uids };
  });
}

/** What the worst pod says of itself. A pod that just starts is no trouble. */
function troubleOf(pods: readonly PodView[]): string | undefined {
  const bad = pods.find(
    ({ isReady, reason }) =>
      !isReady && reason !== undefined && /Err|BackOff|Crash|Invalid|Failed|OOM|Evicted/.test(reason),
  );
  if (bad === undefined) return undefined;
  return bad.message === undefined ? (bad.reason ?? '') : `${bad.reason}: ${bad.message}`;
}

const imagesOf = (object: KubeObject): readonly string[] =>
  listOf(at(podTemplate(object), 'spec', 'containers')).flatMap(({ image }) => textOf(image) ?? []);
