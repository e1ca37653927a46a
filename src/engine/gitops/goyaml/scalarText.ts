/** What quoted texts and folded lines mean. */

/** A line break as it goes into a value: all but LS and PS become `\n`. */
export const lineBreak = (code: number): string =>
  code === 0x2028 || code === 0x2029 ? String.fromCharCode(code) : '\n';

/** Line folding: one break is a space, each further one is kept. `gap` is the white space between two words. */
export function foldBreaks(gap: string): string {
  const breaks = gap.match(/\r\n|[\r\n\u0085\u2028\u2029]/g) ?? [];
  const [first, ...rest] = breaks.map((text) => lineBreak(text.charCodeAt(0)));
  if (first === undefined) return gap;
  if (first !== '\n') return first + rest.join('');
  return rest.length === 0 ? ' ' : rest.join('');
}

const foldable = /[ \t]*(?:\r\n|[\r\n\u0085\u2028\u2029])(?:[ \t]|\r\n|[\r\n\u0085\u2028\u2029])*/g;

export function unquoteSingle(inside: string): string {
  return inside.replaceAll(foldable, (gap) => foldBreaks(gap)).replaceAll("''", "'");
}

const escapes: Readonly<Record<string, string>> = {
  '0': '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  '\t': '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  "'": "'",
  '\\': '\\',
  N: '\u0085',
  _: '\u00a0',
  L: '\u2028',
  P: '\u2029',
};

export function unquoteDouble(inside: string): string {
  const pieces =
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r\n|[\r\n\u0085\u2028\u2029])((?:[ \t]|\r\n|[\r\n\u0085\u2028\u2029])*)|([\s\S]))|([ \t]*(?:\r\n|[\r\n\u0085\u2028\u2029])(?:[ \t]|\r\n|[\r\n\u0085\u2028\u2029])*)/g;
  return inside.replaceAll(pieces, (_all, x, u, long, joined, rest, simple, gap) => {
    const hex = x ?? u ?? long;
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (joined !== undefined) return (rest.match(/\r\n|[\r\n\u0085\u2028\u2029]/g) ?? []).map(() => '\n').join('');
    if (simple !== undefined) return escapes[simple] ?? simple;
    return foldBreaks(gap);
  });
}
