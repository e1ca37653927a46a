import { readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { discover } from '../../src/engine/project/discovery.ts';
import { proposeConfig, readConfig } from '../../src/engine/project/index.ts';
import type { Project } from '../../src/engine/project/model.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

// Reduced repositories, each laid out as a public one is; `about` names it. The files are our own.
const repositories = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures/repositories.json'), 'utf8'),
) as Readonly<Record<string, { readonly about: string; readonly files: Readonly<Record<string, string>> }>>;

interface Expected {
  readonly images: readonly string[];
  readonly tags?: readonly string[];
  readonly tests: readonly string[];
  readonly environments?: readonly string[];
  /** What is left out or a guess, by a part of the sentence. */
  readonly said: readonly string[];
}

const EXPECTED: Readonly<Record<string, Expected>> = {
  gopod: {
    images: ['base Dockerfile.base → docker.io/acme/gopod-base [1]', 'gopod Dockerfile.xx → ghcr.io/acme/gopod [3]'],
    tags: ['{branch}-{sha}', 'latest'],
    tests: ['test: make test'],
    environments: ['prod helm gopod', 'dev kustomize gopod', 'dev-manifests manifests gopod'],
    said: ['Image of Dockerfile is left out: CI publishes', 'The second repository docker.io/acme/gopod of "gopod"'],
  },
  ballot: {
    images: [
      'result result/Dockerfile → acme/ballot_result [3]',
      'vote vote/Dockerfile → acme/ballot_vote [3]',
      'worker worker/Dockerfile → acme/ballot_worker [3]',
    ],
    tests: [],
    environments: ['dev manifests result vote worker'],
    said: [
      '"vote" builds it up to the stage "dev"; the last one was taken',
      'Image of seed-data/Dockerfile is left out: the compose service "seed" runs only with the profile seed',
      'Image of result/tests/Dockerfile is left out',
    ],
  },
  boutique: {
    images: ['adservice', 'cartservice', 'currencyservice', 'frontend', 'productcatalogservice', 'shippingservice'].map(
      (name) =>
        `${name} src/${name}/${name === 'cartservice' ? 'src/' : ''}Dockerfile → us-central1-docker.pkg.dev/acme/demo/${name} [2]`,
    ),
    tests: [
      'code-tests: go test in src/shippingservice',
      'code-tests-2: go test in src/productcatalogservice',
      'code-tests-3: dotnet test src/cartservice/',
      'adservice: ./gradlew test in src/adservice',
      'frontend: go test ./... in src/frontend',
    ],
    environments: [
      'dev helm adservice cartservice currencyservice frontend productcatalogservice shippingservice',
      'kubernetes-manifests kustomize adservice cartservice currencyservice frontend productcatalogservice shippingservice',
      'kustomize kustomize adservice cartservice currencyservice frontend productcatalogservice shippingservice',
      'dev-manifests manifests adservice currencyservice frontend productcatalogservice shippingservice cartservice',
    ],
    said: [
      'Image of src/cartservice/src/Dockerfile.debug is left out',
      '"frontend" there is taken as image "frontend"',
    ],
  },
  fullstack: {
    images: [
      'backend backend/Dockerfile → ghcr.io/acme/fullstack/backend [0]',
      'frontend frontend/Dockerfile → ghcr.io/acme/fullstack/frontend [0]',
    ],
    tests: ['node: bun run test', 'backend: uv run python3 -m pytest in backend'],
    said: [
      'the build argument VITE_API_URL came from the surroundings',
      'Image of frontend/Dockerfile.playwright is left out',
    ],
  },
  fedi: {
    images: [
      'fedi Dockerfile → ghcr.io/acme/fedi [2]',
      'streaming streaming/Dockerfile → ghcr.io/acme/fedi-streaming [2]',
    ],
    tags: ['{tag}', '{branch}-{sha}', 'v{minor}'],
    tests: ['test: yarn test:js run'],
    said: ['The second repository tootacme/fedi of "fedi"'],
  },
  recipes: {
    images: ['api', 'frontend', 'omni'].map((name) => `${name} docker/${name}.Dockerfile → acmehub/recipes [2]`),
    tags: ['{image}-{tag}', '{image}-{branch}-{sha}', '{image}-nightly'],
    tests: [
      'tests-sqlite: make backend-test with postgres ldap',
      'tests-postgres: make backend-test with postgres ldap',
      'frontend: yarn run test in frontend',
    ],
    said: ['tags: the workflow has no tag that names one commit for good'],
  },
  stats: {
    images: ['stats Dockerfile → ghcr.io/acme-software/stats [2]'],
    tags: ['{semver}', '{branch}-{sha}', '{minor}', '{major}', '{branch}'],
    tests: ['build: pnpm test'],
    said: ['The second repository acmesoftware/stats'],
  },
  reader: {
    images: ['reader packaging/docker/alpine/Dockerfile → docker.io/acme/reader [5]'],
    tags: ['{tag}', '{branch}-{sha}'],
    tests: ['unit-tests: make test', 'integration-tests: make integration-test with postgres'],
    said: [
      'Image of packaging/debian/Dockerfile is left out: CI publishes',
      'Image of packaging/rpm/Dockerfile is left out',
      'Image "distroless" is left out',
    ],
  },
  checks: {
    images: ['web docker/Dockerfile → acme/checks [3]'],
    tags: ['{tag}', '{branch}-{sha}', '{branch}'],
    tests: ['sqlite', 'postgres', 'mysql'].map((db) => `test-${db}: python manage.py test`),
    said: [],
  },
  echo: {
    images: ['echo Dockerfile → acme/echo [1]'],
    tags: ['{tag}', '{branch}-{sha}'],
    tests: ['go: go test ./...'],
    said: ['Image of buildx.Dockerfile is left out: by its name it is for "buildx"'],
  },
  react: {
    images: ['react Dockerfile → registry.gitlab.com/acme/web/react [0]'],
    tags: ['{sha:8}'],
    tests: ['test: npm run test -- --watchAll=false --coverage --reporters=default --reporters=jest-junit → junit.xml'],
    environments: ['prod manifests react'],
    said: ['the CI job "deploy" deploys to "production", the only environment there'],
  },
};

const system = createSystem({ isTrusted: () => false });

function outline(project: Project): Omit<Expected, 'said'> {
  const from = (path: string) => relative(project.root, path).split(sep).join('/');
  return {
    images: project.images.map(
      ({ name, dockerfile, target, repository, platforms }) =>
        `${name} ${from(dockerfile)}${target === undefined ? '' : `#${target}`} → ${repository} [${platforms.length}]`,
    ),
    tags: project.tags,
    tests: project.tests.map(({ name, run, cwd, services, junit }) =>
      [
        `${name}: ${run.join(' ')}`,
        ...(from(cwd) === '' ? [] : [`in ${from(cwd)}`]),
        ...(services.length === 0 ? [] : [`with ${services.map((service) => service.name).join(' ')}`]),
        ...(junit.length === 0 ? [] : [`→ ${junit.map(from).join(' ')}`]),
      ].join(' '),
    ),
    environments: project.environments.map(({ name, deploy }) => {
      const images = 'images' in deploy ? deploy.images : [];
      return [name, deploy.kind, ...(Array.isArray(images) ? images : Object.keys(images ?? {}))].join(' ');
    }),
  };
}

describe('repositories laid out as public ones', () => {
  it.each(Object.entries(repositories).map(([name, { about, files }]) => [name, about, files] as const))(
    '%s: %s',
    async (name, _about, files) => {
      const root = workspace(files, name);
      const expected = EXPECTED[name];
      const project = await discover(system, root);
      const { images, tags, tests, environments } = outline(project);
      expect(images).toEqual(expected?.images);
      expect(tags).toEqual(expected?.tags ?? ['{branch}-{sha}']);
      expect(tests).toEqual(expected?.tests);
      expect(environments).toEqual(expected?.environments ?? []);
      expect(project.diagnostics.filter(({ severity }) => severity === 'error')).toEqual([]);
      const said = project.diagnostics.map(({ message }) => message).join('\n');
      for (const part of expected?.said ?? ['this repository is not expected']) expect(said).toContain(part);
      // Every finding has its place, in a file that is there; what init writes means the same.
      for (const { place } of [...project.images, ...project.tests, ...project.environments])
        expect(from(root, place.file) in files, place.file).toBe(true);
      const { text } = await proposeConfig(system, root);
      const written = readConfig(text, join(root, 'slipway.yaml'), root);
      expect(written.diagnostics).toEqual([]);
      expect(outline(written)).toEqual(outline(project));
    },
  );
});

const from = (root: string, path: string): string => relative(root, path).split(sep).join('/');
