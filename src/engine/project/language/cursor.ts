import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  visit,
} from 'yaml';
import type { Position, Range } from '../../problems/index.ts';
import type { Path } from './shapes.ts';

/** Where a person types: which part of the file's structure, and which characters would be replaced. */
export interface Cursor {
  /** `key`: `path` is the map that gets the key. `value`: `path` is the value itself. */
  readonly part: 'key' | 'value';
  readonly path: Path;
  /** The word under the cursor; both quotes of a quoted one stay outside. */
  readonly replace: Range;
  readonly word: string;
  readonly quote: '"' | "'" | 'none';
  /** `flow`: inside of `[]` or `{}`. */
  readonly style: 'block' | 'flow';
  /** The key is there with its colon already. */
  readonly colon: 'written' | 'missing';
  /** Keys that the map has besides this one. */
  readonly siblings: readonly string[];
  /** A word alone in its line may become a key, a value or a list item. */
  readonly isAlone: boolean;
  /** The whole file as data, without the word. */
  readonly value: unknown;
}

/** Stands for the word under the cursor while the rest is parsed; nobody writes it by themselves. */
const MARK = 'slipway--cursor';

/** Undefined where nothing is to be completed: comments, block texts, places that YAML cannot make sense of. */
export function cursorAt(text: string, position: Position): Cursor | undefined {
  const lines = text.split('\n');
  const line = (lines[position.line] ?? '').replace(/\r$/, '');
  const before = line.slice(0, position.character);
  const after = line.slice(position.character);
  if (isComment(before)) return undefined;
  const quoted = /(?:^|[\s[{,:])(["'])((?:(?!\1).)*)$/.exec(before);
  const quote = (quoted?.[1] ?? 'none') as Cursor['quote'];
  const head = quoted?.[2] ?? /[^\s,[\]{}"']*$/.exec(before)?.[0] ?? '';
  const tail = (quote === 'none' ? /^[^\s,[\]{}"':]*/ : new RegExp(`^[^${quote}]*`)).exec(after)?.[0] ?? '';
  const start = position.character - head.length;
  const end = position.character + tail.length;
  const rest = line.slice(quote === 'none' ? end : end + 1);
  const lead = line.slice(0, quote === 'none' ? start : start - 1);
  const isAlone = /^\s*(- +)*$/.test(lead) && /^\s*(#.*)?$/.test(rest);
  const marked = `${line.slice(0, start)}${MARK}${isAlone && quote === 'none' ? ':' : ''}${line.slice(end)}`;
  const document = parseDocument(
    [...lines.slice(0, position.line), marked, ...lines.slice(position.line + 1)].join('\n'),
    {
      prettyErrors: false,
      logLevel: 'silent',
      uniqueKeys: false,
    },
  );
  const found = findMark(document);
  if (found === undefined) return undefined;
  const { part, ancestors } = found;
  const path = pathOf(ancestors, found.node);
  const holder = ancestors.findLast((node) => isMap(node));
  return {
    part,
    path: part === 'key' ? path.slice(0, -1) : path,
    replace: { start: { line: position.line, character: start }, end: { line: position.line, character: end } },
    word: head + tail,
    quote,
    style: ancestors.some((node) => isCollection(node) && node.flow === true) ? 'flow' : 'block',
    colon: /^\s*:(\s|$)/.test(rest) ? 'written' : 'missing',
    siblings:
      part === 'key' && isMap(holder)
        ? holder.items.flatMap(({ key }) => (isScalar(key) && key.value !== MARK ? [String(key.value)] : []))
        : [],
    isAlone,
    value: plain(document),
  };
}

/** A `#` behind a blank, outside of quotes. */
function isComment(before: string): boolean {
  return /(^|\s)#/.test(before.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, (quoted) => 'q'.repeat(quoted.length)));
}

function findMark(document: Document) {
  let found:
    | { readonly part: 'key' | 'value'; readonly node: Node; readonly ancestors: readonly unknown[] }
    | undefined;
  visit(document, {
    Scalar(key, node, ancestors) {
      if (node.value !== MARK) return undefined;
      found = { part: key === 'key' ? 'key' : 'value', node, ancestors: [...ancestors] };
      return visit.BREAK;
    },
  });
  return found;
}

/** Keys and indices from the document down to the node. */
export function pathOf(ancestors: readonly unknown[], node: unknown): Path {
  const chain = [...ancestors, node];
  return chain.flatMap((each, index): Path => {
    const parent = chain[index - 1];
    if (isPair(each)) return [isScalar(each.key) ? String(each.key.value) : ''];
    if (isSeq(parent)) return [parent.items.indexOf(each)];
    return [];
  });
}

function plain(document: Document): unknown {
  const convert = (node: unknown, depth: number): unknown => {
    const real = isAlias(node) ? node.resolve(document) : node;
    if (depth > 32 || !isNode(real)) return null;
    if (isMap(real)) {
      return Object.fromEntries(
        real.items.flatMap(({ key, value }) =>
          isScalar(key) && key.value !== MARK ? [[String(key.value), convert(value, depth + 1)]] : [],
        ),
      );
    }
    if (isSeq(real)) return real.items.map((item) => convert(item, depth + 1));
    return isScalar(real) && real.value !== MARK ? real.value : null;
  };
  return convert(document.contents, 0);
}
