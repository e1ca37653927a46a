// Templates that GitLab ships, as far as they can be told without asking it.
import type { Place } from '../problems/index.ts';
import type { JobRule } from './gitlabRules.ts';

/** Templates of GitLab that add jobs of their own and change no other. */
export const isPlainTemplate = (name: string): boolean =>
  /^(Jobs|Security|Workflows|Verify)\//.test(name) && name.endsWith('.gitlab-ci.yml');

/** The two templates of GitLab that say which pipelines there are, in their rules (GitLab 18). */
export function templateRules(
  templates: readonly { readonly name: string; readonly place: Place }[],
): readonly JobRule[] | undefined {
  const found = templates.find(({ name }) => /^Workflows\/(Branch|MergeRequest)-Pipelines\.gitlab-ci\.yml$/.test(name));
  if (found === undefined) return undefined;
  const branch = found.name.includes('MergeRequest') ? '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH' : '$CI_COMMIT_BRANCH';
  const request = found.name.includes('MergeRequest') ? ['$CI_MERGE_REQUEST_IID'] : [];
  return [...request, '$CI_COMMIT_TAG', branch].map((condition) => ({ if: condition, place: found.place }));
}
