/** The markers of a file: which values Flux would write, and why a comment that looks like a marker is dead. */

import { whyDead } from './dead.ts';
import {
  type FluxDocument,
  hasMarkerToken,
  isCleared,
  isScannedName,
  isSkipped,
  keyName,
  type PieceCache,
  parseFile,
  type ReadableFile,
  type SkippedFile,
} from './file.ts';
import type { Comment, MappingNode, Node, ScalarNode, SequenceNode } from './goyaml/nodes.ts';
import type { DeadMarker, Marker, Span } from './marker.ts';
import { type ImageRef, splitReference } from './reference.ts';
import { type MarkerText, readMarkerText, type Setter } from './setter.ts';

export interface FileMarkers {
  readonly markers: readonly Marker[];
  readonly dead: readonly DeadMarker[];
  /** Set when Flux skips the whole file; then every marker in it is dead. */
  readonly skipped?: SkippedFile;
  /** See {@link ReadableFile.shape}. */
  readonly shape: 'documents' | 'list';
}

/** A live marker together with the node it belongs to, for the editor of this room. */
export interface MarkedNode {
  readonly node: ScalarNode;
  readonly document: FluxDocument;
  readonly setter: Setter;
  readonly form: 'short' | 'ref';
  readonly comment: Comment;
  readonly path: readonly (string | number)[];
}

const nothing: FileMarkers = { markers: [], dead: [], shape: 'documents' };

/**
 * All markers of a file, live and dead, in the order of the text. `file` is its path; only the name counts.
 * Offsets are UTF-16, as in editors. Costs next to nothing for a file without `$imagepolicy`. With a `cache` only the
 * documents that changed since the last call with it are read again.
 */
export function findMarkers(text: string, file: string, cache?: PieceCache): FileMarkers {
  if (!/\$imagepolicy/i.test(text)) return nothing;
  if (!isScannedName(file)) {
    return allDead(text, { code: 'file-name', reason: 'Flux reads only *.yaml, *.yml and files named Kustomization' });
  }
  if (!hasMarkerToken(text)) {
    return allDead(text, {
      code: 'no-token',
      reason: 'the file does not contain "$imagepolicy" with its double quotes',
    });
  }
  const read = parseFile(text, cache);
  if (isSkipped(read)) return allDead(text, read);
  const marked = read.documents.flatMap((document) =>
    cache === undefined
      ? markedNodes(document)
      : cache.derive(document.root, () => markedNodes(document)).map((one) => ({ ...one, document })),
  );
  const markers = marked.filter((one) => !isOutsideItems(read, one)).map((one) => toMarker(text, one));
  const outside = marked.filter((one) => isOutsideItems(read, one));
  const dead = outside.map((one): DeadMarker => {
    const { comment } = toMarker(text, one);
    return {
      status: 'dead',
      code: 'outside-items',
      comment,
      reason: 'the file is a `kind: List`, of which Flux takes only the items',
      fix: 'Write the objects as documents separated by "---".',
    };
  });
  const live = new Set([...markers, ...dead].map(({ comment }) => comment.start));
  for (const { start, end, mention } of mentions(text)) {
    if (live.has(start)) continue;
    dead.push(whyDead(text, { start, end }, mention, read.documents));
  }
  return { markers, dead: dead.sort((a, b) => a.comment.start - b.comment.start), shape: read.shape };
}

/** Of a file that is one `kind: List` Flux sees the items and nothing else. */
export const isOutsideItems = ({ shape }: ReadableFile, { path }: MarkedNode): boolean =>
  shape === 'list' && (path[0] !== 'items' || path.length === 1);

/** The nodes of a document that carry a marker, in the order of the text. */
export function markedNodes(document: FluxDocument): readonly MarkedNode[] {
  const found: MarkedNode[] = [];
  // The way to the node at hand. Few nodes carry a comment, so keys are looked at only when one does.
  const parents: (MappingNode | SequenceNode)[] = [];
  const indexes: number[] = [];
  const visit = (node: Node, depth: number): void => {
    if (node.kind === 'scalar') {
      // The line comment decides alone when there is one.
      const comment = node.line ?? node.head;
      if (comment === undefined) return;
      const text: MarkerText = readMarkerText(comment.text);
      if (text.kind !== 'setter') return;
      const path = parents.slice(0, depth).map((parent, at) => stepOf(parent, indexes[at] ?? 0));
      if (isMetadata(path) || isShadowed(path, parents, indexes)) return;
      found.push({ node, document, setter: text.setter, form: text.form, comment, path });
    } else if (node.kind === 'alias' || !node.hasComments) return;
    else if (node.kind === 'sequence') {
      parents[depth] = node;
      const { items } = node;
      for (let index = 0; index < items.length; index += 1) {
        indexes[depth] = index;
        const item = items[index];
        if (item !== undefined) visit(item, depth + 1);
      }
    } else {
      parents[depth] = node;
      const { entries } = node;
      for (let index = 0; index < entries.length; index += 1) {
        indexes[depth] = index;
        const entry = entries[index];
        if (entry !== undefined) visit(entry.value, depth + 1);
      }
    }
  };
  visit(document.root, 0);
  return found;
}

function stepOf(parent: MappingNode | SequenceNode, index: number): string | number {
  if (parent.kind === 'sequence') return index;
  const entry = parent.entries[index];
  return entry === undefined ? '' : keyName(entry.key);
}

/** kyaml looks fields up by name and finds the first one, so a second one of the same name is never visited. */
function isShadowed(
  path: readonly (string | number)[],
  parents: readonly (MappingNode | SequenceNode)[],
  indexes: readonly number[],
): boolean {
  return path.some((name, depth) => {
    const parent = parents[depth];
    if (parent?.kind !== 'mapping') return false;
    // kyaml clears an empty `metadata` or `annotations` away before it looks.
    const mayBeCleared =
      depth === 0 ? name === 'metadata' : depth === 1 && path[0] === 'metadata' && name === 'annotations';
    const first = parent.entries.findIndex(
      ({ key, value }) => keyName(key) === name && !(mayBeCleared && isCleared(value)),
    );
    return first < (indexes[depth] ?? 0);
  });
}

/** A text in the place of these mappings would make the whole file unreadable for Flux. */
const isMetadata = ([first, second, third]: readonly (string | number)[]): boolean =>
  first === 'metadata' && (second === undefined || (second === 'annotations' && third === undefined));

function toMarker(text: string, { node, document, setter, form, comment, path }: MarkedNode): Marker {
  const { toOffset } = document;
  const parts =
    setter.part === 'reference'
      ? splitReference(node.value)
      : { [setter.part === 'name' ? 'name' : setter.part]: node.value };
  const span = { start: toOffset(comment.start), end: toOffset(comment.end) };
  // The last one counts when a key stands twice.
  const at = text.slice(span.start, span.end).lastIndexOf(setter.name);
  return {
    status: 'live',
    setter,
    form,
    comment: span,
    setterSpan: at === -1 ? undefined : { start: span.start + at, end: span.start + at + setter.name.length },
    value: { start: toOffset(node.start), end: toOffset(node.block?.headerEnd ?? node.end) },
    current: node.value,
    style: node.style,
    parts,
    path,
  };
}

/** The value a marker gets from a policy's latest reference. The digest is empty when the policy reflects none. */
export function valueFor(setter: Setter, ref: ImageRef): string {
  switch (setter.part) {
    case 'tag':
      return ref.tag;
    case 'name':
      return ref.name;
    case 'digest':
      return ref.digest ?? '';
    case 'reference':
      return `${ref.name}:${ref.tag}${ref.digest ? `@${ref.digest}` : ''}`;
  }
}

/** Every place that mentions `$imagepolicy`: the comment around it when there is one on its line, else the mention. */
function* mentions(text: string): Iterable<Span & { readonly mention: number }> {
  let done = -1;
  for (const match of text.matchAll(/\$imagepolicy/gi)) {
    if (match.index < done) continue;
    const lineStart = startOfLine(text, match.index);
    const end = lineEnd(text, match.index);
    done = end;
    const line = text.slice(lineStart, end);
    // The comment starts at the first `#` after white space, a quote or a bracket; a bare `x#` is no comment.
    const before = line.slice(0, match.index - lineStart);
    const hash = /(?:^|[\s"'\]},[{])(#+[^#]*)$/.exec(before) ?? /(#+[^#]*)$/.exec(before);
    const start = hash?.[1] === undefined ? match.index : match.index - hash[1].length;
    yield { start, end, mention: match.index };
  }
}

function startOfLine(text: string, offset: number): number {
  let at = offset;
  while (at > 0 && !isLineBreak(text.charCodeAt(at - 1))) at -= 1;
  return at;
}

function lineEnd(text: string, offset: number): number {
  let at = offset;
  while (at < text.length && !isLineBreak(text.charCodeAt(at))) at += 1;
  return at;
}

const isLineBreak = (code: number): boolean => code === 10 || code === 13;

function allDead(text: string, skipped: SkippedFile): FileMarkers {
  const dead = [...mentions(text)].map(
    ({ start, end }): DeadMarker => ({
      status: 'dead',
      code: 'file',
      comment: { start, end },
      reason: `Flux skips this whole file: ${skipped.reason}`,
      fix: fixForFile(skipped),
    }),
  );
  return { markers: [], dead, skipped, shape: 'documents' };
}

function fixForFile({ code }: SkippedFile): string {
  switch (code) {
    case 'file-name':
      return 'Rename the file to *.yaml or *.yml, or move the value to such a file.';
    case 'no-token':
      return 'Write "$imagepolicy" in double quotes.';
    case 'root':
      return 'Move the value to a file whose documents are mappings, for example as a strategic merge patch.';
    case 'metadata':
      return 'Make metadata and metadata.annotations mappings.';
    case 'separator':
      return 'Move what follows "---" to the next line.';
    default:
      return 'Mend the YAML; until then Flux updates nothing in this file.';
  }
}
