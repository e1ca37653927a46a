/**
 * Go regular expressions (RE2) and Go's replacement templates, as Flux's `filterTags` and `exclusionList` use them.
 * `re2js` decides what is valid and is the engine for anything unusual, and for texts that can be no tags.
 */
import { RE2JS } from 're2js';
import { longestNative, nativePattern } from './regexpNative.ts';
import { inPlainSyntax } from './regexpPlain.ts';

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
  const readable = inPlainSyntax(source);
  const { names, unique } = groupNames(readable);
  let re2: RE2JS;
  try {
    re2 = RE2JS.compile(unique);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { error: message.replace(unique, source) };
  }
  const slow = {
    test: (text: string) => re2.test(text),
    groups: (text: string) => {
      const found = re2.exec(text);
      return found === null
        ? undefined
        : found.map((group: unknown) => (typeof group === 'string' ? group : undefined));
    },
  };
  const native = nativePattern(readable);
  if (native === undefined) return { source, names, ...slow };
  return {
    source,
    names,
    test: endingOf(source) ?? ((text) => (isTagLike(text) ? native.test(text) : slow.test(text))),
    groups: (text) => (isTagLike(text) ? (native.exec(text) ?? undefined) : slow.groups(text)),
  };
}

/** `^.*\.sig$`, which every repository has unless it says otherwise, and its like. */
function endingOf(source: string): Pattern['test'] | undefined {
  const written = /^\^\.\*((?:\\[.+-]|[\w-])+)\$$/.exec(source)?.[1];
  if (written === undefined) return undefined;
  const ending = written.replaceAll('\\', '');
  const last = ending.charCodeAt(ending.length - 1);
  // The last character alone sorts nearly every tag out.
  return (text) => text.charCodeAt(text.length - 1) === last && text.endsWith(ending) && !text.includes('\n');
}

function isTagLike(text: string): boolean {
  const { length } = text;
  if (length > longestNative) return false;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 127 || code === 10) return false;
  }
  return true;
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

/** Puts the groups of one match into a template. */
export type Expand = (groups: readonly (string | undefined)[]) => string;

/** The template for one pattern; unknown, out-of-range and unmatched groups are empty. */
export function expander(template: Template, names: Pattern['names']): Expand {
  // A name may belong to several groups, of which the first that matched counts.
  const parts = template.map((part) => {
    if (typeof part === 'string') return part;
    if ('group' in part) return [part.group];
    return names.flatMap((name, index) => (name === part.name ? [index] : []));
  });
  const [first] = parts;
  const only = parts.length === 1 && typeof first === 'object' && first.length === 1 ? first[0] : undefined;
  if (only !== undefined) return (groups) => groups[only] ?? '';
  return (groups) => {
    let text = '';
    for (const part of parts) {
      if (typeof part === 'string') text += part;
      else text += groups[part.find((group) => groups[group] !== undefined) ?? -1] ?? '';
    }
    return text;
  };
}
