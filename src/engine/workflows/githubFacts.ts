import type { Fact } from './model.ts';
import { literal, type Value, variable } from './values.ts';

/** Default variables of a runner. */
export function hostVariables(repository: string | undefined): readonly (readonly [string, Value])[] {
  return [
    ['GITHUB_SHA', variable('sha')],
    ['GITHUB_REF', variable('ref')],
    ['GITHUB_REF_NAME', variable('ref-name')],
    ['GITHUB_HEAD_REF', variable('pull-request')],
    ['GITHUB_RUN_NUMBER', variable('run-number')],
    ['GITHUB_RUN_ID', variable('run-id')],
    ['GITHUB_RUN_ATTEMPT', variable('run-attempt')],
    ['GITHUB_ACTOR', variable('actor')],
    ['GITHUB_EVENT_NAME', variable('event')],
    ['GITHUB_WORKSPACE', literal('.')],
    ...(repository === undefined
      ? []
      : ([
          ['GITHUB_REPOSITORY', literal(repository)],
          ['GITHUB_REPOSITORY_OWNER', literal(repository.split('/')[0] ?? '')],
        ] as const)),
  ];
}

const REPORT_FLAG = /^-.*(junit|report|output|cov|log|html|xml)/i;

/** Facts that a matrix repeats are one; builds that differ in platform only are one build for all of them. */
export function mergedFacts(facts: readonly Fact[]): readonly Fact[] {
  const found = new Map<string, Fact>();
  for (const fact of facts) {
    const { order: _order, ...rest } = fact;
    const {
      platforms: _platforms,
      cacheFrom: _from,
      cacheTo: _to,
      matrix: _matrix,
      ...identity
    } = { platforms: [], cacheFrom: [], cacheTo: [], matrix: undefined, ...rest };
    // Tests that a matrix runs with another report, or with another tool that is installed before, are the same tests.
    const key = JSON.stringify(
      fact.kind === 'test' ? { ...identity, run: fact.run.filter((word) => !REPORT_FLAG.test(word)) } : identity,
    );
    const before = found.get(key);
    if (before === undefined) found.set(key, fact);
    else if (before.kind === 'build' && fact.kind === 'build') {
      const seen = new Set(before.platforms.map((each) => JSON.stringify(each)));
      found.set(key, {
        ...before,
        platforms: [...before.platforms, ...fact.platforms.filter((each) => !seen.has(JSON.stringify(each)))],
      });
    }
  }
  return [...found.values()];
}
