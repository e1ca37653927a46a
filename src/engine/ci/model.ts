import type { Diagnostic } from '../problems/index.ts';

export type CiKind = 'github' | 'gitlab' | 'gitea';

/** A repository on a CI host. */
export interface CiRepository {
  readonly kind: CiKind;
  /** Host and port as people write them: `github.com`, `git.acme.example:3000`. The key of tokens. */
  readonly host: string;
  /** Base of the web pages, with a closing slash: `https://git.acme.example/gitea/`. */
  readonly web: string;
  /** Base of the API, with a closing slash: `https://api.github.com/`, `https://git.acme.example/api/v4/`. */
  readonly api: string;
  /** `acme/shop`; in GitLab groups may nest. */
  readonly path: string;
}

/**
 * How a run, job or step stands, the same words for every host. `warning`: failed, but allowed to. `waiting`: somebody or
 * something has to let it go on. `queued`: no runner has taken it.
 */
export type CiState =
  | 'queued'
  | 'waiting'
  | 'running'
  | 'succeeded'
  | 'warning'
  | 'failed'
  | 'timed-out'
  | 'cancelled'
  | 'skipped'
  | 'unknown';

export interface CiRun {
  /** The API's id: a string, as ids go beyond 2^31. */
  readonly id: string;
  /** What the web pages show: `#42`. Not the id, except in GitLab. */
  readonly number: string;
  readonly title: string;
  /** Name of the workflow; GitLab: of the pipeline or its source. */
  readonly workflow: string;
  /** Path of the workflow's file, when the host says it. */
  readonly file?: string;
  readonly event: string;
  /** Branch or tag. */
  readonly ref: string;
  readonly commit: string;
  readonly actor?: string;
  readonly state: CiState;
  /** The host's own words, for example `action_required` or `waiting_for_resource`. */
  readonly detail: string;
  /** ISO times. */
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly attempt: number;
  readonly url: string;
}

export interface CiJob {
  readonly id: string;
  readonly run: string;
  readonly name: string;
  /** GitLab's stage. */
  readonly stage?: string;
  readonly state: CiState;
  readonly detail: string;
  /** Why it failed or waits, when the host gives a reason: `runner_system_failure`, `no runner has taken it`. */
  readonly reason?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly runner?: string;
  readonly url: string;
  readonly steps: readonly CiStep[];
}

export interface CiStep {
  readonly number: number;
  readonly name: string;
  readonly state: CiState;
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

export interface CiArtifact {
  readonly id: string;
  readonly name: string;
  readonly bytes?: number;
  readonly isExpired: boolean;
  readonly url: string;
}

/** A remark of a tool about a place in the repository. Lines count from 1, as hosts do. */
export interface CiAnnotation {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly line: number;
  readonly endLine?: number;
  readonly column?: number;
  readonly severity: Diagnostic['severity'];
  readonly title?: string;
  readonly message: string;
  readonly job: string;
}

/**
 * A job's log. `pending`: the host gives it only when the job has ended (GitHub), or the job has not begun. `gone`: it was
 * removed or never kept.
 */
export type CiLog =
  | { readonly state: 'text'; readonly text: string }
  | { readonly state: 'pending' | 'gone'; readonly why: string };

export interface CiWorkflow {
  /** What {@link DispatchRequest} wants: the file's name for GitHub and Gitea. */
  readonly id: string;
  readonly name: string;
  readonly file: string;
  readonly isEnabled: boolean;
}

export interface RunFilter {
  readonly branch?: string;
  readonly commit?: string;
  /** Name of the workflow's file. */
  readonly workflow?: string;
  /** At most; default 20. More than a page is fetched page by page. */
  readonly most?: number;
}

export interface DispatchRequest {
  readonly workflow: string;
  /** Branch or tag. */
  readonly ref: string;
  readonly inputs: Readonly<Record<string, string>>;
}

export type CiAction = 'dispatch' | 'rerun' | 'rerun-failed' | 'cancel';

/** What the server can do, and why not. */
export type Ability = { readonly isAble: true } | { readonly isAble: false; readonly why: string };

/** How much the host still allows; undefined where it does not say. */
export interface RateLimit {
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds since the epoch. */
  readonly resetsAt: number;
}

/**
 * One repository on one CI host. Methods throw SlipwayError `network` with a code `ci.…` that says what to do, and
 * CancelledError.
 */
export interface CiClient {
  readonly repository: CiRepository;
  /** Where the token came from, or that there is none. */
  readonly credential: string;
  readonly rate: () => RateLimit | undefined;
  /** Newest first. */
  runs(filter: RunFilter, signal: AbortSignal): Promise<readonly CiRun[]>;
  run(id: string, signal: AbortSignal): Promise<CiRun>;
  jobs(run: string, signal: AbortSignal): Promise<readonly CiJob[]>;
  job(id: string, run: string, signal: AbortSignal): Promise<CiJob>;
  /** The steps of a job, also where the host tells them only by its log (GitLab's sections). */
  steps(job: CiJob, signal: AbortSignal): Promise<readonly CiStep[]>;
  log(job: string, signal: AbortSignal): Promise<CiLog>;
  artifacts(run: string, signal: AbortSignal): Promise<readonly CiArtifact[]>;
  /** Writes an artifact's zip file to `file`, an absolute path in a folder that exists. */
  download(artifact: CiArtifact, file: string, signal: AbortSignal): Promise<void>;
  annotations(job: CiJob, signal: AbortSignal): Promise<readonly CiAnnotation[]>;
  workflows(signal: AbortSignal): Promise<readonly CiWorkflow[]>;
  ability(action: CiAction, signal: AbortSignal): Promise<Ability>;
  /** Starts a workflow; gives the run when the host tells or it can be found, else undefined. Never tried twice. */
  dispatch(request: DispatchRequest, signal: AbortSignal): Promise<CiRun | undefined>;
  rerun(run: string, which: 'all' | 'failed', signal: AbortSignal): Promise<void>;
  cancel(run: string, signal: AbortSignal): Promise<void>;
}

export const isFinished = (state: CiState): boolean =>
  state === 'succeeded' ||
  state === 'warning' ||
  state === 'failed' ||
  state === 'timed-out' ||
  state === 'cancelled' ||
  state === 'skipped';

/** Something a person has to look at. */
export const isBad = (state: CiState): boolean => state === 'failed' || state === 'timed-out';
