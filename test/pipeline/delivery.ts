// `slipway init --flux` and `--argocd` against the API server's own validation: every object is applied as a dry run with
// the kinds of Flux and Argo CD as they are released (ImageUpdater's is reduced, see fixtures/imageupdater-crd.yaml).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundledCli } from '../bundle.ts';
import { moduleFolder } from '../lab/gobuild.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const cli = bundledCli();
const namespace = `argo-init-${process.pid}`;
const folders: string[] = [];

const kubectl = (args: readonly string[], input?: string) =>
  spawnSync('kubectl', args, { env, encoding: 'utf8', ...(input !== undefined && { input }) });
const apply = (text: string) =>
  kubectl(['apply', '--server-side', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-'], text);

function app(tags: string): string {
  const root = mkdtempSync(join(tmpdir(), 'slipway-init-'));
  folders.push(root);
  const files = {
    Dockerfile: 'FROM scratch\n',
    'slipway.yaml': `version: 1\nname: shop\nimages: { web: { repository: ghcr.io/acme/shop } }\ntags: ${tags}\nenvironments:\n  dev: { namespace: shop-dev, deploy: { manifests: { paths: deploy } } }\n`,
    'deploy/web.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: ghcr.io/acme/shop:main-1-abc1234
`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  for (const args of [
    ['init', '-q', '-b', 'main'],
    ['remote', 'add', 'origin', 'git@git.example.com:acme/shop.git'],
    ['add', '-A'],
    ['-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '-qm', 'x'],
  ]) {
    spawnSync('git', args, { cwd: root, env });
  }
  return root;
}
const slipway = (root: string, ...args: readonly string[]) =>
  spawnSync(process.execPath, [cli, '-C', root, ...args], { env, encoding: 'utf8' });
const read = (root: string, path: string): string => readFileSync(join(root, path), 'utf8');

for (const tags of ['["{branch}-{commits}-{sha}"]', '["{semver}"]', '["1.0.{commits}"]']) {
  test(`init --flux with tags ${tags}: what is shown is what is written, and Flux's kinds take all of it`, async () => {
    const root = app(tags);
    const shown = slipway(root, 'init', '--flux', '--dry-run');
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(
      shown.stdout,
      /\+ {10}image: ghcr\.io\/acme\/shop:main-1-abc1234 # \{"\$imagepolicy": "flux-system:shop"\}/,
    );
    assert.equal(spawnSync('git', ['status', '--porcelain'], { cwd: root, env, encoding: 'utf8' }).stdout, '');
    const written = slipway(root, 'init', '--flux');
    assert.equal(written.status, 0, written.stderr);
    const objects = read(root, 'clusters/dev/shop-delivery.yaml');
    const added = [...shown.stdout.matchAll(/^\+(?!\+\+ )(.*)$/gm)].map(([, line]) => line);
    for (const line of objects.trimEnd().split('\n')) assert.ok(added.includes(line), line);
    const taken = apply(objects);
    assert.equal(taken.status, 0, taken.stderr);
    assert.equal(taken.stdout.trim().split('\n').length, 5);
    const broken = apply(objects.replace('strategy: Setters', 'strategie: Setters'));
    assert.notEqual(broken.status, 0, 'a wrong field would have been found');
    const again = slipway(root, 'init', '--flux');
    assert.equal(again.status, 0, again.stderr);
    assert.equal(read(root, 'clusters/dev/shop-delivery.yaml'), objects);
    writeFileSync(join(root, 'clusters/dev/shop-delivery.yaml'), 'mine\n');
    assert.equal(slipway(root, 'init', '--flux').status, 2, 'nothing is overwritten');
    assert.equal(read(root, 'clusters/dev/shop-delivery.yaml'), 'mine\n');
    assert.equal(slipway(root, 'init', '--flux', '--force').status, 0);
    assert.equal(read(root, 'clusters/dev/shop-delivery.yaml'), objects);
  });
}

test("init --argocd: Argo CD's Application and ImageUpdater take it, and kustomize renders the folder", async () => {
  const definitions = join(await moduleFolder('argocd', 'github.com/argoproj/argo-cd/v3'), 'manifests/crds');
  for (const file of [
    join(definitions, 'application-crd.yaml'),
    join(import.meta.dirname, 'fixtures/imageupdater-crd.yaml'),
  ]) {
    const made = kubectl(['apply', '--server-side', '--force-conflicts', '-f', file]);
    assert.equal(made.status, 0, made.stderr);
  }
  while (kubectl(['get', 'applications.argoproj.io,imageupdaters.argocd-image-updater.argoproj.io', '-A']).status !== 0)
    await new Promise((resolve) => setTimeout(resolve, 200));
  kubectl(['create', 'namespace', namespace]);
  const root = app('["{branch}-{commits}-{sha}"]');
  const written = slipway(root, 'init', '--argocd');
  assert.equal(written.status, 0, written.stderr);
  const here = (text: string): string => text.replace('namespace: argocd', `namespace: ${namespace}`);
  for (const path of ['argocd/shop.yaml', 'argocd/shop-updater.yaml']) {
    const taken = apply(here(read(root, path)));
    assert.equal(taken.status, 0, `${path}: ${taken.stderr}`);
  }
  assert.notEqual(apply(here(read(root, 'argocd/shop.yaml')).replace('targetRevision', 'revision')).status, 0);
  assert.notEqual(apply(here(read(root, 'argocd/shop-updater.yaml')).replace('namePattern', 'name')).status, 0);
  const rendered = kubectl(['kustomize', join(root, 'deploy')]);
  assert.match(rendered.stdout, /image: ghcr\.io\/acme\/shop:main-1-abc1234/, rendered.stderr);
});

await run('delivery', async () => {
  kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
