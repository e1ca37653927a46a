/**
 * What an ImagePolicy selects from a list of tags: image-reflector-controller 1.2.x, `internal/policy` behind
 * `imagepolicy_controller.go`. Selection is one pass without sorting; reasons per tag are made only when asked for.
 */
import { type Constraint, parseConstraint, satisfies, whyNot } from './constraint.ts';
import { parseGoFloat } from './number.ts';
import { compilePattern, expand, type Pattern, parseTemplate, type Template } from './regexp.ts';
import { compareVersions, parseVersion, type Version } from './version.ts';

/** `spec.policy` of an ImagePolicy. When several are set Flux takes semver, then alphabetical, then numerical. */
export interface PolicyChoice {
  readonly semver?: { readonly range: string };
  readonly alphabetical?: { readonly order?: string };
  readonly numerical?: { readonly order?: string };
}

/** `spec.filterTags` of an ImagePolicy. */
export interface FilterTags {
  readonly pattern?: string;
  readonly extract?: string;
}

/** Everything that decides what an ImagePolicy selects. */
export interface PolicyRules {
  readonly policy: PolicyChoice;
  readonly filterTags?: FilterTags;
  /** `spec.exclusionList` of the ImageRepository; absent means Flux's default. A given list replaces the default. */
  readonly exclusionList?: readonly string[];
}

/** What the ImageRepository excludes when it says nothing: cosign's signature tags. */
export const defaultExclusionList: readonly string[] = ['^.*\\.sig$'];

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

/** Why a tag is out, or that it is in the running. */
export interface TagReason {
  readonly tag: string;
  readonly status:
    | 'selected'
    | 'candidate'
    | 'excluded'
    | 'filtered'
    | 'shadowed'
    | 'not-a-version'
    | 'out-of-range'
    | 'not-a-number';
  /** One sentence without a full stop, for a person. */
  readonly reason: string;
  /** What `extract` made of the tag, when it is not the tag. */
  readonly candidate?: string;
}

type Order = 'asc' | 'desc';
type Rule =
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

/** A policy ready to run over many tags. */
export class CompiledPolicy {
  readonly rules: PolicyRules;
  readonly #rule: Rule;
  readonly #exclusions: readonly Pattern[];
  readonly #filter: { readonly pattern: Pattern; readonly template: Template | undefined } | undefined;

  constructor(
    rules: PolicyRules,
    rule: Rule,
    exclusions: readonly Pattern[],
    filter: { readonly pattern: Pattern; readonly template: Template | undefined } | undefined,
  ) {
    this.rules = rules;
    this.#rule = rule;
    this.#exclusions = exclusions;
    this.#filter = filter;
  }

  /** What Flux selects from the tags, which may come in any order. */
  select(tags: Iterable<string>): Selection {
    if (this.#filter === undefined) return this.#pick(this.#included(tags), undefined);
    // A candidate that several tags give belongs to the last one in stored order: the lowest by bytes.
    const origin = new Map<string, string>();
    const { pattern, template } = this.#filter;
    if (template === undefined) {
      const kept: string[] = [];
      for (const tag of this.#included(tags)) if (pattern.test(tag)) kept.push(tag);
      return this.#pick(kept, (candidate) => candidate);
    }
    for (const tag of this.#included(tags)) {
      const groups = pattern.groups(tag);
      if (groups === undefined) continue;
      const candidate = expand(template, groups, pattern.names);
      const other = origin.get(candidate);
      if (other === undefined || compareBytes(tag, other) < 0) origin.set(candidate, tag);
    }
    return this.#pick([...origin.keys()], (candidate) => origin.get(candidate) ?? candidate);
  }

  #included(tags: Iterable<string>): readonly string[] {
    const all: readonly string[] = Array.isArray(tags) ? tags : [...tags];
    if (this.#exclusions.length === 0) return all;
    const [only, ...others] = this.#exclusions;
    if (only !== undefined && others.length === 0) return all.filter((tag) => !only.test(tag));
    return all.filter((tag) => !this.#exclusions.some((pattern) => pattern.test(tag)));
  }

  /** `originOf` is given when a filter ran: then the candidates come in Go's random map order. */
  #pick(candidates: readonly string[], originOf: ((candidate: string) => string) | undefined): Selection {
    const rule = this.#rule;
    switch (rule.kind) {
      case 'semver':
        return pickVersion(candidates, rule.constraint, originOf);
      case 'alphabetical':
        return pickAlphabetical(candidates, rule.order, originOf);
      case 'numerical':
        return pickNumerical(candidates, rule.order, originOf);
    }
  }

  /** The candidate text of one tag, or why it never becomes one. */
  #candidateOf(tag: string): { readonly candidate: string } | TagReason {
    const exclusion = this.#exclusions.find((pattern) => pattern.test(tag));
    if (exclusion !== undefined) {
      return { tag, status: 'excluded', reason: `the repository's exclusionList drops it (${exclusion.source})` };
    }
    if (this.#filter === undefined) return { candidate: tag };
    const { pattern, template } = this.#filter;
    const groups = pattern.groups(tag);
    if (groups === undefined)
      return { tag, status: 'filtered', reason: `it does not match filterTags (${pattern.source})` };
    return { candidate: template === undefined ? tag : expand(template, groups, pattern.names) };
  }

  /** Why this one tag can or cannot be selected, without looking at the other tags. */
  judge(tag: string): TagReason {
    const found = this.#candidateOf(tag);
    if ('status' in found) return found;
    const { candidate } = found;
    const extra = candidate === tag ? {} : { candidate };
    const what = candidate === tag ? 'it' : `"${candidate}"`;
    const rule = this.#rule;
    if (rule.kind === 'semver') {
      const version = parseVersion(candidate);
      if (version === undefined)
        return { tag, status: 'not-a-version', reason: `${what} is not a semantic version`, ...extra };
      const problem = whyNot(rule.constraint, version);
      if (problem !== undefined) {
        return { tag, status: 'out-of-range', reason: `${problem}`, ...extra };
      }
      return { tag, status: 'candidate', reason: `${what} is in the range ${rule.constraint.text}`, ...extra };
    }
    if (rule.kind === 'numerical' && parseGoFloat(candidate) === undefined) {
      return {
        tag,
        status: 'not-a-number',
        reason: `${what} is not a number, and one such tag fails the whole policy`,
        ...extra,
      };
    }
    return {
      tag,
      status: 'candidate',
      reason: `${what} takes part in the ${rule.kind} order (${rule.order})`,
      ...extra,
    };
  }

  /** Every tag with its reason, in stored (descending byte) order. Costs a sort and a text per tag: ask when shown. */
  explain(tags: Iterable<string>): readonly TagReason[] {
    const all = [...tags];
    const selection = this.select(all);
    const origins = new Map<string, string>();
    const sorted = all.sort((a, b) => compareBytes(b, a));
    const reasons = sorted.map((tag) => {
      const reason = this.judge(tag);
      if (reason.candidate !== undefined) origins.set(reason.candidate, tag);
      return reason;
    });
    return reasons.map((reason) => {
      const winner = reason.candidate === undefined ? undefined : origins.get(reason.candidate);
      if (winner !== undefined && winner !== reason.tag) {
        return {
          ...reason,
          status: 'shadowed',
          reason: `"${reason.candidate}" also comes from ${winner}, which Flux keeps`,
        };
      }
      if (selection.error === undefined && selection.anyOf.includes(reason.tag)) {
        const tie =
          selection.anyOf.length > 1 ? `, but Flux may equally choose ${others(selection.anyOf, reason.tag)}` : '';
        return { ...reason, status: 'selected', reason: `${reason.reason} and wins${tie}` };
      }
      return reason;
    });
  }
}

const others = (tags: readonly string[], not: string): string => tags.filter((tag) => tag !== not).join(' or ');

/** Reads the rules once. The error is what makes Flux report the policy as Stalled. */
export function compilePolicy(rules: PolicyRules): CompiledPolicy | PolicyError {
  const exclusions: Pattern[] = [];
  for (const source of rules.exclusionList ?? defaultExclusionList) {
    const pattern = compilePattern(source);
    if ('error' in pattern) {
      return { code: 'invalid-exclusion', message: `exclusionList: ${source}: ${pattern.error}`, flux: pattern.error };
    }
    exclusions.push(pattern);
  }
  const rule = ruleOf(rules.policy);
  if ('code' in rule) return rule;
  if (rules.filterTags === undefined) return new CompiledPolicy(rules, rule, exclusions, undefined);
  const source = rules.filterTags.pattern ?? '';
  const pattern = compilePattern(source);
  if ('error' in pattern) {
    return {
      code: 'invalid-pattern',
      message: `filterTags.pattern: ${source}: ${pattern.error}`,
      flux: `invalid regular expression pattern '${source}'`,
    };
  }
  const extract = rules.filterTags.extract ?? '';
  const template = extract === '' ? undefined : parseTemplate(extract);
  return new CompiledPolicy(rules, rule, exclusions, { pattern, template });
}

function ruleOf(policy: PolicyChoice): Rule | PolicyError {
  if (policy.semver !== undefined) {
    const constraint = parseConstraint(policy.semver.range);
    if ('error' in constraint) {
      return { code: 'invalid-range', message: `semver.range: ${constraint.error}`, flux: 'improper constraint' };
    }
    return { kind: 'semver', constraint };
  }
  const kind =
    policy.alphabetical !== undefined ? 'alphabetical' : policy.numerical !== undefined ? 'numerical' : undefined;
  if (kind === undefined) {
    return {
      code: 'no-policy',
      message: 'the policy has none of semver, alphabetical and numerical',
      flux: 'given ImagePolicyChoice object is invalid',
    };
  }
  const order = policy[kind]?.order ?? '';
  // The CRD allows asc and desc; the controller itself upper-cases first.
  switch (order.toUpperCase()) {
    case '':
    case 'ASC':
      return { kind, order: 'asc' };
    case 'DESC':
      return { kind, order: 'desc' };
    default:
      return {
        code: 'invalid-order',
        message: `${kind}.order: "${order}" is neither asc nor desc`,
        flux: `invalid order argument provided: '${order.toUpperCase()}'`,
      };
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

type OriginOf = ((candidate: string) => string) | undefined;

function selected(candidates: readonly string[], originOf: OriginOf): Selection {
  const tags = candidates.map((candidate) => originOf?.(candidate) ?? candidate);
  const anyOf = tags.length > 1 ? [...new Set(tags)].sort((a, b) => compareBytes(b, a)) : tags;
  const latest = anyOf[0];
  if (latest === undefined) return noTags;
  const candidate = candidates[tags.indexOf(latest)] ?? latest;
  return { latest, anyOf, candidate };
}

function pickVersion(candidates: readonly string[], constraint: Constraint, originOf: OriginOf): Selection {
  let best: Version | undefined;
  let ties: string[] = [];
  for (const candidate of candidates) {
    const version = parseVersion(candidate);
    if (version === undefined) continue;
    const order = best === undefined ? 1 : compareVersions(version, best);
    if (order < 0 || !satisfies(constraint, version)) continue;
    if (order > 0) {
      best = version;
      ties = [candidate];
    } else ties.push(candidate);
  }
  if (candidates.length === 0) return noTags;
  if (best === undefined) {
    return {
      anyOf: [],
      error: {
        code: 'none-in-range',
        message: `none of ${candidates.length} tags is a version in the range ${constraint.text}`,
        flux: 'unable to determine latest version from provided list',
      },
    };
  }
  // Without a filter the tags come in stored order, and the first of equal versions wins.
  if (originOf === undefined) ties = [ties.reduce((a, b) => (compareBytes(a, b) >= 0 ? a : b))];
  return selected(ties, originOf);
}

function pickAlphabetical(candidates: readonly string[], order: Order, originOf: OriginOf): Selection {
  // Registries list tags upwards: from the highest side the winner comes early and stays.
  const { length } = candidates;
  const isUp = order === 'asc';
  let best = candidates[isUp ? length - 1 : 0];
  if (best === undefined) return noTags;
  let isPlain = !beyondPlain.test(best);
  for (let step = 1; step < length; step += 1) {
    const candidate = candidates[isUp ? length - 1 - step : step] ?? '';
    // Against a plain text the order of UTF-16 is the order of bytes, whatever the other text holds.
    const isHigher = isPlain ? candidate > best : compareBytes(candidate, best) > 0;
    if (isHigher !== isUp || candidate === best) continue;
    best = candidate;
    isPlain = !beyondPlain.test(best);
  }
  return selected([best], originOf);
}

/** Where the order of UTF-16 units and the order of bytes part. */
const beyondPlain = /[\ud800-\uffff]/;

function pickNumerical(candidates: readonly string[], order: Order, originOf: OriginOf): Selection {
  let best = Number.NaN;
  let ties: string[] = [];
  let hasNaN = false;
  for (const candidate of candidates) {
    const value = parseGoFloat(candidate);
    if (value === undefined) {
      return {
        anyOf: [],
        error: {
          code: 'not-a-number',
          message: `"${candidate}" is not a number, and one such tag fails the whole numerical policy`,
          flux: `failed to parse invalid numeric value '${candidate}'`,
        },
      };
    }
    if (Number.isNaN(value)) hasNaN = true;
    else if (ties.length === 0 || (order === 'asc' ? value > best : value < best)) {
      best = value;
      ties = [candidate];
    } else if (value === best) ties.push(candidate);
  }
  if (candidates.length === 0) return noTags;
  if (hasNaN) return originOf === undefined ? pickAmongNaN(candidates, order) : selected(candidates, originOf);
  // Without a filter the last of equal numbers in stored order wins: the lowest by bytes.
  if (originOf === undefined) ties = [ties.reduce((a, b) => (compareBytes(a, b) <= 0 ? a : b))];
  return selected(ties, originOf);
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
  return latest === undefined ? noTags : selected([latest], undefined);
}

/** Compiles and selects in one go. A policy that cannot be compiled gives a selection with its error. */
export function selectTag(rules: PolicyRules, tags: Iterable<string>): Selection {
  const policy = compilePolicy(rules);
  return policy instanceof CompiledPolicy ? policy.select(tags) : { anyOf: [], error: policy };
}

/** What an edit of the policy would change: the answer before and after, and the tags it lets in and keeps out. */
export function compareRules(
  before: PolicyRules,
  after: PolicyRules,
  tags: readonly string[],
): {
  readonly before: Selection;
  readonly after: Selection;
  readonly enters: readonly string[];
  readonly leaves: readonly string[];
} {
  const old = candidatesOf(before, tags);
  const next = candidatesOf(after, tags);
  return {
    before: selectTag(before, tags),
    after: selectTag(after, tags),
    enters: [...next].filter((tag) => !old.has(tag)),
    leaves: [...old].filter((tag) => !next.has(tag)),
  };
}

function candidatesOf(rules: PolicyRules, tags: readonly string[]): ReadonlySet<string> {
  const policy = compilePolicy(rules);
  if (!(policy instanceof CompiledPolicy)) return new Set();
  return new Set(tags.filter((tag) => policy.judge(tag).status === 'candidate'));
}
