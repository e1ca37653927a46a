/**
 * Versions as Flux reads them: Masterminds/semver v3.5.0 `NewVersion` behind fluxcd/pkg `version.ParseVersion`.
 * This is not npm's grammar: `v1.02.3` and `1-a.b.c` are versions, `1.2` and `=1.2.3` are not.
 */

/** A number of a version. Kept as `number` up to 2^53-1 and as `bigint` above, so that mixed comparison stays exact. */
export type Segment = number | bigint;

export interface Version {
  readonly major: Segment;
  readonly minor: Segment;
  readonly patch: Segment;
  /** Without the hyphen; empty for a release. */
  readonly prerelease: string;
  /** The text it was read from. */
  readonly original: string;
}

const longestVersion = 256;
const largestSegment = 2n ** 64n - 1n;

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
/** `[0-9A-Za-z-]` */
const isIdentifier = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 45;

/** Reads `text[start..end)`, digits only. Undefined above 2^64-1. */
function segmentOf(text: string, start: number, end: number): Segment | undefined {
  if (end - start <= 15) {
    let value = 0;
    for (let at = start; at < end; at += 1) value = value * 10 + (text.charCodeAt(at) - 48);
    return value;
  }
  const value = BigInt(text.slice(start, end));
  if (value > largestSegment) return undefined;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** End of a dot-separated list of identifiers from `start`, or -1 when one is empty. */
function endOfIdentifiers(text: string, start: number, leadingZeros: 'allowed' | 'refused'): number {
  let at = start;
  for (;;) {
    const from = at;
    let isNumeric = true;
    for (; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (!isIdentifier(code)) break;
      if (isNumeric && !isDigit(code)) isNumeric = false;
    }
    if (at === from) return -1;
    if (leadingZeros === 'refused' && isNumeric && at - from > 1 && text.charCodeAt(from) === 48) return -1;
    if (text.charCodeAt(at) !== 46) return at;
    at += 1;
  }
}

/** `v?D(.D)?(.D)?(-pre)?(+meta)?`, the whole text. Undefined when it is not a version. */
export function parseLooseVersion(text: string): Version | undefined {
  const length = text.length;
  if (length > longestVersion) return undefined;
  let at = text.charCodeAt(0) === 118 ? 1 : 0;
  let start = at;
  while (at < length && isDigit(text.charCodeAt(at))) at += 1;
  if (at === start) return undefined;
  const major = segmentOf(text, start, at);
  if (major === undefined) return undefined;
  let minor: Segment = 0;
  let patch: Segment = 0;
  for (let part = 0; part < 2 && text.charCodeAt(at) === 46; part += 1) {
    start = at + 1;
    at = start;
    while (at < length && isDigit(text.charCodeAt(at))) at += 1;
    if (at === start) return undefined;
    const value = segmentOf(text, start, at);
    if (value === undefined) return undefined;
    if (part === 0) minor = value;
    else patch = value;
  }
  let prerelease = '';
  if (text.charCodeAt(at) === 45) {
    const end = endOfIdentifiers(text, at + 1, 'refused');
    if (end === -1) return undefined;
    prerelease = text.slice(at + 1, end);
    at = end;
  }
  if (text.charCodeAt(at) === 43) {
    at = endOfIdentifiers(text, at + 1, 'allowed');
    if (at === -1) return undefined;
  }
  return at === length ? { major, minor, patch, prerelease, original: text } : undefined;
}

/**
 * A tag as a version: Flux wants two dots anywhere in the tag before it even tries.
 * Undefined when Flux would skip the tag as "not a version".
 */
export function parseVersion(tag: string): Version | undefined {
  const first = tag.charCodeAt(0);
  if (!isDigit(first) && first !== 118) return undefined;
  const dot = tag.indexOf('.');
  if (dot === -1 || tag.indexOf('.', dot + 1) === -1) return undefined;
  return parseLooseVersion(tag);
}

/** Precedence of SemVer 2; build metadata does not count. Negative, 0 or positive. */
export function compareVersions(a: Version, b: Version): number {
  if (a.major !== b.major) return a.major < b.major ? -1 : 1;
  if (a.minor !== b.minor) return a.minor < b.minor ? -1 : 1;
  if (a.patch !== b.patch) return a.patch < b.patch ? -1 : 1;
  if (a.prerelease === b.prerelease) return 0;
  if (a.prerelease === '') return 1;
  if (b.prerelease === '') return -1;
  return comparePrereleases(a.prerelease, b.prerelease);
}

/** Compares two prerelease texts; either may be empty, which then is the lower one. */
export function comparePrereleases(a: string, b: string): number {
  if (a === b) return 0;
  const left = a.split('.');
  const right = b.split('.');
  const length = Math.max(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const order = comparePart(left[index] ?? '', right[index] ?? '');
    if (order !== 0) return order;
  }
  return 0;
}

const digits = /^[0-9]+$/;

function comparePart(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '') return -1;
  if (b === '') return 1;
  // A run of digits above 2^64-1 counts as text, because Go's ParseUint refuses it.
  const x = digits.test(a) ? segmentOf(a, 0, a.length) : undefined;
  const y = digits.test(b) ? segmentOf(b, 0, b.length) : undefined;
  if (x === undefined && y === undefined) return a > b ? 1 : -1;
  if (y === undefined) return -1;
  if (x === undefined) return 1;
  return x > y ? 1 : -1;
}
