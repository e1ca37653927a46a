// What `slipway init --ci gitea` writes, run: the jobs of the generated workflow on a real Gitea, by a played runner, for every
// kind of deploy. Manifests and a chart go to the cluster; for Flux and Argo CD the job pushes a commit that starts no run.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundledCli } from '../bundle.ts';
import { moduleFolder } from '../lab/gobuild.ts';
import { labEnv } from '../lab/lab.ts';
import { playArgoCd } from './support/argocdPlayer.ts';
import { GiteaAccount } from './support/giteaAccount.ts';
import { GiteaRunner } from './support/giteaRunner.ts';
import { run, test } from './support/suite.ts';

const lab = await labEnv(['core', 'flux', 'gitea']);
const { CI: _ci, ...own } = process.env;
const account = new GiteaAccount(lab.env, `gen-${process.pid}`);
const { url, user } = account;
const namespace = `generated-${process.pid}`;
const image = `${lab.registry}/${namespace}/app`;
const work = mkdtempSync(join(tmpdir(), 'slipway-generated-'));
const root = join(work, 'app');
const env = { ...own, ...lab.env, HOME: work };
const cli = bundledCli();
const runner = new GiteaRunner(url, env);
const fleet = `${url}/${user}/app.git`;
let controller: ReturnType<typeof playArgoCd> | undefined;

function command(file: string, args: readonly string[], input?: string): string {
  const result = spawnSync(file, args, { cwd: root, env, encoding: 'utf8', ...(input !== undefined && { input }) });
  assert.equal(result.status, 0, `${file} ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  return result.stdout.trim();
}
const git = (...args: readonly string[]) =>
  command('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args]);
const kubectl = (args: readonly string[], input?: string) => command('kubectl', ['-n', namespace, ...args], input);
const live = (name: string) =>
  kubectl(['get', 'deployment', name, '-o', 'jsonpath={.spec.template.spec.containers[0].image}']);

/** Not blocking: runner and controller live in this process. */
function slipway(token: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: root,
      env: { ...env, GITEA_TOKEN: token, GITEA_HOST: account.host },
    });
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    child.stderr.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(text) : reject(new Error(`slipway ${args.join(' ')}: ${text}`))));
  });
}

const deployment = (name: string, reference: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: ${name}
          image: ${reference}
          readinessProbe: { httpGet: { path: /note, port: 8000 }, periodSeconds: 1 }
`;

const FLUX = `apiVersion: image.toolkit.fluxcd.io/v1
kind: ImageRepository
metadata: { name: app, namespace: ${namespace} }
spec: { image: ${image}, interval: 1h, insecure: true, exclusionList: ["^slipway-staging$"] }
---
apiVersion: image.toolkit.fluxcd.io/v1
kind: ImagePolicy
metadata: { name: app, namespace: ${namespace} }
spec: { imageRepositoryRef: { name: app }, policy: { semver: { range: 1.0.x } } }
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: { name: fleet, namespace: ${namespace} }
spec: { interval: 1h, url: "${fleet}", ref: { branch: main } }
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: { name: fleet, namespace: ${namespace} }
spec: { interval: 1h, retryInterval: 5s, prune: true, path: ./clusters/home/apps, sourceRef: { kind: GitRepository, name: fleet } }
`;
const APPLICATION = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: { name: shop, namespace: ${namespace} }
spec:
  project: default
  source: { repoURL: "${fleet}", path: deploy, targetRevision: main }
  destination: { server: https://kubernetes.default.svc, namespace: ${namespace} }
  syncPolicy: { automated: { prune: true, selfHeal: true } }
`;
const rollout = 'rollout: { stability: 500ms }';
const files: Readonly<Record<string, string>> = {
  note: 'one\n',
  Dockerfile: `FROM ${lab.registry}/base/django:3.2\nCOPY note /srv/note\nWORKDIR /srv\nCMD ["python3", "-m", "http.server", "8000"]\n`,
  'slipway.yaml': `version: 1
images:
  app: { repository: ${image}, platforms: [linux/amd64] }
tags: ["1.0.{commits}"]
scan: { enabled: false }
environments:
  plain:
    namespace: ${namespace}
    deploy: { manifests: { paths: [k8s] } }
    ${rollout}
  chart:
    protected: true
    namespace: ${namespace}
    deploy: { helm: { chart: chart, release: chart, images: { app: image } } }
    ${rollout}
  home:
    namespace: ${namespace}
    deploy: { flux: { policies: [${namespace}/app] } }
    ${rollout}
  shop:
    namespace: ${namespace}
    deploy: { argocd: { application: ${namespace}/shop } }
    ${rollout}
`,
  'k8s/plain.yaml': deployment('plain', `${image}:none`),
  'chart/Chart.yaml': 'apiVersion: v2\nname: chart\nversion: 0.1.0\n',
  'chart/values.yaml': `image:\n  repository: ${image}\n  tag: none\n`,
  'chart/templates/app.yaml': deployment('chart', '"{{ .Values.image.repository }}:{{ .Values.image.tag }}"'),
  'clusters/home/flux.yaml': FLUX,
  'clusters/home/apps/home.yaml': deployment('home', `${image}:1.0.0 # {"$imagepolicy": "${namespace}:app"}`),
  'deploy/kustomization.yaml': `resources: [shop.yaml]\nimages:\n  - name: ${image}\n    newTag: 1.0.0\n`,
  'deploy/shop.yaml': deployment('shop', image),
  'argocd/shop.yaml': APPLICATION,
  // What CI installs instead of a published package: a command that is this checkout's.
  'tools/package.json': JSON.stringify({
    name: 'slipway-of-the-test',
    version: '1.0.0',
    bin: { slipway: 'slipway.sh' },
  }),
};

const runsOf = async (): Promise<readonly { readonly event: string; readonly head_sha: string }[]> =>
  (
    (await account.api('GET', `repos/${user}/app/actions/runs?limit=50`)) as {
      readonly workflow_runs: readonly { readonly event: string; readonly head_sha: string }[];
    }
  ).workflow_runs;
const tokens = { full: '' };

test('a push runs the pipeline and the deploys that are not protected, each as its job says', async () => {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  writeFileSync(join(root, 'tools/slipway.sh'), `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`, {
    mode: 0o755,
  });
  command(process.execPath, [cli, 'init', '--ci', 'gitea', '--package', './tools']);
  await account.create();
  tokens.full = await account.token('full', ['write:repository']);
  await account.api('POST', 'user/repos', { name: 'app' });
  const kubeconfig = readFileSync(lab.env.KUBECONFIG ?? '', 'utf8');
  for (const name of ['PLAIN', 'CHART', 'HOME', 'SHOP'])
    await account.api('PUT', `repos/${user}/app/actions/secrets/KUBECONFIG_${name}`, { data: kubeconfig });
  git('init', '-q', '-b', 'main');
  git('add', '-A');
  git('commit', '-qm', 'First version');
  git('remote', 'add', 'origin', fleet);
  git('push', '-q', account.pushUrl('app', tokens.full), 'main');
  command('kubectl', ['create', 'namespace', namespace]);
  kubectl(['apply', '-f', '-'], FLUX);
  const definitions = join(await moduleFolder('argocd', 'github.com/argoproj/argo-cd/v3'), 'manifests/crds');
  kubectl(['apply', '--server-side', '--force-conflicts', '-f', join(definitions, 'application-crd.yaml')]);
  // A definition that was just made has no conditions yet, on which "kubectl wait" fails.
  while (spawnSync('kubectl', ['get', 'applications.argoproj.io', '-A'], { env }).status !== 0)
    await new Promise((resolve) => setTimeout(resolve, 200));
  kubectl(['apply', '-f', '-'], APPLICATION);
  controller = playArgoCd({ env, namespace, name: 'shop', url: fleet });
  await runner.register(await account.registration('app'), ['ubuntu-latest']);
  const results = await runner.work(5);
  assert.deepEqual(
    results.toSorted(),
    ['RESULT_SKIPPED', ...Array.from({ length: 4 }, () => 'RESULT_SUCCESS')],
    runner.said.join('\n'),
  );
  for (const name of ['plain', 'home', 'shop']) assert.match(live(name), new RegExp(`^${image}:1\\.0\\.1(@|$)`), name);
  assert.equal(spawnSync('kubectl', ['-n', namespace, 'get', 'deployment', 'chart'], { env }).status, 1);
});

test('the commits of the deploys are in git, and started nothing', async () => {
  git('pull', '-q', '--rebase', 'origin', 'main');
  assert.match(readFileSync(join(root, 'clusters/home/apps/home.yaml'), 'utf8'), /:1\.0\.1 # \{"\$imagepolicy"/);
  assert.match(readFileSync(join(root, 'deploy/kustomization.yaml'), 'utf8'), /newTag: ["']?1\.0\.1/);
  assert.equal(git('rev-list', '--count', 'HEAD'), '3');
  const head = git('rev-parse', 'HEAD');
  const runs = await runsOf();
  assert.deepEqual(
    runs.map(({ event }) => event),
    ['push'],
  );
  assert.notEqual(runs[0]?.head_sha, head);
});

test('what is protected is deployed when somebody asks for it, and nothing else is', async () => {
  const working = runner.work(5);
  working.catch(() => {});
  await slipway(tokens.full, 'ci', 'run', 'slipway.yml', '-f', 'environment=chart');
  const results = await working;
  assert.deepEqual(results.filter((result) => result === 'RESULT_SUCCESS').length, 2, runner.said.join('\n'));
  assert.deepEqual(results.filter((result) => result === 'RESULT_SKIPPED').length, 3);
  assert.match(live('chart'), new RegExp(`^${image}:1\\.0\\.3(@|$)`));
  assert.match(live('plain'), new RegExp(`^${image}:1\\.0\\.1(@|$)`));
});

await run('generated', async () => {
  runner.dispose();
  await controller?.stop();
  await account.remove();
  spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found'], { env });
  rmSync(work, { recursive: true, force: true });
});
process.exit();
