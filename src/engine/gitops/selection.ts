/**
 * Which of many candidates Flux selects: the `Latest` of semver, alphabetical and numerical policies. One pass without
 * sorting; what a filter made of the tags comes beside them.
 */
import { type Constraint, satisfies } from './constraint.ts';
import { parseGoFloat } from './number.ts';
import { compareVersions, parseVersion, type Version } from './version.ts';

export type PolicyErrorCode =
  /** The policy itself is wrong; Flux reports Stalled. */
  | 'no-policy'
  | 'invalid-range'
  | 'invalid-order'
  | 'invalid-pattern'
  | 'invalid-exclusion'
  /** The policy is fine, the tags are not; Flux reports Ready=False and keeps the previous latestRef. */
  | 'no-tags'
  | 'none-in-range'
  | 'not-a-number';

export interface PolicyError {
  readonly code: PolicyErrorCode;
  /** In our words, naming the value that is wrong. */
  readonly message: string;
  /** What Flux's condition says, for recognising it. */
  readonly flux: string;
}

export interface Selection {
  /** The tag Flux selects. When `anyOf` has several, Flux's own answer changes from run to run; this is the first by bytes. */
  readonly latest?: string;
  /** All the tags Flux may answer with, in descending byte order. One, unless the result depends on Go's map order. */
  readonly anyOf: readonly string[];
  /** What the winner was compared as: the tag itself, or what `extract` made of it. */
  readonly candidate?: string;
  readonly error?: PolicyError;
}

export type Order = 'asc' | 'desc';
export type Rule =
  | { readonly kind: 'semver'; readonly constraint: Constraint }
  | { readonly kind: 'alphabetical' | 'numerical'; readonly order: Order };

/** Byte order of UTF-8. Tags are ASCII, where UTF-16 order is the same; anything else takes the slow road. */
export function compareBytes(a: string, b: string): number {
  const length = a.length < b.length ? a.length : b.length;
  for (let at = 0; at < length; at += 1) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x !== y) return x < 0xd800 && y < 0xd800 ? x - y : rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others, so they come after U+E000..U+FFFF. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);

/** Tags as a policy compares them. */
export interface Candidates {
  readonly texts: readonly string[];
  /**
   * Set when a filter ran, and then of the same length: the tag each text came from. Flux then takes the texts in Go's
   * random map order, and a text that several tags give belongs to the last of them in stored order, the lowest by bytes.
   */
  readonly tags?: readonly string[];
}

export function pick(rule: Rule, candidates: Candidates): Selection {
  if (candidates.texts.length === 0) return noTags;
  switch (rule.kind) {
    case 'semver':
      return pickVersion(candidates, rule.constraint);
    case 'alphabetical':
      return pickAlphabetical(candidates, rule.order);
    case 'numerical':
      return pickNumerical(candidates, rule.order);
  }
}

const noTags: Selection = {
  anyOf: [],
  error: {
    code: 'no-tags',
    message: 'no tag is left after the exclusion list and filterTags',
    flux: 'version list argument cannot be empty',
  },
};

/** The winners at these places; equal texts are one candidate. */
function selected({ texts, tags }: Candidates, places: readonly number[]): Selection {
  const origins = new Map<string, string>();
  for (const place of places) {
    const text = texts[place] ?? '';
    const tag = tags?.[place] ?? text;
    const other = origins.get(text);
    if (other === undefined || compareBytes(tag, other) < 0) origins.set(text, tag);
  }
  const anyOf = [...new Set(origins.values())].sort((a, b) => compareBytes(b, a));
  const latest = anyOf[0];
  if (latest === undefined) return noTags;
  const [candidate = latest] = [...origins].find(([, tag]) => tag === latest) ?? [];
  return { latest, anyOf, candidate };
}

/** Without a filter the order is certain, and one of the equal candidates wins. */
function settled(candidates: Candidates, places: readonly number[], isBetter: (order: number) => boolean): Selection {
  const { texts, tags } = candidates;
  if (tags !== undefined || places.length === 1) return selected(candidates, places);
  const winner = places.reduce((a, b) => (isBetter(compareBytes(texts[b] ?? '', texts[a] ?? '')) ? b : a));
  return selected(candidates, [winner]);
}

function pickVersion(candidates: Candidates, constraint: Constraint): Selection {
  const { texts } = candidates;
  let best: Version | undefined;
  let ties: number[] = [];
  for (let place = 0; place < texts.length; place += 1) {
    const version = parseVersion(texts[place] ?? '');
    if (version === undefined) continue;
    const order = best === undefined ? 1 : compareVersions(version, best);
    if (order < 0 || !satisfies(constraint, version)) continue;
    if (order > 0) {
      best = version;
      ties = [place];
    } else ties.push(place);
  }
  if (best === undefined) {
    return {
      anyOf: [],
      error: {
        code: 'none-in-range',
        message: `none of ${texts.length} tags is a version in the range ${constraint.text}`,
        flux: 'unable to determine latest version from provided list',
      },
    };
  }
  // In stored order, which goes downwards, the first of equal versions wins.
  return settled(candidates, ties, (order) => order > 0);
}

function pickAlphabetical(candidates: Candidates, order: Order): Selection {
  const { texts, tags } = candidates;
  // Registries list tags upwards: from the highest side the winner comes early and stays.
  const { length } = texts;
  const isUp = order === 'asc';
  let place = isUp ? length - 1 : 0;
  let best = texts[place] ?? '';
  let isPlain = !beyondPlain.test(best);
  for (let step = 1; step < length; step += 1) {
    const at = isUp ? length - 1 - step : step;
    const text = texts[at] ?? '';
    // Against a plain text the order of UTF-16 is the order of bytes, whatever the other text holds.
    const isHigher = isPlain ? text > best : compareBytes(text, best) > 0;
    if (isHigher !== isUp || text === best) continue;
    best = text;
    place = at;
    isPlain = !beyondPlain.test(best);
  }
  if (tags === undefined || tags === texts) return selected(candidates, [place]);
  return selected(
    candidates,
    texts.flatMap((text, at) => (text === best ? [at] : [])),
  );
}

/** Where the order of UTF-16 units and the order of bytes part. */
const beyondPlain = /[\ud800-\uffff]/;

function pickNumerical(candidates: Candidates, order: Order): Selection {
  const { texts, tags } = candidates;
  let best = Number.NaN;
  let ties: number[] = [];
  let hasNaN = false;
  for (let place = 0; place < texts.length; place += 1) {
    const text = texts[place] ?? '';
    const value = parseGoFloat(text);
    if (value === undefined) {
      return {
        anyOf: [],
        error: {
          code: 'not-a-number',
          message: `"${text}" is not a number, and one such tag fails the whole numerical policy`,
          flux: `failed to parse invalid numeric value '${text}'`,
        },
      };
    }
    if (Number.isNaN(value)) hasNaN = true;
    else if (ties.length === 0 || (order === 'asc' ? value > best : value < best)) {
      best = value;
      ties = [place];
    } else if (value === best) ties.push(place);
  }
  if (hasNaN) return tags === undefined ? pickAmongNaN(texts, order) : selected(candidates, [...texts.keys()]);
  // In stored order the last of equal numbers wins.
  return settled(candidates, ties, (order) => order < 0);
}

/** With a NaN among the tags every comparison with it is false, so Go's loop takes it, and then whatever follows. */
function pickAmongNaN(tags: readonly string[], order: Order): Selection {
  let latest: string | undefined;
  let value = Number.NaN;
  for (const tag of [...tags].sort((a, b) => compareBytes(b, a))) {
    const next = parseGoFloat(tag) ?? Number.NaN;
    if (latest !== undefined && (order === 'asc' ? next < value : next > value)) continue;
    latest = tag;
    value = next;
  }
  return latest === undefined ? noTags : { latest, anyOf: [latest], candidate: latest };
}
