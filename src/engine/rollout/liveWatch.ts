// What runs now, kept true by watches, without anything being judged: for a view that a person looks at.
import { at, type Cluster, type KubeObject, listOf, textOf } from '../cluster/index.ts';
import type { ObjectRef, PodView, WorkloadView } from '../events/index.ts';
import type { Clock } from '../system/index.ts';
import { attribute, indexSnapshot, podTemplate } from './attribution.ts';
import { conditionOf, standing } from './readiness.ts';
import { emptyBaseline, emptyMemory, type Snapshot } from './snapshot.ts';
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

/** Pure: the views of the targets that exist. */
export function liveViews(
  objects: Omit<Snapshot, 'contact' | 'answers' | 'memory'>,
  targets: readonly ObjectRef[],
): readonly LiveWorkloadView[] {
  const index = indexSnapshot(
    { ...objects, contact: { state: 'connected' }, answers: new Map(), memory: emptyMemory(0) },
    emptyBaseline,
  );
  const nodes = new Map(objects.nodes.map((node) => [node.metadata.name, node]));
  const isNodeFit = (name: string): boolean => {
    const node = nodes.get(name);
    const ready = node === undefined ? undefined : conditionOf(node, 'Ready')?.status;
    return ready !== 'False' && ready !== 'Unknown';
  };
  return targets.flatMap((ref): readonly LiveWorkloadView[] => {
    const found = attribute(ref, index, emptyBaseline);
    const { object } = found;
    if (object === undefined) return [];
    const now = standing({ ...found, object }, isNodeFit);
    const pods: readonly PodView[] = [
      ...found.newPods.map((pod) => podView(pod, true)),
      ...[...found.oldPods, ...found.lostPods].map((pod) => podView(pod, false)),
    ];
    const cause = now.failure?.message ?? troubleOf(pods);
    return [
      {
        ref,
        state: now.state,
        message: now.failure?.message ?? now.message,
        desired: now.desired,
        updated: now.updated,
        ready: now.ready,
        available: now.available,
        ...(found.revision !== undefined && { revision: found.revision }),
        pods,
        images: imagesOf(object),
        ...(object.metadata.creationTimestamp !== undefined && { createdAt: object.metadata.creationTimestamp }),
        ...(typeof object.metadata.generation === 'number' && { generation: object.metadata.generation }),
        ...(cause !== undefined && { cause }),
      },
    ];
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
