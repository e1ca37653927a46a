import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic, Place } from '../problems/index.ts';

/**
 * A value of a YAML document with its place. Aliases are followed and merge keys (`<<`) are looked through, so that a
 * reader sees what a tool sees. Asking for what is not there gives undefined or an empty list, never a throw.
 */
export interface YamlNode {
  readonly kind: 'map' | 'list' | 'scalar' | 'empty';
  /** Where the value is written: for an alias, the alias. */
  readonly place: Place;
  /** Offset of the value in the text, and behind it; for byte-exact edits. */
  readonly offsets: readonly [start: number, end: number];
  /** Local tag such as `!reference`. */
  readonly tag?: string;
  get(key: string): YamlNode | undefined;
  /** Walks down; numbers index lists. */
  at(...path: readonly (string | number)[]): YamlNode | undefined;
  /** Entries of a map in order; own keys win over merged ones. */
  entries(): readonly YamlEntry[];
  items(): readonly YamlNode[];
  /** A scalar as text (numbers and booleans as written); undefined for anything else and for null. */
  text(): string | undefined;
  /** The value of `key` as text. */
  string(key: string): string | undefined;
  /** One text or a list of them, as tools allow both; texts only. */
  strings(key: string): readonly string[];
  /** As plain data. */
  value(): unknown;
}

export interface YamlEntry {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: YamlNode;
}

export interface YamlDocuments {
  readonly documents: readonly YamlNode[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads all documents of a text. Empty documents are left out; syntax errors are diagnostics. */
export function readYamlDocuments(text: string, file: string): YamlDocuments {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
  const documents: YamlNode[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const document of parsed as readonly Document[]) {
    const source = new Source(document, lines, file);
    for (const error of document.errors) {
      diagnostics.push({
        severity: 'error',
        code: 'yaml.syntax',
        message: `This is not valid YAML: ${error.message}`,
        place: source.place(error.pos[0], Math.max(error.pos[1], error.pos[0] + 1)),
      });
    }
    if (document.contents !== null && isNode(document.contents) && !isEmpty(document.contents)) {
      documents.push(new View(source, document.contents));
    }
  }
  return { documents, diagnostics };
}

const isEmpty = (node: Node): boolean => isScalar(node) && node.value === null;

class Source {
  readonly document: Document;
  readonly #lines: LineCounter;
  readonly #file: string;

  constructor(document: Document, lines: LineCounter, file: string) {
    this.document = document;
    this.#lines = lines;
    this.#file = file;
  }

  place(start: number, end: number): Place {
    return { file: this.#file, range: { start: this.#position(start), end: this.#position(end) } };
  }

  placeOf(node: unknown): Place {
    return isNode(node) && node.range ? this.place(node.range[0], node.range[1]) : { file: this.#file };
  }

  #position(offset: number): { line: number; character: number } {
    const at = this.#lines.linePos(offset);
    return { line: Math.max(0, at.line - 1), character: Math.max(0, at.col - 1) };
  }
}

/** Chains of aliases are honest only when short. */
const MOST_HOPS = 8;
const MOST_NODES = 200_000;

/** What of a node follows from its entries, items and text. */
export abstract class WalkedNode implements YamlNode {
  abstract readonly kind: YamlNode['kind'];
  abstract readonly place: YamlNode['place'];
  abstract readonly offsets: YamlNode['offsets'];
  abstract readonly tag?: string;

  abstract entries(): readonly YamlEntry[];
  abstract items(): readonly YamlNode[];
  abstract text(): string | undefined;
  abstract value(): unknown;

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
}

class View extends WalkedNode {
  readonly kind: YamlNode['kind'];
  readonly place: Place;
  readonly offsets: readonly [start: number, end: number];
  readonly tag?: string;
  readonly #source: Source;
  readonly #node: Node | null;

  constructor(source: Source, written: Node | null, fallback?: Node) {
    super();
    this.#source = source;
    let node: Node | null | undefined = written;
    for (let hops = 0; isAlias(node) && hops < MOST_HOPS; hops += 1) node = node.resolve(source.document);
    this.#node = node === undefined || isAlias(node) ? null : node;
    const shown = written ?? fallback;
    this.place = source.placeOf(shown);
    this.offsets = shown?.range ? [shown.range[0], shown.range[1]] : [0, 0];
    if (this.#node?.tag?.startsWith('!') === true) this.tag = this.#node.tag;
    this.kind = isMap(this.#node)
      ? 'map'
      : isSeq(this.#node)
        ? 'list'
        : isScalar(this.#node) && this.#node.value !== null
          ? 'scalar'
          : 'empty';
  }

  entries(): readonly YamlEntry[] {
    const found = new Map<string, YamlEntry>();
    const collect = (map: YAMLMap, depth: number): void => {
      const merged: Node[] = [];
      for (const item of map.items) {
        if (!isPair(item) || !isScalar(item.key)) continue;
        const key = String(item.key.value);
        const value = isNode(item.value) ? item.value : null;
        if (key === '<<' && value !== null) merged.push(value);
        else if (!found.has(key)) {
          found.set(key, {
            key,
            keyPlace: this.#source.placeOf(item.key),
            value: new View(this.#source, value, item.key),
          });
        }
      }
      if (depth >= MOST_HOPS) return;
      for (const node of merged) {
        const target = isAlias(node) ? node.resolve(this.#source.document) : node;
        if (isMap(target)) collect(target, depth + 1);
        else if (isSeq(target)) {
          for (const item of target.items) {
            const each = isAlias(item) ? item.resolve(this.#source.document) : item;
            if (isMap(each)) collect(each, depth + 1);
          }
        }
      }
    };
    if (isMap(this.#node)) collect(this.#node, 0);
    return [...found.values()];
  }

  items(): readonly YamlNode[] {
    if (!isSeq(this.#node)) return [];
    return this.#node.items.map((item) => new View(this.#source, isNode(item) ? item : null));
  }

  text(): string | undefined {
    if (!isScalar(this.#node) || this.#node.value === null || this.#node.value === undefined) return undefined;
    if (typeof this.#node.value === 'string') return this.#node.value;
    // As written, so that 1.20 stays 1.20.
    return this.#node.source ?? String(this.#node.value);
  }

  value(): unknown {
    let count = 0;
    const convert = (node: YamlNode, depth: number): unknown => {
      count += 1;
      // Aliases to aliases can grow without end.
      if (depth > 64 || count > MOST_NODES) return null;
      if (node.kind === 'map')
        return Object.fromEntries(node.entries().map((entry) => [entry.key, convert(entry.value, depth + 1)]));
      if (node.kind === 'list') return node.items().map((item) => convert(item, depth + 1));
      return node instanceof View && isScalar(node.#node) ? node.#node.value : null;
    };
    return convert(this, 0);
  }
}
