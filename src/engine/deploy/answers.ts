import type { ObjectRef } from '../events/index.ts';
import type { Place } from '../problems/index.ts';

/**
 * What a look before the deploy found. `wrong`: proven, the deploy would fail, so it does not begin. `suspicious`:
 * probably a mistake, said and gone on with. What could not be checked is no answer at all.
 */
export interface Answer {
  readonly certainty: 'wrong' | 'suspicious';
  /** Class of the catalog of causes, for example `image.missing`. */
  readonly code: string;
  readonly object: ObjectRef;
  readonly container?: string;
  readonly message: string;
  readonly fix: string;
  readonly evidence?: readonly string[];
  readonly place?: Place;
}

/** Texts of `known` that are likely meant by `wanted`, nearest first, at most three. */
export function nearMatches(wanted: string, known: Iterable<string>): readonly string[] {
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  return [...known]
    .map((text) => ({ text, distance: distanceOf(wanted, text) }))
    .filter(({ text, distance }) => distance <= limit || text.includes(wanted) || wanted.includes(text))
    .sort((a, b) => a.distance - b.distance || a.text.localeCompare(b.text))
    .slice(0, 3)
    .map(({ text }) => text);
}

/** Levenshtein distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
