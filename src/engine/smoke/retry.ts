import { CancelledError, isCancelled, SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { AppFault } from './ask.ts';

export type Attempt =
  | { readonly outcome: 'ok'; readonly message: string; readonly url?: string }
  /** `isSettled`: another try will hardly change it. */
  | { readonly outcome: 'wrong'; readonly message: string; readonly isSettled: boolean; readonly url?: string };

export interface CheckResult {
  readonly isOk: boolean;
  readonly attempts: number;
  readonly durationMs: number;
  readonly message: string;
  readonly url?: string;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3_000;
/** The same settled answer so often ends a check before its deadline; spread over at least this time. */
const SETTLED_TRIES = 3;
const SETTLED_MS = 1_500;
/** How long a broken way to the cluster may be broken, on top of the check's own deadline. */
const WAY_LIMIT_MS = 120_000;

/**
 * Tries until it is right or the deadline is over, with pauses that grow. Time in which our own way to the cluster was
 * broken does not count against the application: when it stays broken, SlipwayError of that breakage is thrown and the
 * check has no result.
 */
export async function retry(
  attempt: (remainingMs: number) => Promise<Attempt>,
  options: { readonly deadlineMs: number; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<CheckResult> {
  const { clock, signal } = options;
  const started = clock.now();
  let end = started + options.deadlineMs;
  let brokenMs = 0;
  let attempts = 0;
  let pause = FIRST_PAUSE_MS;
  let settled: { readonly message: string; readonly since: number; readonly count: number } | undefined;
  for (;;) {
    if (signal.aborted) throw new CancelledError();
    const begun = clock.now();
    attempts += 1;
    let last: Attempt;
    try {
      last = await attempt(Math.max(1, end - begun));
    } catch (error) {
      if (isCancelled(error) || signal.aborted) throw new CancelledError();
      if (error instanceof AppFault) last = { outcome: 'wrong', message: error.message, isSettled: false };
      else if (SlipwayError.is(error, 'cluster') || SlipwayError.is(error, 'network')) {
        brokenMs += clock.now() - begun + pause;
        if (brokenMs > WAY_LIMIT_MS) throw error;
        end += clock.now() - begun + pause;
        await clock.sleep(pause, signal);
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
        continue;
      } else throw error;
    }
    const done = (isOk: boolean): CheckResult => ({
      isOk,
      attempts,
      durationMs: clock.now() - started,
      message: last.message,
      ...(last.url !== undefined && { url: last.url }),
    });
    if (last.outcome === 'ok') return done(true);
    if (!last.isSettled) settled = undefined;
    else if (settled?.message !== last.message) settled = { message: last.message, since: clock.now(), count: 1 };
    else settled = { ...settled, count: settled.count + 1 };
    if (settled !== undefined && settled.count >= SETTLED_TRIES && clock.now() - settled.since >= SETTLED_MS) {
      return done(false);
    }
    if (clock.now() + pause >= end) return done(false);
    await clock.sleep(pause, signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}
