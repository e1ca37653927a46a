import type { ObjectRef } from '../events/index.ts';
import type { Question } from './snapshot.ts';

/**
 * A state that may be the end of a rollout. `proof` says what makes it certain:
 * - `now`: nothing can heal it without a change by somebody.
 * - `after`: certain once it has lasted `ms` (and was seen in `sights` different attempts, when given).
 * - `never`: told as a warning; only the no-progress deadline decides.
 */
export interface Candidate {
  readonly code: string;
  readonly object: ObjectRef;
  readonly container?: string;
  readonly message: string;
  readonly fix: string;
  readonly evidence: readonly string[];
  readonly proof:
    | { readonly kind: 'now' }
    | { readonly kind: 'after'; readonly ms: number; readonly sights?: number }
    | { readonly kind: 'never' };
  /** What should be asked to know better; the answer changes the proof of the next evaluation. */
  readonly ask?: readonly Question[];
  /** Warn only after it has lasted so long, ms; normal starts pass through many states. */
  readonly warnAfterMs?: number;
}

export const now: Candidate['proof'] = { kind: 'now' };
export const never: Candidate['proof'] = { kind: 'never' };
export const after = (ms: number, sights?: number): Candidate['proof'] => ({
  kind: 'after',
  ms,
  ...(sights !== undefined && { sights }),
});

/** What Linux exit codes usually mean. */
export function exitMeaning(code: number): string {
  const known: Readonly<Record<number, string>> = {
    0: 'it ended normally',
    1: 'a general error',
    2: 'wrong usage or a shell error',
    126: 'the program is not executable',
    127: 'the program was not found',
    134: 'it aborted (SIGABRT)',
    137: 'it was killed (SIGKILL)',
    139: 'a segmentation fault (SIGSEGV)',
    143: 'it was told to end (SIGTERM)',
  };
  return known[code] ?? (code > 128 && code < 160 ? `ended by signal ${code - 128}` : 'an error of the program');
}

/** A log line without what changes from run to run, so that two crashes can be compared. */
export function normalLine(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?/g, '<time>')
    .replace(/\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b/g, '<time>')
    .replace(/0x[0-9a-f]+/gi, '<hex>')
    .replace(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>')
    .replace(/\b[0-9a-f]{12,}\b/gi, '<id>')
    .replace(/\d+/g, '<n>')
    .trim();
}

/** The program speaks of something it waits for: it may come yet (rule C3). */
const DEPENDENCY =
  /connection (refused|reset|timed? ?out)|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|no such host|ENOTFOUND|EAI_AGAIN|name or service not known|temporary failure in name resolution|could not (connect|translate)|timed? ?out|waiting for|not ready|no route to host|unable to connect|metadata server|migration lock|the database system is starting up/i;

/** The program says what no second start can change. */
const HOPELESS =
  /ModuleNotFoundError|No module named|Cannot find module|ERR_MODULE_NOT_FOUND|unknown (flag|option|command|shorthand)|unrecognized (argument|option)|invalid option|flag provided but not defined|SyntaxError|ImproperlyConfigured|KeyError: '[A-Z0-9_]+'|required (environment|setting|variable|env)|environment variable .{1,60} (is )?(not set|required|missing)|missing required|exec format error|executable file not found|cannot open shared object file|GLIBC_\d|ClassNotFoundException|UnsupportedClassVersionError/;

export const speaksOfDependency = (lines: readonly string[]): boolean =>
  lines.slice(-10).some((line) => DEPENDENCY.test(line));
export const isHopeless = (lines: readonly string[]): boolean => lines.slice(-10).some((line) => HOPELESS.test(line));
