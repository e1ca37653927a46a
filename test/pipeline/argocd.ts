// Argo CD end to end: its real kinds, real git (Gitea), registry and pods; the controller's writes are played (see
// support/argocdPlayer.ts). Deploy by git, health that is stale, rollback under automation and Image Updater.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundledCli } from '../bundle.ts';
import { moduleFolder } from '../lab/gobuild.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { agentOf } from './support/agent.ts';
import { type ArgoCdPlayer, playArgoCd } from './support/argocdPlayer.ts';
import { actorPort, deployment } from './support/deployment.ts';
import { giteaRepository } from './support/giteaRepository.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const { CI: _ci, ...own } = process.env;
const env = { ...own, ...lab.env };
const namespace = `argo-e2e-${process.pid}`;
const repository = `${lab.registry}/argo/app`;
const root = mkdtempSync(join(tmpdir(), 'slipway-argocd-e2e-'));
const cli = bundledCli();
for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await pushActor(env, repository, version);
const gitea = await giteaRepository(namespace);

const kubectl = (args: readonly string[], input?: string): string => {
  const result = spawnSync('kubectl', args, { env, encoding: 'utf8', ...(input !== undefined && { input }) });
  if (result.status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
};
const git = (...args: readonly string[]): string => {
  const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'init.defaultBranch=main'];
  const result = spawnSync('git', [...identity, ...args], { cwd: root, env, encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
  return result.stdout.trim();
};
const agent = agentOf(root, env);
interface Output {
  readonly code: number | null;
  readonly text: string;
  readonly out: string;
}
/** Not synchronous: the played controller lives in this process. */
function slipway(...args: readonly string[]): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [cli, '-C', root, ...args], { env: { ...env, CI: '1' } });
    let out = '';
    let all = '';
    child.stdout.on('data', (bytes: Buffer) => {
      out += bytes.toString();
      all += bytes.toString();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      all += bytes.toString();
    });
    child.on('close', (code) => resolve({ code, out, text: `code ${code}\n${all}` }));
  });
}

const application = (annotations = '') => `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: ${namespace}
${annotations}spec:
  project: default
  source:
    repoURL: ${gitea.url}
    path: deploy
    targetRevision: main
  destination: { server: https://kubernetes.default.svc, namespace: ${namespace} }
  syncPolicy:
    automated: { prune: true, selfHeal: true }
    retry: { limit: 2 }
`;
const UPDATER = `  annotations:
    argocd-image-updater.argoproj.io/image-list: web=${repository}:1.x
    argocd-image-updater.argoproj.io/write-back-method: git
    argocd-image-updater.argoproj.io/write-back-target: kustomization
`;
const write = (path: string, text: string): void => {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
};
write('Dockerfile', 'FROM scratch\n');
write(
  'slipway.yaml',
  `version: 1
images:
  web: { repository: ${repository} }
tags: ["{sha}"]
scan: { enabled: false }
environments:
  dev:
    namespace: ${namespace}
    deploy: { argocd: { application: ${namespace}/shop } }
    rollout: { stability: 500ms }
    smoke: [ { get: "service/web:http/healthz", json: { status: ok } } ]
`,
);
write(
  'deploy/kustomization.yaml',
  `# Written by Image Updater and by Slipway.\r\nresources: [web.yaml]\r\nimages:\r\n  - name: ${repository}\r\n    newTag: 1.0.0   # the version\r\n`,
);
const workload = (
  environment: string,
) => `${deployment({ name: 'web', image: repository, container: [...actorPort, `env: [${environment}]`] })}---
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: http }]
`;
write('deploy/web.yaml', workload(''));
write('argocd/shop.yaml', application(UPDATER));
const sideWorkload = (image: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: side }
spec:
  selector: { matchLabels: { app: side } }
  template:
    metadata: { labels: { app: side } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: side
          image: ${image}   # the version
          readinessProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: 1 }
`;
write('chart/Chart.yaml', 'apiVersion: v2\nname: side\nversion: 0.1.0\n');
write('chart/values.yaml', `image:\n  repository: ${repository}\n  tag: 1.0.0   # by hand\n`);
write('chart/templates/side.yaml', sideWorkload('{{ .Values.image.repository }}:{{ .Values.image.tag }}'));
write('plain/side.yaml', sideWorkload(`${repository}:1.0.0`));
const updaterObject = `apiVersion: argocd-image-updater.argoproj.io/v1alpha1
kind: ImageUpdater
metadata: { name: side, namespace: ${namespace} }
spec:
  writeBackConfig: { method: git }
  applicationRefs:
    - namePattern: side
      images:
        - alias: web
          imageName: ${repository}:1.x
          manifestTargets: { helm: { name: image.repository, tag: image.tag } }
`;
write('argocd/updater.yaml', updaterObject);
git('init', '-q', '-b', 'main');
git('add', '-A');
git('commit', '-qm', 'first');
git('remote', 'add', 'origin', gitea.pushUrl);
git('push', '-q', 'origin', 'main');

const definitions = join(await moduleFolder('argocd', 'github.com/argoproj/argo-cd/v3'), 'manifests/crds');
kubectl(['apply', '--server-side', '--force-conflicts', '-f', join(definitions, 'application-crd.yaml')]);
// A definition that was just made has no conditions yet, on which "kubectl wait" fails.
while (spawnSync('kubectl', ['get', 'applications.argoproj.io', '-A'], { env }).status !== 0)
  await new Promise((resolve) => setTimeout(resolve, 200));
kubectl(['create', 'namespace', namespace]);
kubectl(['apply', '-f', '-'], application(UPDATER));
const controller = playArgoCd({ env, namespace, name: 'shop', url: gitea.pushUrl });

const live = (): string =>
  kubectl(['-n', namespace, 'get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}']);
const remote = (path: string): string => {
  git('fetch', '-q', 'origin');
  const result = spawnSync('git', ['show', `origin/main:${path}`], { cwd: root, env, encoding: 'utf8' });
  return result.stdout;
};
const annotation = (key: string): string => {
  const object = JSON.parse(kubectl(['-n', namespace, 'get', 'applications.argoproj.io', 'shop', '-o', 'json']));
  return object.metadata.annotations?.[key] ?? '';
};
const change = (name: string, patch: object): void =>
  void kubectl([
    ...['-n', namespace, 'patch', 'applications.argoproj.io', name],
    ...['--type=merge', '-p', JSON.stringify(patch)],
  ]);
const statusOf = async () => JSON.parse((await slipway('--json', 'argocd', 'status')).out);
/** Until the played controller has compared so often again. */
const comparisons = async (more: number): Promise<void> => {
  const wanted = controller.comparisons() + more;
  while (controller.comparisons() < wanted) {
    assert.equal(controller.fault(), undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

test('the first sync, in words', async () => {
  await comparisons(3);
  const refreshed = await slipway('argocd', 'refresh');
  assert.equal(refreshed.code, 0, refreshed.text);
  while (!/healthy/.test((await statusOf()).state)) await comparisons(1);
  const status = await slipway('argocd', 'status');
  assert.match(
    status.out,
    /shop: healthy\nThe cluster matches [0-9a-f]{8}\. Argo CD calls its workloads healthy\./,
    status.text,
  );
  assert.match(live(), /:1\.0\.0$/);
});

test('deploy: one token in git, synced at once, judged on the real pods', async () => {
  const before = remote('deploy/kustomization.yaml');
  const deployed = await slipway('run', '--env', 'dev', '--tag', '1.1.0');
  assert.equal(deployed.code, 0, deployed.text);
  assert.match(live(), /:1\.1\.0$/);
  assert.equal(remote('deploy/kustomization.yaml'), before.replace('newTag: 1.0.0 ', 'newTag: 1.1.0 '));
  assert.match(
    git('log', '-1', '--format=%B', 'origin/main'),
    /^Deploy web 1\.1\.0 \(shop\)\n\nImage: .*\nApplication: .*\/shop\nRun-Id: /,
  );
  assert.equal(git('status', '--porcelain', '--untracked-files=no'), '');
  assert.match(annotation('slipway.dev/verified-revisions'), /[0-9a-f]{40}/);
  const history = await slipway('rollback', '--env', 'dev', '--list');
  assert.match(history.out, /live, verified.*app 1\.1\.0\n.*app 1\.0\.0/, history.text);
});

test('health from before the last operation is not believed, nor a comparison that is behind git', async () => {
  controller.pause();
  try {
    const later = new Date(Date.now() + 60_000).toISOString();
    const patch = { status: { operationState: { finishedAt: later } } };
    change('shop', patch);
    const stale = await statusOf();
    assert.equal(stale.state, 'stale');
    assert.match(stale.health, /healthy \(not to be trusted/);
  } finally {
    controller.resume();
  }
  await comparisons(1);
  controller.pause();
  try {
    git('commit', '-q', '--allow-empty', '-m', 'nothing');
    git('pull', '-q', '--rebase', 'origin', 'main');
    git('push', '-q', 'origin', 'HEAD:main');
    const now = new Date(Date.now() - 120_000).toISOString();
    const patch = { status: { operationState: { finishedAt: now } } };
    change('shop', patch);
    const behind = await statusOf();
    assert.equal(behind.state, 'stale', JSON.stringify(behind));
    assert.match(behind.freshness.why, /has compared with [0-9a-f]{8}, but git holds [0-9a-f]{8}/);
  } finally {
    controller.resume();
  }
});

test('a bad version is named and taken back by git; the updater leaves it alone, and it stays', async () => {
  git('pull', '-q', '--rebase', 'origin', 'main');
  // The image itself is bad: only 1.2.0 exits at once.
  await pushBroken('1.2.0');
  const failed = await slipway('run', '--env', 'dev', '--tag', '1.2.0');
  assert.equal(failed.code, 1, failed.text);
  assert.match(failed.text, /Rollback: Back at commit [0-9a-f]{8}, which alone serves again/, failed.text);
  assert.match(live(), /:1\.1\.0$/);
  assert.match(remote('deploy/kustomization.yaml'), /newTag: 1\.1\.0 {3}# the version\r\n/);
  assert.equal(annotation('argocd-image-updater.argoproj.io/web.ignore-tags'), '1.2.0');
  assert.match(remote('argocd/shop.yaml'), /web\.ignore-tags: 1\.2\.0/);
  await comparisons(3);
  assert.match(live(), /:1\.1\.0$/, 'two further comparisons leave it');
});

test('the ways back, with what the controllers would do next', async () => {
  const ways = await slipway('argocd', 'ways', '--to', '1.0.0');
  assert.equal(ways.code, 0, ways.text);
  assert.match(ways.out, /app: 1\.1\.0 → 1\.0\.0\n {2}ignore .*\n/, ways.text);
  assert.match(ways.out, /revert {2}\S.*\n.*syncs the commit with 1\.0\.0 by itself\n.*chooses 1\.\d\.0/, ways.text);
  const history = await slipway('argocd', 'history');
  assert.match(history.out, /live {2}app 1\.1\.0\n.*app 1\.2\.0\n.*app 1\.1\.0/, history.text);
});

test('rollback by command goes through git as well', async () => {
  const next = await slipway('run', '--env', 'dev', '--tag', '1.3.0');
  assert.equal(next.code, 0, next.text);
  assert.match(live(), /:1\.3\.0$/);
  const back = await slipway('rollback', '--env', 'dev');
  assert.equal(back.code, 0, back.text);
  assert.match(live(), /:1\.1\.0$/);
  assert.equal(annotation('argocd-image-updater.argoproj.io/web.ignore-tags'), '1.2.0,1.3.0');
  await comparisons(2);
  assert.match(live(), /:1\.1\.0$/);
});

test('rollback in the cluster: refused under automation, or automation is paused, reminded of and restored', async () => {
  const refused = await slipway('argocd', 'rollback');
  assert.equal(refused.code, 2, refused.text);
  assert.match(refused.text, /would not stay: automatic sync is on/);
  const history = (await slipway('--json', 'argocd', 'history')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const first = history.at(-1).id;
  const back = await slipway('argocd', 'rollback', '--to', String(first), '--pause');
  assert.equal(back.code, 0, back.text);
  assert.match(live(), /:1\.0\.0$/);
  await comparisons(3);
  assert.match(live(), /:1\.0\.0$/, 'nothing goes forward again');
  const status = await slipway('argocd', 'status');
  assert.match(status.out, /Automatic sync is paused: rolled back to .*Resume it with/, status.text);
  const seen = (await agent.call('argocd_status', { environment: 'dev' })) as {
    applications: { state: string; paused?: string; images: string[] }[];
  };
  assert.match(seen.applications[0]?.paused ?? '', /rolled back to/, JSON.stringify(seen));
  assert.ok(JSON.stringify(seen).length < 4_000, 'small');
  const { entries } = (await agent.call('argocd_history', { environment: 'dev' })) as {
    entries: { isLive: boolean }[];
  };
  assert.equal(entries.filter(({ isLive }) => isLive).length, 1);
  assert.deepEqual(agent.asked, [], 'looking needs no agreement');
  const resumed = await slipway('argocd', 'resume');
  assert.match(resumed.out, /on again as it was/, resumed.text);
  while (!/:1\.1\.0$/.test(live())) await comparisons(1);
  const spec = JSON.parse(kubectl(['-n', namespace, 'get', 'applications.argoproj.io', 'shop', '-o', 'json'])).spec;
  assert.deepEqual(spec.syncPolicy.automated, { prune: true, selfHeal: true });
});

test('an agent looks again, syncs, and finds nothing paused', async () => {
  const { controller: who, objects } = (await agent.call('reconcile', { environment: 'dev' })) as {
    controller: string;
    objects: { object: string; message: string }[];
  };
  assert.equal(who, 'argocd');
  assert.match(objects[0]?.object ?? '', /^Application .*shop$/);
  const synced = await agent.call('argocd_sync', { environment: 'dev' });
  assert.match(String(synced.sync), /./, JSON.stringify(synced));
  assert.deepEqual(synced.problems, []);
  const resumed = await agent.call('resume_delivery', { environment: 'dev' });
  assert.equal(resumed.outcome, 'was-not-paused');
  assert.deepEqual(agent.asked, ['Reconcile dev', 'Sync dev with Argo CD', 'Resume automatic sync of dev']);
});

test('without automation the run asks for the sync itself', async () => {
  change('shop', { spec: { syncPolicy: { automated: null } } });
  const deployed = await slipway('run', '--env', 'dev', '--tag', '1.0.0');
  assert.equal(deployed.code, 0, deployed.text);
  assert.match(live(), /:1\.0\.0$/);
  const last = JSON.parse(
    kubectl(['-n', namespace, 'get', 'applications.argoproj.io', 'shop', '-o', 'json']),
  ).status.history.at(-1);
  assert.equal(last.initiatedBy.username, 'slipway');
});

// The namespace is in the name, as the Application is not in Argo CD's own.
const SIDE_OVERRIDE = `chart/.argocd-source-${namespace}_side.yaml`;
const sideImage = (): string =>
  kubectl(['-n', namespace, 'get', 'deploy', 'side', '-o', 'jsonpath={.spec.template.spec.containers[0].image}']);
let side: ArgoCdPlayer | undefined;

test('other places, Image Updater 1.x: a chart by its override file; a bad version leaves the live object with its tag ignored', async () => {
  // Only now: with two environments of Argo CD the commands above would have to name one.
  appendFileSync(
    join(root, 'slipway.yaml'),
    `  side:
    namespace: ${namespace}
    deploy: { argocd: { application: ${namespace}/side } }
    rollout: { stability: 500ms }
`,
  );
  kubectl(['apply', '--server-side', '-f', join(import.meta.dirname, 'fixtures/imageupdater-crd.yaml')]);
  while (spawnSync('kubectl', ['apply', '-f', '-'], { env, input: updaterObject }).status !== 0)
    await new Promise((resolve) => setTimeout(resolve, 200));
  const app = application().replace('name: shop', 'name: side').replace('path: deploy', 'path: chart');
  kubectl(['apply', '-f', '-'], app);
  side = playArgoCd({ env, namespace, name: 'side', url: gitea.pushUrl });
  await pushBroken('1.2.0');
  const deployed = await slipway('run', '--env', 'side', '--tag', '1.1.0');
  assert.equal(deployed.code, 0, deployed.text);
  assert.match(sideImage(), /:1\.1\.0$/);
  assert.match(remote(SIDE_OVERRIDE), /name: image\.tag\n\s+value: "?1\.1\.0"?/);
  assert.match(remote('chart/values.yaml'), /tag: 1\.0\.0 {3}# by hand/);
  const failed = await slipway('run', '--env', 'side', '--tag', '1.2.0');
  assert.equal(failed.code, 1, failed.text);
  assert.match(sideImage(), /:1\.1\.0$/);
  assert.match(remote(SIDE_OVERRIDE), /name: image\.tag\n\s+value: "?1\.1\.0"?/);
  const live = JSON.parse(kubectl(['-n', namespace, 'get', 'imageupdaters', 'side', '-o', 'json']));
  const [image] = live.spec.applicationRefs[0].images;
  assert.deepEqual(image.commonUpdateSettings, { ignoreTags: ['1.2.0'] });
  assert.deepEqual(image.manifestTargets, { helm: { name: 'image.repository', tag: 'image.tag' } });
  assert.match(remote('argocd/updater.yaml'), /ignoreTags: ?(?:\[1\.2\.0\]|\n\s+- 1\.2\.0)/);
});

test('other places, without an updater: the override beats the values, which is said; then values and manifests are written, one token each', async () => {
  kubectl(['-n', namespace, 'delete', 'imageupdaters', 'side']);
  const shadowed = await slipway('run', '--env', 'side', '--tag', '1.3.0');
  assert.equal(shadowed.code, 2, shadowed.text);
  assert.match(shadowed.text, /image\.tag in chart\/\.argocd-source-\S+_side\.yaml beats what git says/);
  git('pull', '-q', '--rebase', '--autostash', 'origin', 'main');
  git('rm', '-q', SIDE_OVERRIDE);
  git('commit', '-qm', 'The values decide');
  git('push', '-q', 'origin', 'HEAD:main');
  const values = remote('chart/values.yaml');
  const byValues = await slipway('run', '--env', 'side', '--tag', '1.3.0');
  assert.equal(byValues.code, 0, byValues.text);
  assert.match(sideImage(), /:1\.3\.0$/);
  assert.equal(remote('chart/values.yaml'), values.replace('tag: 1.0.0 ', 'tag: 1.3.0 '));
  const plain = remote('plain/side.yaml');
  change('side', { spec: { source: { path: 'plain' } } });
  const byManifest = await slipway('run', '--env', 'side', '--tag', '1.1.0');
  assert.equal(byManifest.code, 0, byManifest.text);
  assert.match(sideImage(), /:1\.1\.0$/);
  assert.equal(remote('plain/side.yaml'), plain.replace(':1.0.0 ', ':1.1.0 '));
});

test('a commit that Argo CD applies while another version runs fails the run, and says what runs', async () => {
  git('pull', '-q', '--rebase', '--autostash', 'origin', 'main');
  // A chart with a value of its own for the version: what Slipway writes is not what decides.
  write('chart/templates/side.yaml', sideWorkload('{{ .Values.image.repository }}:{{ .Values.pinned }}'));
  appendFileSync(join(root, 'chart/values.yaml'), 'pinned: 1.1.0\n');
  git('commit', '-qm', 'The chart pins', 'chart');
  git('push', '-q', 'origin', 'HEAD:main');
  change('side', { spec: { source: { path: 'chart' } } });
  const failed = await slipway('run', '--env', 'side', '--tag', '1.0.0');
  assert.notEqual(failed.code, 0, failed.text);
  assert.match(
    failed.text,
    /Argo CD applied [0-9a-f]{8}, but the workloads of side run \S*1\.1\.0 and not 1\.0\.0/,
    failed.text,
  );
  assert.match(failed.text, /Look for a parameter of the Application/);
  assert.match(sideImage(), /:1\.1\.0$/);
});

/** A version of the image that ends at once with words. */
async function pushBroken(version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-broken-'));
  writeFileSync(join(folder, 'Dockerfile'), `FROM ${repository}:1.0.0\nENV EXIT=3\n`);
  const result = spawnSync(
    'docker',
    ['buildx', 'build', '--provenance=false', '--push', '-q', '-t', `${repository}:${version}`, folder],
    { env, encoding: 'utf8' },
  );
  rmSync(folder, { recursive: true, force: true });
  if (result.status !== 0) throw new Error(result.stderr);
}

await run('argocd', async () => {
  await controller.stop();
  await side?.stop();
  spawnSync('kubectl', ['delete', 'namespace', namespace, '--wait=false'], { env });
  await gitea.remove();
  rmSync(root, { recursive: true, force: true });
});
