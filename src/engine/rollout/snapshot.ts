// The shapes of a judgement: what the cluster shows, what was there before, what has been observed so far, what is still
// to be asked, and the result. All are plain data, so that a judgement can be recorded and played again.
import type { KubeObject } from '../cluster/object.ts';
import type { CauseView, ObjectRef, WorkloadView } from '../events/index.ts';
import type { RunSpan } from './runLogs.ts';

/** The live objects at one moment. Objects that are not visible to us (missing rights) are absent, not an error. */
export interface Snapshot {
  /** Those of the targets that exist now. */
  readonly workloads: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  readonly replicaSets: readonly KubeObject[];
  readonly revisions: readonly KubeObject[];
  /** All Jobs of the namespaces: one that still runs may be about to make what a pod waits for. */
  readonly jobs: readonly KubeObject[];
  readonly claims: readonly KubeObject[];
  readonly events: readonly KubeObject[];
  readonly nodes: readonly KubeObject[];
  /** `since` in ms since the epoch. While contact is lost no verdict about the app is given. */
  readonly contact: { readonly state: 'connected' } | { readonly state: 'lost'; readonly since: number };
  /** What the questions of earlier evaluations brought, by {@link questionKey}. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** From the evaluation before; {@link emptyMemory} for the first. */
  readonly memory: Memory;
}

export const emptySnapshot: Omit<Snapshot, 'memory'> = {
  workloads: [],
  pods: [],
  replicaSets: [],
  revisions: [],
  jobs: [],
  claims: [],
  events: [],
  nodes: [],
  contact: { state: 'connected' },
  answers: new Map(),
};

/** What there was just before the write, so that old troubles are not blamed on the new revision. */
export interface Baseline {
  /** By {@link targetKey}. Absent = the workload did not exist. */
  readonly workloads: Readonly<Record<string, BaselineWorkload>>;
  /** Restart counts by `pod uid/container`. */
  readonly restarts: Readonly<Record<string, number>>;
  /** Counts of the events there were, by uid. */
  readonly events: Readonly<Record<string, number>>;
}

export interface BaselineWorkload {
  readonly uid: string;
  readonly generation: number;
  /** {@link templateHash} of the pod template. */
  readonly template: string;
  /** Decides whether an automatic way back makes sense. */
  readonly isHealthy: boolean;
  /** Revision of the controller, for example `14` or a ControllerRevision's name. */
  readonly revision?: string;
  /** Times of the conditions, by type: a condition that still has the same time is an old one. */
  readonly conditions: Readonly<Record<string, string>>;
}

export const emptyBaseline: Baseline = { workloads: {}, restarts: {}, events: {} };

/** What evaluations remember from one to the next. Times are ms since the epoch by our own clock. */
export interface Memory {
  readonly startedAt: number;
  readonly sightings: Readonly<Record<string, Sighting>>;
  /** Ends of containers, oldest first, by `pod uid/container`. */
  readonly exits: Readonly<Record<string, readonly Exit[]>>;
  /** By {@link targetKey}. */
  readonly marks: Readonly<Record<string, Mark>>;
  /** Since when contact is lost. */
  readonly lostAt?: number;
}

/** One failing state that has been seen and is watched until it heals or becomes proof. */
export interface Sighting {
  readonly first: number;
  /** Set while it is not seen; a state that is back soon after is the same one. */
  readonly missingSince?: number;
  /** Message of the first sight: before Kubernetes 1.32 later ones hide the cause. */
  readonly message: string;
  /** How often the state was entered anew, for pulls: attempts. */
  readonly attempts: number;
  readonly state: string;
}

export interface Exit {
  /** Container id; unique for each start. */
  readonly id: string;
  readonly code: number;
  readonly reason: string;
  /** Seconds since the epoch by the node's clock, for distances between exits only. */
  readonly finishedAt: number;
  readonly seenAt: number;
  readonly ranMs: number;
  /** The kubelet's termination message. */
  readonly message: string;
}

/** How far a workload has come; only growth counts as progress. */
export interface Mark {
  readonly best: readonly number[];
  readonly progressAt: number;
  /** Since when it has been ready without a break; absent = it is not. */
  readonly readySince?: number;
  readonly restarts: number;
  /** Hash of the template that was first seen after the write. */
  readonly template?: string;
  readonly wasSeen: boolean;
  readonly everReady: boolean;
}

export const emptyMemory = (now: number): Memory => ({ startedAt: now, sightings: {}, exits: {}, marks: {} });

/** A fact that only somebody else knows. The watcher finds it out and evaluates again. */
export type Question =
  /** Is the image there, asked of the registry by us. */
  | { readonly kind: 'registry-has'; readonly ref: string }
  /** Do the credentials that the pod may use open the registry. */
  | {
      readonly kind: 'pull-secret-works';
      readonly ref: string;
      readonly namespace: string;
      readonly serviceAccount: string;
      readonly secrets: readonly string[];
    }
  /** Is there such an object (and such a key in it), and if not, is something going to make it. */
  | { readonly kind: 'object-exists'; readonly object: ObjectRef; readonly key?: string }
  /** The end of the log of one run of a container. */
  | {
      readonly kind: 'logs';
      readonly namespace: string;
      readonly pod: string;
      readonly container: string;
      /** As the status names it: which of its runs is meant. */
      readonly containerId: string;
      /** When that run was; absent where the status does not say. */
      readonly span?: RunSpan;
    }
  /** Can this cluster grow nodes by itself. */
  | { readonly kind: 'autoscaler' };

export type Answer =
  | {
      readonly kind: 'registry-has';
      readonly state: 'present' | 'absent' | 'denied' | 'unknown';
      readonly nearest?: readonly string[];
      readonly at: number;
    }
  | {
      readonly kind: 'pull-secret-works';
      /**
       * `refused`: every credential the pod has was refused, and without one too. `none`: it has no credential and the
       * registry wants one. `missing`: it names a Secret that does not exist, and the registry wants one.
       */
      readonly state: 'works' | 'refused' | 'none' | 'missing' | 'unknown';
      readonly detail: string;
      readonly at: number;
    }
  | {
      readonly kind: 'object-exists';
      readonly state: 'present' | 'absent' | 'no-key' | 'unknown';
      /** Who is going to make it: `Certificate web-tls`. */
      readonly maker?: string;
      /** Names (or keys) there are that look alike. */
      readonly similar: readonly string[];
      readonly at: number;
    }
  /** `text` absent = the log of that run cannot be had any more. */
  | { readonly kind: 'logs'; readonly text?: string; readonly at: number }
  | { readonly kind: 'autoscaler'; readonly state: 'present' | 'absent' | 'unknown'; readonly at: number };

export function questionKey(question: Question): string {
  switch (question.kind) {
    case 'registry-has':
      return `registry-has ${question.ref}`;
    case 'pull-secret-works':
      return `pull-secret-works ${question.namespace} ${question.serviceAccount} ${question.secrets.join(',')} ${question.ref}`;
    case 'object-exists':
      return `object-exists ${targetKey(question.object)} ${question.key ?? ''}`;
    case 'logs':
      return `logs ${question.namespace}/${question.pod}/${question.container} ${question.containerId}`;
    case 'autoscaler':
      return 'autoscaler';
  }
}

export interface EvaluateOptions {
  /** What was deployed and is judged. */
  readonly targets: readonly ObjectRef[];
  /**
   * `applied`: the write is over, so a template that changes now was changed by somebody else. `applying`: the write goes
   * on beside us, and a workload counts only once its generation has moved.
   */
  readonly phase: 'applied' | 'applying';
  /** How long all must stay ready before the verdict. Default 10 s. */
  readonly stabilityMs?: number;
  /** Absolute limit from the start; absent = none. */
  readonly timeoutMs?: number;
  /** Limit without progress where the workload sets none. Default 10 min. */
  readonly noProgressMs?: number;
  /** Exits that prove a crash loop; `never` = only the limit without progress. Default 3 alike, 5 unlike. */
  readonly crashExits?: number | 'never';
  /** Restarts that verified runs of a workload had before they were ready, by {@link targetKey}. */
  readonly learnedRestarts?: Readonly<Record<string, number>>;
  /** Objects that the same deploy makes: their absence is no proof. */
  readonly ownObjects?: readonly ObjectRef[];
  /** Digests that belong to what we built: index, platform manifests, configs. Empty = not checked. */
  readonly digests?: readonly string[];
}

/** `superseded`: somebody changed the object after us. `stalled`: a deadline without proof. Neither is `failed`. */
export type RolloutState = 'progressing' | 'ready' | 'failed' | 'stalled' | 'superseded' | 'paused' | 'unknown';

export interface Evaluation {
  readonly state: RolloutState;
  /** One sentence for people. */
  readonly message: string;
  /** Proven, most telling first. Empty unless `failed`; for `stalled` the best guesses. */
  readonly causes: readonly CauseView[];
  /** Seen, and not proof (yet). */
  readonly warnings: readonly CauseView[];
  readonly workloads: readonly WorkloadView[];
  /** True while pods of a failed workload are undecided that may belong into the report. */
  readonly isCollecting: boolean;
  /** When to look again even if nothing changes; absent = only on a change. */
  readonly wakeAt?: number;
  readonly questions: readonly Question[];
  readonly memory: Memory;
}

/** `Deployment/shop/web`: one workload of a deploy. */
export function targetKey(ref: ObjectRef): string {
  return `${ref.kind}/${ref.namespace ?? ''}/${ref.name}`;
}

/** Equal for templates that the controllers hold for equal. Not cryptographic. */
export function templateHash(template: unknown): string {
  const text = canonical(template);
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 2654435761);
    high = Math.imul(high ^ code, 1597334677);
  }
  return `${(high >>> 0).toString(16).padStart(8, '0')}${(low >>> 0).toString(16).padStart(8, '0')}${text.length.toString(16)}`;
}

function canonical(value: unknown, path = ''): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, path)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value)
    // The hash label is the controller's, and a null creation time is how templates are printed.
    .filter(([key, item]) => item !== undefined && item !== null && !(path === '.metadata.labels' && key === HASH))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item, `${path}.${key}`)}`).join(',')}}`;
}

const HASH = 'pod-template-hash';
