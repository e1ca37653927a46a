/**
 * Go regular expressions (RE2) and Go's replacement templates, as Flux's `filterTags` and `exclusionList` use them.
 * `re2js` decides what is valid and is the engine for anything unusual. It needs microseconds per tag, so patterns
 * from a subset that means the same in JavaScript (and cannot backtrack badly there) run as a native RegExp.
 */
import { RE2JS } from 're2js';

export interface Pattern {
  readonly source: string;
  /** True when the pattern occurs anywhere in the text. */
  readonly test: (text: string) => boolean;
  /** The groups of the leftmost match; `[0]` is the whole match, absent groups are undefined. */
  readonly groups: (text: string) => readonly (string | undefined)[] | undefined;
  /** Names by group number; a name may occur twice, as in Go. */
  readonly names: readonly (string | undefined)[];
}

/** Compiles a Go pattern. `error` is the reason Go would give. */
export function compilePattern(source: string): Pattern | { readonly error: string } {
  const { names, unique } = groupNames(source);
  let re2: RE2JS;
  try {
    re2 = RE2JS.compile(unique);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { error: message.replace(unique, source) };
  }
  const native = translate(source);
  if (native !== undefined) {
    return { source, names, test: (text) => native.test(text), groups: (text) => native.exec(text) ?? undefined };
  }
  return {
    source,
    names,
    test: (text) => re2.test(text),
    groups: (text) => {
      const found = re2.exec(text);
      return found === null
        ? undefined
        : found.map((group: unknown) => (typeof group === 'string' ? group : undefined));
    },
  };
}

/** Go allows a group name twice and re2js does not, so later ones are renamed for it. */
function groupNames(source: string): { readonly names: (string | undefined)[]; readonly unique: string } {
  const names: (string | undefined)[] = [undefined];
  let unique = '';
  let at = 0;
  const copyTo = (end: number): void => {
    unique += source.slice(at, end);
    at = end;
  };
  while (at < source.length) {
    const character = source[at];
    if (character === '\\') {
      const close = source[at + 1] === 'Q' ? source.indexOf('\\E', at) : at;
      copyTo(close === -1 ? source.length : close + 2);
    } else if (character === '[') {
      copyTo(endOfClass(source, at));
    } else if (character === '(') {
      const named = /^\(\?P?<([0-9A-Za-z_]+)>/.exec(source.slice(at, at + 200));
      if (named?.[1] !== undefined) {
        const isTaken = names.includes(named[1]);
        unique += isTaken ? named[0].replace('>', `_again${names.length}>`) : named[0];
        at += named[0].length;
        names.push(named[1]);
      } else {
        if (source[at + 1] !== '?') names.push(undefined);
        copyTo(at + 1);
      }
    } else {
      copyTo(at + 1);
    }
  }
  return { names, unique };
}

/** The index after the `]` that closes the class at `start`. */
function endOfClass(source: string, start: number): number {
  let at = start + 1;
  if (source[at] === '^') at += 1;
  if (source[at] === ']') at += 1;
  for (; at < source.length; at += 1) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '[' && source[at + 1] === ':') {
      const close = source.indexOf(':]', at + 2);
      if (close !== -1) at = close + 1;
    } else if (source[at] === ']') return at + 1;
  }
  return source.length;
}

/** One atom of the subset: what it becomes in JavaScript, and whether repeating it can eat nearly everything. */
interface Atom {
  readonly text: string;
  readonly isWide: boolean;
  readonly isGroup: boolean;
}

/**
 * The pattern as a JavaScript RegExp with the same meaning, or undefined when it is outside the subset: literals, `.`,
 * `\d`, `\w`, simple classes, groups, alternatives, `^`, `$` and repetition. Repeated groups and several unbounded
 * repetitions next to each other stay with re2js, whose time is linear in the text.
 */
function translate(source: string): RegExp | undefined {
  const isFolding = source.startsWith('(?i)');
  let output = '';
  let at = isFolding ? 4 : 0;
  let depth = 0;
  let unbounded = 0;
  let wide = source.startsWith('^', at) || source.startsWith('\\A', at) ? 0 : 1;
  let isAfterUnbounded = false;
  while (at < source.length) {
    const character = source[at] ?? '';
    if (character === '|' || character === '^' || character === '$') {
      output += character;
      at += 1;
      isAfterUnbounded = false;
      continue;
    }
    let atom: Atom | undefined;
    if (character === '(') {
      const opened = /^\((?:\?:|\?P?<[0-9A-Za-z_]+>)?/.exec(source.slice(at, at + 200))?.[0] ?? '(';
      if (source[at + opened.length] === '?') return undefined;
      output += opened === '(?:' ? '(?:' : '(';
      at += opened.length;
      depth += 1;
      continue;
    }
    if (character === ')') {
      if (depth === 0) return undefined;
      depth -= 1;
      at += 1;
      atom = { text: ')', isWide: false, isGroup: true };
    } else if (character === '[') {
      const end = endOfClass(source, at);
      const text = translateClass(source.slice(at + 1, end - 1));
      if (text === undefined) return undefined;
      atom = { text: `[${text}]`, isWide: text.startsWith('^'), isGroup: false };
      at = end;
    } else if (character === '\\') {
      const text = translateEscape(source[at + 1]);
      if (text === undefined) return undefined;
      atom = { text, isWide: text.startsWith('[^'), isGroup: false };
      at += 2;
      if (text === '^' || text === '$') {
        if (/[*+?{]/.test(source[at] ?? '')) return undefined;
        output += text;
        isAfterUnbounded = false;
        continue;
      }
    } else if (character === '.') {
      atom = { text: '[^\\n]', isWide: true, isGroup: false };
      at += 1;
    } else if (/[*+?{}\]]/.test(character)) {
      return undefined;
    } else {
      const point = source.codePointAt(at) ?? 0;
      const text = String.fromCodePoint(point);
      atom = { text: text === '/' ? '\\/' : text, isWide: false, isGroup: false };
      at += text.length;
    }
    output += atom.text;
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(source.slice(at, at + 20))?.[0] ?? '';
    if (quantifier === '') {
      if (!atom.isGroup) isAfterUnbounded = false;
      continue;
    }
    const isUnbounded = /^(?:[*+]|\{\d+,\})/.test(quantifier);
    const isOptional = quantifier.startsWith('?');
    if (atom.isGroup && !isOptional) return undefined;
    if (isUnbounded || !isOptional) {
      if (isAfterUnbounded && !/^\{\d+\}/.test(quantifier)) return undefined;
      if (isUnbounded) {
        unbounded += 1;
        if (atom.isWide) wide += 1;
        isAfterUnbounded = true;
      }
    }
    if (unbounded > 5 || wide > 2) return undefined;
    output += quantifier;
    at += quantifier.length;
  }
  if (depth !== 0) return undefined;
  try {
    return new RegExp(output, isFolding ? 'iu' : 'u');
  } catch {
    return undefined;
  }
}

/** What `\\s`, `\\D` and so on are in Go, for use inside a class; the negated ones only stand alone. */
const perlClasses: Readonly<Record<string, string>> = { d: '0-9', w: '0-9A-Za-z_', s: '\\t\\n\\f\\r ' };
const posixClasses: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

function translateEscape(character: string | undefined): string | undefined {
  if (character === undefined) return undefined;
  const perl = perlClasses[character];
  if (perl !== undefined) return `[${perl}]`;
  const negated = /[DWS]/.test(character) ? perlClasses[character.toLowerCase()] : undefined;
  if (negated !== undefined) return `[^${negated}]`;
  if (character === 'A') return '^';
  if (character === 'z') return '$';
  return /[!-/:-@[-`{-~]/.test(character) ? codePoint(character) : undefined;
}

const codePoint = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/** The inside of a class without its brackets; undefined for what means something else in JavaScript. */
function translateClass(inside: string): string | undefined {
  let output = inside.startsWith('^') ? '^' : '';
  let at = output.length;
  while (at < inside.length) {
    const character = inside[at] ?? '';
    if (character === '[') {
      const named = /^\[:([a-z]+):\]/.exec(inside.slice(at, at + 12));
      const text = named?.[1] === undefined ? undefined : posixClasses[named[1]];
      if (named === null || text === undefined) return undefined;
      output += text;
      at += named[0].length;
    } else if (character === '\\') {
      const next = inside[at + 1] ?? '';
      const text = perlClasses[next] ?? (/[!-/:-@[-`{-~]/.test(next) ? codePoint(next) : undefined);
      if (text === undefined) return undefined;
      output += text;
      at += 2;
    } else if (character === '-') {
      const isRange = at > (inside.startsWith('^') ? 1 : 0) && at + 1 < inside.length;
      output += isRange ? '-' : codePoint('-');
      at += 1;
    } else {
      const text = String.fromCodePoint(inside.codePointAt(at) ?? 0);
      output += /[0-9A-Za-z]/.test(text) ? text : codePoint(text);
      at += text.length;
    }
  }
  return output === '' || output === '^' ? undefined : output;
}

export type Template = readonly (string | { readonly group: number } | { readonly name: string })[];

/**
 * Reads a Go `Regexp.Expand` template: `$name`, `${name}`, `$1`, `$$`. A bare name is the longest run of letters,
 * digits and `_`; a malformed `$` stays a `$`.
 */
export function parseTemplate(text: string): Template {
  const parts: (string | { group: number } | { name: string })[] = [];
  let literal = '';
  let at = 0;
  for (;;) {
    const dollar = text.indexOf('$', at);
    if (dollar === -1) break;
    literal += text.slice(at, dollar);
    at = dollar + 1;
    if (text[at] === '$') {
      literal += '$';
      at += 1;
      continue;
    }
    const reference = /^(?:\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/u.exec(text.slice(at));
    const name = reference?.[1] ?? reference?.[2];
    if (reference === null || name === undefined) {
      literal += '$';
      continue;
    }
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(/^(?:0|[1-9]\d{0,7})$/.test(name) ? { group: Number(name) } : { name });
    at += reference[0].length;
  }
  literal += text.slice(at);
  if (literal !== '') parts.push(literal);
  return parts;
}

/** The template with the groups of one match put in; unknown, out-of-range and unmatched groups are empty. */
export function expand(template: Template, groups: readonly (string | undefined)[], names: Pattern['names']): string {
  let text = '';
  for (const part of template) {
    if (typeof part === 'string') text += part;
    else if ('group' in part) text += groups[part.group] ?? '';
    else {
      const group = names.findIndex((name, index) => name === part.name && groups[index] !== undefined);
      if (group !== -1) text += groups[group] ?? '';
    }
  }
  return text;
}
