// Whether the engine agrees with a case.

import { parseConstraint, satisfies } from '../../src/engine/gitops/constraint.ts';
import { applyPolicies } from '../../src/engine/gitops/edit.ts';
import { selectTag } from '../../src/engine/gitops/policy.ts';
import { type ImageRef, splitReference } from '../../src/engine/gitops/reference.ts';
import { parseVersion } from '../../src/engine/gitops/version.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import type { Case, ConstraintCase, MarkerCase, PolicyCase } from './cases.ts';

export interface Mismatch {
  readonly expected: string;
  readonly actual: string;
}

/** Undefined when the engine agrees. */
export function check(item: Case): Mismatch | undefined {
  switch (item.kind) {
    case 'constraint':
      return checkConstraint(item);
    case 'policy':
      return checkPolicy(item);
    case 'marker':
      return checkMarker(item);
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
  const selection = selectTag(item.rules, item.tags);
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

function policiesOf(item: MarkerCase): ReadonlyMap<string, ImageRef | undefined> {
  return new Map(
    Object.entries(item.policies).map(([key, text]) => {
      if (text === '') return [key, undefined];
      const { name, tag = '', digest } = splitReference(text);
      return [key, { name, tag, ...(digest !== undefined && { digest }) }];
    }),
  );
}
