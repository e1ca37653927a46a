import type { YamlEntry, YamlNode } from './nodes.ts';

/** A node made of others; what can be derived from entries, items and text is derived. */
export abstract class DerivedNode implements YamlNode {
  abstract readonly kind: YamlNode['kind'];
  readonly place: YamlNode['place'];
  readonly offsets: YamlNode['offsets'];
  readonly tag?: string;

  constructor(shown: YamlNode) {
    this.place = shown.place;
    this.offsets = shown.offsets;
    if (shown.tag !== undefined) this.tag = shown.tag;
  }

  abstract entries(): readonly YamlEntry[];
  abstract items(): readonly YamlNode[];
  abstract text(): string | undefined;
  /** The plain data of a scalar. */
  protected abstract scalar(): unknown;

  get(key: string): YamlNode | undefined {
    return this.entries().find((entry) => entry.key === key)?.value;
  }

  at(...path: readonly (string | number)[]): YamlNode | undefined {
    let node: YamlNode | undefined = this;
    for (const part of path) node = typeof part === 'number' ? node?.items()[part] : node?.get(part);
    return node;
  }

  string(key: string): string | undefined {
    return this.get(key)?.text();
  }

  strings(key: string): readonly string[] {
    const value = this.get(key);
    if (value === undefined) return [];
    const one = value.text();
    return one === undefined ? value.items().flatMap((item) => item.text() ?? []) : [one];
  }

  value(): unknown {
    if (this.kind === 'map') return Object.fromEntries(this.entries().map(({ key, value }) => [key, value.value()]));
    if (this.kind === 'list') return this.items().map((item) => item.value());
    return this.scalar();
  }
}

class Layered extends DerivedNode {
  readonly kind = 'map';
  readonly #upper: YamlNode;
  readonly #lower: YamlNode;
  #entries: readonly YamlEntry[] | undefined;

  constructor(upper: YamlNode, lower: YamlNode) {
    super(upper);
    this.#upper = upper;
    this.#lower = lower;
  }

  entries(): readonly YamlEntry[] {
    if (this.#entries !== undefined) return this.#entries;
    const found = new Map(this.#lower.entries().map((entry) => [entry.key, entry]));
    for (const entry of this.#upper.entries()) {
      const below = found.get(entry.key);
      found.set(entry.key, below === undefined ? entry : { ...entry, value: layered(entry.value, below.value) });
    }
    this.#entries = [...found.values()];
    return this.#entries;
  }

  items(): readonly YamlNode[] {
    return [];
  }

  text(): undefined {
    return undefined;
  }

  protected scalar(): unknown {
    return null;
  }
}

/** Two maps as one, key by key and deeply, the upper one's values first; anything else of the upper one replaces. */
export const layered = (upper: YamlNode, lower: YamlNode | undefined): YamlNode =>
  lower !== undefined && upper.kind === 'map' && lower.kind === 'map' ? new Layered(upper, lower) : upper;
