// One case of the public case format and whether the engine agrees with it. The kind of case is known by its shape.

import { parseConstraint, satisfies } from '../../src/engine/gitops/constraint.ts';
import { applyPolicies } from '../../src/engine/gitops/edit.ts';
import { type PolicyRules, selectTag } from '../../src/engine/gitops/policy.ts';
import { type ImageRef, splitReference } from '../../src/engine/gitops/reference.ts';
import { parseVersion } from '../../src/engine/gitops/version.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';

export interface ConstraintCase {
  readonly id?: string | number;
  readonly constraint: string;
  readonly version?: string;
  readonly matches?: boolean;
  readonly tagValid?: boolean;
  readonly error?: boolean;
}

export interface PolicyCase extends PolicyRules {
  readonly name: string;
  readonly tags: readonly string[];
  readonly latest?: string;
  readonly latestAnyOf?: readonly string[];
  readonly error?: boolean;
}

export interface MarkerCase {
  readonly name: string;
  readonly file?: string;
  readonly automationNamespace?: string;
  readonly input: string;
  /** `namespace:name` → `name:tag[@digest]`, or empty for a policy without a latest reference. */
  readonly policies: Readonly<Record<string, string>>;
  readonly expected?: string;
  readonly changed?: boolean;
  readonly skipped?: string;
  readonly error?: boolean;
}

export interface Mismatch {
  readonly expected: string;
  readonly actual: string;
}

type Case = Readonly<Record<string, unknown>>;

export function kindOf(item: Case): 'constraint' | 'policy' | 'marker' | undefined {
  if (typeof item.constraint === 'string') return 'constraint';
  if (Array.isArray(item.tags)) return 'policy';
  return typeof item.input === 'string' ? 'marker' : undefined;
}

export function nameOf(item: Case): string {
  const name = item.name ?? item.id;
  return kindOf(item) === 'constraint'
    ? `${name ?? ''} ${JSON.stringify(item.constraint)} ${JSON.stringify(item.version ?? null)}`
    : String(name);
}

/** Undefined when the engine agrees. */
export function check(item: Case): Mismatch | undefined {
  switch (kindOf(item)) {
    case 'constraint':
      return checkConstraint(item as unknown as ConstraintCase);
    case 'policy':
      return checkPolicy(item as unknown as PolicyCase);
    case 'marker':
      return checkMarker(item as unknown as MarkerCase);
    default:
      return { expected: 'a case with "constraint", "tags" or "input"', actual: JSON.stringify(item) };
  }
}

function differ(expected: string, actual: string): Mismatch | undefined {
  return expected === actual ? undefined : { expected, actual };
}

function checkConstraint(item: ConstraintCase): Mismatch | undefined {
  const constraint = parseConstraint(item.constraint);
  if ('error' in constraint || item.error === true) {
    return differ(item.error === true ? 'rejected' : 'accepted', 'error' in constraint ? 'rejected' : 'accepted');
  }
  const version = parseVersion(item.version ?? '');
  if (item.tagValid !== undefined && item.tagValid !== (version !== undefined)) {
    return { expected: item.tagValid ? 'a version' : 'not a version', actual: version ? 'a version' : 'not a version' };
  }
  return differ(String(item.matches), String(version !== undefined && satisfies(constraint, version)));
}

function checkPolicy(item: PolicyCase): Mismatch | undefined {
  const selection = selectTag(item, item.tags);
  const actual = selection.error === undefined ? (selection.latest ?? '') : `error (${selection.error.code})`;
  if (item.error === true) return selection.error === undefined ? { expected: 'error', actual } : undefined;
  if (item.latestAnyOf !== undefined) {
    return item.latestAnyOf.includes(actual)
      ? undefined
      : { expected: `any of ${item.latestAnyOf.join(', ')}`, actual };
  }
  return differ(item.latest ?? '', actual);
}

function checkMarker(item: MarkerCase): Mismatch | undefined {
  let result: ReturnType<typeof applyPolicies>;
  try {
    result = applyPolicies(item.input, item.file ?? 'manifest.yaml', policiesOf(item), item.automationNamespace);
  } catch (error) {
    if (!SlipwayError.is(error)) throw error;
    if (item.error === true && error.reason === 'config') return undefined;
    return {
      expected: item.error === true ? 'error' : (item.expected ?? ''),
      actual: `${error.reason}: ${error.message}`,
    };
  }
  if (item.error === true) return { expected: 'error', actual: result.text };
  const changed = result.text !== item.input;
  if (item.changed !== undefined && item.changed !== changed) {
    return {
      expected: `${item.changed ? 'changed' : 'not changed'}\n${item.expected}`,
      actual: `${changed ? 'changed' : 'not changed'}\n${result.text}`,
    };
  }
  if (item.skipped !== undefined && result.skipped === undefined) {
    return { expected: `skipped: ${item.skipped}`, actual: 'not skipped' };
  }
  return item.expected === undefined ? undefined : differ(item.expected, result.text);
}

export function policiesOf(item: MarkerCase): ReadonlyMap<string, ImageRef | undefined> {
  return new Map(
    Object.entries(item.policies).map(([key, text]) => {
      if (text === '') return [key, undefined];
      const { name, tag = '', digest } = splitReference(text);
      return [key, { name, tag, ...(digest !== undefined && { digest }) }];
    }),
  );
}
