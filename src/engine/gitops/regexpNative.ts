/**
 * Go patterns as JavaScript's own RegExp, where that gives the same answer in time that cannot run away. re2js, which runs
 * every pattern in linear time, needs several microseconds per tag; this needs a fraction of one.
 *
 * The same answer: RE2 prefers the same match as a backtracking engine does, with two exceptions that are left to re2js.
 * JavaScript throws an iteration away that matched nothing, and it forgets the groups of the iteration before.
 *
 * The time: a backtracking engine tries a choice again when what follows fails. That costs nothing where the next
 * character alone decides, which is so when the first characters of all ways on are disjoint. The choices where it does
 * not are counted, and inside a repetition there may be none.
 */
import { type AsciiSet, type Expression, everything, parseExpression } from './regexpSyntax.ts';

/** Tags have 128 characters at most; what a longer text costs is not promised. */
export const longestNative = 256;
/** Repetitions that may end in several places, the start of an unanchored search among them: the power of the length. */
const mostOpenEnds = 2;
/** Alternatives that start alike, outside of repetitions: each may double the work. */
const mostForks = 6;

/**
 * A RegExp that answers as RE2 for texts of at most {@link longestNative} ASCII characters without line breaks; undefined
 * where that is not certain.
 */
export function nativePattern(source: string): RegExp | undefined {
  const expression = parseExpression(source);
  if (expression === undefined || !isSameInJavaScript(expression) || !isBounded(expression)) return undefined;
  try {
    const source = write(expression);
    return new RegExp(startsAnywhere(expression) ? `^(?:${source})` : source);
  } catch {
    return undefined;
  }
}

function isNullable(expression: Expression): boolean {
  switch (expression.kind) {
    case 'set':
      return false;
    case 'assertion':
      return true;
    case 'sequence':
      return expression.items.every(isNullable);
    case 'choice':
      return expression.items.some(isNullable);
    case 'capture':
      return isNullable(expression.body);
    case 'repeat':
      return expression.min === 0 || isNullable(expression.body);
  }
}

function isSameInJavaScript(expression: Expression): boolean {
  switch (expression.kind) {
    case 'set':
    case 'assertion':
      return true;
    case 'sequence':
    case 'choice':
      return expression.items.every(isSameInJavaScript);
    case 'capture':
      return isSameInJavaScript(expression.body);
    case 'repeat': {
      const { body, max } = expression;
      if (isNullable(body) || !isSameInJavaScript(body)) return false;
      return max <= 1 || capturesOf(body) === capturesAlwaysSet(body);
    }
  }
}

function capturesOf(expression: Expression): number {
  switch (expression.kind) {
    case 'set':
    case 'assertion':
      return 0;
    case 'sequence':
    case 'choice':
      return expression.items.reduce((sum, item) => sum + capturesOf(item), 0);
    case 'capture':
      return 1 + capturesOf(expression.body);
    case 'repeat':
      return capturesOf(expression.body);
  }
}

/** How many groups every way through the expression sets. */
function capturesAlwaysSet(expression: Expression): number {
  switch (expression.kind) {
    case 'set':
    case 'assertion':
    case 'choice':
      return 0;
    case 'sequence':
      return expression.items.reduce((sum, item) => sum + capturesAlwaysSet(item), 0);
    case 'capture':
      return 1 + capturesAlwaysSet(expression.body);
    case 'repeat':
      return expression.min === 0 ? 0 : capturesAlwaysSet(expression.body);
  }
}

/** The characters a match of the expression can start with. */
function firstOf(expression: Expression): AsciiSet {
  switch (expression.kind) {
    case 'set':
      return expression.set;
    case 'assertion':
      return 0n;
    case 'choice':
      return expression.items.reduce((set, item) => set | firstOf(item), 0n);
    case 'sequence': {
      let set: AsciiSet = 0n;
      for (const item of expression.items) {
        set |= firstOf(item);
        if (!isNullable(item)) break;
      }
      return set;
    }
    case 'capture':
      return firstOf(expression.body);
    case 'repeat':
      return expression.max === 0 ? 0n : firstOf(expression.body);
  }
}

interface Cost {
  openEnds: number;
  forks: number;
  insideRepeats: number;
}

/**
 * Whether the expression starts with `.*`: what matches somewhere then matches from the start of the text, as long as there
 * is no line break in it.
 */
function startsAnywhere(expression: Expression): boolean {
  switch (expression.kind) {
    case 'sequence':
      return expression.items[0] !== undefined && startsAnywhere(expression.items[0]);
    case 'choice':
      return expression.items.every(startsAnywhere);
    case 'capture':
      return startsAnywhere(expression.body);
    case 'repeat': {
      const { body, min, max } = expression;
      return (
        min === 0 && max === Number.POSITIVE_INFINITY && body.kind === 'set' && (body.set | (1n << 10n)) === everything
      );
    }
    default:
      return false;
  }
}

function isBounded(expression: Expression): boolean {
  const isFixed = isAnchored(expression) || startsAnywhere(expression);
  const cost: Cost = { openEnds: isFixed ? 0 : 1, forks: 0, insideRepeats: 0 };
  count(expression, 0n, 'outside', cost);
  return cost.insideRepeats === 0 && cost.openEnds <= mostOpenEnds && cost.forks <= mostForks;
}

function isAnchored(expression: Expression): boolean {
  switch (expression.kind) {
    case 'assertion':
      return expression.what === 'text-start';
    case 'sequence':
      return expression.items[0] !== undefined && isAnchored(expression.items[0]);
    case 'choice':
      return expression.items.every(isAnchored);
    case 'capture':
      return isAnchored(expression.body);
    default:
      return false;
  }
}

/** Counts the choices that the next character does not decide. `follow`: the characters that may come behind. */
function count(expression: Expression, follow: AsciiSet, where: 'outside' | 'in-repeat', cost: Cost): void {
  const add = (what: 'openEnds' | 'forks', by = 1): void => {
    if (where === 'in-repeat') cost.insideRepeats += by;
    else cost[what] += by;
  };
  switch (expression.kind) {
    case 'set':
    case 'assertion':
      return;
    case 'capture':
      count(expression.body, follow, where, cost);
      return;
    case 'sequence': {
      let behind = follow;
      for (const item of expression.items.toReversed()) {
        count(item, behind, where, cost);
        behind = firstOf(item) | (isNullable(item) ? behind : 0n);
      }
      return;
    }
    case 'choice': {
      let seen: AsciiSet = 0n;
      for (const item of expression.items) {
        const first = firstOf(item) | (isNullable(item) ? follow : 0n);
        if ((first & seen) !== 0n) add('forks');
        seen |= first;
        count(item, follow, where, cost);
      }
      return;
    }
    case 'repeat': {
      const { body, min, max } = expression;
      const first = firstOf(body);
      if ((first & follow) !== 0n && min !== max) add(max > 1 ? 'openEnds' : 'forks');
      count(body, max > 1 ? first | follow : follow, max > 1 ? 'in-repeat' : where, cost);
    }
  }
}

/** Source of a RegExp without flags. */
function write(expression: Expression): string {
  switch (expression.kind) {
    case 'set':
      return writeSet(expression.set);
    case 'assertion':
      return assertions[expression.what];
    case 'sequence':
      return expression.items.map((item) => (item.kind === 'choice' ? `(?:${write(item)})` : write(item))).join('');
    case 'choice':
      return expression.items.map((item) => (item.kind === 'choice' ? `(?:${write(item)})` : write(item))).join('|');
    case 'capture':
      return `(${write(expression.body)})`;
    case 'repeat': {
      const { body, min, max, mode } = expression;
      const text = body.kind === 'set' || body.kind === 'capture' ? write(body) : `(?:${write(body)})`;
      const times = min === max ? `{${min}}` : `{${min},${max === Number.POSITIVE_INFINITY ? '' : max}}`;
      return text + times + (mode === 'lazy' ? '?' : '');
    }
  }
}

const assertions = {
  'text-start': '^',
  'text-end': '$',
  'line-start': '(?<![^\\n])',
  'line-end': '(?![^\\n])',
  'word-edge': '\\b',
  'no-word-edge': '\\B',
} as const;

function writeSet(set: AsciiSet): string {
  let text = '';
  for (let code = 0; code < 128; code += 1) {
    if (((set >> BigInt(code)) & 1n) === 0n) continue;
    const from = code;
    while (code < 127 && ((set >> BigInt(code + 1)) & 1n) === 1n) code += 1;
    text += from === code ? escaped(from) : `${escaped(from)}-${escaped(code)}`;
  }
  return `[${text}]`;
}

const escaped = (code: number): string => `\\x${code.toString(16).padStart(2, '0')}`;
