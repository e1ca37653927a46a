/**
 * A file as Flux's image automation reads it: which files count, how one is cut into documents, and the reasons for which
 * Flux skips a whole file without a word (image-automation-controller 1.2 `internal/update`, kyaml 0.21.1 `kio`).
 */
import { composeFirst, isYamlError, type YamlError } from './goyaml/composer.ts';
import type { MappingNode, Node } from './goyaml/nodes.ts';

export type SkipCode = 'file-name' | 'no-token' | 'not-utf8' | 'separator' | 'not-yaml' | 'root' | 'metadata';

/** Why Flux leaves a whole file alone. */
export interface SkippedFile {
  readonly code: SkipCode;
  /** One sentence without a full stop. */
  readonly reason: string;
  /** UTF-16 offset in the file of what is wrong, when it is one place. */
  readonly at?: number;
}

/** One readable document. Offsets in `root` are relative to the piece; `toOffset` makes them offsets of the file. */
export interface FluxDocument {
  readonly root: MappingNode;
  /** UTF-16 offset in the file for an offset in a node of this document. */
  readonly toOffset: (at: number) => number;
}

export interface ReadableFile {
  readonly documents: readonly FluxDocument[];
  /**
   * `list`: the only document is a `kind: List` with items. Flux then writes changed items to new files and leaves the
   * list as it is; Slipway edits the list in place.
   */
  readonly shape: 'documents' | 'list';
}

const markerToken = '"$imagepolicy"';

/** True when Flux would look into a file of this name at all. `file` is a path with `/` or `\`. */
export function isScannedName(file: string): boolean {
  const name = file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
  return name.endsWith('.yaml') || name.endsWith('.yml') || name === 'Kustomization';
}

/** True when the text has the bytes without which Flux does not parse a file. Cheap. */
export const hasMarkerToken = (text: string): boolean => text.includes(markerToken);

const forbidden =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is looked for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufffe\uffff]|^\ufeff|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/**
 * Reads a file as Flux would. `file` is its path, only the name counts.
 * The text may start with a byte order mark and have any line ends.
 */
export function readFile(text: string, file: string): ReadableFile | SkippedFile {
  if (!isScannedName(file)) {
    return { code: 'file-name', reason: 'Flux reads only *.yaml, *.yml and files named Kustomization' };
  }
  if (!hasMarkerToken(text)) return { code: 'no-token', reason: `the file does not contain ${markerToken}` };
  return parseFile(text);
}

/** What the documents of a file's last version were read as; belongs to one file. */
export class PieceCache {
  #last = new Map<string, Node | YamlError | undefined>();
  #next = new Map<string, Node | YamlError | undefined>();
  readonly #derived = new WeakMap<MappingNode, unknown>();

  /** What was made of a document's nodes; they stay the same objects while its text does. */
  derive<T>(root: MappingNode, make: () => T): T {
    if (!this.#derived.has(root)) this.#derived.set(root, make());
    return this.#derived.get(root) as T;
  }

  /** Keeps what was used since the last call, and forgets the rest. */
  turn(): void {
    this.#last = this.#next;
    this.#next = new Map();
  }

  read(piece: string): Node | YamlError | undefined {
    const known = this.#last.has(piece) ? this.#last.get(piece) : readPiece(piece);
    this.#next.set(piece, known);
    return known;
  }
}

function readPiece(piece: string): Node | YamlError | undefined {
  const bad = forbidden.exec(piece);
  if (bad !== null) return { error: 'a control character', at: bad.index };
  return composeFirst(piece);
}

/** As {@link readFile}, without the tests of name and token. */
export function parseFile(text: string, cache?: PieceCache): ReadableFile | SkippedFile {
  const file = parsePieces(text, cache);
  cache?.turn();
  return file;
}

function parsePieces(text: string, cache: PieceCache | undefined): ReadableFile | SkippedFile {
  const { normal, removed } = withoutCarriageReturns(text);
  const toFile = (at: number): number => at + countUpTo(removed, at);
  const pieces = splitDocuments(normal);
  if ('code' in pieces) return { ...pieces, at: toFile(pieces.at ?? 0) };
  const documents: FluxDocument[] = [];
  for (const piece of pieces) {
    const hasMark = piece.text.charCodeAt(0) === 0xfeff;
    const start = piece.start + (hasMark ? 1 : 0);
    const body = hasMark ? piece.text.slice(1) : piece.text;
    const toOffset = (at: number): number => toFile(Math.min(start + at, normal.length));
    const root = cache === undefined ? readPiece(body) : cache.read(body);
    if (root === undefined) continue;
    if (isYamlError(root))
      return { code: 'not-yaml', reason: `not valid YAML for Flux: ${root.error}`, at: toOffset(root.at) };
    if (isNull(root)) continue;
    const problem = problemOf(root);
    if (problem !== undefined) return { ...problem, at: toOffset(problem.at ?? 0) };
    if (root.kind === 'mapping') documents.push({ root, toOffset });
  }
  return {
    documents,
    shape: pieces.length === 1 && documents.length === 1 && isList(documents[0]?.root) ? 'list' : 'documents',
  };
}

/** The mappings among the documents of a file that Flux would skip: each is read on its own, broken ones are left out. */
export function splitTolerantly(text: string): readonly FluxDocument[] {
  const starts = [0, ...[...text.matchAll(/^---.*(?:\r\n|\r|\n|$)/gm)].map((match) => match.index + match[0].length)];
  return starts.flatMap((start, index) => {
    const next = starts[index + 1];
    const end = next === undefined ? text.length : text.lastIndexOf('---', next - 1);
    const file = parsePieces(text.slice(start, Math.max(start, end)), undefined);
    if (isSkipped(file)) return [];
    return file.documents.map(({ root, toOffset }) => ({ root, toOffset: (at: number) => start + toOffset(at) }));
  });
}

export const isSkipped = (file: ReadableFile | SkippedFile): file is SkippedFile => 'code' in file;

function withoutCarriageReturns(text: string): { readonly normal: string; readonly removed: readonly number[] } {
  if (!text.includes('\r\n')) return { normal: text, removed: [] };
  const removed: number[] = [];
  let from = text.indexOf('\r\n');
  while (from !== -1) {
    // In the normal text the line break stands `removed.length` characters further left.
    removed.push(from - removed.length);
    from = text.indexOf('\r\n', from + 2);
  }
  return { normal: text.replaceAll('\r\n', '\n'), removed };
}

/** How many entries of the ascending list are below `at`. */
function countUpTo(list: readonly number[], at: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Piece {
  readonly text: string;
  readonly start: number;
}

/** What Go calls white space; JavaScript leaves NEL out and takes the byte order mark in. */
const leadingSpace = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** kyaml cuts at every line that begins with `---`, but not at the first line and not at a last line without an end. */
function splitDocuments(text: string): readonly Piece[] | SkippedFile {
  const pieces: Piece[] = [];
  let start = 0;
  for (let from = 0; ; ) {
    const at = text.indexOf('\n---', from);
    if (at === -1) break;
    const lineEnd = text.indexOf('\n', at + 4);
    if (lineEnd === -1) break;
    const rest = text.slice(at + 4, lineEnd).replace(leadingSpace, '');
    if (rest !== '' && !rest.startsWith('#')) {
      return { code: 'separator', reason: 'a document separator line may hold only spaces or a comment', at: at + 1 };
    }
    // The line break before the separator stays with the document, as block texts may need it.
    pieces.push({ text: `${text.slice(start, at)}\n`, start });
    start = lineEnd + 1;
    from = lineEnd + 1;
  }
  if (text.length > 0) pieces.push({ text: text.slice(start), start });
  return pieces;
}

function isNull(node: Node): boolean {
  if (node.kind !== 'scalar') return false;
  // A lone "!" says nothing to go-yaml.
  if (node.tag !== undefined && node.tag !== '!')
    return node.tag === '!!null' || node.tag === '!<tag:yaml.org,2002:null>';
  return node.style === 'plain' && ['', '~', 'null', 'Null', 'NULL'].includes(node.value);
}

/** The value of the first entry with that key, as kyaml's `Field` finds it. */
export function fieldOf(node: Node | undefined, name: string): Node | undefined {
  if (node?.kind !== 'mapping') return undefined;
  return node.entries.find(({ key }) => keyName(key) === name)?.value;
}

/** kyaml compares keys by this text: collections count as the empty key, an alias as its name. */
export function keyName(key: Node): string {
  return key.kind === 'scalar' ? key.value : key.kind === 'alias' ? key.name : '';
}

/** What kyaml clears away where it looks for an object's metadata and annotations: anything that holds nothing else. */
export function isCleared(value: Node): boolean {
  if (value.kind === 'sequence') return value.items.length === 0;
  return value.kind !== 'mapping' || value.entries.length === 0;
}

/** {@link fieldOf} without what kyaml clears away, so that a second `metadata` counts behind an empty first one. */
export function filledFieldOf(node: Node | undefined, name: string): Node | undefined {
  if (node?.kind !== 'mapping') return undefined;
  return node.entries.find(({ key, value }) => keyName(key) === name && !isCleared(value))?.value;
}

/** kyaml writes its own annotations into every document while reading, which fails on these. */
function problemOf(root: Node): SkippedFile | undefined {
  if (root.kind !== 'mapping') {
    const what = root.kind === 'sequence' ? 'a list (a JSON 6902 patch file, for example)' : 'a single value';
    return { code: 'root', reason: `a document's root is ${what} and not a mapping`, at: root.start };
  }
  for (const { key, value } of root.entries) {
    if (keyName(key) !== 'metadata' || isNull(value)) continue;
    if (value.kind !== 'mapping') return { code: 'metadata', reason: 'metadata is not a mapping', at: value.start };
    if (value.entries.length > 0) break;
  }
  const annotations = filledFieldOf(filledFieldOf(root, 'metadata'), 'annotations');
  if (annotations?.kind !== 'sequence') return undefined;
  return { code: 'metadata', reason: 'metadata.annotations is a list', at: annotations.start };
}

/**
 * An annotation that contradicts kyaml's own bookkeeping, on which the whole automation fails: one for the path of another
 * file than this one, or two different ids. `file` may have folders in front that the annotation does not have.
 */
export function foreignAnnotation({ root }: FluxDocument, file: string): string | undefined {
  const annotations = filledFieldOf(filledFieldOf(root, 'metadata'), 'annotations');
  const annotationOf = (name: string): string => {
    const value = fieldOf(annotations, name);
    return value?.kind === 'scalar' && !isNull(value) ? value.value : '';
  };
  for (const name of ['config.kubernetes.io/path', 'internal.config.kubernetes.io/path']) {
    const path = annotationOf(name);
    if (path === '') continue;
    // The internal one counts only where the older one is missing.
    return `/${file.replaceAll('\\', '/')}`.endsWith(`/${path}`) ? undefined : `${name}: ${path}`;
  }
  const [old, id] = [annotationOf('config.k8s.io/id'), annotationOf('internal.config.kubernetes.io/id')];
  return old !== '' && id !== '' && old !== id ? `config.k8s.io/id: ${old}` : undefined;
}

/** An item of a `kind: List` that cannot carry kyaml's annotations. */
export function strangeItem({ root }: FluxDocument): Node | undefined {
  const items = fieldOf(root, 'items');
  return items?.kind === 'sequence' ? items.items.find((item) => item.kind !== 'mapping' && !isNull(item)) : undefined;
}

function isList(root: MappingNode | undefined): boolean {
  const kind = fieldOf(root, 'kind');
  if (kind?.kind !== 'scalar' || !['List', 'ResourceList'].includes(kind.value)) return false;
  return fieldOf(root, 'items') !== undefined || fieldOf(root, 'functionConfig') !== undefined;
}
