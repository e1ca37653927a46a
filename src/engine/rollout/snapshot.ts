import { at, type Fields, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';

/** What the cluster looks like at one moment, as far as a rollout needs it. Plain data: it can be recorded and replayed. */
export interface Snapshot {
  /** Live objects of the targets; a missing one does not exist. */
  readonly workloads: readonly KubeObject[];
  readonly replicaSets: readonly KubeObject[];
  readonly controllerRevisions: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  readonly events: readonly KubeObject[];
  /** Empty when not read or not allowed. */
  readonly nodes: readonly KubeObject[];
  readonly answers: ReadonlyMap<string, Answer>;
}

/** Something a verdict wants to know from a second source before it calls a state proof. */
export type Question =
  | { readonly kind: 'registry'; readonly image: string }
  /** Whether the image can be pulled with the pod's own pull secrets. */
  | {
      readonly kind: 'pull-access';
      readonly image: string;
      readonly namespace: string;
      readonly secrets: readonly string[];
      readonly serviceAccount: string;
    }
  | { readonly kind: 'exists'; readonly object: ObjectRef; readonly key?: string }
  /** The end of a container's log; `restart` tells one run of the container from the next. */
  | {
      readonly kind: 'log';
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      readonly restart: number;
      readonly isPrevious: boolean;
    }
  | { readonly kind: 'nodes' }
  | { readonly kind: 'autoscaler' };

export interface Answer {
  readonly value: 'yes' | 'no' | 'unknown';
  /** Words for people: nearest tags, which secret is missing, log lines. */
  readonly detail?: string;
  readonly lines?: readonly string[];
}

export const keyOf = (question: Question): string => JSON.stringify(question);

/** How things stood before the deploy. JSON: it travels in the outputs of the deploy step. */
export interface Baseline {
  /** ISO time, by our clock. */
  readonly takenAt: string;
  readonly workloads: { readonly [uid: string]: WorkloadBaseline };
  /** Pod UID → container → restarts. */
  readonly restarts: { readonly [podUid: string]: { readonly [container: string]: number } };
  /** Event UID → count. */
  readonly events: { readonly [uid: string]: number };
  readonly wasHealthy: boolean;
}

export interface WorkloadBaseline {
  readonly [key: string]: string | number | boolean;
  readonly generation: number;
  /** Last change of the Progressing condition, to tell an old deadline from a new one. */
  readonly progressingAt: string;
  readonly template: string;
}

export const emptyBaseline: Baseline = { takenAt: '', workloads: {}, restarts: {}, events: {}, wasHealthy: false };

export interface ContainerState {
  readonly name: string;
  readonly isInit: boolean;
  /** A native sidecar: an init container that keeps running (restartPolicy Always, stable in 1.33, on since 1.29). */
  readonly isSidecar: boolean;
  readonly isReady: boolean;
  readonly restarts: number;
  readonly image: string;
  readonly waiting?: { readonly reason: string; readonly message: string };
  readonly running?: { readonly startedAt: string };
  readonly terminated?: Termination;
  readonly last?: Termination;
}

export interface Termination {
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly finishedAt: string;
}

/** States of all containers of a pod, init containers first. */
export function containersOf(pod: KubeObject): readonly ContainerState[] {
  const read = (statuses: unknown, specs: unknown, isInit: boolean): readonly ContainerState[] =>
    listOf(statuses).map((status) => {
      const name = textOf(status.name) ?? '';
      const spec = listOf(specs).find((container) => container.name === name);
      const waiting = at(status, 'state', 'waiting');
      const running = at(status, 'state', 'running');
      const terminated = readTermination(at(status, 'state', 'terminated'));
      const last = readTermination(at(status, 'lastState', 'terminated'));
      return {
        name,
        isInit,
        isSidecar: isInit && spec?.restartPolicy === 'Always',
        isReady: status.ready === true,
        restarts: numberOf(status.restartCount) ?? 0,
        image: textOf(spec?.image) ?? textOf(status.image) ?? '',
        ...(waiting !== undefined && {
          waiting: { reason: textOf(at(waiting, 'reason')) ?? '', message: textOf(at(waiting, 'message')) ?? '' },
        }),
        ...(running !== undefined && { running: { startedAt: textOf(at(running, 'startedAt')) ?? '' } }),
        ...(terminated !== undefined && { terminated }),
        ...(last !== undefined && { last }),
      };
    });
  return [
    ...read(at(pod, 'status', 'initContainerStatuses'), at(pod, 'spec', 'initContainers'), true),
    ...read(at(pod, 'status', 'containerStatuses'), at(pod, 'spec', 'containers'), false),
  ];
}

function readTermination(value: unknown): Termination | undefined {
  if (value === undefined) return undefined;
  return {
    exitCode: numberOf(at(value, 'exitCode')) ?? 0,
    reason: textOf(at(value, 'reason')) ?? '',
    message: textOf(at(value, 'message')) ?? '',
    finishedAt: textOf(at(value, 'finishedAt')) ?? '',
  };
}

export function conditionOf(object: KubeObject, type: string): Fields | undefined {
  return listOf(at(object, 'status', 'conditions')).find((condition) => condition.type === type);
}

export const isTrue = (condition: Fields | undefined): boolean => condition?.status === 'True';

export function isPodReady(pod: KubeObject): boolean {
  return pod.metadata.deletionTimestamp === undefined && isTrue(conditionOf(pod, 'Ready'));
}

export function isOwnedBy(object: KubeObject, uid: string | undefined): boolean {
  return uid !== undefined && (object.metadata.ownerReferences ?? []).some((owner) => owner.uid === uid);
}

/** Last time an event was seen, ms since the epoch. Events are aggregated: three fields may hold it. */
export function eventTime(event: KubeObject): number {
  const text =
    textOf(at(event, 'series', 'lastObservedTime')) ??
    textOf(event.lastTimestamp) ??
    textOf(event.eventTime) ??
    event.metadata.creationTimestamp;
  return text === undefined ? 0 : Date.parse(text);
}

export function eventCount(event: KubeObject): number {
  return numberOf(at(event, 'series', 'count')) ?? numberOf(event.count) ?? 1;
}
