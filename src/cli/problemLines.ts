import type { RunEvent } from '../engine/events/index.ts';
import type { Diagnostic } from '../engine/problems/index.ts';
import { placeText } from './words.ts';

/** Of one step, before the rest is only counted. */
export const MOST_PROBLEMS = 10;

/**
 * What the steps of a run find in files, as lines: each once whatever the number of platforms, so many for a step, and how
 * many more when it ends. Hints are left to reports and editors, unless all are asked for.
 */
export class ProblemLines {
  readonly #most: number;
  readonly #told = new Set<string>();
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  linesOf(event: RunEvent, titleOf: (step: string) => string): readonly string[] {
    const step = event.step ?? '';
    if (event.type === 'step.finished') {
      const more = (this.#counts.get(step) ?? 0) - this.#most;
      this.#counts.delete(step);
      return more > 0 ? [`${titleOf(step)}: ${more} more like these; --verbose shows all`] : [];
    }
    if (event.type !== 'diagnostic') return [];
    const { diagnostic } = event;
    if (diagnostic.severity === 'info' && this.#most !== Number.POSITIVE_INFINITY) return [];
    const line = lineOf(diagnostic);
    if (this.#told.has(line)) return [];
    this.#told.add(line);
    const count = (this.#counts.get(step) ?? 0) + 1;
    this.#counts.set(step, count);
    return count > this.#most ? [] : [`${step === '' ? '' : `${titleOf(step)}: `}${line}`];
  }
}

const lineOf = ({ severity, message, place, fix, code }: Diagnostic): string =>
  `${severity}, ${code}: ${message} (${placeText(place)})${fix === undefined ? '' : ` Fix: ${fix}`}`;
