import { at, isReady, type KubeObject, numberOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Clock } from '../system/index.ts';
import type { ObjectReader } from './baseline.ts';

/** What is needed of a cluster to put pods away. */
export interface PodRemover extends ObjectReader {
  remove(ref: ObjectRef, options: { readonly signal: AbortSignal }): Promise<boolean>;
}

/** The controller sees a new template within moments. */
const OBSERVE_MS = 10_000;
const STEP_MS = 150;

/**
 * Frees StatefulSets whose template was put back: an ordered one waits for its broken pod of the version that was left and
 * would never replace it (Kubernetes issues 67250, 60164). Deletes pods that are not ready and not of the newest revision,
 * highest ordinal first. Gives the names of the deleted pods. Other kinds, and StatefulSets with podManagementPolicy
 * Parallel or updateStrategy OnDelete, are left alone.
 */
export async function freeStuckPods(
  cluster: PodRemover,
  targets: readonly ObjectRef[],
  options: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const sets = targets.filter(({ kind }) => kind === 'StatefulSet');
  const freed = await Promise.all(sets.map((set) => freeSet(cluster, set, options)));
  return freed.flat();
}

async function freeSet(
  cluster: PodRemover,
  ref: ObjectRef,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const end = clock.now() + OBSERVE_MS;
  let set = (await cluster.get(ref, signal)) as KubeObject | undefined;
  while (set !== undefined && !isObserved(set) && clock.now() < end) {
    await clock.sleep(STEP_MS, signal);
    set = (await cluster.get(ref, signal)) as KubeObject | undefined;
  }
  if (set === undefined || !isObserved(set)) return [];
  if (at(set, 'spec', 'podManagementPolicy') === 'Parallel') return [];
  if (at(set, 'spec', 'updateStrategy', 'type') === 'OnDelete') return [];
  const wanted = textOf(at(set, 'status', 'updateRevision'));
  const pods = (await cluster.list(
    { apiVersion: 'v1', kind: 'Pod', ...(ref.namespace !== undefined && { namespace: ref.namespace }) },
    signal,
  )) as readonly KubeObject[];
  const uid = set.metadata.uid;
  const stuck = pods
    .filter((pod) => pod.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true)
    .filter((pod) => pod.metadata.labels?.[HASH] !== wanted && !isReady(pod))
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .sort((a, b) => ordinal(b) - ordinal(a));
  const deleted: string[] = [];
  for (const pod of stuck) {
    const one = {
      apiVersion: 'v1',
      kind: 'Pod',
      name: pod.metadata.name,
      ...(ref.namespace !== undefined && { namespace: ref.namespace }),
    };
    if (await cluster.remove(one, { signal })) deleted.push(pod.metadata.name);
  }
  return deleted;
}

const HASH = 'controller-revision-hash';
const isObserved = (set: KubeObject): boolean =>
  (numberOf(at(set, 'status', 'observedGeneration')) ?? 0) >= (set.metadata.generation ?? 0);
const ordinal = (pod: KubeObject): number => Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);
