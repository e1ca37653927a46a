// Failures that get past the look before the deploy, run by the real executor on the real cluster: the way back, and how
// long it takes until only the old version serves.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, listOf, openCluster } from '../../src/engine/cluster/index.ts';
import {
  checkStep,
  deployStep,
  registryLookUp,
  runDiagnosis,
  runRollback,
  runVerified,
} from '../../src/engine/deploy/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import type { Plan, PlannedStep, StepKind, StepSpec } from '../../src/engine/plan/step.ts';
import type { DeployConfig, EnvironmentConfig, ImageConfig, SmokeConfig } from '../../src/engine/project/model.ts';
import { rolloutStep } from '../../src/engine/rollout/rolloutStep.ts';
import { deployAccess, smokeAccess } from '../../src/engine/run/clusterAccess.ts';
import { executeRun, type RunView } from '../../src/engine/run/index.ts';
import { smokeStep } from '../../src/engine/smoke/index.ts';
import { createSystem } from '../../src/engine/system/index.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { digestOf, pushActor } from './support/actor.ts';
import { run, strand, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const system = createSystem({ env });
const cluster = await openCluster(system, { kubeconfig: lab.kubeconfig });
const access = deployAccess(cluster);
const signal = new AbortController().signal;
const repository = `${lab.registry}/deploy/app`;
const fixtures = join(import.meta.dirname, 'fixtures');
const root = mkdtempSync(join(tmpdir(), 'slipway-rollback-'));
for (const version of ['1.0.0', '1.1.0']) await pushActor(env, repository, version);

const real = registryLookUp(system, new Secrets());
/** Says of everything that it is there, as a registry does just before somebody deletes the tag. */
const trusting = { lookUp: async () => ({ state: 'present', digest: 'sha256:00', platforms: [] }) as const };

const image: ImageConfig = {
  name: 'web',
  context: root,
  dockerfile: join(root, 'Dockerfile'),
  repository,
  platforms: [],
  args: {},
  secrets: {},
  ssh: [],
  cacheFrom: [],
  cacheTo: [],
  labels: {},
  place: { file: '/slipway.yaml' },
};

const healthz: SmokeConfig = {
  kind: 'http',
  name: 'healthz',
  deadlineMs: 5_000,
  place: { file: '/slipway.yaml' },
  method: 'GET',
  target: { kind: 'service', name: 'web', port: 'http' },
  path: '/healthz',
  tls: false,
  headers: {},
  expect: { status: [200], json: { status: 'ok' }, headers: {} },
};

interface Options {
  readonly namespace: string;
  readonly tag: string;
  readonly deploy?: DeployConfig;
  readonly set?: Record<string, string>;
  readonly isTrusting?: boolean;
  readonly smoke?: readonly SmokeConfig[];
}

const chart = (set: Record<string, string> = {}): DeployConfig => ({
  kind: 'helm',
  chart: join(fixtures, 'chart'),
  release: 'web',
  values: [],
  set: { replicas: '2', ...set },
  images: { web: 'image' },
  historyMax: 10,
});
const manifests: DeployConfig = {
  kind: 'manifests',
  paths: [join(fixtures, 'manifests')],
  images: ['web'],
  prune: false,
};

async function pipeline({ namespace, tag, deploy, set, isTrusting, smoke }: Options): Promise<RunView> {
  const environment: EnvironmentConfig = {
    name: namespace,
    kubeconfig: lab.kubeconfig,
    namespace,
    isProtected: false,
    deploy: deploy ?? chart(set),
    rollout: { rollback: true },
    smoke: smoke ?? [healthz],
    place: { file: '/slipway.yaml' },
  };
  const images = [{ image, tag }];
  const step = (id: string, needs: readonly string[], spec: StepSpec): PlannedStep => ({
    id,
    kind: spec.kind,
    title: id,
    needs,
    spec,
    key: null,
    inputs: [],
    decision: { action: 'run', why: '' },
  });
  const plan: Plan = {
    root,
    environment,
    steps: [
      step('check:e', [], { kind: 'check', environment, images }),
      step('deploy:e', ['check:e'], { kind: 'deploy', environment, images }),
      step('rollout:e', ['deploy:e'], { kind: 'rollout', environment, deploy: 'deploy:e', learnedRestarts: {} }),
      step('smoke:e', ['rollout:e'], { kind: 'smoke', environment, deploy: 'deploy:e' }),
    ],
    isDirty: false,
    tags: [tag],
  };
  const open = async () => access;
  const registry = isTrusting === true ? trusting : real;
  const kinds: readonly StepKind[] = [
    checkStep({ open, registry: () => registry }),
    deployStep({ open, registry: () => registry }),
    rolloutStep,
    smokeStep({ access: async () => smokeAccess(cluster) }),
  ] as readonly unknown[] as readonly StepKind[];
  return executeRun({
    system,
    plan,
    kinds: new Map(kinds.map((kind) => [kind.kind, kind])),
    secrets: new Secrets(),
    startedBy: 'test',
    signal,
    rollback: runRollback({ open, registry: () => registry }),
    recordVerified: runVerified({ open }),
    diagnose: runDiagnosis({ open }),
  });
}

const namespaces = ['deploy-back', 'deploy-back-first', 'deploy-back-plain', 'deploy-back-hook', 'deploy-back-set'];
async function clean(): Promise<void> {
  const namespace = (name: string) => ({ apiVersion: 'v1', kind: 'Namespace', name });
  await Promise.all(namespaces.map((name) => access.remove(namespace(name), { signal })));
  for (const name of namespaces) {
    while ((await access.get(namespace(name), signal)) !== undefined) await system.clock.sleep(100);
  }
}

/** Pods of the namespace that are not on their way out, as `image ready`. */
async function podsIn(namespace: string): Promise<readonly string[]> {
  const pods = await access.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels: 'app=web' }, signal);
  return pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .map((pod) => {
      const isReady = listOf(at(pod, 'status', 'conditions')).some((c) => c.type === 'Ready' && c.status === 'True');
      const reference = String(listOf(at(pod, 'spec', 'containers'))[0]?.image);
      return `${reference.slice(repository.length + 1).split('@')[0]} ${isReady ? 'ready' : 'not ready'}`;
    })
    .sort();
}

/** The diagnosis of a run; what is recognised in it first is the cause. */
function reportOf(view: RunView): string {
  assert.equal(view.reports[0]?.path, 'reports/diagnostics/report.md');
  return readFileSync(join(root, '.slipway', 'runs', view.id, 'reports', 'diagnostics', 'report.md'), 'utf8');
}

function assertRestored(view: RunView, limitMs: number): void {
  const finished = view.rollback?.finished;
  assert.equal(finished?.outcome, 'restored', finished?.message ?? JSON.stringify(view.failure));
  assert.equal(view.rolledBack, true);
  const took = finished?.sinceDeployMs ?? Number.POSITIVE_INFINITY;
  console.log(
    `     ${view.failure?.code}: the old version alone serves ${(took / 1000).toFixed(1)} s after the deploy began`,
  );
  assert.ok(took <= limitMs, `${took} ms`);
}

// Each namespace has its own story, and the stories go on side by side.
const namespace = 'deploy-back';
test('helm: a good version is rolled out, answers, and is marked', async () => {
  const view = await pipeline({ namespace, tag: '1.0.0' });
  assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
  assert.equal(view.smoke[0]?.isOk, true);
  assert.match(view.endpoints[0]?.url ?? '', /^http:\/\/[\d.]+:3\d{4}$/);
  const answer = await fetch(`${view.endpoints[0]?.url}/healthz`);
  assert.equal(answer.headers.get('x-version'), '1.0.0');
  const secret = { apiVersion: 'v1', kind: 'Secret', name: 'sh.helm.release.v1.web.v1', namespace };
  assert.equal((await access.get(secret, signal))?.metadata.labels?.['slipway.dev/verified'], '1');
});

test('helm: a tag that does not exist never reaches the cluster', async () => {
  const started = Date.now();
  const view = await pipeline({ namespace, tag: '1.0.9' });
  console.log(`     refused after ${Date.now() - started} ms`);
  assert.deepEqual([view.state, view.failure?.code, view.rolledBack], ['failed', 'image.missing', false]);
  assert.match(view.failure?.message ?? '', /Nearest tags: 1\.0\.0/);
  assert.equal(view.deployed, undefined);
  const secret = { apiVersion: 'v1', kind: 'Secret', name: 'sh.helm.release.v1.web.v2', namespace };
  assert.equal(await access.get(secret, signal), undefined);
});

test('helm: a tag deleted after the look: the old version alone is back within 10 s', async () => {
  const view = await pipeline({ namespace, tag: 'deleted', isTrusting: true });
  assert.equal(view.failure?.code, 'image.missing');
  assert.match(reportOf(view), /1\. \*\*The image is not in the registry\*\*/);
  assertRestored(view, 10_000);
  assert.deepEqual(await podsIn(namespace), ['1.0.0 ready', '1.0.0 ready']);
});

test('helm: again, right after: the way back is still the verified version', async () => {
  const view = await pipeline({ namespace, tag: 'deleted-too', isTrusting: true });
  assertRestored(view, 10_000);
  assert.deepEqual(await podsIn(namespace), ['1.0.0 ready', '1.0.0 ready']);
});

test('helm: a crash loop', async () => {
  const view = await pipeline({ namespace, tag: '1.1.0', set: { 'env.EXIT': '3', password: 'tell-nobody' } });
  assert.match(view.failure?.code ?? '', /^crash/);
  const report = reportOf(view);
  assert.match(report, /fatal: cannot start: required setting MODE is missing/);
  assert.match(report, /\*\*The container ends again and again\*\*/);
  const files = readdirSync(join(root, '.slipway', 'runs', view.id, 'reports', 'diagnostics'), {
    recursive: true,
    encoding: 'utf8',
  });
  for (const file of ['report.md', 'events.txt', 'history.txt', 'nodes.txt', 'helm-history.txt', 'helm-values.yaml']) {
    assert.ok(files.includes(file), `${file} in ${files.join(' ')}`);
  }
  for (const file of files) {
    const path = join(root, '.slipway', 'runs', view.id, 'reports', 'diagnostics', String(file));
    if (!statSync(path).isFile()) continue;
    assert.ok(!readFileSync(path, 'utf8').includes('tell-nobody'), `${file} holds a secret`);
  }
  assertRestored(view, 60_000);
  assert.deepEqual(await podsIn(namespace), ['1.0.0 ready', '1.0.0 ready']);
});

test('helm: a version that starts and answers wrongly is taken back after the smoke test', async () => {
  const view = await pipeline({ namespace, tag: '1.1.0', set: { 'env.HEALTH_STATUS': '500' } });
  assert.equal(view.failure?.reason, 'smoke', JSON.stringify(view.failure));
  assert.equal(view.smoke[0]?.isOk, false);
  assertRestored(view, 60_000);
  assert.deepEqual(await podsIn(namespace), ['1.0.0 ready', '1.0.0 ready']);
});

strand()('helm: a first release that fails is left for diagnosis, and said so', async () => {
  const view = await pipeline({ namespace: 'deploy-back-first', tag: 'deleted', isTrusting: true });
  assert.deepEqual([view.state, view.rolledBack], ['failed', false]);
  assert.equal(view.rollback?.finished?.outcome, 'nothing-to-restore');
  assert.match(view.rollback?.finished?.message ?? '', /first release .* left as it is/);
  assert.ok((await podsIn('deploy-back-first')).length > 0);
});

strand()('helm: a failing hook leaves a failed revision, which is taken back', async () => {
  const where = 'deploy-back-hook';
  const good = await pipeline({ namespace: where, tag: '1.0.0' });
  assert.equal(good.state, 'succeeded', JSON.stringify(good.failure));
  const hook = { 'hook.enabled': 'true', 'hook.events': 'post-upgrade' };
  const missing = await pipeline({
    namespace: where,
    tag: '1.1.0',
    set: { ...hook, 'hook.image': `${repository}:no-such-hook` },
  });
  // Its image is ours by repository, and not there: seen before the deploy.
  assert.equal(missing.failure?.code, 'image.missing');
  assert.equal(missing.deployed, undefined);
  // Past that look, helm would wait its five minutes for the Job; the watch beside it sees the proof.
  const gone = await pipeline({
    namespace: where,
    tag: '1.1.0',
    isTrusting: true,
    set: { ...hook, 'hook.image': `${repository}:no-such-hook` },
  });
  assert.equal(gone.failure?.code, 'image.missing', JSON.stringify(gone.failure));
  assert.equal(gone.rollback?.finished?.outcome, 'restored', gone.rollback?.finished?.message);
  console.log(
    `     a hook without its image: back ${gone.rollback?.finished?.sinceDeployMs} ms after the deploy began`,
  );
  assert.deepEqual(await podsIn(where), ['1.0.0 ready', '1.0.0 ready']);
  const failing = await pipeline({ namespace: where, tag: '1.1.0', set: { ...hook, 'hook.args': '{fail,now}' } });
  assert.equal(failing.failure?.code, 'helm.hook', JSON.stringify(failing.failure));
  const finished = failing.rollback?.finished;
  assert.equal(finished?.outcome, 'restored', finished?.message);
  assert.deepEqual(await podsIn(where), ['1.0.0 ready', '1.0.0 ready']);
});

strand()('manifests: a tag deleted after the look', async () => {
  const where = 'deploy-back-plain';
  const smoke = [{ ...healthz, target: { kind: 'url', name: 'http://127.0.0.1:1' } } as SmokeConfig];
  const good = await pipeline({ namespace: where, tag: '1.0.0', deploy: manifests, smoke: [] });
  assert.equal(good.state, 'succeeded', JSON.stringify(good.failure));
  const view = await pipeline({ namespace: where, tag: 'deleted', deploy: manifests, isTrusting: true, smoke });
  assertRestored(view, 10_000);
  assert.deepEqual(await podsIn(where), ['1.0.0 ready']);
});

strand()('manifests: a StatefulSet that waits for its broken pod', async () => {
  const where = 'deploy-back-set';
  const deploy: DeployConfig = { ...manifests, paths: [join(fixtures, 'statefulset.yaml')] };
  const good = await pipeline({ namespace: where, tag: '1.0.0', deploy });
  assert.equal(good.state, 'succeeded', JSON.stringify(good.failure));
  const view = await pipeline({ namespace: where, tag: 'deleted', deploy, isTrusting: true });
  assertRestored(view, 30_000);
  assert.deepEqual(await podsIn(where), ['1.0.0 ready', '1.0.0 ready']);
});

await clean();
assert.equal(await digestOf(repository, 'deleted'), undefined);
await run('rollback', async () => {
  await clean();
  if (process.env.KEEP_RUNS === undefined) rmSync(root, { recursive: true, force: true });
  else console.log(`runs are kept in ${root}`);
  await system.processes.dispose();
});
process.exit();
