/**
 * Reading and editing of ordinary YAML objects (policies, automations, Applications) with their places, in the same
 * smallest-edit manner as marked values. Unlike Flux's updater this reads every document that can be read.
 */
import type { Place } from '../problems/index.ts';
import { applyEdits, type TextEdit } from './edit.ts';
import { fieldOf, isSkipped, keyName, parseFile, splitTolerantly } from './file.ts';
import type { MappingNode, Node, SequenceNode } from './goyaml/nodes.ts';
import { Lines } from './positions.ts';
import { isAmbiguousPlain } from './quoting.ts';

/** One YAML document of a file, or one item of a `kind: List`. */
export interface YamlObject {
  readonly file: string;
  readonly root: MappingNode;
  readonly toOffset: (at: number) => number;
  readonly lines: Lines;
}

export type Path = readonly (string | number)[];

/** The readable mappings of a file; broken documents and documents of other shapes are left out. */
export function readYamlObjects(text: string, file: string): readonly YamlObject[] {
  const whole = parseFile(text);
  const documents = isSkipped(whole) ? splitTolerantly(text) : whole.documents;
  const lines = new Lines(text);
  return documents.flatMap(({ root, toOffset }): YamlObject[] => {
    const items = textAt(root, ['kind']) === 'List' ? fieldOf(root, 'items') : undefined;
    const roots = items?.kind === 'sequence' ? items.items.filter((item) => item.kind === 'mapping') : [root];
    return roots.map((one) => ({ file, root: one, toOffset, lines }));
  });
}

export function nodeAt(node: Node | undefined, path: Path): Node | undefined {
  let current = node;
  for (const step of path) {
    if (typeof step === 'string') current = fieldOf(current, step);
    else current = current?.kind === 'sequence' ? current.items[step] : undefined;
  }
  return current;
}

/** The text of a scalar, however it is quoted; undefined for anything else and for null. */
export function textAt(node: Node | undefined, path: Path): string | undefined {
  const found = nodeAt(node, path);
  if (found?.kind !== 'scalar') return undefined;
  return found.style === 'plain' && ['', '~', 'null', 'Null', 'NULL'].includes(found.value) ? undefined : found.value;
}

export function isTrueAt(node: Node | undefined, path: Path): boolean {
  return /^(?:true|True|TRUE)$/.test(textAt(node, path) ?? '');
}

export function textsAt(node: Node | undefined, path: Path): readonly string[] | undefined {
  const found = nodeAt(node, path);
  if (found?.kind !== 'sequence') return undefined;
  return found.items.flatMap((item) => (item.kind === 'scalar' ? [item.value] : []));
}

export function mapAt(node: Node | undefined, path: Path): Readonly<Record<string, string>> | undefined {
  const found = nodeAt(node, path);
  if (found?.kind !== 'mapping') return undefined;
  return Object.fromEntries(
    found.entries.flatMap(({ key, value }) => (value.kind === 'scalar' ? [[keyName(key), value.value] as const] : [])),
  );
}

/** Where the value at the path is written; of the deepest part that exists when it is not. */
export function placeAt(object: YamlObject, path: Path): Place {
  let node: Node = object.root;
  for (const [index] of path.entries()) {
    const next = nodeAt(object.root, path.slice(0, index + 1));
    if (next === undefined) break;
    node = next;
  }
  const start = object.toOffset(node.start);
  const end = node.kind === 'scalar' || node.kind === 'alias' ? object.toOffset(node.end) : start;
  return { file: object.file, range: object.lines.rangeAt(start, end) };
}

/** A value as YAML: plain where every reader takes it as this text, else quoted. */
export function formatScalar(value: string, context: 'block' | 'flow' = 'block'): string {
  const isPlain =
    /^[0-9A-Za-z_./^(+$][^\n\r\t]*$/.test(value) &&
    !/: |:$| #|\s$/.test(value) &&
    !(context === 'flow' && /[,[\]{}]/.test(value)) &&
    !isAmbiguousPlain(value);
  if (isPlain) return value;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what single quotes cannot hold
  return /[\u0000-\u001f\u007f]/.test(value) ? JSON.stringify(value) : `'${value.replaceAll("'", "''")}'`;
}

/** What a key is set to: a text, a word such as `true` that stays bare, or a list of texts. */
export type NewValue = { readonly text: string } | { readonly bare: string } | { readonly list: readonly string[] };

const formatValue = (value: NewValue, context: 'block' | 'flow'): string =>
  'bare' in value
    ? value.bare
    : 'text' in value
      ? formatScalar(value.text, context)
      : `[${value.list.map((item) => formatScalar(item, 'flow')).join(', ')}]`;

/**
 * Edits that set the value at a path of keys, creating mappings on the way. An existing scalar keeps its quotes where the
 * new value allows it; nothing else moves. Undefined when something on the path is no mapping, or when the YAML is
 * written so that the edit would not come out as asked (it is read back to see).
 */
export function setValue(
  text: string,
  object: YamlObject,
  path: readonly string[],
  value: NewValue,
): readonly TextEdit[] | undefined {
  const edits = editsToSet(text, object, path, value);
  if (edits === undefined || edits.length === 0) return edits;
  const start = object.toOffset(object.root.start);
  const result = applyEdits(text, edits);
  const again = readYamlObjects(result, object.file).find((one) => one.toOffset(one.root.start) === start);
  if (again === undefined) return undefined;
  const found = nodeAt(again.root, path);
  const wanted =
    'list' in value ? JSON.stringify(value.list) : 'text' in value ? value.text : value.bare.replace(/^""$/, '');
  const actual =
    found?.kind === 'sequence'
      ? JSON.stringify(textsAt(found, []))
      : found?.kind === 'scalar'
        ? found.value
        : undefined;
  return actual === wanted && restOf(again.root, path) === restOf(object.root, path) ? edits : undefined;
}

/**
 * As {@link setValue} for a mapping deep inside the object, such as an item of a list, and without reading it back: the
 * caller looks at the result.
 */
export const setInside = (
  text: string,
  object: YamlObject,
  mapping: MappingNode,
  path: readonly string[],
  value: NewValue,
): readonly TextEdit[] | undefined => editsToSet(text, { ...object, root: mapping }, path, value);

/** The data of an object without what is at the path, for comparing. */
function restOf(node: Node, path: readonly string[]): string {
  switch (node.kind) {
    case 'scalar':
      return JSON.stringify([
        node.style === 'plain' ? '' : node.style,
        node.tag ?? '',
        node.value,
        node.line?.text,
        node.head?.text,
      ]);
    case 'alias':
      return `*${node.name}`;
    case 'sequence':
      return `[${node.items.map((item) => restOf(item, [])).join()}]`;
    case 'mapping': {
      const [first, ...rest] = path;
      const entries = node.entries.flatMap(({ key, value }, index) => {
        const isOn =
          first !== undefined &&
          keyName(key) === first &&
          node.entries.findIndex((one) => keyName(one.key) === first) === index;
        if (!isOn) return [`${restOf(key, [])}:${restOf(value, [])}`];
        if (rest.length === 0) return [];
        // A mapping that had to be made, or that was empty before, counts as absent.
        const inside = value.kind === 'mapping' ? restOf(value, rest) : '{}';
        return inside === '{}' ? [] : [`${restOf(key, [])}:${inside}`];
      });
      return `{${entries.join()}}`;
    }
  }
}

function editsToSet(
  text: string,
  object: YamlObject,
  path: readonly string[],
  value: NewValue,
): readonly TextEdit[] | undefined {
  let mapping: MappingNode = object.root;
  for (const [index, key] of path.entries()) {
    const found = fieldOf(mapping, key);
    const rest = path.slice(index + 1);
    if (found === undefined) return [insertEntry(text, object, mapping, path.slice(index), value)];
    if (rest.length === 0) return replaceNode(text, object, mapping, key, found, value);
    if (isEmpty(found)) {
      // `spec:` without anything below it: the value goes below the key.
      return [fillEmpty(text, object, mapping, key, found, rest, value)];
    }
    if (found.kind !== 'mapping') return undefined;
    mapping = found;
  }
  return undefined;
}

const isEmpty = (node: Node): boolean => node.kind === 'scalar' && node.style === 'plain' && node.start === node.end;

function replaceNode(
  text: string,
  object: YamlObject,
  mapping: MappingNode,
  key: string,
  node: Node,
  value: NewValue,
): readonly TextEdit[] | undefined {
  if (isEmpty(node)) return [fillEmpty(text, object, mapping, key, node, [], value)];
  const start = object.toOffset(node.start);
  if (node.kind === 'scalar' && node.block === undefined) {
    const end = object.toOffset(node.end);
    const quoted = 'text' in value ? inStyle(value.text, node.style) : undefined;
    return [{ start, end, text: quoted ?? formatValue(value, mapping.style) }];
  }
  if ((node.kind === 'sequence' || node.kind === 'mapping') && node.style === 'flow') {
    return [{ start, end: object.toOffset(node.end), text: formatValue(value, 'flow') }];
  }
  if (node.kind === 'sequence' && 'list' in value) return replaceItems(text, object, node, value.list);
  return undefined;
}

function inStyle(value: string, style: string): string | undefined {
  if (style === 'single') return `'${value.replaceAll("'", "''")}'`;
  return style === 'double' ? JSON.stringify(value) : undefined;
}

/** Appends what is new to a block list and leaves the rest; other changes replace items one by one. */
function replaceItems(
  text: string,
  object: YamlObject,
  node: SequenceNode,
  list: readonly string[],
): readonly TextEdit[] | undefined {
  const items = node.items.filter((item) => item.kind === 'scalar' && item.block === undefined);
  const last = node.items.at(-1);
  if (items.length !== node.items.length || last === undefined || list.length < items.length) return undefined;
  const edits: TextEdit[] = [];
  for (const [index, item] of items.entries()) {
    const value = list[index] ?? '';
    if (item.kind !== 'scalar' || item.value === value) continue;
    edits.push({
      start: object.toOffset(item.start),
      end: object.toOffset(item.end),
      text: inStyle(value, item.style) ?? formatScalar(value),
    });
  }
  const lastStart = object.toOffset(last.start);
  const lineStart = startOfLine(text, lastStart);
  const lead = /^[ \t]*-[ \t]+/.exec(text.slice(lineStart, lastStart))?.[0];
  if (lead === undefined && list.length > items.length) return undefined;
  const at = endOfLine(text, endOf(last, object));
  const added = list.slice(items.length).map((value) => `${lineBreakOf(text)}${lead ?? ''}${formatScalar(value)}`);
  if (added.length > 0) edits.push({ start: at, end: at, text: added.join('') });
  return edits;
}

function fillEmpty(
  text: string,
  object: YamlObject,
  mapping: MappingNode,
  key: string,
  node: Node,
  rest: readonly string[],
  value: NewValue,
): TextEdit {
  const entry = mapping.entries.find((one) => one.value === node || keyName(one.key) === key);
  const keyEnd = entry === undefined ? object.toOffset(node.start) : endOf(entry.key, object);
  const colon = text.indexOf(':', keyEnd) + 1;
  if (rest.length === 0) return { start: colon, end: colon, text: ` ${formatValue(value, mapping.style)}` };
  const column = entry === undefined ? 0 : columnOf(text, object.toOffset(entry.key.start));
  const at = endOfLine(text, colon);
  return { start: at, end: at, text: lineBreakOf(text) + nested(rest, value, column + 2, lineBreakOf(text)) };
}

function insertEntry(
  text: string,
  object: YamlObject,
  mapping: MappingNode,
  keys: readonly string[],
  value: NewValue,
): TextEdit {
  const last = mapping.entries.at(-1);
  if (mapping.style === 'flow') {
    const close = object.toOffset(mapping.end) - 1;
    const at =
      last === undefined
        ? close
        : endOf(last.value.kind === 'scalar' && last.value.start === last.value.end ? last.key : last.value, object);
    const flow = keys.reduceRight(
      (inner, key, index) => (index === keys.length - 1 ? `${key}: ${inner}` : `${key}: {${inner}}`),
      formatValue(value, 'flow'),
    );
    return { start: at, end: at, text: last === undefined ? flow : `, ${flow}` };
  }
  const column = columnOf(text, object.toOffset(mapping.entries[0]?.key.start ?? mapping.start));
  const end =
    last === undefined ? object.toOffset(mapping.start) : Math.max(endOf(last.key, object), endOf(last.value, object));
  const at = endOfLine(text, end);
  return { start: at, end: at, text: lineBreakOf(text) + nested(keys, value, column, lineBreakOf(text)) };
}

function nested(keys: readonly string[], value: NewValue, column: number, lineBreak: string): string {
  const lines = keys.map((key, index) => `${' '.repeat(column + index * 2)}${key}:`);
  const pad = ' '.repeat(column + (keys.length - 1) * 2);
  const tail =
    'list' in value
      ? value.list.map((item) => `${lineBreak}${pad}  - ${formatScalar(item)}`).join('')
      : ` ${formatValue(value, 'block')}`;
  return lines.join(lineBreak) + tail;
}

/** Edits that take a key with its value out of a block mapping, whole lines. Empty when there is no such key. */
export function removeKey(text: string, object: YamlObject, path: readonly string[]): readonly TextEdit[] {
  const mapping = nodeAt(object.root, path.slice(0, -1));
  const name = path.at(-1);
  if (mapping?.kind !== 'mapping' || mapping.style === 'flow') return [];
  const entry = mapping.entries.find(({ key }) => keyName(key) === name);
  if (entry === undefined) return [];
  const start = startOfLine(text, object.toOffset(entry.key.start));
  const end = endOfLine(text, Math.max(endOf(entry.key, object), endOf(entry.value, object)));
  const lineBreak = /^(?:\r\n|\r|\n)/.exec(text.slice(end))?.[0].length ?? 0;
  return [{ start, end: end + lineBreak, text: '' }];
}

/** Offset after the last character that belongs to the node. */
function endOf(node: Node, object: YamlObject): number {
  switch (node.kind) {
    case 'scalar':
      // What is not written stands, for the parser, at the next token; its tag or anchor is the last that is written.
      if (node.start === node.end && (node.tag ?? node.anchor) !== undefined) return object.toOffset(node.tagStart);
      return object.toOffset(Math.max(node.end, node.block?.headerEnd ?? 0));
    case 'alias':
      return object.toOffset(node.end);
    case 'sequence':
      if (node.style === 'flow' && node.end > node.start) return object.toOffset(node.end);
      return Math.max(object.toOffset(node.start), ...node.items.map((item) => endOf(item, object)));
    case 'mapping':
      if (node.style === 'flow' && node.end > node.start) return object.toOffset(node.end);
      return Math.max(
        object.toOffset(node.start),
        ...node.entries.flatMap(({ key, value }) => [endOf(key, object), endOf(value, object)]),
      );
  }
}

const lineBreakOf = (text: string): string => (text.includes('\r\n') ? '\r\n' : '\n');

function startOfLine(text: string, offset: number): number {
  return Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1;
}

function endOfLine(text: string, offset: number): number {
  const end = /[\r\n]/.exec(text.slice(offset));
  return end === null ? text.length : offset + end.index;
}

function columnOf(text: string, offset: number): number {
  const start = startOfLine(text, offset);
  return offset - start - (start === 0 && text.startsWith('\ufeff') ? 1 : 0);
}
