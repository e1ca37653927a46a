import { WalkedNode, type YamlEntry, type YamlNode } from './nodes.ts';

/** A node made of others: it stands where the shown one does, and its data is that of its parts. By itself it is empty. */
export abstract class DerivedNode extends WalkedNode {
  readonly place: YamlNode['place'];
  readonly offsets: YamlNode['offsets'];
  readonly tag?: string;

  constructor(shown: YamlNode) {
    super();
    this.place = shown.place;
    this.offsets = shown.offsets;
    if (shown.tag !== undefined) this.tag = shown.tag;
  }

  entries(): readonly YamlEntry[] {
    return [];
  }

  items(): readonly YamlNode[] {
    return [];
  }

  text(): string | undefined {
    return undefined;
  }

  /** The plain data of a scalar. */
  protected scalar(): unknown {
    return null;
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

  override entries(): readonly YamlEntry[] {
    if (this.#entries !== undefined) return this.#entries;
    const found = new Map(this.#lower.entries().map((entry) => [entry.key, entry]));
    for (const entry of this.#upper.entries()) {
      const below = found.get(entry.key);
      found.set(entry.key, below === undefined ? entry : { ...entry, value: layered(entry.value, below.value) });
    }
    this.#entries = [...found.values()];
    return this.#entries;
  }
}

/** Two maps as one, key by key and deeply, the upper one's values first; anything else of the upper one replaces. */
export const layered = (upper: YamlNode, lower: YamlNode | undefined): YamlNode =>
  lower !== undefined && upper.kind === 'map' && lower.kind === 'map' ? new Layered(upper, lower) : upper;
