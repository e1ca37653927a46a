import { createHash, randomBytes } from 'node:crypto';
import type { Confirmation } from './operation.ts';

const VALID_MS = 10 * 60_000;
const MOST_PENDING = 50;

/**
 * Tokens for clients that cannot ask their person themselves: a change is described first, with a token that allows
 * exactly this change once. Nothing is changed by a client that does not come back with it.
 */
export class Consent {
  readonly #pending = new Map<string, { readonly what: string; readonly until: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A token for a tool with its input; valid for ten minutes. */
  offer(tool: string, input: unknown): string {
    const token = randomBytes(6).toString('hex');
    this.#pending.set(token, { what: digestOf(tool, input), until: this.#now() + VALID_MS });
    for (const old of [...this.#pending.keys()].slice(0, -MOST_PENDING)) this.#pending.delete(old);
    return token;
  }

  /** True once, for the token of this very change. */
  take(token: string, tool: string, input: unknown): boolean {
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    return pending !== undefined && pending.until > this.#now() && pending.what === digestOf(tool, input);
  }
}

/** The same change has the same keys and values, in any order. */
function digestOf(tool: string, input: unknown): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, item]) => [key, sorted(item)]),
    );
  };
  return createHash('sha256')
    .update(`${tool}\0${JSON.stringify(sorted(input ?? {}))}`)
    .digest('hex');
}

export const confirmationText = ({ title, details }: Confirmation): string => [`${title}?`, ...details].join('\n');
