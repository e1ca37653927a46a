import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { discover } from '../../src/engine/project/discovery.ts';
import { readConfig } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

/** In Restricted Mode: discovery must not need more. */
const restricted = createSystem({ isTrusted: () => false });
const look = async (files: Readonly<Record<string, string>>, name?: string) => {
  const root = workspace(files, name);
  const project = await discover(restricted, root);
  const short = (path: string) => (path === root ? '.' : path.replace(`${root}/`, ''));
  return { project, root, short };
};

const DOCKERFILE = 'FROM python:3.12-slim\nCOPY . .\nEXPOSE 8000\n';
const deployment = (image: string, name = 'api') => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: shop }
spec:
  template:
    metadata: { labels: { app: ${name} } }
    spec: { containers: [{ name: ${name}, image: ${image} }] }
`;

describe('images', () => {
  it.each([
    ['Dockerfile', 'shop', '.'],
    ['api/Dockerfile', 'api', 'api'],
    ['Dockerfile.worker', 'worker', '.'],
    ['docker/worker.Dockerfile', 'worker', '.'],
    ['services/cart/src/Dockerfile', 'cart', 'services/cart/src'],
    ['build/Containerfile', 'shop', '.'],
    ['docs/Dockerfile', 'docs', 'docs'],
  ])('%s is the image %s, built in %s', async (path, name, context) => {
    const { project, short } = await look({ [path]: 'FROM alpine:3.20\nRUN true\n' });
    expect(project.images.map((image) => [image.name, short(image.context), short(image.dockerfile)])).toEqual([
      [name, context, path],
    ]);
  });

  it.each([
    'Dockerfile.dev',
    '.devcontainer/Dockerfile',
    'examples/a/Dockerfile',
    'Dockerfile.test',
    '.github/actions/x/Dockerfile',
    'hack/Dockerfile',
  ])('%s is left out, and that is said', async (path) => {
    const { project } = await look({ [path]: DOCKERFILE });
    expect(project.images).toEqual([]);
    expect(project.diagnostics.map((each) => each.code)).toContain('discovery.left-out');
  });

  it('keeps images apart that one repository would mix up', async () => {
    const build = (file: string, tag: string) =>
      `{ uses: docker/build-push-action@v6, with: { context: ., file: ${file}, push: true, tags: "r.example.com/a/b:${tag}" } }`;
    const { project } = await look({
      '.github/workflows/w.yml': `on: push\njobs: { build: { steps: [${build('Dockerfile', '${{ github.sha }}')}, ${build('Dockerfile.rootless', '${{ github.sha }}-rootless')}] } }\n`,
      Dockerfile: DOCKERFILE,
      'Dockerfile.rootless': DOCKERFILE,
    });
    expect(project.images.map((image) => image.repository)).toEqual(['r.example.com/a/b']);
    expect(project.tags).toEqual(['{sha:40}']);
    expect(project.diagnostics.map((each) => each.message).join()).toContain('goes to r.example.com/a/b like "b"');
  });

  it('says that what CI deploys runs none of the images, and takes the only one where no remote speaks against it', async () => {
    const files = {
      Dockerfile: DOCKERFILE,
      'k8s/a.yaml': deployment('r.example.com/acme/stock'),
      '.gitlab-ci.yml': 'deploy: { script: [kubectl apply -f k8s/] }\n',
    };
    const alone = (await look(files)).project;
    expect(alone.images[0]?.repository).toBe('r.example.com/acme/stock');
    expect(alone.environments).toHaveLength(1);
    const remote = '[remote "origin"]\n\turl = git@gitlab.com:other/ledger.git\n';
    const { diagnostics, environments } = (await look({ ...files, '.git/config': remote })).project;
    expect(environments).toHaveLength(0);
    expect(diagnostics.map(({ message }) => message)).toContain(
      'The deploy of k8s is left out: it runs r.example.com/acme/stock, which is none of the images here (registry.gitlab.com/other/ledger).',
    );
  });

  it('images of one repository whose tags differ by a word are told apart by {image}', async () => {
    const build = (name: string) =>
      `{ uses: docker/build-push-action@v6, with: { context: ${name}, push: true, tags: "r.example.com/a/b:${name}-\${{ github.sha }}, r.example.com/a/b:latest-${name}" } }`;
    const { project } = await look({
      '.github/workflows/w.yml': `on: push\njobs: { build: { steps: [${build('server')}, ${build('worker')}] } }\n`,
      'server/Dockerfile': DOCKERFILE,
      'worker/Dockerfile': DOCKERFILE,
      'chart/Chart.yaml': 'apiVersion: v2\nname: b\nversion: 1.0.0\n',
      'chart/values.yaml':
        'jobs: { image: { repository: r.example.com/a/b, tag: worker-1 } }\nserver: { image: { repository: r.example.com/a/b, tag: "" } }\n',
    });
    expect(project.images.map(({ name, repository }) => `${name} ${repository}`)).toEqual([
      'server r.example.com/a/b',
      'worker r.example.com/a/b',
    ]);
    expect(project.tags).toEqual(['{image}-{sha:40}', 'latest-{image}']);
    expect(project.movingTags).toContain('latest-{image}');
    expect(project.environments[0]?.deploy).toMatchObject({ images: { server: 'server.image', worker: 'jobs.image' } });
  });

  it('takes the only image of the manifests when it is of the same owner, and no other', async () => {
    const files = (image: string) => ({
      Dockerfile: DOCKERFILE,
      'k8s/a.yaml': deployment(image),
      '.git/config': '[remote "origin"]\n\turl = https://github.com/acme/shop\n',
    });
    expect((await look(files('ghcr.io/acme/frontend:1'))).project.images[0]?.repository).toBe('ghcr.io/acme/frontend');
    expect((await look(files('gcr.io/google/sidecar:1'))).project.images[0]?.repository).toBe('ghcr.io/acme/shop');
  });

  it.each(['Dockerfile.dockerignore', 'Dockerfile.md', 'Dockerfile.j2', 'dockerfiles.txt', 'dockerfile_test.go'])(
    '%s is no Dockerfile',
    async (path) => {
      expect((await look({ [path]: DOCKERFILE })).project.images).toEqual([]);
    },
  );

  it('takes the context that has what the Dockerfile copies', async () => {
    const { project, short } = await look({
      'services/api/Dockerfile': 'FROM node:24\nCOPY package.json pnpm-lock.yaml ./\nCOPY services/api services/api\n',
      'package.json': '{}',
      'pnpm-lock.yaml': '',
      'services/api/index.js': '',
    });
    expect(short(project.images[0]?.context ?? '')).toBe('.');
  });

  it('reads compose builds with their defaults', async () => {
    const { project, short } = await look({
      'compose.yaml': `services:
  api:
    image: "registry.example.com/shop/api:\${TAG:-latest}"
    build: { context: ./app, dockerfile: docker/prod.Dockerfile, target: runtime, args: { LEVEL: 3, SECRET: "\${SECRET}" }, platforms: [linux/amd64] }
  worker:
    build: ./worker
    image: worker
  db: { image: "postgres:16" }
`,
      'app/docker/prod.Dockerfile': 'FROM a AS build\nFROM b AS runtime\nFROM b AS dev\n',
      'worker/Dockerfile': DOCKERFILE,
    });
    expect(
      project.images.map(({ name, context, dockerfile, target, repository, args, platforms }) => ({
        name,
        context: short(context),
        dockerfile: short(dockerfile),
        target,
        repository,
        args,
        platforms,
      })),
    ).toEqual([
      {
        name: 'api',
        context: 'app',
        dockerfile: 'app/docker/prod.Dockerfile',
        target: 'runtime',
        repository: 'registry.example.com/shop/api',
        args: { LEVEL: '3' },
        platforms: ['linux/amd64'],
      },
      {
        name: 'worker',
        context: 'worker',
        dockerfile: 'worker/Dockerfile',
        target: undefined,
        repository: 'localhost:5000/shop-worker',
        args: {},
        platforms: [],
      },
    ]);
    expect(project.images[0]?.place.range?.start).toEqual({ line: 1, character: 2 });
  });

  it('reads bake targets with inheritance', async () => {
    const { project } = await look({
      'docker-bake.json': JSON.stringify({
        group: { default: { targets: ['api', 'web'] } },
        target: {
          common: { platforms: ['linux/amd64', 'linux/arm64'], args: { V: '1' } },
          api: {
            inherits: ['common'],
            target: 'api',
            tags: ['ghcr.io/acme/shop-api:dev'],
            'cache-to': ['type=gha', 'type=registry,ref=x/y'],
          },
          web: { inherits: ['common'], target: 'web', tags: ['ghcr.io/acme/shop-web:dev'] },
        },
      }),
      Dockerfile: 'FROM a AS api\nFROM a AS web\n',
    });
    expect(project.images).toMatchObject([
      {
        name: 'api',
        target: 'api',
        repository: 'ghcr.io/acme/shop-api',
        platforms: ['linux/amd64', 'linux/arm64'],
        cacheTo: ['type=registry,ref=x/y'],
      },
      { name: 'web', target: 'web', repository: 'ghcr.io/acme/shop-web', args: { V: '1' } },
    ]);
  });

  it.each([
    ['https://github.com/Acme/Shop.git', 'ghcr.io/acme/shop'],
    ['git@gitlab.com:acme/tools/shop.git', 'registry.gitlab.com/acme/tools/shop'],
    ['ssh://git@git.example.com:2222/acme/shop.git', 'git.example.com/acme/shop'],
    ['https://user:hunter2@git.example.com/gitea/acme/shop', 'git.example.com/acme/shop'],
  ])('guesses the registry from the remote %s', async (url, repository) => {
    const { project } = await look({
      Dockerfile: DOCKERFILE,
      '.git/config': `[core]\n\tbare = false\n[remote "origin"]\n\turl = ${url}\n`,
    });
    expect(project.images[0]?.repository).toBe(repository);
    const guess = project.diagnostics.find((each) => each.message.startsWith('images.shop.repository'));
    expect(guess).toMatchObject({ severity: 'info', code: 'discovery.images' });
    expect(JSON.stringify(project)).not.toContain('hunter2');
  });

  it('does not enter what git ignores', async () => {
    const { project } = await look({
      '.gitignore': 'out/\n/tmp\n',
      'out/Dockerfile': DOCKERFILE,
      'tmp/Dockerfile': DOCKERFILE,
      'a/out/Dockerfile': DOCKERFILE,
      'api/Dockerfile': DOCKERFILE,
      'node_modules/x/Dockerfile': DOCKERFILE,
    });
    expect(project.images.map((image) => image.name)).toEqual(['api']);
  });

  it('says when there is nothing', async () => {
    const { project } = await look({ 'README.md': '' });
    expect(project.diagnostics).toMatchObject([{ code: 'discovery.no-images', severity: 'info' }]);
  });
});

describe('environments', () => {
  it('finds which values carry which image, and the values of each environment', async () => {
    const { project, short } = await look({
      'docker/api.Dockerfile': DOCKERFILE,
      'docker/worker.Dockerfile': DOCKERFILE,
      'charts/shop/Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 0.1.0\n',
      'charts/shop/values.yaml': `api:
  image: { repository: ghcr.io/acme/shop-api, tag: latest }
worker:
  image: ghcr.io/acme/shop-worker:1.0
postgresql:
  image: { registry: docker.io, repository: bitnami/postgresql, tag: "16" }
`,
      'charts/shop/values-dev.yaml': '',
      'charts/shop/values-production.yaml': '',
      'charts/shop/templates/deployment.yaml': '{{ not yaml }}',
    });
    expect(project.images.map((image) => image.repository)).toEqual([
      'ghcr.io/acme/shop-api',
      'ghcr.io/acme/shop-worker',
    ]);
    expect(
      project.environments.map(({ name, isProtected, deploy }) => ({
        name,
        isProtected,
        ...(deploy.kind === 'helm' && { ...deploy, chart: short(deploy.chart), values: deploy.values.map(short) }),
      })),
    ).toEqual([
      {
        name: 'dev',
        isProtected: false,
        kind: 'helm',
        chart: 'charts/shop',
        release: 'shop',
        values: ['charts/shop/values-dev.yaml'],
        set: {},
        images: { api: 'api.image', worker: 'worker.image' },
        historyMax: 10,
      },
      {
        name: 'prod',
        isProtected: true,
        kind: 'helm',
        chart: 'charts/shop',
        release: 'shop',
        values: ['charts/shop/values-production.yaml'],
        set: {},
        images: { api: 'api.image', worker: 'worker.image' },
        historyMax: 10,
      },
    ]);
  });

  it('takes overlays as environments, and their base not', async () => {
    const { project, short } = await look({
      'api/Dockerfile': DOCKERFILE,
      'k8s/base/kustomization.yaml': 'resources: [deployment.yaml]\n',
      'k8s/base/deployment.yaml': deployment('ghcr.io/acme/api:1'),
      'k8s/overlays/dev/kustomization.yaml': 'namespace: shop-dev\nresources: [../../base]\n',
      'k8s/overlays/staging/kustomization.yaml':
        'namespace: shop-staging\nbases: [../../base]\nimages: [{ name: ghcr.io/acme/api, newTag: "1" }]\n',
    });
    expect(
      project.environments.map(({ name, namespace, deploy }) => [
        name,
        namespace,
        deploy.kind === 'kustomize' && [short(deploy.path), deploy.images],
      ]),
    ).toEqual([
      ['dev', 'shop-dev', ['k8s/overlays/dev', ['api']]],
      ['staging', 'shop-staging', ['k8s/overlays/staging', ['api']]],
    ]);
  });

  it('takes a folder of manifests, or only its manifests when other files are there', async () => {
    const plain = await look({ 'api/Dockerfile': DOCKERFILE, 'deploy/a.yaml': deployment('ghcr.io/acme/api:1') });
    expect(plain.project.environments).toMatchObject([
      {
        name: 'dev',
        namespace: 'shop',
        deploy: { kind: 'manifests', paths: [join(plain.root, 'deploy')], images: ['api'] },
      },
    ]);
    const mixed = await look({
      'api/Dockerfile': DOCKERFILE,
      'deploy/a.yaml': deployment('ghcr.io/acme/api:1'),
      'deploy/settings.yaml': 'a: 1\n',
    });
    expect(mixed.project.environments).toMatchObject([{ deploy: { paths: [join(mixed.root, 'deploy/a.yaml')] } }]);
  });

  it('follows Flux policies and leaves what Flux applies to Flux', async () => {
    const { project } = await look({
      'api/Dockerfile': DOCKERFILE,
      'clusters/prod/images.yaml': `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: { name: api, namespace: flux-system }
spec: { image: ghcr.io/acme/api }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: { name: api, namespace: flux-system }
spec: { imageRepositoryRef: { name: api }, policy: { semver: { range: ">=1.0.0" } } }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageUpdateAutomation
metadata: { name: shop, namespace: flux-system }
spec: { update: { path: ./apps/shop } }
`,
      'clusters/prod/shop.yaml': `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: { name: shop, namespace: flux-system }
spec: { path: ./apps/shop, targetNamespace: shop, prune: true }
`,
      'apps/shop/kustomization.yaml': 'resources: [deployment.yaml]\n',
      'apps/shop/deployment.yaml': deployment('ghcr.io/acme/api:1.0.0 # {"$imagepolicy": "flux-system:api"}'),
    });
    expect(project.environments).toMatchObject([
      {
        name: 'prod',
        namespace: 'shop',
        isProtected: true,
        deploy: { kind: 'flux', policies: ['flux-system/api'], automation: 'flux-system/shop' },
      },
    ]);
    expect(project.diagnostics.map((each) => each.message).join()).toContain('Kustomization "shop" applies it');
  });

  it('follows Argo CD Applications of this repository', async () => {
    const app = (env: string) => `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: shop-${env}, namespace: argocd }
spec:
  source: { repoURL: https://git.example.com/acme/shop.git, path: deploy/shop }
  destination: { namespace: shop-${env} }
`;
    const { project } = await look({
      'api/Dockerfile': DOCKERFILE,
      'deploy/shop/Chart.yaml': 'name: shop\n',
      'deploy/shop/values.yaml': 'image: { repository: ghcr.io/acme/shop, tag: "1" }\n',
      'argocd/dev.yaml': app('dev'),
      'argocd/staging.yaml': app('staging'),
    });
    expect(project.environments.map(({ name, namespace, deploy }) => [name, namespace, deploy])).toEqual([
      ['dev', 'shop-dev', expect.objectContaining({ kind: 'argocd', application: 'argocd/shop-dev' })],
      ['staging', 'shop-staging', expect.objectContaining({ kind: 'argocd', application: 'argocd/shop-staging' })],
    ]);
  });
});

describe('tests', () => {
  it.each<[string, Record<string, string>, string[][]]>([
    ['pytest configured', { 'pyproject.toml': '[tool.pytest.ini_options]\n' }, [['python3', '-m', 'pytest']]],
    [
      'pytest under poetry',
      { 'pytest.ini': '[pytest]\n', 'poetry.lock': '' },
      [['poetry', 'run', 'python3', '-m', 'pytest']],
    ],
    ['pytest by files', { 'requirements.txt': '', 'tests/test_a.py': '' }, [['python3', '-m', 'pytest']]],
    ['Django', { 'manage.py': '' }, [['python3', 'manage.py', 'test']]],
    ['npm', { 'package.json': '{"scripts":{"test":"vitest run"}}' }, [['npm', 'test']]],
    [
      'the placeholder of npm init',
      { 'package.json': '{"scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}' },
      [],
    ],
    [
      'pnpm by lock file',
      { 'package.json': '{"scripts":{"test":"jest"}}', 'pnpm-lock.yaml': '' },
      [['pnpm', 'run', 'test']],
    ],
    [
      'yarn by field',
      { 'package.json': '{"packageManager":"yarn@4.5.0","scripts":{"test":"jest"}}' },
      [['yarn', 'run', 'test']],
    ],
    [
      'a workspace once',
      { 'package.json': '{"scripts":{"test":"turbo test"}}', 'apps/a/package.json': '{"scripts":{"test":"jest"}}' },
      [['npm', 'test']],
    ],
    [
      'Go modules each',
      { 'go.mod': 'module a\n', 'tools/go.mod': 'module b\n' },
      [
        ['go', 'test', './...'],
        ['go', 'test', './...'],
      ],
    ],
    [
      'make only where nothing is more exact',
      { Makefile: 'test:\n\tgo test\n', 'go.mod': 'module a\n' },
      [['go', 'test', './...']],
    ],
    ['make', { Makefile: 'all: test\ntest: lint\n\t./run\n' }, [['make', 'test']]],
    ['a make variable is no target', { Makefile: 'test := 1\n' }, []],
    ['nothing of a fixture', { 'test/fixtures/package.json': '{"scripts":{"test":"x"}}' }, []],
  ])('%s', async (_what, files, expected) => {
    const { project } = await look(files);
    expect(project.tests.map((test) => [...test.run])).toEqual(expected);
  });

  it('gives tests the databases their settings name, in the version of compose', async () => {
    const { project } = await look({
      'manage.py': '',
      'shop/settings.py': "DATABASES = {'default': {\n  'ENGINE': 'django.db.backends.postgresql',\n}}\n",
      'docker-compose.yml':
        'services:\n  db:\n    image: postgres:15-alpine\n    environment: [POSTGRES_PASSWORD=shop]\n    healthcheck: { test: [CMD-SHELL, pg_isready] }\n    ports: ["5432:5432"]\n',
    });
    expect(project.tests[0]?.services).toEqual([
      {
        name: 'db',
        image: 'postgres:15-alpine',
        env: { POSTGRES_PASSWORD: 'shop' },
        health: ['sh', '-c', 'pg_isready'],
        ports: [5432],
      },
    ]);
  });
});

describe('the project as a whole', () => {
  it('has no errors whatever lies in the workspace', async () => {
    const { project } = await look(
      {
        'compose.yaml': 'services:\n  api: { build: { context: ../../outside } }\n  b: [\n',
        'docker-bake.json': '{"target": {"a": {"context": 3}, "b": []',
        'UPPER Case/Dockerfile': DOCKERFILE,
        'x/Chart.yaml': '- a\n',
        'y/Chart.yaml': 'name: "{{ x }}"\n',
        'y/values.yaml': 'image: { repository: [a] }\n',
        'kustomization.yaml': 'resources: { a: b }\n',
        'm.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: { name: 3 }\nspec: { containers: { a: b } }\n',
        'package.json': '{ broken',
        'n.yaml': `apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: n, namespace: "A B" }\n`,
      },
      'My Shop!',
    );
    expect(project.diagnostics.filter((each) => each.severity !== 'info')).toEqual([]);
    expect(project.images.map((image) => image.name)).toEqual(['upper-case']);
  });
});

describe('CI workflows', () => {
  const WORKFLOW = `on: push
jobs:
  test:
    services:
      postgres: { image: "postgres:15", env: { POSTGRES_PASSWORD: x }, ports: ["5432:5432"], options: --health-cmd pg_isready }
      dind: { image: "docker:dind" }
    env: { DATABASE_URL: "postgres://localhost", TOKEN: "\${{ secrets.T }}" }
    steps: [{ run: python manage.py test }]
  image:
    needs: test
    steps:
      - { id: meta, uses: docker/metadata-action@v5, with: { images: "ghcr.io/\${{ github.repository }}/api", tags: "type=ref,event=branch\\ntype=sha\\ntype=semver,pattern={{version}}" } }
      - { uses: docker/build-push-action@v6, with: { context: ., file: docker/api.Dockerfile, load: true, tags: test } }
      - { uses: aquasecurity/trivy-action@v0.36.0, with: { image-ref: test, severity: "CRITICAL", exit-code: "1", ignore-unfixed: true } }
      - { uses: docker/build-push-action@v6, with: { context: ., file: docker/api.Dockerfile, platforms: "linux/amd64,linux/arm64", push: true, tags: "\${{ steps.meta.outputs.tags }}", build-args: "A=1\\nB=\${{ github.sha }}", cache-to: type=gha } }
  deploy:
    environment: staging
    needs: image
    steps:
      - run: helm upgrade --install web deploy/chart -n web-staging -f deploy/chart/values.yaml
`;
  it('say what is built, tested, scanned and deployed', async () => {
    const { project, short } = await look({
      '.github/workflows/ci.yml': WORKFLOW,
      '.git/config': '[remote "origin"]\nurl = git@github.com:Acme/Shop.git\n',
      'docker/api.Dockerfile': 'FROM python:3.12\nCOPY . .\n',
      'manage.py': '',
      'deploy/chart/Chart.yaml': 'name: web\n',
      'deploy/chart/values.yaml': 'image: { repository: ghcr.io/acme/shop/api, tag: x }\n',
    });
    expect(project.diagnostics.filter((each) => each.severity !== 'info')).toEqual([]);
    expect(project.images).toMatchObject([
      {
        name: 'api',
        repository: 'ghcr.io/acme/shop/api',
        platforms: ['linux/amd64', 'linux/arm64'],
        args: { A: '1' },
        cacheTo: [],
      },
    ]);
    expect(short(project.images[0]?.place.file ?? '')).toBe('.github/workflows/ci.yml');
    expect(project.tags).toEqual(['{semver}', 'sha-{sha}', '{branch}']);
    expect(project.scan).toMatchObject({ severity: ['CRITICAL'], ignoreUnfixed: true });
    expect(project.tests).toMatchObject([
      {
        run: ['python', 'manage.py', 'test'],
        env: { DATABASE_URL: 'postgres://{service.postgres.host}:{service.postgres.port}' },
        services: [{ name: 'postgres', image: 'postgres:15', ports: [5432], health: ['sh', '-c', 'pg_isready'] }],
      },
    ]);
    expect(project.environments).toMatchObject([
      { name: 'staging', namespace: 'web-staging', deploy: { kind: 'helm', release: 'web', images: { api: 'image' } } },
    ]);
  });

  it('of an app and of its docs are two images of one project', async () => {
    const build = (context: string, image: string) =>
      `on: push\njobs: { build: { steps: [{ uses: docker/build-push-action@v6, with: { context: ${context}, push: true, tags: "r.example.com/shop/${image}:\${{ github.sha }}" } }] } }\n`;
    const { project } = await look({
      '.gitea/workflows/app.yml': build('app', 'app'),
      '.gitea/workflows/docs.yaml': build('docs', 'manual'),
      'app/Dockerfile': DOCKERFILE,
      'docs/Dockerfile': DOCKERFILE,
    });
    expect(project.images.map((image) => [image.name, image.repository])).toEqual([
      ['app', 'r.example.com/shop/app'],
      ['docs', 'r.example.com/shop/manual'],
    ]);
    expect(project.tags).toEqual(['{sha:40}']);
  });

  it('of a Gitea server leave out those of another host', async () => {
    const build = (image: string) =>
      `on: push\njobs: { build: { steps: [{ uses: docker/build-push-action@v6, with: { context: ., push: true, tags: "r.example.com/shop/${image}:\${{ github.sha }}" } }] } }\n`;
    const files = {
      '.gitea/workflows/a.yml': build('a'),
      '.github/workflows/b.yml': build('b'),
      Dockerfile: DOCKERFILE,
    };
    const remote = (url: string) => ({ '.git/config': `[remote "origin"]\n\turl = ${url}\n` });
    const gitea = await look({ ...files, ...remote('https://git.example.com/acme/shop') });
    expect(gitea.project.images.map((image) => image.repository)).toEqual(['r.example.com/shop/a']);
    expect(gitea.project.diagnostics.map((each) => each.code)).toContain('discovery.dead-workflows');
    const github = await look({ ...files, ...remote('https://github.com/acme/shop') });
    expect(github.project.diagnostics.map((each) => each.code)).not.toContain('discovery.dead-workflows');
  });

  it('that push moving tags only get one that stays', async () => {
    const { project } = await look({
      '.gitlab-ci.yml':
        'build: { script: ["docker build -t r.example.com/shop/a:latest .", "docker push r.example.com/shop/a:latest"] }\n',
      Dockerfile: DOCKERFILE,
    });
    expect(project.tags).toEqual(['{branch}-{sha}', 'latest']);
    expect(project.diagnostics.map((each) => each.code)).toContain('discovery.tags');
  });
});

describe('the example app', () => {
  it('is discovered as its own slipway.yaml says', async () => {
    const root = join(import.meta.dirname, '../../examples/shop');
    const found = await discover(restricted, root);
    const text = readFileSync(join(root, 'slipway.yaml'), 'utf8');
    const written = readConfig(text, join(root, 'slipway.yaml'), root);
    const images = (project: typeof found) =>
      project.images.map(({ name, context, dockerfile, repository }) => ({ name, context, dockerfile, repository }));
    expect(images(found)).toEqual(images(written));
    for (const name of ['dev', 'prod']) {
      const deploy = (project: typeof found) => project.environments.find((each) => each.name === name)?.deploy;
      expect(deploy(found)).toEqual(deploy(written));
    }
    expect(found.environments.map((each) => each.deploy.kind)).toEqual(
      expect.arrayContaining(['helm', 'kustomize', 'manifests']),
    );
    expect(found.tests[0]).toMatchObject({
      run: written.tests[0]?.run,
      services: [{ name: 'postgres' }, { name: 'redis' }],
      env: { POSTGRES_DB: 'shop', POSTGRES_USER: 'shop' },
    });
  });
});
