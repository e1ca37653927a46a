/** Version constraints of Masterminds/semver v3.5.0, which Flux (2.9) and Argo CD Image Updater use. */
import { comparePrereleases, compareVersions, parseLooseVersion, type Version } from './version.ts';

type Operator = '' | '=' | '!=' | '>' | '<' | '>=' | '=>' | '<=' | '=<' | '~' | '~>' | '^';

interface Comparator {
  readonly operator: Operator;
  readonly version: Version;
  /** The version's text as it was written, for messages. */
  readonly written: string;
  /**
   * How much of the version was given: `exact` three numbers, `patch` major.minor, `minor` only major,
   * `all` a wildcard in front (which the rules treat as 0.0.0, not always as "any").
   */
  readonly open: 'exact' | 'patch' | 'minor' | 'all';
}

interface Group {
  readonly comparators: readonly Comparator[];
  /** One comparator with a prerelease lets prereleases into the whole group. */
  readonly prereleases: 'considered' | 'ignored';
}

export interface Constraint {
  readonly text: string;
  readonly groups: readonly Group[];
}

export interface ConstraintError {
  readonly error: string;
}

const longestConstraint = 512;
const mostGroups = 32;

const number = '[0-9|xX*]+';
const identifiers = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const partial = `v?(${number})(\\.${number})?(\\.${number})?(-${identifiers})?(?:\\+${identifiers})?`;
const space = '[\\t\\n\\f\\r ]';
const wholePartial = new RegExp(`^${partial}$`);
const hyphenRange = new RegExp(
  `${space}*(${partial.replaceAll(/\((?!\?)/g, '(?:')})${space}+-${space}+(${partial.replaceAll(/\((?!\?)/g, '(?:')})${space}*`,
  'g',
);
const operators: ReadonlySet<string> = new Set(['', '=', '!=', '>', '<', '>=', '=>', '<=', '=<', '~', '~>', '^']);

const isSpace = (character: string | undefined): boolean =>
  character === ' ' || character === '\t' || character === '\n' || character === '\f' || character === '\r';

/** Reads a constraint. `error` says what Flux would refuse (the policy becomes Stalled, `InvalidPolicy`). */
export function parseConstraint(text: string): Constraint | ConstraintError {
  if (Buffer.byteLength(text) > longestConstraint) {
    return { error: `the range is longer than ${longestConstraint} bytes` };
  }
  // Each hyphen range is replaced at the first place where its text occurs, as Go's strings.Replace(…, 1) does.
  let rewritten = text;
  for (const [matched, from, to] of text.matchAll(hyphenRange)) {
    rewritten = rewritten.replace(matched, () => `>= ${from}, <= ${to} `);
  }
  const sides = rewritten.split('||');
  if (sides.length > mostGroups) return { error: `the range has more than ${mostGroups} alternatives` };
  const groups: Group[] = [];
  for (const side of sides) {
    const group = parseGroup(side);
    if ('error' in group) return group;
    groups.push(group);
  }
  return { text, groups };
}

function parseGroup(side: string): Group | ConstraintError {
  const comparators: Comparator[] = [];
  const length = side.length;
  let at = 0;
  const skipSpace = (): void => {
    while (at < length && isSpace(side[at])) at += 1;
  };
  skipSpace();
  if (at === length) return { error: sideError(side) };
  for (;;) {
    const operatorStart = at;
    while (at < length && '=!<>~^'.includes(side[at] ?? ' ')) at += 1;
    const operator = side.slice(operatorStart, at);
    skipSpace();
    const start = at;
    while (at < length && !isSpace(side[at]) && side[at] !== ',') at += 1;
    const comparator = parseComparator(operator, side.slice(start, at));
    if (comparator === undefined) return { error: sideError(side) };
    comparators.push(comparator);
    skipSpace();
    if (at === length) break;
    if (side[at] === ',') {
      at += 1;
      skipSpace();
      if (at === length) return { error: sideError(side) };
    }
  }
  const isOpen = comparators.some(({ version }) => version.prerelease !== '');
  return { comparators, prereleases: isOpen ? 'considered' : 'ignored' };
}

function sideError(side: string): string {
  return side.trim() === '' ? 'a side of the range is empty' : `"${side.trim()}" is not a version range`;
}

const isWildcard = (part: string): boolean => part === 'x' || part === 'X' || part === '*';

function parseComparator(operator: string, written: string): Comparator | undefined {
  if (!operators.has(operator)) return undefined;
  const match = wholePartial.exec(written);
  if (match === null) return undefined;
  const major = match[1] ?? '';
  const minor = match[2]?.slice(1) ?? '';
  const patch = match[3]?.slice(1) ?? '';
  const prerelease = match[4] ?? '';
  let open: Comparator['open'] = 'exact';
  let text = written;
  if (isWildcard(major)) {
    open = 'all';
    text = `0.0.0${prerelease}`;
  } else if (minor === '' || isWildcard(minor)) {
    open = 'minor';
    text = `${major}.0.0${prerelease}`;
  } else if (patch === '' || isWildcard(patch)) {
    open = 'patch';
    text = `${major}.${minor}.0${prerelease}`;
  }
  const version = parseLooseVersion(text);
  return version === undefined ? undefined : { operator: operator as Operator, version, written, open };
}

/** Whether the constraint admits the version. */
export function satisfies(constraint: Constraint, version: Version): boolean {
  for (const { comparators, prereleases } of constraint.groups) {
    if (version.prerelease !== '' && prereleases === 'ignored') continue;
    if (comparators.every((comparator) => admits(comparator, version))) return true;
  }
  return false;
}

/** Why the constraint does not admit the version, in words; undefined when it does. */
export function whyNot(constraint: Constraint, version: Version): string | undefined {
  if (satisfies(constraint, version)) return undefined;
  if (version.prerelease !== '' && constraint.groups.every(({ prereleases }) => prereleases === 'ignored')) {
    return `it is a prerelease (-${version.prerelease}) and the range "${constraint.text}" names none; "-0" in it would let prereleases in`;
  }
  const reasons = constraint.groups.map(({ comparators, prereleases }) => {
    if (version.prerelease !== '' && prereleases === 'ignored') return 'it is a prerelease';
    const failed = comparators.find((comparator) => !admits(comparator, version));
    return failed === undefined ? '' : `it is not ${failed.operator}${failed.written}`;
  });
  return [...new Set(reasons)].join(', and ');
}

function admits(comparator: Comparator, version: Version): boolean {
  const { operator, version: bound, open } = comparator;
  switch (operator) {
    case '':
    case '=':
      return open === 'exact' ? compareVersions(version, bound) === 0 : inTilde(comparator, version);
    case '~':
    case '~>':
      return inTilde(comparator, version);
    case '^':
      return inCaret(comparator, version);
    case '!=':
      return differs(comparator, version);
    case '<':
      return compareVersions(version, bound) < 0;
    case '>=':
    case '=>':
      return compareVersions(version, bound) >= 0;
    case '<=':
    case '=<':
      if (open === 'exact') return compareVersions(version, bound) <= 0;
      if (version.major > bound.major) return false;
      return open === 'minor' || version.major !== bound.major || version.minor <= bound.minor;
    case '>':
      if (open === 'exact') return compareVersions(version, bound) > 0;
      if (version.major !== bound.major) return version.major > bound.major;
      if (open === 'minor') return false;
      if (open === 'patch') return version.minor > bound.minor;
      return compareVersions(version, bound) > 0;
  }
}

function inTilde({ version: bound, open }: Comparator, version: Version): boolean {
  if (compareVersions(version, bound) < 0) return false;
  // `~0.0.0` (and `*`, which reads as 0.0.0) admits everything from there on.
  const isZero = bound.major === 0 && bound.minor === 0 && bound.patch === 0;
  if (isZero && (open === 'exact' || open === 'all')) return true;
  return version.major === bound.major && (open === 'minor' || version.minor === bound.minor);
}

function inCaret({ version: bound, open }: Comparator, version: Version): boolean {
  if (compareVersions(version, bound) < 0) return false;
  if (bound.major > 0 || open === 'minor') return version.major === bound.major;
  if (version.major > 0) return false;
  if (bound.minor > 0 || open === 'patch') return version.minor === bound.minor;
  return version.minor === 0 && version.patch === bound.patch;
}

function differs({ version: bound, open }: Comparator, version: Version): boolean {
  if (open === 'exact') return compareVersions(version, bound) !== 0;
  if (version.major !== bound.major) return true;
  if (open === 'minor') return false;
  if (version.minor !== bound.minor) return true;
  if (open === 'patch') {
    // An oddity kept on purpose: inside the block only the prerelease texts are compared.
    const hasPrerelease = version.prerelease !== '' || bound.prerelease !== '';
    return hasPrerelease && comparePrereleases(version.prerelease, bound.prerelease) !== 0;
  }
  return version.patch !== bound.patch || compareVersions(version, bound) !== 0;
}
