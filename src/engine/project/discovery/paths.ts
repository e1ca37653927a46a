import { posix } from 'node:path';
import type { RelativePath } from './findings.ts';

/** A path written in a file of `folder`, relative to the root; undefined when it leads out of the workspace. */
export function resolveFrom(folder: RelativePath, written: string): RelativePath | undefined {
  const joined = posix.normalize(written.startsWith('/') ? `.${written}` : posix.join(folder, written));
  if (joined === '..' || joined.startsWith('../')) return undefined;
  const trimmed = joined.replace(/\/$/, '');
  return trimmed === '' ? '.' : trimmed;
}

export const folderOf = (path: RelativePath): RelativePath => posix.dirname(path);

/** True when `path` is `folder` or lies below it. */
export const isBelow = (path: RelativePath, folder: RelativePath): boolean =>
  folder === '.' || path === folder || path.startsWith(`${folder}/`);

const ENVIRONMENTS: Readonly<Record<string, string>> = {
  dev: 'dev',
  develop: 'dev',
  development: 'dev',
  local: 'local',
  test: 'test',
  testing: 'test',
  int: 'int',
  integration: 'integration',
  qa: 'qa',
  uat: 'uat',
  preview: 'preview',
  preprod: 'preprod',
  stage: 'staging',
  staging: 'staging',
  stg: 'staging',
  live: 'prod',
  prd: 'prod',
  prod: 'prod',
  production: 'prod',
};

/** The customary short name when the word is a known environment: `production` → `prod`. */
export const knownEnvironment = (word: string): string | undefined => ENVIRONMENTS[word.toLowerCase()];

/** The environment that a path speaks of: `overlays/prod`, `clusters/eu-prod/apps`, `values-staging.yaml`. */
export function environmentOfPath(path: RelativePath): string | undefined {
  const parts = path.split('/');
  for (const [index, part] of parts.entries()) {
    const next = parts[index + 1];
    if (
      /^(overlays?|environments?|envs?|clusters?|stages?)$/i.test(part) &&
      next !== undefined &&
      !/\.ya?ml$/.test(next)
    )
      return asName(knownEnvironment(next) ?? next);
  }
  for (const part of parts.toReversed()) {
    const word = part.replace(/\.ya?ml$/, '');
    for (const piece of [word, ...word.split(/[-_.]/).toReversed()]) {
      const known = knownEnvironment(piece);
      if (known !== undefined) return known;
    }
  }
  return undefined;
}

/** A name that slipway.yaml allows. */
export function asName(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '') || 'app'
  );
}

/** The part of an image reference before tag and digest. */
export function repositoryOf(reference: string): string {
  const bare = reference.replace(/@.*$/, '');
  const colon = bare.lastIndexOf(':');
  return colon > bare.lastIndexOf('/') ? bare.slice(0, colon) : bare;
}

export const tagOf = (reference: string): string | undefined => {
  const bare = reference.replace(/@.*$/, '');
  const colon = bare.lastIndexOf(':');
  return colon > bare.lastIndexOf('/') ? bare.slice(colon + 1) : undefined;
};

export const lastPart = (repository: string): string => repository.split('/').at(-1) ?? repository;

/** True for a repository that slipway.yaml accepts: lower case, nothing left to fill in. */
export const isRepository = (text: string): boolean =>
  /^[a-z0-9][a-z0-9.:_/-]*$/.test(text) && !/:[^/]*$/.test(text.replace(/^[^/]+\//, ''));

/** The folder that sets a path aside: hidden, or for examples and tests. What lies there is rarely the app itself. */
export const asideFolder = (path: RelativePath): string | undefined =>
  path
    .split('/')
    .slice(0, -1)
    .find((part) =>
      /^([._].+|examples?|samples?|fixtures?|testdata|testfiles?|testfile-.+|testing|tests?|e2e|integration|benchmarks?|hack|contrib)$/.test(
        part,
      ),
    );
