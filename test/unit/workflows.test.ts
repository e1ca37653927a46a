import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readGithubWorkflow, readGitlabPipeline, type Workflow } from '../../src/engine/workflows/index.ts';
import { notes } from './workflowNotes.ts';

const folder = join(import.meta.dirname, 'fixtures/workflows');
const parts: Readonly<Record<string, string>> = {
  '.github/workflows/image-reuse.yaml': 'image-reuse.yaml',
  '.github/actions/image/action.yml': 'composite-action.yml',
};
const fixture = (name: string) => readFileSync(join(folder, name), 'utf8');
const readLocal = (path: string) => (parts[path] === undefined ? undefined : fixture(parts[path]));
const read = (name: string): Workflow =>
  name.includes('gitlab')
    ? readGitlabPipeline(fixture(name), `/repo/${name}`, {
        repository: 'acme/shop',
        registry: 'registry.gitlab.com',
        readLocal,
      })
    : readGithubWorkflow(fixture(name), `/repo/.github/workflows/${name}`, { repository: 'acme/shop', readLocal });

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'metadata-buildx.yml': [
    'build ghcr.io/acme/whoami + docker.io/acme/whoami, in ., for linux/amd64 linux/arm64 linux/arm/v7, tags {semver} {minor} {branch} sha-{sha}, pushed unknown',
    'test go test -race ./... in .',
    'login ghcr.io',
  ],
  'push-by-digest.yml': [
    'build ghcr.io/acme/photos, in . with server/Dockerfile, for linux/amd64 linux/arm64, tags release, pushed yes',
  ],
  'monorepo-matrix.yml': ['services/cart', 'services/checkout', 'frontend/web'].map(
    (path) => `build registry.example.com/shop/${path.split('/')[1]}, in ${path}, tags {sha:40} latest, pushed yes`,
  ),
  'shell-loop.yml': ['adservice', 'cartservice'].map(
    (name) => `build us-docker.pkg.dev/demo/shop/${name}, in src/${name}, tags {tag}, pushed yes`,
  ),
  'reusable.yml': [
    'build quay.io/acme/controller + ghcr.io/acme/controller, in ., target controller, for linux/amd64 linux/arm64, tags latest, pushed yes',
    'sign by cosign',
    'info workflow.unresolved',
  ],
  'image-reuse.yaml': [
    'build ${?inputs.image}, in ., target controller, for linux/amd64, tags , pushed no',
    'sign by cosign',
  ],
  'computed-tags.yml': [
    'build ${?steps.ev.outputs.imageTags}, in . with lifecycle/container/Dockerfile, tags , pushed unknown',
  ],
  'goreleaser.yml': ['test go test ./... in .'],
  'buildah.yml': [
    'build quay.io/acme/petclinic, in . with ./docker/Dockerfile.jvm, for linux/amd64 linux/ppc64le, tags latest {sha:40}, pushed yes',
  ],
  'scan-after-push.yml': [
    'build ghcr.io/acme/shop, in ., tags latest, pushed yes',
    'test python manage.py test --parallel in .',
    'scan ghcr.io/acme/shop:latest by trivy-action: CRITICAL HIGH, fails, unfixed ignored yes',
    'deploy helm charts/shop, release shop, namespace shop, values charts/shop/values.yaml, values charts/shop/values-prod.yaml, image.tag=latest, replicas=2, environment production',
    'service postgres postgres:16 {"POSTGRES_PASSWORD":"shop","POSTGRES_DB":"shop"}',
  ],
  'composite.yml': ['build ghcr.io/acme/app, in ./app, tags {sha}, pushed yes', 'info workflow.unresolved'],
  'commit-back.yml': [
    'build ghcr.io/acme/shop, in . with build/Dockerfile, for linux/amd64, tags main-{sha}, pushed yes',
    'deploy kustomize-set-image deploy/overlays/staging, image ghcr.io/acme/shop:main-${sha:7}',
    'commit back',
  ],
  'gitea.yml': ['build git.example.com/acme/shop, in ., tags {sha:40}, pushed yes', 'login git.example.com'],
  'dind.gitlab-ci.yml': [
    'build registry.gitlab.com/acme/shop/api, in ., tags {sha:8} {branch}, pushed yes',
    'test pytest --junitxml=report.xml in .',
    'login registry.gitlab.com',
    'scan registry.gitlab.com/acme/shop/api:${sha:8} by trivy: HIGH CRITICAL, fails, unfixed ignored yes',
    'deploy helm deploy/chart, release shop, namespace shop-dev, values deploy/values-dev.yaml, api.image.tag=${sha:8}, environment dev',
    'deploy helm deploy/chart, release shop, namespace shop-prod, values deploy/values-prod.yaml, api.image.tag=${sha:8}, environment production',
    'service db postgres:16-alpine {"POSTGRES_PASSWORD":"shop"}',
    'service redis redis:7 {}',
    'service docker docker:27-dind {}',
  ],
  'kaniko.gitlab-ci.yml': [
    'build registry.gitlab.com/acme/shop/backend, in ./backend with ./backend/Dockerfile, tags {tag}, pushed yes',
    'build registry.gitlab.com/acme/shop/frontend, in ./frontend with ./frontend/Dockerfile, tags {tag}, pushed yes',
    'deploy kustomize k8s/overlays/review, namespace review',
    'scan registry.gitlab.com/acme/shop/backend by gitlab-container-scanning: CRITICAL HIGH, reports, unfixed ignored no',
    'info workflow.unresolved',
  ],
};

describe('workflows in the manner of public repositories', () => {
  it.each(Object.keys(EXPECTED))('%s', (name) => {
    expect(notes(read(name))).toEqual(EXPECTED[name]);
  });

  it('are all expected', () => {
    const files = readdirSync(folder).filter((name) => name !== 'composite-action.yml');
    expect(files.sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  it('give each fact its very line', () => {
    const text = fixture('scan-after-push.yml').split('\n');
    const workflow = read('scan-after-push.yml');
    const lineOf = (kind: string) => {
      const range = workflow.facts.find((fact) => fact.kind === kind)?.place.range;
      return text[range?.start.line ?? 0]?.slice(range?.start.character, range?.end.character);
    };
    expect(lineOf('deploy')).toBe('helm upgrade --install shop charts/shop \\');
    expect(lineOf('scan')).toBe('aquasecurity/trivy-action@0.28.0');
    expect(lineOf('test')).toBe('python manage.py test --parallel');
    const called = read('reusable.yml').facts.find((fact) => fact.kind === 'build');
    expect(called?.place.file).toBe('/repo/.github/workflows/image-reuse.yaml');
  });

  it('never throw on what is broken', () => {
    for (const text of [
      '',
      '- a\n',
      'jobs: 3\n',
      'jobs: { a: { steps: { b: c } } }\n',
      'on: [push\njobs:\n',
      'jobs: { a: { needs: a, steps: [{ run: "${{ (" }, { uses: 3 }, { run: "for x in a; do" }, { run: "cat <<EOF\\nx" }] } }\n',
      'jobs: { a: { uses: ./.github/workflows/self.yml } }\n',
      'a: &a { extends: a, script: [*a] }\n',
    ]) {
      const self = () => text;
      expect(() => readGithubWorkflow(text, '/w.yml', { readLocal: self })).not.toThrow();
      expect(() => readGitlabPipeline(text, '/.gitlab-ci.yml', { readLocal: self })).not.toThrow();
    }
  });
});
