// What is wrong, where it is, and what to do about it: the one shape for mistakes in files and for failures at run time.

/** A position in a text file. Lines and characters count from 0; characters are UTF-16 code units, as in VS Code. */
export interface Position {
  readonly line: number;
  readonly character: number;
}

/** A half-open range of a text file. */
export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** Where a fact came from: an absolute file path and, when known, the exact place in it. */
export interface Place {
  readonly file: string;
  readonly range?: Range;
}

export type Severity = 'error' | 'warning' | 'info';

/** A mistake found by reading, never thrown. `code` is stable and dotted, for example `config.unknown-key`. */
export interface Diagnostic {
  readonly severity: Severity;
  readonly code: string;
  readonly message: string;
  readonly place: Place;
  /** What the person can do, one sentence in the imperative. */
  readonly fix?: string;
  /** A replacement for `place.range` that would mend it, when there is exactly one sensible edit. */
  readonly replacement?: string;
}

/**
 * Why an operation failed. Branch on this, never on message text.
 * - `usage`, `config`: the person's input; exit code 2.
 * - `gate`, `rollout`, `smoke`, `test`, `build`: the app failed; exit code 1.
 * - `tool-missing`, `tool-failed`, `registry`, `cluster`, `network`, `locked`, `io`: the surroundings; exit code 3.
 * - `untrusted`: refused because the workspace is not trusted. `refused`: refused for safety.
 */
export type FailureReason =
  | 'usage'
  | 'config'
  | 'untrusted'
  | 'refused'
  | 'test'
  | 'build'
  | 'gate'
  | 'rollout'
  | 'smoke'
  | 'tool-missing'
  | 'tool-failed'
  | 'registry'
  | 'cluster'
  | 'network'
  | 'locked'
  | 'timeout'
  | 'io'
  | 'internal';

/** A failure as data: what an event or a JSON answer carries. */
export interface Failure {
  readonly reason: FailureReason;
  /** A finer class within the reason, for example `image.missing` or `helm.pending`. */
  readonly code?: string;
  /** What failed, on what, and why: one or two sentences. */
  readonly message: string;
  /** What to do next, one sentence. */
  readonly fix?: string;
  readonly place?: Place;
  /** Raw text that proves it: the tool's words, a log tail, a condition. */
  readonly evidence?: readonly string[];
}

/** The error every room throws. Cancellation is not one of these: see {@link isCancelled}. */
export class SlipwayError extends Error implements Failure {
  override readonly name = 'SlipwayError';
  readonly reason: FailureReason;
  readonly code?: string;
  readonly fix?: string;
  readonly place?: Place;
  readonly evidence?: readonly string[];

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options);
    this.reason = failure.reason;
    if (failure.code !== undefined) this.code = failure.code;
    if (failure.fix !== undefined) this.fix = failure.fix;
    if (failure.place !== undefined) this.place = failure.place;
    if (failure.evidence !== undefined) this.evidence = failure.evidence;
  }

  static is(error: unknown, reason?: FailureReason): error is SlipwayError {
    return (
      error instanceof Error &&
      error.name === 'SlipwayError' &&
      (reason === undefined || (error as SlipwayError).reason === reason)
    );
  }
}

/** Thrown when the person (or a stop of the program) cancelled the work. Never shown as an error. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  constructor(message = 'Cancelled') {
    super(message);
  }
}

/**
 * The reason of a signal that is aborted because its host ends (a window that closes), not because a person wants the work
 * ended: the run says so, and is offered to be resumed.
 */
export class HostEndedError extends CancelledError {
  readonly isHostEnded = true;
  constructor() {
    super('The window was closed.');
  }
}

/** By its mark, not its class: host and engine are bundles of their own. */
export const isHostEnded = (reason: unknown): boolean =>
  isCancelled(reason) && (reason as { readonly isHostEnded?: unknown }).isHostEnded === true;

/** True for our own cancellation and for the `AbortError` that Node's APIs throw when their signal aborts. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && (error.name === 'CancelledError' || error.name === 'AbortError');
}

/** Throws {@link CancelledError} when the signal has been aborted. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError();
}

/** Any thrown value as a {@link Failure}; unknown errors become `internal` and keep their message. */
export function toFailure(error: unknown): Failure {
  if (SlipwayError.is(error)) {
    return {
      reason: error.reason,
      message: error.message,
      ...(error.code !== undefined && { code: error.code }),
      ...(error.fix !== undefined && { fix: error.fix }),
      ...(error.place !== undefined && { place: error.place }),
      ...(error.evidence !== undefined && { evidence: error.evidence }),
    };
  }
  return { reason: 'internal', message: error instanceof Error ? error.message : String(error) };
}

/** The process exit code the CLI documents for a failure: 1 the app, 2 usage or configuration, 3 the surroundings. */
export function exitCodeOf(failure: Failure): 1 | 2 | 3 {
  switch (failure.reason) {
    case 'test':
    case 'build':
    case 'gate':
    case 'rollout':
    case 'smoke':
      return 1;
    case 'usage':
    case 'config':
    case 'untrusted':
    case 'refused':
      return 2;
    default:
      return 3;
  }
}
