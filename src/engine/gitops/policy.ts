/**
 * What an ImagePolicy selects from a list of tags: image-reflector-controller 1.2.x, `internal/policy` behind
 * `imagepolicy_controller.go`. Reasons per tag are made only when asked for.
 */
import { parseConstraint, whyNot } from './constraint.ts';
import { parseGoFloat } from './number.ts';
import { compilePattern, type Expand, expander, type Pattern, parseTemplate } from './regexp.ts';
import { compareBytes, type PolicyError, pick, type Rule, type Selection } from './selection.ts';
import { parseVersion } from './version.ts';

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

/** A policy ready to run over many tags. */
export class CompiledPolicy {
  readonly rules: PolicyRules;
  readonly #rule: Rule;
  readonly #exclusions: readonly Pattern[];
  readonly #filter: { readonly pattern: Pattern; readonly template: Expand | undefined } | undefined;

  constructor(
    rules: PolicyRules,
    rule: Rule,
    exclusions: readonly Pattern[],
    filter: { readonly pattern: Pattern; readonly template: Expand | undefined } | undefined,
  ) {
    this.rules = rules;
    this.#rule = rule;
    this.#exclusions = exclusions;
    this.#filter = filter;
  }

  /** What Flux selects from the tags, which may come in any order. */
  select(tags: Iterable<string>): Selection {
    const included = this.#included(tags);
    if (this.#filter === undefined) return pick(this.#rule, { texts: included });
    const { pattern, template } = this.#filter;
    const texts: string[] = [];
    if (template === undefined) {
      for (const tag of included) if (pattern.test(tag)) texts.push(tag);
      return pick(this.#rule, { texts, tags: texts });
    }
    const kept: string[] = [];
    for (const tag of included) {
      const groups = pattern.groups(tag);
      if (groups === undefined) continue;
      texts.push(template(groups));
      kept.push(tag);
    }
    return pick(this.#rule, { texts, tags: kept });
  }

  #included(tags: Iterable<string>): readonly string[] {
    const all: readonly string[] = Array.isArray(tags) ? tags : [...tags];
    if (this.#exclusions.length === 0) return all;
    const [only, ...others] = this.#exclusions;
    if (only !== undefined && others.length === 0) return all.filter((tag) => !only.test(tag));
    return all.filter((tag) => !this.#exclusions.some((pattern) => pattern.test(tag)));
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
    return { candidate: template === undefined ? tag : template(groups) };
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
  const template = extract === '' ? undefined : expander(parseTemplate(extract), pattern.names);
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
