// What happened: one versioned, JSON-serialisable union that journal, CLI, tree, webview and agents are projections of.
import type { Diagnostic, Failure } from '../problems/index.ts';

/** Raised when a reader of an older version could misread an event. Readers ignore unknown `type`s. */
export const EVENT_VERSION = 1;

/** Sortable and unique: `20261121T093015Z-4f2a9c`. */
export type RunId = string;
/** `<kind>:<name>[:<platform>]`, for example `build:api`, `scan:api:linux/arm64`, `deploy:dev`. Unique in a run. */
export type StepId = string;

export type StepKindName =
  | 'command'
  | 'test'
  | 'build'
  | 'scan'
  | 'config'
  | 'publish'
  | 'sbom'
  | 'sign'
  | 'check'
  | 'deploy'
  | 'rollout'
  | 'smoke'
  | 'rollback';

export type StepOutcome = 'succeeded' | 'failed' | 'cancelled' | 'skipped';
export type RunOutcome = 'succeeded' | 'failed' | 'cancelled';

/** A JSON value: what a step leaves for the steps after it, and for a resumed or unchanged run. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Outputs = { readonly [key: string]: Json };

/** A step as the views need it before it has run. */
export interface StepSummary {
  readonly id: StepId;
  readonly kind: StepKindName;
  readonly title: string;
  readonly needs: readonly StepId[];
  readonly environment?: string;
  readonly image?: string;
  readonly platform?: string;
}

/** Object identity in a cluster. `namespace` is absent for cluster-scoped kinds. */
export interface ObjectRef {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface PodView {
  readonly name: string;
  readonly node?: string;
  /** True when the pod belongs to the revision being rolled out. */
  readonly isNew: boolean;
  readonly isReady: boolean;
  readonly phase: string;
  /** Waiting or terminated reason of the worst container, for example `ImagePullBackOff`. */
  readonly reason?: string;
  readonly message?: string;
  readonly restarts: number;
  readonly image?: string;
  /** ISO time. */
  readonly createdAt?: string;
}

export interface WorkloadView {
  readonly ref: ObjectRef;
  readonly state: 'progressing' | 'ready' | 'failed' | 'unknown' | 'paused';
  /** One sentence, for example `2 of 3 updated pods are available`. */
  readonly message: string;
  readonly desired: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
  /** The controller's revision as text when it has one. */
  readonly revision?: string;
  readonly pods: readonly PodView[];
}

/** A proven cause, from the catalog in `rollout`. `code` is its class, for example `image.missing`. */
export interface CauseView {
  readonly code: string;
  readonly object: ObjectRef;
  readonly container?: string;
  readonly message: string;
  readonly fix: string;
  readonly evidence: readonly string[];
  /** ISO times: when the cluster first reported the state, and when we named it. */
  readonly firstSeen?: string;
  readonly namedAt?: string;
}

export type VerdictState = 'ready' | 'failed' | 'stalled' | 'superseded' | 'unknown' | 'cancelled';

export interface FindingView {
  readonly id: string;
  readonly package: string;
  readonly installed: string;
  readonly fixed?: string;
  readonly severity: 'CRITICAL' | 'HIGH' | 'MEDIUM' | 'LOW' | 'UNKNOWN';
  readonly title?: string;
  readonly url?: string;
  /** `base` when the package came with the base image, `own` when a later instruction brought it. */
  readonly origin?: 'base' | 'own';
  readonly path?: string;
  /** 0-based line of the Dockerfile instruction whose layer holds it. */
  readonly dockerfileLine?: number;
  readonly isNew?: boolean;
}

export type ScanOutcome = 'clean' | 'findings' | 'not-scanned' | 'failed' | 'stale-database';

/** The body of an event: what happened, without who and when. */
export type EventBody =
  | {
      readonly type: 'run.started';
      readonly environment: string | null;
      readonly root: string;
      readonly startedBy: 'cli' | 'editor' | 'agent' | 'ci' | 'test';
      readonly pid: number;
      readonly host: string;
      readonly steps: readonly StepSummary[];
      readonly commit?: string;
      readonly branch?: string;
      readonly isDirty?: boolean;
      /** Tag that will be deployed, when the plan has one. */
      readonly tag?: string;
    }
  | { readonly type: 'run.resumed'; readonly pid: number; readonly host: string; readonly after: string }
  | {
      readonly type: 'run.finished';
      readonly outcome: RunOutcome;
      readonly exitCode: number;
      readonly durationMs: number;
      readonly failure?: Failure;
      readonly rolledBack?: boolean;
      /** Cancelled by no person: the window in which it ran was closed. */
      readonly hostEnded?: boolean;
    }
  | { readonly type: 'step.started'; readonly key: string | null; readonly attempt: number }
  /** Journalled before an effect outside this machine's memory; `resume` looks at the last one without an outcome. */
  | { readonly type: 'step.intent'; readonly effect: string; readonly subject: string; readonly detail?: Outputs }
  | {
      readonly type: 'step.progress';
      readonly message: string;
      readonly done?: number;
      readonly total?: number;
      readonly unit?: string;
    }
  | {
      readonly type: 'step.finished';
      readonly outcome: StepOutcome;
      readonly durationMs: number;
      /** Why it was skipped, or what it achieved, in one sentence. */
      readonly message?: string;
      readonly outputs?: Outputs;
      readonly failure?: Failure;
    }
  | { readonly type: 'log'; readonly stream: 'out' | 'err'; readonly text: string; readonly source?: string }
  | {
      readonly type: 'build.vertex';
      readonly digest: string;
      readonly name: string;
      readonly platform?: string;
      readonly state: 'running' | 'done' | 'cached' | 'failed';
      readonly durationMs?: number;
      readonly error?: string;
    }
  | {
      readonly type: 'scan.result';
      readonly image: string;
      readonly platform: string;
      readonly reference: string;
      readonly outcome: ScanOutcome;
      readonly message: string;
      readonly counts: Readonly<Record<FindingView['severity'], number>>;
      /** Findings that the gate counts, worst first, at most 200. */
      readonly gating: readonly FindingView[];
      readonly suppressed: number;
      /** Paths relative to the run's folder. */
      readonly reports: readonly string[];
      readonly database?: { readonly updatedAt?: string; readonly engine: string; readonly version?: string };
    }
  | {
      readonly type: 'image.published';
      readonly image: string;
      readonly repository: string;
      readonly digest: string;
      readonly tags: readonly string[];
      readonly platforms: readonly string[];
    }
  | {
      readonly type: 'deploy.applied';
      readonly environment: string;
      readonly deployer: string;
      readonly objects: readonly ObjectRef[];
      readonly revision?: string;
      readonly previous?: string;
      readonly images: Readonly<Record<string, string>>;
    }
  | { readonly type: 'rollout.progress'; readonly workloads: readonly WorkloadView[] }
  | { readonly type: 'rollout.warning'; readonly warning: CauseView }
  | {
      readonly type: 'rollout.contact';
      readonly state: 'connected' | 'reconnecting' | 'lost';
      /** ISO time since when. */
      readonly since: string;
      readonly message?: string;
    }
  | {
      readonly type: 'rollout.verdict';
      readonly state: VerdictState;
      readonly message: string;
      readonly causes: readonly CauseView[];
      readonly elapsedMs: number;
      readonly workloads: readonly WorkloadView[];
    }
  | {
      readonly type: 'smoke.result';
      readonly check: string;
      readonly isOk: boolean;
      readonly attempts: number;
      readonly durationMs: number;
      readonly message: string;
      readonly url?: string;
    }
  | { readonly type: 'rollback.started'; readonly environment: string; readonly why: string; readonly target: string }
  | {
      readonly type: 'rollback.finished';
      readonly environment: string;
      readonly outcome: 'restored' | 'failed' | 'nothing-to-restore' | 'refused';
      readonly target: string;
      readonly message: string;
      /** From the start of the deploy until only the old version served again. */
      readonly sinceDeployMs?: number;
    }
  | { readonly type: 'endpoint'; readonly title: string; readonly url: string }
  /** A file for people that this run left; `path` is relative to the run's folder. */
  | { readonly type: 'report'; readonly title: string; readonly path: string }
  | { readonly type: 'diagnostic'; readonly diagnostic: Diagnostic };

export type EventType = EventBody['type'];

/** An event as it is stored and sent. `seq` counts from 1 within a run without gaps; `time` is ISO 8601 with ms. */
export type RunEvent = EventBody & {
  readonly v: typeof EVENT_VERSION;
  readonly run: RunId;
  readonly seq: number;
  readonly time: string;
  readonly step?: StepId;
};

/** What a step may say while it runs; the executor adds run, seq, time and step. */
export type Emit = (event: EventBody) => void;
