// Live views by polling: the runs of a repository, one run, the log of a job. Desktop programs get no webhooks.
import { isCancelled, SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { CiClient, CiJob, CiRun, RateLimit, RunFilter } from './model.ts';
import { isFinished } from './model.ts';

/** How closely somebody looks: `idle` nothing runs, `active` something runs, `open` one run is on the screen. */
export type Attention = 'idle' | 'active' | 'open';

const EVERY_MS: Readonly<Record<Attention, number>> = { idle: 60_000, active: 10_000, open: 4_000 };
const LONGEST_MS = 10 * 60_000;
/** Below this share of the limit the rest is spread until it is renewed: other programs share the account. */
const SCARCE = 0.1;

/**
 * Milliseconds until the next question: by attention, longer after faults, and slower the nearer the host's limit is.
 * `spread` in 0..1 keeps many windows from asking in step.
 */
export function pollDelay(options: {
  readonly attention: Attention;
  readonly faults: number;
  readonly rate: RateLimit | undefined;
  readonly now: number;
  readonly spread: number;
}): number {
  const { attention, faults, rate, now, spread } = options;
  const base = EVERY_MS[attention] * 2 ** Math.min(faults, 6);
  const scarce =
    rate !== undefined && rate.resetsAt > now && rate.remaining < rate.limit * SCARCE
      ? (rate.resetsAt - now) / Math.max(1, rate.remaining / 4)
      : 0;
  return Math.round(Math.min(LONGEST_MS, Math.max(base, scarce)) * (0.9 + spread * 0.2));
}

export type Look<T> =
  | { readonly state: 'ok'; readonly value: T }
  /** What was seen last stays valid; this says that it grows old, since when, and why. */
  | { readonly state: 'stale'; readonly since: number; readonly error: SlipwayError };

/** A wake-up for a sleeping poll: after a push, a cancel, or a press on refresh. */
export class Nudge {
  #wake: (() => void) | undefined;
  #isPending = false;

  now(): void {
    this.#isPending = true;
    this.#wake?.();
  }

  /** Sleeps, shorter when nudged. Rejects with CancelledError. */
  async sleep(system: System, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isPending) {
      this.#isPending = false;
      return;
    }
    const stop = new AbortController();
    const nudged = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    try {
      const slept = system.clock.sleep(ms, AbortSignal.any([signal, stop.signal]));
      // The loser of the race is cancelled below; its rejection has no reader.
      slept.catch(() => {});
      await Promise.race([slept, nudged]);
    } finally {
      this.#wake = undefined;
      this.#isPending = false;
      stop.abort();
    }
  }
}

/**
 * Asks again and again until the signal aborts or `isLast` says so, and yields each look. Faults do not end it, unless
 * waiting cannot mend them (sign-in, scope, not found).
 */
export async function* poll<T>(
  system: System,
  options: {
    readonly ask: () => Promise<T>;
    readonly attention: (value: T) => Attention;
    readonly isLast?: (value: T) => boolean;
    readonly rate: () => RateLimit | undefined;
    readonly nudge?: Nudge;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<Look<T>> {
  const nudge = options.nudge ?? new Nudge();
  let faults = 0;
  let since = 0;
  let attention: Attention = 'active';
  for (;;) {
    try {
      const value = await options.ask();
      faults = 0;
      attention = options.attention(value);
      yield { state: 'ok', value };
      if (options.isLast?.(value) === true) return;
    } catch (error) {
      if (isCancelled(error) || options.signal.aborted) return;
      if (!SlipwayError.is(error) || !isPassing(error)) throw error;
      if (faults === 0) since = system.clock.now();
      faults += 1;
      yield { state: 'stale', since, error };
    }
    const delay = pollDelay({
      attention,
      faults,
      rate: options.rate(),
      now: system.clock.now(),
      spread: Math.random(),
    });
    try {
      await nudge.sleep(system, delay, options.signal);
    } catch (error) {
      if (isCancelled(error)) return;
      throw error;
    }
  }
}

const isPassing = ({ code }: SlipwayError): boolean =>
  code === 'ci.unreachable' || code === 'ci.server' || code === 'ci.rate-limited' || code === 'ci.not-json';

export interface RunWithJobs {
  readonly run: CiRun;
  readonly jobs: readonly CiJob[];
}

/** The newest runs, each time they were looked at. */
export function followRunList(
  system: System,
  client: CiClient,
  filter: RunFilter,
  options: { readonly nudge?: Nudge; readonly signal: AbortSignal },
): AsyncGenerator<Look<readonly CiRun[]>> {
  return poll(system, {
    ask: () => client.runs(filter, options.signal),
    attention: (runs) => (runs.some(({ state }) => !isFinished(state) && state !== 'unknown') ? 'active' : 'idle'),
    rate: client.rate,
    ...options,
  });
}

/** One run with its jobs until it has ended. */
export function followRun(
  system: System,
  client: CiClient,
  run: string,
  options: { readonly nudge?: Nudge; readonly signal: AbortSignal },
): AsyncGenerator<Look<RunWithJobs>> {
  return poll(system, {
    ask: async () => {
      const [view, jobs] = await Promise.all([client.run(run, options.signal), client.jobs(run, options.signal)]);
      return { run: view, jobs };
    },
    attention: () => 'open',
    isLast: ({ run: view }) => isFinished(view.state),
    rate: client.rate,
    ...options,
  });
}

export type LogPiece =
  /** `reset`: what came before is void, the log was begun anew. */
  | { readonly kind: 'text'; readonly text: string; readonly isReset: boolean }
  /** Nothing to read yet: why, and how the job stands meanwhile. */
  | { readonly kind: 'pending'; readonly why: string; readonly job: CiJob }
  | { readonly kind: 'stale'; readonly error: SlipwayError }
  | { readonly kind: 'end'; readonly job: CiJob; readonly why?: string };

/** The log of a job as it grows, to its end. Logs are fetched whole and cut by what was seen: no host honours ranges. */
export async function* followLog(
  system: System,
  client: CiClient,
  job: string,
  run: string,
  options: { readonly nudge?: Nudge; readonly signal: AbortSignal },
): AsyncGenerator<LogPiece> {
  let seen = '';
  const looks = poll(system, {
    ask: async () => {
      // The job first: a log that is read after its job has ended is whole.
      const view = await client.job(job, run, options.signal);
      return { job: view, log: await client.log(job, options.signal) };
    },
    attention: () => 'open',
    isLast: ({ job: view }) => isFinished(view.state),
    rate: client.rate,
    ...options,
  });
  for await (const look of looks) {
    if (look.state === 'stale') {
      yield { kind: 'stale', error: look.error };
      continue;
    }
    const { job: view, log } = look.value;
    if (log.state === 'text' && log.text !== seen) {
      const isReset = !log.text.startsWith(seen);
      yield { kind: 'text', text: isReset ? log.text : log.text.slice(seen.length), isReset };
      seen = log.text;
    }
    if (isFinished(view.state)) {
      yield { kind: 'end', job: view, ...(log.state !== 'text' && { why: log.why }) };
      return;
    }
    if (log.state === 'pending') yield { kind: 'pending', why: log.why, job: view };
  }
}
