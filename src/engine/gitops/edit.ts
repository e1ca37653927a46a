/** Byte-exact edits of marked values: one scalar token changes, every other byte stays. */
import { SlipwayError } from '../problems/index.ts';
import {
  foreignAnnotation,
  isSkipped,
  parseFile,
  type ReadableFile,
  readFile,
  type SkippedFile,
  strangeItem,
} from './file.ts';
import type { Node } from './goyaml/nodes.ts';
import type { Marker, Span } from './marker.ts';
import { isOutsideItems, type MarkedNode, markedNodes, valueFor } from './markers.ts';
import { isAmbiguousPlain, isQuotedByFlux, plainType } from './quoting.ts';
import { formatReference, type ImageRef, whyInvalidReference } from './reference.ts';

/** Replace the text of a span (UTF-16 offsets). Edits of one list never overlap and are in text order. */
export interface TextEdit extends Span {
  readonly text: string;
}

/** One written value. */
export interface ValueChange {
  /** The setter, for example `flux-system:podinfo:tag`. */
  readonly setter: string;
  readonly old: string;
  readonly new: string;
  /** The value's token before the edit. */
  readonly span: Span;
  readonly path: readonly (string | number)[];
}

export interface AppliedPolicies {
  readonly text: string;
  readonly edits: readonly TextEdit[];
  readonly changes: readonly ValueChange[];
  /** Why Flux leaves the whole file alone; then nothing is changed. */
  readonly skipped?: SkippedFile;
  readonly shape: 'documents' | 'list';
}

/** `namespace:name` of each ImagePolicy with its latest reference; undefined when it has none yet. */
export type PolicyRefs = ReadonlyMap<string, ImageRef | undefined>;

/**
 * What an ImageUpdateAutomation would write into one file, as the smallest edit with the same data.
 * `automationNamespace` limits the policies to that namespace, as Flux does; absent means all policies apply.
 * Throws `config` for what fails Flux's whole run (a policy with a bad reference, an object with a foreign path annotation), and `internal` when an edit would have
 * touched anything else than its value.
 */
export function applyPolicies(
  text: string,
  file: string,
  policies: PolicyRefs,
  automationNamespace?: string,
): AppliedPolicies {
  const refs = inScope(policies, automationNamespace);
  const read = readFile(text, file);
  if (isSkipped(read)) return { text, edits: [], changes: [], skipped: read, shape: 'documents' };
  const written: Written[] = [];
  for (const document of read.documents) {
    const annotation = foreignAnnotation(document, file);
    if (annotation !== undefined) {
      throw new SlipwayError({
        reason: 'config',
        code: 'gitops.path-annotation',
        message: `An object in ${file} carries the annotation ${annotation}, on which Flux fails the whole automation`,
        fix: 'Remove the annotation.',
        place: { file },
      });
    }
    const item = read.shape === 'list' ? strangeItem(document) : undefined;
    if (item !== undefined) {
      throw new SlipwayError({
        reason: 'config',
        code: 'gitops.list-item',
        message: `An item of the \`kind: List\` in ${file} is not a mapping, on which Flux fails the whole automation`,
        fix: 'Remove the item, or write the objects as documents separated by "---".',
        place: { file },
      });
    }
    for (const marked of markedNodes(document)) {
      if (isOutsideItems(read, marked)) continue;
      const ref = refs.get(`${marked.setter.namespace}:${marked.setter.policy}`);
      if (ref !== undefined) written.push({ marked, value: valueFor(marked.setter, ref) });
    }
  }
  const isChanged = written.some(({ marked, value }) => marked.node.value !== value);
  if (!isChanged) return { text, edits: [], changes: [], shape: read.shape };
  // When Flux writes a file it also quotes marked values that are equal but would not be read as text.
  const effective = written.filter(({ marked, value }) => marked.node.value !== value || needsQuotes(marked, value));
  const edits = effective.flatMap(({ marked, value }) => editsFor(text, marked, value));
  const result = applyEdits(text, edits);
  verify(read, result, file, effective);
  const changes = effective
    .filter(({ marked, value }) => marked.node.value !== value)
    .map(({ marked, value }): ValueChange => {
      const { node, document, setter, path } = marked;
      const span = { start: document.toOffset(node.start), end: document.toOffset(node.end) };
      return { setter: setter.name, old: node.value, new: value, span, path };
    });
  return { text: result, edits, changes, shape: read.shape };
}

interface Written {
  readonly marked: MarkedNode;
  readonly value: string;
}

function inScope(policies: PolicyRefs, namespace: string | undefined): ReadonlyMap<string, ImageRef> {
  const refs = new Map<string, ImageRef>();
  for (const [key, ref] of policies) {
    if (ref === undefined || (namespace !== undefined && !key.startsWith(`${namespace}:`))) continue;
    const problem = whyInvalidReference(formatReference(ref));
    if (problem !== undefined) {
      throw new SlipwayError({
        reason: 'config',
        code: 'gitops.invalid-reference',
        message: `The policy ${key} has the latest reference ${formatReference(ref)}, which Flux refuses: ${problem}. Flux then writes nothing at all for this automation.`,
        fix: 'Correct spec.image of the ImageRepository, or take the policy out of the automation with policySelector.',
      });
    }
    refs.set(key, ref);
  }
  return refs;
}

/**
 * The edits that put `value` in the place of one marker's value, keeping its quoting style. Throws `usage` when the
 * marker does not belong to this text (any more), `internal` when the result would differ elsewhere.
 */
export function replaceValue(
  text: string,
  file: string,
  marker: Pick<Marker, 'value' | 'setter'>,
  value: string,
): readonly TextEdit[] {
  const read = readFile(text, file);
  const marked = isSkipped(read)
    ? undefined
    : read.documents
        .flatMap((document) => markedNodes(document))
        .find(({ node, document }) => document.toOffset(node.start) === marker.value.start);
  if (isSkipped(read) || marked === undefined || marked.setter.name !== marker.setter.name) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'gitops.marker-moved',
      message: `${file} has no marker ${marker.setter.name} at this place any more`,
      fix: 'Read the markers of the file again.',
      place: { file },
    });
  }
  if (marked.node.value === value && !needsQuotes(marked, value)) return [];
  const edits = editsFor(text, marked, value);
  verify(read, applyEdits(text, edits), file, [{ marked, value }]);
  return edits;
}

function needsQuotes({ node }: MarkedNode, value: string): boolean {
  if (node.style !== 'plain' || plainType(node.value) === 'null') return false;
  return node.tag === undefined ? isQuotedByFlux(value, node.value) : typeTags.has(node.tag) && isAmbiguousPlain(value);
}

/** Puts the edits into the text. They must not overlap. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  let result = '';
  let at = 0;
  for (const edit of [...edits].sort((a, b) => a.start - b.start)) {
    if (edit.start < at) throw new SlipwayError({ reason: 'internal', message: 'Two edits overlap' });
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

const typeTags: ReadonlySet<string> = new Set(['!!int', '!!float', '!!bool', '!!null', '!!timestamp', '!!binary']);

function editsFor(text: string, { node, document }: MarkedNode, value: string): readonly TextEdit[] {
  const { toOffset } = document;
  const edits: TextEdit[] = [];
  if (
    node.tag !== undefined &&
    (typeTags.has(node.tag) || (node.tag !== '!!str' && isQuotedByFlux(value, '2024-01-01') && value !== ''))
  ) {
    // Flux would keep `!!int` before a text, which no reader accepts; before a value that it must quote it drops any tag
    // (a date is a text for the reader that it asks).
    // Here the tag goes in both cases, and the text stays a text.
    const start = toOffset(node.tagStart);
    const end = start + node.tag.length;
    const isApart = /[\n\r#]/.test(text.slice(end, toOffset(node.start)));
    // With a comment between tag and value something must stay that the comment belongs to.
    if (isApart) edits.push({ start, end, text: '!!str' });
    else edits.push({ start, end: end + (/^[ \t]*/.exec(text.slice(end))?.[0].length ?? 0), text: '' });
  }
  if (node.block === undefined) {
    edits.push({ start: toOffset(node.start), end: toOffset(node.end), text: scalarToken(value, node) });
    return edits;
  }
  const { headerEnd, contentStart, contentEnd, indent } = node.block;
  const header = text.slice(toOffset(node.start), toOffset(headerEnd));
  const [from, to] = [toOffset(contentStart), toOffset(contentEnd)];
  if (value === '') {
    const lineEnd = /^(?:\r\n|\r|\n)/.exec(text.slice(to))?.[0].length ?? 0;
    edits.push({ start: toOffset(node.start), end: toOffset(headerEnd), text: '""' });
    if (to > from) edits.push({ start: from, end: to + lineEnd, text: '' });
    return edits;
  }
  if (!header.includes('-')) {
    edits.push({ start: toOffset(node.start), end: toOffset(headerEnd), text: `${header.replace('+', '')}-` });
  }
  // Without content the least indentation is known; one more column looks like the usual two spaces.
  const width = to > from || /[0-9]/.test(header) ? indent : indent + 1;
  const line = ' '.repeat(width) + value;
  if (to > from) edits.push({ start: from, end: to, text: line });
  else {
    const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
    const isAfterLine = /[\r\n]$/.test(text.slice(0, from));
    edits.push({ start: from, end: from, text: isAfterLine ? line + lineEnd : lineEnd + line });
  }
  return edits;
}

/** The value as a token in the style of the old one. A plain one gets double quotes when it would not be read as text. */
function scalarToken(value: string, { style, tag, value: old }: MarkedNode['node']): string {
  if (style === 'single') return `'${value.replaceAll("'", "''")}'`;
  const isAmbiguous = tag === undefined ? isQuotedByFlux(value, old) : isAmbiguousPlain(value);
  return style === 'double' || isAmbiguous || !isPlainSafe(value) ? JSON.stringify(value) : value;
}

/** References and tags always are; anything else is quoted rather than analysed. */
const isPlainSafe = (value: string): boolean => /^[0-9A-Za-z_.[][^\s{}[\],#]*$/.test(value) && !/:$/.test(value);

/** Re-reads the edited text: the written values must have arrived, and nothing else may have changed. */
function verify(before: ReadableFile, text: string, file: string, written: readonly Written[]): void {
  const problem = whatBroke(before, text, written);
  if (problem === undefined) return;
  throw new SlipwayError({
    reason: 'internal',
    code: 'gitops.edit-check',
    message: `The edit of ${file} was not written, because ${problem}`,
    fix: 'Report this with the file.',
    place: { file },
  });
}

function whatBroke(before: ReadableFile, text: string, written: readonly Written[]): string | undefined {
  const after = parseFile(text);
  if (isSkipped(after)) return `the result could not be read: ${after.reason}`;
  if (after.documents.length !== before.documents.length) return 'the number of documents changed';
  const values = new Map<Node, string>(written.map(({ marked, value }) => [marked.node, value]));
  for (const [index, document] of before.documents.entries()) {
    const other = after.documents[index]?.root;
    if (other === undefined || !isSame(document.root, other, values)) return 'more than the value changed';
  }
  // Every marker must still be one, with the value it shall have; other comments may belong to other nodes now.
  const expected = before.documents.flatMap((document, index) =>
    markedNodes(document).map(({ setter, node, path }) =>
      keyOf(index, setter.name, values.get(node) ?? node.value, path),
    ),
  );
  const actual = after.documents.flatMap((document, index) =>
    markedNodes(document).map(({ setter, node, path }) => keyOf(index, setter.name, node.value, path)),
  );
  return actual.join('\n') === expected.join('\n') ? undefined : 'a second run would change it again';
}

const keyOf = (document: number, setter: string, value: string, path: MarkedNode['path']): string =>
  JSON.stringify([document, setter, value, path]);

function isSame(a: Node, b: Node, values: ReadonlyMap<Node, string>): boolean {
  if (a.kind === 'scalar') {
    if (b.kind !== 'scalar' || a.anchor !== b.anchor) return false;
    const value = values.get(a);
    return value === undefined ? a.value === b.value && a.style === b.style && a.tag === b.tag : b.value === value;
  }
  if (a.kind === 'alias') return b.kind === 'alias' && a.name === b.name;
  if (a.kind === 'sequence') {
    return (
      b.kind === 'sequence' &&
      a.items.length === b.items.length &&
      a.items.every((item, index) => {
        const other = b.items[index];
        return other !== undefined && isSame(item, other, values);
      })
    );
  }
  return (
    b.kind === 'mapping' &&
    a.entries.length === b.entries.length &&
    a.entries.every(({ key, value }, index) => {
      const other = b.entries[index];
      return other !== undefined && isSame(key, other.key, values) && isSame(value, other.value, values);
    })
  );
}

/**
 * {@link applyPolicies} for the bytes of a file. Everything outside the written values keeps its bytes; a file that is not
 * UTF-8 is skipped.
 */
export function applyPoliciesToBytes(
  bytes: Uint8Array,
  file: string,
  policies: PolicyRefs,
  automationNamespace?: string,
): Omit<AppliedPolicies, 'text'> & { readonly bytes: Uint8Array } {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return {
      bytes,
      edits: [],
      changes: [],
      skipped: { code: 'not-utf8', reason: 'the file is not UTF-8' },
      shape: 'documents',
    };
  }
  const { text: result, ...rest } = applyPolicies(text, file, policies, automationNamespace);
  return { ...rest, bytes: result === text ? bytes : new TextEncoder().encode(result) };
}
