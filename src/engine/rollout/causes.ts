// The catalog of causes: what a detector is given and what it finds.
import type { Fields, KubeObject } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import type { Attributed, EventFact, Index } from './attribution.ts';
import type { Draft } from './memory.ts';
import type { Standing } from './readiness.ts';
import type { Answer, Baseline, EvaluateOptions, Question, Sighting, Snapshot } from './snapshot.ts';

/** Something that was seen and what it means. */
export interface Finding {
  /** Class of the catalog, for example `image.missing`. */
  readonly code: string;
  /**
   * `proven`: cannot heal unless somebody changes something. `pending`: becomes proof at `dueAt` if it stays.
   * `warning`: may heal; only the limit without progress ends it.
   */
  readonly strength: 'proven' | 'pending' | 'warning';
  readonly dueAt?: number;
  /**
   * `object`: true of the template itself, so one sighting dooms the workload. `pod`: true of one pod; the workload is
   * doomed when all its new pods that are not ready are.
   */
  readonly scope: 'object' | 'pod';
  /** Uid of the pod it was seen on. */
  readonly pod?: string;
  readonly ref: ObjectRef;
  readonly container?: string;
  readonly message: string;
  readonly fix: string;
  readonly evidence: readonly string[];
  /** Ms since the epoch. */
  readonly firstSeen: number;
  /** When to show it as a warning; absent = at once, `never` = only as part of a verdict. */
  readonly warnAt?: number | 'never';
}

/** All that a detector may look at, for one workload. */
export interface Scene {
  readonly now: number;
  readonly snapshot: Snapshot;
  readonly index: Index;
  readonly baseline: Baseline;
  readonly options: EvaluateOptions;
  readonly target: Attributed & { readonly object: KubeObject };
  readonly standing: Standing;
  readonly draft: Draft;
  /** Another workload of this deploy is still on its way up: what this one waits for may come with it. */
  readonly isOthersProgressing: boolean;
  /** A Job that is not over runs in the namespace. */
  readonly isJobRunning: boolean;
  /** Last time this workload came further. */
  readonly progressAt: number;
  /** The workload's events since the baseline. */
  readonly events: readonly EventFact[];
  /** The answer, if there is one that is at most `freshMs` old; otherwise the question is put. */
  ask<K extends Question['kind']>(
    question: Extract<Question, { readonly kind: K }>,
    freshMs?: number,
  ): Extract<Answer, { readonly kind: K }> | undefined;
}

/** One container of one new pod, with spec and status side by side. */
export interface ContainerScene {
  readonly pod: KubeObject;
  readonly podRef: ObjectRef;
  readonly name: string;
  /** `sidecar`: an init container that goes on running (restartPolicy Always, Kubernetes 1.29). */
  readonly kind: 'init' | 'sidecar' | 'main';
  readonly spec: Fields;
  readonly status: Fields;
  readonly image: string;
  readonly waiting: { readonly reason: string; readonly message: string } | undefined;
  readonly isRunning: boolean;
  readonly isReady: boolean;
}

const MINUTE = 60_000;
/** Somebody may still make an object that is missing: a Job that runs, or a maker that is known. */
export const MAKER_WAIT_MS = 3 * MINUTE;

/** `proven` once the sighting is old enough. */
export function afterWait(
  sighting: Sighting,
  waitMs: number,
  now: number,
): Pick<Finding, 'strength' | 'dueAt' | 'firstSeen'> {
  const dueAt = sighting.first + waitMs;
  return now >= dueAt
    ? { strength: 'proven', firstSeen: sighting.first }
    : { strength: 'pending', dueAt, firstSeen: sighting.first };
}

/** A question is on its way: look again soon, though the answer itself wakes the watcher. */
export const pendingAnswer = (now: number): Pick<Finding, 'strength' | 'dueAt'> => ({
  strength: 'pending',
  dueAt: now + 1000,
});

export const asWarning = (sighting: Sighting): Pick<Finding, 'strength' | 'firstSeen'> => ({
  strength: 'warning',
  firstSeen: sighting.first,
});

export { cleanText } from './cleanText.ts';
