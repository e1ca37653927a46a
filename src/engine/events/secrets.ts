import type { Json } from './index.ts';

const MASK = '***';
/** Shorter values (`1`, `dev`, `yes`) would mask ordinary text and reveal more than they hide. */
const SHORTEST = 4;

/**
 * The values that must not leave the engine. Everything that becomes an event, a log line or a report passes
 * {@link Secrets.mask} first, so a secret never reaches journal, screen or webview.
 */
export class Secrets {
  readonly #values = new Set<string>();
  #pattern: RegExp | undefined;

  /** Adds a value and the forms it commonly appears in (base64, URL-encoded, each line of a multi-line value). */
  add(value: string | undefined): void {
    if (value === undefined) return;
    for (const line of [value, ...value.split(/\r?\n/)]) {
      const text = line.trim();
      if (text.length < SHORTEST) continue;
      this.#values.add(text);
      this.#values.add(encodeURIComponent(text));
      const base64 = Buffer.from(text, 'utf8').toString('base64');
      // The last characters depend on what follows, so only the stable part is matched.
      this.#values.add(base64.replace(/=+$/, '').slice(0, Math.max(SHORTEST, Math.floor(base64.length / 4) * 4 - 4)));
      // JSON output shows control characters and quotes escaped.
      this.#values.add(JSON.stringify(text).slice(1, -1));
    }
    this.#pattern = undefined;
  }

  mask(text: string): string {
    if (this.#values.size === 0) return text;
    this.#pattern ??= new RegExp(
      [...this.#values]
        .filter((value) => value.length >= SHORTEST)
        .sort((a, b) => b.length - a.length)
        .map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
        .join('|'),
      'g',
    );
    return text.replace(this.#pattern, MASK);
  }

  /** Masks every string inside a JSON-like value, keys included. Returns the same shape. */
  maskAll<T>(value: T): T {
    if (this.#values.size === 0) return value;
    return this.#walk(value as Json) as T;
  }

  #walk(value: Json): Json {
    if (typeof value === 'string') return this.mask(value);
    if (Array.isArray(value)) return value.map((item) => this.#walk(item));
    if (value !== null && typeof value === 'object') {
      const out: Record<string, Json> = {};
      for (const [key, item] of Object.entries(value)) if (item !== undefined) out[this.mask(key)] = this.#walk(item);
      return out;
    }
    return value;
  }
}
