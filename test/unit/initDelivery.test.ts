import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findMarkers } from '../../src/engine/gitops/index.ts';
import { lintWorkspace, loopAnswers, readWorkspace } from '../../src/engine/lint/index.ts';
import { Engine } from '../../src/engine/main.ts';
import { proposeDelivery, writeDelivery } from '../../src/engine/project/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { workspace } from './workspaces.ts';

const system = createSystem();

const config = (tags = '["{branch}-{commits}-{sha}"]', more = '') => `version: 1
name: shop
images: { web: { repository: ghcr.io/acme/shop } }
tags: ${tags}
environments:
  dev: { namespace: shop-dev, deploy: { manifests: { paths: deploy } } }
${more}`;
const manifest = (image: string) => `# ours\r\napiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      containers:
        - name: web
          image: ${image}
`;
const WORKFLOW = `on:
  push:
    branches: [main]
jobs:
  image:
    runs-on: ubuntu-latest
    permissions: { contents: read, packages: write }
    steps:
      - run: docker build -t ghcr.io/acme/shop:main-\${{ github.run_number }}-\${{ github.sha }} . --push
`;
const base = {
  Dockerfile: 'FROM scratch\n',
  'slipway.yaml': config(),
  'deploy/web.yaml': manifest('ghcr.io/acme/shop:main-1-abc1234'),
  '.git/config': '[remote "origin"]\n\turl = https://git.example.com/acme/shop.git\n',
  '.git/HEAD': 'ref: refs/heads/main\n',
};
const propose = async (root: string, kind: 'flux' | 'argocd', options = {}) =>
  proposeDelivery(system, await new Engine({ system, root }).project(), kind, options);
const write = async (root: string, kind: 'flux' | 'argocd', options = {}) =>
  writeDelivery(system, root, await propose(root, kind, options));
const read = (root: string, path: string) => readFileSync(join(root, path), 'utf8');

describe('init --flux', () => {
  it('writes objects, a marker and a path filter, after which nothing is wrong and nothing loops', async () => {
    const root = workspace({ ...base, '.github/workflows/ci.yml': WORKFLOW });
    await write(root, 'flux');
    expect(read(root, 'deploy/web.yaml')).toBe(
      base['deploy/web.yaml'].replace('abc1234\n', 'abc1234 # {"$imagepolicy": "flux-system:shop"}\n'),
    );
    expect(read(root, '.github/workflows/ci.yml')).toBe(
      WORKFLOW.replace('[main]\n', '[main]\n    paths-ignore:\n      - deploy/**\n'),
    );
    const objects = read(root, 'clusters/dev/shop-delivery.yaml');
    expect([...objects.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind)).toEqual([
      'GitRepository',
      'Kustomization',
      'ImageRepository',
      'ImagePolicy',
      'ImageUpdateAutomation',
    ]);
    expect(objects).toContain("pattern: '^main-(?P<order>[0-9]+)-[0-9a-f]{7}$'");
    expect(objects).toContain('path: ./deploy }');
    const findings = await lintWorkspace(system, root);
    expect(findings.filter(({ code }) => code.startsWith('gitops.') || code.startsWith('ci.feedback'))).toEqual([]);
    const [answer] = loopAnswers(await readWorkspace(system, root));
    expect(answer).toMatchObject({ verdict: 'safe', files: ['deploy/web.yaml'] });
  });

  it.each([
    ['["{semver}"]', "semver: { range: '>=0.1.0' }"],
    ['["1.0.{commits}"]', 'semver: { range: 1.0.x }'],
    ['["{date}-{sha:8}"]', "pattern: '^(?P<order>[0-9]+)-[0-9a-f]{8}$'"],
  ])('makes a policy for %s', async (tags, policy) => {
    const root = workspace({ ...base, 'slipway.yaml': config(tags) });
    const { files } = await propose(root, 'flux');
    expect(files.map(({ text }) => text).join('\n')).toContain(policy);
  });

  it('refuses tags that have no order, and an app without manifests', async () => {
    const noOrder = workspace({ ...base, 'slipway.yaml': config('["{branch}-{sha}"]') });
    await expect(propose(noOrder, 'flux')).rejects.toMatchObject({ code: 'init.tags-without-order' });
    const { 'deploy/web.yaml': _none, ...rest } = base;
    const nothing = workspace({ ...rest, 'deploy/none.yaml': manifest('other:1') });
    await expect(propose(nothing, 'flux')).rejects.toMatchObject({ code: 'init.nothing-to-deliver' });
    const inline = workspace({
      ...base,
      'deploy/web.yaml': manifest('x').replace(/- name: web\n.*\n/, '- {name: web, image: ghcr.io/acme/shop:1}\n'),
    });
    await expect(propose(inline, 'flux')).rejects.toMatchObject({ code: 'gitops.no-line-end' });
  });

  it('takes what is there: a source, a Kustomization, the folder, and an overlay of the environment', async () => {
    const overlay = (name: string) =>
      `resources: [../../base]\nimages:\n  - name: ghcr.io/acme/shop # ${name}\n    newTag: main-1-abc1234 # by the bot\n`;
    const root = workspace({
      ...base,
      'deploy/web.yaml': '',
      'apps/base/kustomization.yaml': 'resources: [web.yaml]\n',
      'apps/base/web.yaml': manifest('ghcr.io/acme/shop:x'),
      'apps/overlays/dev/kustomization.yaml': overlay('dev'),
      'apps/overlays/prod/kustomization.yaml': overlay('prod'),
      'flux/sync.yaml': `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: fleet, namespace: flux-system }
spec: { url: https://git.example.com/acme/shop, interval: 1m, ref: { branch: main } }
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: { name: apps, namespace: flux-system }
spec: { interval: 1m, path: ./apps/overlays, prune: true, sourceRef: { kind: GitRepository, name: fleet } }
`,
    });
    await write(root, 'flux');
    const marked = read(root, 'apps/overlays/dev/kustomization.yaml');
    expect(marked).toBe(
      'resources: [../../base]\nimages:\n  - name: ghcr.io/acme/shop # dev\n    # by the bot\n    newTag: main-1-abc1234 # {"$imagepolicy": "flux-system:shop:tag"}\n',
    );
    expect(findMarkers(marked, 'kustomization.yaml').markers).toHaveLength(1);
    expect(read(root, 'apps/overlays/prod/kustomization.yaml')).toBe(overlay('prod'));
    const objects = read(root, 'flux/shop-delivery.yaml');
    expect(objects).not.toMatch(/kind: (GitRepository|Kustomization)$/m);
    expect(objects).toContain('sourceRef: { kind: GitRepository, name: fleet }');
  });

  it('overwrites nothing unless told to, and writes nothing when a file changed meanwhile', async () => {
    const root = workspace({ ...base, 'clusters/dev/shop-delivery.yaml': 'mine\n' });
    const proposal = await propose(root, 'flux');
    await expect(writeDelivery(system, root, proposal)).rejects.toMatchObject({ code: 'init.exists' });
    expect(read(root, 'deploy/web.yaml')).toBe(base['deploy/web.yaml']);
    writeFileSync(join(root, 'deploy/web.yaml'), 'changed\n');
    await expect(writeDelivery(system, root, proposal, 'replace')).rejects.toMatchObject({ code: 'init.changed' });
    expect(read(root, 'clusters/dev/shop-delivery.yaml')).toBe('mine\n');
  });

  it('gives GitLab the push option and a new project a workflow that ignores the folder', async () => {
    const gitlab = workspace({ ...base, '.gitlab-ci.yml': 'build:\n  script: [make]\n' });
    expect((await propose(gitlab, 'flux')).files.map(({ text }) => text).join('\n')).toContain(
      'options: { ci.skip: "" }',
    );
    const fresh = workspace(base);
    const { files } = await propose(fresh, 'flux');
    const workflow = files.find(({ path }) => path === '.gitea/workflows/slipway.yml');
    expect(workflow?.change).toBe('new');
    expect(workflow?.text).toMatch(/paths-ignore:\n {6}- deploy\/\*\*/);
  });
});

describe('init --argocd', () => {
  it('writes Application, updater, kustomization and a path filter, after which nothing loops', async () => {
    const root = workspace({ ...base, '.github/workflows/ci.yml': WORKFLOW });
    await write(root, 'argocd');
    expect(read(root, 'deploy/kustomization.yaml')).toContain(
      '  - name: ghcr.io/acme/shop\n    newTag: main-1-abc1234\n',
    );
    const app = read(root, 'argocd/shop.yaml');
    expect(app).toContain('repoURL: https://git.example.com/acme/shop.git\n    path: deploy\n    targetRevision: main');
    expect(app).toContain("web.allow-tags: 'regexp:^main-[0-9]+-[0-9a-f]{7}$'");
    const answers = loopAnswers(await readWorkspace(system, root));
    expect(answers.map(({ verdict, files }) => [verdict, files])).toEqual([['safe', ['deploy/kustomization.yaml']]]);
    const again = await propose(root, 'argocd');
    expect(again.files.every(({ text, existing }) => text === existing)).toBe(true);
  });

  it('names the values of a chart', async () => {
    const root = workspace({
      ...base,
      'slipway.yaml': config('["{semver}"]'),
      'deploy/web.yaml': '',
      'chart/Chart.yaml': 'apiVersion: v2\nname: shop\nversion: 0.1.0\n',
      'chart/values.yaml': 'web:\n  image:\n    repository: ghcr.io/acme/shop\n    tag: 1.0.0\n',
      'chart/templates/a.yaml': 'kind: X\n',
    });
    const { files } = await propose(root, 'argocd');
    const app = files.find(({ path }) => path === 'argocd/shop.yaml')?.text ?? '';
    expect(app).toContain('web.update-strategy: semver');
    expect(app).toContain('web.helm.image-name: web.image.repository');
    expect(app).toContain('web.helm.image-tag: web.image.tag');
    expect(app).toContain('write-back-target: helmvalues:values.yaml');
    expect(files.some(({ path }) => path.endsWith('kustomization.yaml'))).toBe(false);
  });

  it('says that there is nothing to read without a remote', async () => {
    const root = workspace({ ...base, '.git/config': '' });
    await expect(propose(root, 'argocd')).rejects.toMatchObject({ code: 'init.no-remote' });
  });
});
