/** Policies and repositories in words; the same in lenses, hovers, the tree and the terminal. */
import type { ImagePolicyObject } from '../gitops/index.ts';

/** `semver >=1.0.0`, `alphabetical, descending`, with the filter behind it. */
export function ruleWords({ policy, filterTags }: Pick<ImagePolicyObject, 'policy' | 'filterTags'>): string {
  const order = (word: string | undefined): string => (word?.toUpperCase() === 'DESC' ? ', descending' : '');
  const rule =
    policy.semver !== undefined
      ? `semver ${policy.semver.range}`
      : policy.alphabetical !== undefined
        ? `alphabetical${order(policy.alphabetical.order)}`
        : policy.numerical !== undefined
          ? `numerical${order(policy.numerical.order)}`
          : 'no rule';
  if (filterTags?.pattern === undefined) return rule;
  const extract = filterTags.extract === undefined || filterTags.extract === '' ? '' : ` as ${filterTags.extract}`;
  return `${rule}, tags like ${filterTags.pattern}${extract}`;
}

export const policyName = ({ namespace, name }: Pick<ImagePolicyObject, 'namespace' | 'name'>): string =>
  namespace === undefined ? name : `${namespace}:${name}`;
