import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import type { Position, Range } from '../../problems/index.ts';
import { pathOf } from './cursor.ts';
import { descriptionAt, kindWords, type Path, shapesAt } from './shapes.ts';

/** A named part of slipway.yaml for outlines, breadcrumbs and lenses. */
export interface OutlineItem {
  readonly name: string;
  readonly detail: string;
  readonly kind: 'section' | 'image' | 'environment' | 'test' | 'command' | 'check' | 'service' | 'setting';
  readonly path: Path;
  /** The whole part, and its name. */
  readonly range: Range;
  readonly nameRange: Range;
  readonly children: readonly OutlineItem[];
}

/** What stands under a position: a key or a value, with its path. */
export interface Spot {
  readonly part: 'key' | 'value';
  readonly path: Path;
  readonly text: string;
  readonly range: Range;
  readonly value: unknown;
}

/** The parts of the file in its own order; what cannot be read is left out. */
export function outlineOf(text: string): readonly OutlineItem[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
  return mapItems(document.contents, [], { lines, text });
}

interface Source {
  readonly lines: LineCounter;
  readonly text: string;
}

function mapItems(node: unknown, path: Path, source: Source): readonly OutlineItem[] {
  if (!isMap(node)) return [];
  return node.items.flatMap(({ key, value }): OutlineItem[] => {
    if (!isScalar(key) || !key.range) return [];
    const name = String(key.value);
    const here = [...path, name];
    return [
      {
        name,
        detail: detailOf(value),
        kind: kindOf(here),
        path: here,
        range: rangeOf(key.range[0], endOf(value, key), source),
        nameRange: rangeOf(key.range[0], key.range[1], source),
        children: here.length > 3 ? [] : [...mapItems(value, here, source), ...listItems(value, here, source)],
      },
    ];
  });
}

/** Lists of maps: tests, commands, smoke checks. */
function listItems(node: unknown, path: Path, source: Source): readonly OutlineItem[] {
  if (!isSeq(node)) return [];
  return node.items.flatMap((item, index): OutlineItem[] => {
    if (!isMap(item) || !item.range) return [];
    const here = [...path, index];
    const [first] = item.items;
    const named = item.items.find(({ key }) => isScalar(key) && key.value === 'name') ?? first;
    const target = isNode(named?.value) ? named.value : isNode(named?.key) ? named.key : item;
    return [
      {
        name: isScalar(target) ? String(target.value) : `${index + 1}`,
        detail: '',
        kind: kindOf(here),
        path: here,
        range: rangeOf(item.range[0], endOf(item, item), source),
        nameRange: target.range
          ? rangeOf(target.range[0], target.range[1], source)
          : rangeOf(item.range[0], item.range[1], source),
        children: [],
      },
    ];
  });
}

function kindOf(path: Path): OutlineItem['kind'] {
  const [top, ...inside] = path;
  if (path.length === 1) return 'section';
  if (top === 'images' && inside.length === 1) return 'image';
  if (top === 'environments' && inside.length === 1) return 'environment';
  if (top === 'test' && inside.length === 1) return 'test';
  if (top === 'commands' && inside.length === 1) return 'command';
  return path.at(-2) === 'smoke' ? 'check' : path.at(-2) === 'services' ? 'service' : 'setting';
}

const detailOf = (value: unknown): string => (isScalar(value) && value.value !== null ? String(value.value) : '');

const endOf = (node: unknown, otherwise: Node): number =>
  (isNode(node) && node.range ? node.range[1] : undefined) ?? otherwise.range?.[1] ?? 0;

/** Trailing blank lines belong to nobody. */
function rangeOf(start: number, end: number, { lines, text }: Source): Range {
  const trimmed = Math.max(start, start + text.slice(start, end).trimEnd().length);
  return { start: position(lines, start), end: position(lines, trimmed) };
}

function position(lines: LineCounter, offset: number): Position {
  const at = lines.linePos(offset);
  return { line: Math.max(0, at.line - 1), character: Math.max(0, at.col - 1) };
}

/** The scalar under the position. */
export function spotAt(text: string, at: Position): Spot | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'silent',
    uniqueKeys: false,
  });
  const offset = (lines.lineStarts[at.line] ?? text.length) + at.character;
  let found: Spot | undefined;
  visit(document, {
    Scalar(key, node, ancestors) {
      if (!node.range || offset < node.range[0] || offset > node.range[1]) return undefined;
      found = {
        part: key === 'key' ? 'key' : 'value',
        path: pathOf(ancestors, node),
        text: String(node.value ?? ''),
        range: { start: position(lines, node.range[0]), end: position(lines, node.range[1]) },
        value: document.toJS({ maxAliasCount: 1_000 }),
      };
      return visit.BREAK;
    },
  });
  return found;
}

/** What the format says about the key (or the key of the value) at a spot, as Markdown. */
export function describeSpot({ path, value }: Spot): string | undefined {
  const lastKey = path.findLastIndex((part) => typeof part === 'string');
  const keyPath = path.slice(0, lastKey + 1);
  const description = descriptionAt(keyPath, value);
  const kind = kindWords(shapesAt(keyPath, value));
  if (kind === '' && description === undefined) return undefined;
  const name = keyPath.filter((part) => typeof part === 'string').join('.');
  return [
    `**${name}**${kind === '' ? '' : ` (${kind})`}`,
    ...(description === undefined ? [] : ['', description]),
  ].join('\n');
}
