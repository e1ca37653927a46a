// What a suite of editor tests is, and the little that is needed to run one.
import { keepEvidence } from './evidence.ts';

export interface TestCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export interface Suite {
  readonly name: string;
  /** Lab groups that must be up; undefined = none. */
  readonly lab?: readonly string[];
  readonly run: (report: Report) => Promise<void>;
}

/** Counts tests and prints a line for each. */
export class Report {
  passed = 0;
  failed = 0;
  /** `--trial`: also the cases that were not yet seen to pass three times; `npm test` leaves them out. */
  readonly isTrial: boolean = process.argv.includes('--trial');
  readonly #suite: string;

  constructor(suite: string) {
    this.#suite = suite;
  }

  async test(name: string, work: () => Promise<void> | void): Promise<boolean> {
    const started = Date.now();
    try {
      await work();
      this.add(name, undefined, Date.now() - started);
      return true;
    } catch (error) {
      const took = Date.now() - started;
      const evidence = await keepEvidence(`${this.#suite} ${name}`);
      this.add(name, `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${evidence}`, took);
      return false;
    }
  }

  add(name: string, error: string | undefined, ms: number): void {
    if (error === undefined) this.passed += 1;
    else this.failed += 1;
    console.log(`${error === undefined ? 'ok  ' : 'FAIL'} ${this.#suite}: ${name} (${(ms / 1000).toFixed(1)} s)`);
    if (error !== undefined) console.log(error.replace(/^/gm, '     '));
  }
}

/** Asks again until the answer is right; the time limit is only there to end a hopeless wait. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T> | T,
  isRight: (answer: T) => boolean,
  limitMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > deadline) {
      throw new Error(`${what}: not in ${limitMs / 1000} s; last seen: ${JSON.stringify(answer)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
