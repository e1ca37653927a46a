// Deployers on a real cluster and a real helm: what they write, what they refuse, and the way back.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { at, listOf, openCluster } from '../../src/engine/cluster/index.ts';
import type { Detector } from '../../src/engine/deploy/helm.ts';
import { createDeployer, type Deployer, type KubeObject } from '../../src/engine/deploy/index.ts';
import { podTemplateOf } from '../../src/engine/deploy/objects.ts';
import type { ObjectRef } from '../../src/engine/events/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import { findEverything } from '../../src/engine/project/index.ts';
import type { DeployConfig, EnvironmentConfig } from '../../src/engine/project/model.ts';
import { deployAccess } from '../../src/engine/run/clusterAccess.ts';
import { createSystem, type System } from '../../src/engine/system/index.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from './support/actor.ts';
import { run, test } from './support/suite.ts';

const lab = labEnvironment();
const env = { ...process.env, ...lab.env };
const system = createSystem({ env });
const cluster = await openCluster(system, { kubeconfig: lab.kubeconfig });
const access = deployAccess(cluster);
const signal = new AbortController().signal;
const repository = `${lab.registry}/deploy/app`;
const fixtures = join(import.meta.dirname, 'fixtures');
const work = mkdtempSync(join(tmpdir(), 'slipway-deploy-'));
const secrets = new Secrets();
const lines: string[] = [];

const digests: Record<string, string> = {};
for (const version of ['1.0.0', '1.1.0']) digests[version] = await pushActor(env, repository, version);

const namespaces = ['deploy-helm', 'deploy-hook', 'deploy-lock', 'deploy-umbrella', 'deploy-plain', 'deploy-kustomize'];
async function removeNamespaces(): Promise<void> {
  await Promise.all(namespaces.map((name) => access.remove({ apiVersion: 'v1', kind: 'Namespace', name }, { signal })));
  for (const name of namespaces) {
    await until(
      `namespace ${name} to go`,
      async () => (await access.get(ref('Namespace', name), signal)) === undefined,
    );
  }
}

async function until(what: string, isTrue: () => Promise<boolean>, limitMs = 180_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`waited ${limitMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function ref(kind: string, name: string, namespace?: string): ObjectRef {
  const apiVersion = kind === 'Deployment' || kind === 'ReplicaSet' ? 'apps/v1' : 'v1';
  return { apiVersion, kind, name, ...(namespace !== undefined && { namespace }) };
}

const image = (version: string) => {
  const digest = digests[version];
  return { name: 'web', repository, tag: version, ...(digest !== undefined && { digest }) };
};

function deployer(
  namespace: string,
  deploy: DeployConfig,
  version: string,
  more: { detector?: Detector; unlock?: 'asked' | 'stale'; system?: System } = {},
): Deployer {
  const environment: EnvironmentConfig = {
    name: 'dev',
    namespace,
    isProtected: false,
    deploy,
    rollout: { rollback: true },
    smoke: [],
    place: { file: '/slipway.yaml' },
  };
  return createDeployer({
    system,
    secrets,
    access,
    request: { environment, images: [image(version)] },
    ...more,
  });
}

const helm = (set: Record<string, string> = {}, key = 'image'): DeployConfig => ({
  kind: 'helm',
  chart: join(fixtures, 'chart'),
  release: 'web',
  values: [],
  set: { replicas: '1', ...set },
  images: { web: key },
  historyMax: 10,
});
const options = { run: '20261121T000000Z-abcdef', onLine: (line: string) => void lines.push(line), signal };

async function imageOf(namespace: string, name = 'web'): Promise<unknown> {
  const live = (await access.get(ref('Deployment', name, namespace), signal)) as KubeObject;
  return listOf(podTemplateOf(live)?.spec.containers)[0]?.image;
}

const isReady =
  (namespace: string, name = 'web') =>
  async (): Promise<boolean> => {
    const live = await access.get(ref('Deployment', name, namespace), signal);
    const status = (field: string) => at(live, 'status', field);
    return (
      status('observedGeneration') === live?.metadata.generation &&
      status('updatedReplicas') === 1 &&
      status('availableReplicas') === 1 &&
      status('replicas') === 1
    );
  };

async function failing(work: Promise<unknown>, code: string): Promise<SlipwayError> {
  const error = await work.then(
    () => new Error(`${code} was expected, and it succeeded`),
    (thrown: unknown) => thrown,
  );
  if (!SlipwayError.is(error)) throw error;
  assert.equal(error.code, code, error.message);
  return error;
}

test('helm: a first release makes its namespace, pins the digest, and has nothing to go back to', async () => {
  const first = deployer('deploy-helm', helm(), '1.0.0');
  const applied = await first.apply(options);
  assert.deepEqual([applied.revision, applied.previous], ['1', null]);
  assert.equal(await imageOf('deploy-helm'), `${repository}:1.0.0@${digests['1.0.0']}`);
  await until('web', isReady('deploy-helm'));
  const way = await first.wayBack({ from: '1', previous: null, signal });
  assert.equal(way.kind, 'none');
  assert.match(way.kind === 'none' ? way.why : '', /first release/);
  await first.markVerified('1', [], signal);
});

test('helm: diff says nothing when nothing changes, and names the fields when something does, secrets masked', async () => {
  const same = await deployer('deploy-helm', helm(), '1.0.0').diff(signal);
  assert.deepEqual(
    same.flatMap(({ action, changes }) => (action === 'none' ? [] : changes)),
    [],
  );
  const next = await deployer('deploy-helm', helm({ password: 'hunter22', 'env.MODE': 'x' }), '1.1.0').diff(signal);
  const paths = next.flatMap(({ object, changes }) => changes.map(({ path }) => `${object.kind} ${path}`));
  assert.deepEqual(paths.sort(), [
    'Deployment spec.template.spec.containers[web].env[MODE]',
    'Deployment spec.template.spec.containers[web].image',
    'Secret data.password',
  ]);
  assert.ok(!JSON.stringify(next).includes(Buffer.from('hunter22').toString('base64')));
  assert.equal(secrets.mask('the password is hunter22'), 'the password is ***');
});

test('helm: an upgrade goes back to the verified revision, also past a bad one that Helm calls deployed', async () => {
  const second = deployer('deploy-helm', helm({ 'env.MODE': 'bad' }), '1.1.0');
  const bad = await second.apply(options);
  assert.deepEqual([bad.revision, bad.previous], ['2', '1']);
  const third = deployer('deploy-helm', helm({ 'env.MODE': 'worse' }), '1.1.0');
  const worse = await third.apply(options);
  assert.deepEqual([worse.revision, worse.previous], ['3', '2']);
  const way = await third.wayBack({ from: '3', previous: '2', signal });
  assert.ok(way.kind === 'revision');
  assert.deepEqual([way.revision, way.trust], ['1', 'verified']);
  assert.deepEqual(way.images, [`${repository}:1.0.0@${digests['1.0.0']}`]);
  const started = Date.now();
  assert.equal(await third.undo(way, options), '4');
  console.log(`     helm rollback took ${Date.now() - started} ms`);
  assert.equal(await imageOf('deploy-helm'), `${repository}:1.0.0@${digests['1.0.0']}`);
  // Revision 4 is revision 1 again: the marks that Helm handed on to 2 and 3 must not make them a way back.
  const again = await third.wayBack({ from: '4', previous: null, signal });
  assert.ok(again.kind === 'none', JSON.stringify(again));
  assert.match(again.why, /No other version .* was ever verified/);
});

test('helm: a values key that no template uses is an error before anything is written', async () => {
  const error = await failing(
    deployer('deploy-helm', helm({ 'image.repository': repository, 'image.tag': '1.0.0' }, 'sidecar'), '1.1.0').apply(
      options,
    ),
    'helm.image-unused',
  );
  assert.match(error.message, /`sidecar` of image web has no effect/);
});

test('helm: an image that the chart puts together from several values is found by reading and set by rendering', async () => {
  const root = join(work, 'composed');
  const [host = '', ...path] = repository.split('/');
  const container = (name: string, image: string) => `        - name: ${name}\n          image: ${image}\n`;
  const files: Readonly<Record<string, string>> = {
    'Chart.yaml': 'apiVersion: v2\nname: composed\nversion: 1.0.0\nappVersion: "0.9"\n',
    'values.yaml': `global: { registry: ${host} }
web: { image: { repository: ${path.join('/')}, tag: "" }, sha: "" }
side: { image: { repository: pause, tag: "3" } }
`,
    'templates/_helpers.tpl': `{{- define "composed.image" -}}
{{- $tag := .Values.web.image.tag | default .Chart.AppVersion -}}
{{- if .Values.web.sha -}}
{{- printf "%s/%s:%s@%s" .Values.global.registry .Values.web.image.repository $tag .Values.web.sha -}}
{{- else -}}
{{- printf "%s/%s:%s" .Values.global.registry .Values.web.image.repository $tag -}}
{{- end -}}
{{- end -}}
`,
    'templates/web.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
${container('web', '{{ include "composed.image" . | quote }}')}${container('side', '"{{ .Values.global.registry }}/{{ .Values.side.image.repository }}:{{ .Values.side.image.tag }}"')}`,
  };
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  const found = (await findEverything(system, root)).charts[0]?.images ?? [];
  const key = found.find((each) => each.repository === repository)?.key ?? '';
  assert.equal(key, '{global.registry}/{web.image.repository}:{web.image.tag}@{web.sha}');
  const deploy: DeployConfig = { ...helm({}, key), chart: root, kind: 'helm', set: {} } as DeployConfig;
  const { objects } = await deployer('deploy-helm', deploy, '1.1.0').render(signal);
  assert.deepEqual(
    listOf(podTemplateOf(objects[0]?.object as KubeObject)?.spec.containers).map(({ image }) => image),
    [`${repository}:1.1.0@${digests['1.1.0']}`, `${host}/pause:3`],
  );
});

test("helm: another tool's objects are refused, with the way that lasts", async () => {
  const target = ref('ConfigMap', 'web', 'deploy-helm');
  const labels = { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux-system' };
  await access.merge(target, { metadata: { labels } }, { signal });
  const error = await failing(deployer('deploy-helm', helm(), '1.1.0').apply(options), 'owned.flux');
  assert.match(error.message, /Kustomization flux-system\/apps/);
  const none = { 'kustomize.toolkit.fluxcd.io/name': null, 'kustomize.toolkit.fluxcd.io/namespace': null };
  await access.merge(target, { metadata: { labels: none } }, { signal });
});

test('helm: a release left pending by a killed helm is explained, and unlocked when asked', async () => {
  const namespace = 'deploy-lock';
  await deployer(namespace, helm(), '1.0.0').apply(options);
  await until('web', isReady(namespace));
  const child = spawn(
    'helm',
    [
      ...['upgrade', 'web', join(fixtures, 'chart'), '--wait', '--kube-context', access.context, '-n', namespace],
      ...['--set', `image.repository=${repository},image.tag=no-such-tag,replicas=1`],
    ],
    { env, stdio: 'ignore' },
  );
  const record = ref('Secret', 'sh.helm.release.v1.web.v2', namespace);
  await until(
    'the lock',
    async () => (await access.get(record, signal))?.metadata.labels?.status === 'pending-upgrade',
  );
  const busy = await failing(deployer(namespace, helm(), '1.1.0').apply(options), 'helm.pending');
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  const stuck = await failing(deployer(namespace, helm(), '1.1.0').apply(options), 'helm.pending');
  assert.match(stuck.message, /pending-upgrade \(revision 2, last changed .* by [Hh]elm\)/);
  assert.match(busy.fix ?? '', /Wait/);
  const applied = await deployer(namespace, helm(), '1.1.0', { unlock: 'asked' }).apply(options);
  assert.deepEqual([applied.revision, applied.previous], ['3', '1']);
  assert.match(applied.warnings.join(), /Revision 2 .* marked failed/);
  assert.equal((await access.get(record, signal))?.metadata.labels?.status, 'failed');
  await until('web', isReady(namespace));
  assert.equal(await imageOf(namespace), `${repository}:1.1.0@${digests['1.1.0']}`);
});

test('helm: a rollback that was killed is recognised and repaired, also by itself once it is old', async () => {
  const namespace = 'deploy-lock';
  // Back to the revision that a killed upgrade left: its image does not exist, so helm waits and can be killed.
  const child = spawn('helm', ['rollback', 'web', '2', '--wait', '--kube-context', access.context, '-n', namespace], {
    env,
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const record = ref('Secret', 'sh.helm.release.v1.web.v4', namespace);
  const status = async () => (await access.get(record, signal))?.metadata.labels?.status;
  await until('the lock', async () => (await status()) === 'pending-rollback');
  child.kill('SIGKILL');
  await ended;
  const young = deployer(namespace, helm(), '1.1.0');
  const [concern] = (await young.concerns?.(signal)) ?? [];
  assert.deepEqual([concern?.code, concern?.certainty], ['helm.pending', 'suspicious']);
  assert.match(concern?.message ?? '', /is pending-rollback \(revision 4/);
  const busy = await failing(young.apply(options), 'helm.pending');
  assert.match(busy.fix ?? '', /slipway unlock/);
  // Two hours later no helm is at work on it: the deploy marks it failed and goes on from the last deployed revision.
  const clock = { ...system.clock, now: () => Date.now() + 2 * 3_600_000 };
  const late = deployer(namespace, helm(), '1.1.0', { system: { ...system, clock } });
  assert.match(
    (await late.concerns?.(signal))?.[0]?.message ?? '',
    /was left pending-rollback by a helm that ended early/,
  );
  const applied = await late.apply(options);
  assert.deepEqual([applied.revision, await status()], ['5', 'failed']);
  assert.match(applied.warnings.join(), /Revision 4 .* was left pending-rollback .* marked failed/);
  await until('web', isReady(namespace));
  assert.equal(await imageOf(namespace), `${repository}:1.1.0@${digests['1.1.0']}`);
});

test('helm: subcharts are fetched, values files count, the history is bounded, lint is heard', async () => {
  const namespace = 'deploy-umbrella';
  const umbrella = join(work, 'umbrella');
  cpSync(join(fixtures, 'chart'), join(work, 'actor'), { recursive: true });
  mkdirSync(join(umbrella, 'templates'), { recursive: true });
  const { name, version } = parse(readFileSync(join(work, 'actor', 'Chart.yaml'), 'utf8'));
  writeFileSync(
    join(umbrella, 'Chart.yaml'),
    `apiVersion: v2
name: umbrella
version: 0.1.0
icon: no-address
dependencies: [{ name: ${name}, version: ${version}, repository: "file://../actor", alias: app }]
`,
  );
  const values = join(work, 'more.yaml');
  writeFileSync(values, 'app: { env: { MODE: from-the-file } }\n');
  const config = (mode: string): DeployConfig => ({
    kind: 'helm',
    release: 'web',
    images: { web: 'app.image' },
    chart: umbrella,
    values: [values],
    set: { 'app.replicas': '0', 'app.env.ROUND': mode },
    historyMax: 2,
  });
  for (const round of ['one', 'two', 'three']) await deployer(namespace, config(round), '1.0.0').apply(options);
  assert.deepEqual(readdirSync(join(umbrella, 'charts')), [`${name}-${version}.tgz`]);
  const live = await access.get(ref('Deployment', 'web', namespace), signal);
  const [container] = listOf(podTemplateOf(live as KubeObject)?.spec.containers);
  const env = listOf(container?.env).map((one) => `${String(one.name)}=${String(one.value)}`);
  assert.deepEqual(env.filter((text) => /^(MODE|ROUND)=/.test(text)).sort(), ['MODE=from-the-file', 'ROUND=three']);
  const revisions = await deployer(namespace, config('three'), '1.0.0').history(signal);
  assert.deepEqual(
    revisions.map(({ revision }) => revision),
    ['3', '2'],
  );
  const said = (await deployer(namespace, config('three'), '1.0.0').concerns?.(signal)) ?? [];
  assert.deepEqual(
    said.map(({ code, certainty }) => [code, certainty]),
    [['helm.lint', 'suspicious']],
  );
  assert.match(said[0]?.message ?? '', /invalid icon URL 'no-address'/);
});

test('helm: with a post hook helm waits, and proof beside it ends the wait', async () => {
  const namespace = 'deploy-hook';
  const hooked = { 'hook.enabled': 'true' };
  const good = await deployer(namespace, helm(hooked), '1.0.0').apply(options);
  assert.equal(good.revision, '1');
  assert.ok(await isReady(namespace)(), 'helm has waited for the workload before its hook');
  const watched: string[] = [];
  const detector: Detector = async (targets, stop) => {
    watched.push(...targets.map(({ kind, name }) => `${kind}/${name}`));
    const deployment = ref('Deployment', 'web', namespace);
    await until('the bad pod', async () => {
      stop.throwIfAborted();
      return Number(at(await access.get(deployment, signal), 'status', 'unavailableReplicas') ?? 0) > 0;
    });
    return { reason: 'rollout', code: 'image.missing', message: 'proof' };
  };
  const started = Date.now();
  const bad = deployer(namespace, helm({ ...hooked, 'env.EXIT': '1' }), '1.1.0', { detector });
  const error = await failing(bad.apply(options), 'image.missing');
  assert.equal(error.message, 'proof');
  assert.deepEqual(watched.sort(), ['Deployment/web', 'Job/web-migrate']);
  console.log(`     helm was ended ${Date.now() - started} ms after the upgrade began`);
  const revision = await access.get(ref('Secret', 'sh.helm.release.v1.web.v2', namespace), signal);
  assert.equal(revision?.metadata.labels?.status, 'failed');
  const way = await bad.wayBack({ from: '2', previous: '1', signal });
  // Revision 1 was ours and never marked: no proof that it was good.
  assert.equal(way.kind, 'none');
  const chosen = await bad.wayBack({ from: '2', previous: '1', wanted: '1', signal });
  assert.ok(chosen.kind === 'revision');
  assert.equal(await bad.undo(chosen, options), '3');
  await until('web', isReady(namespace));
});

const plain = (prune = false, folder = join(fixtures, 'manifests')): DeployConfig => ({
  kind: 'manifests',
  paths: [folder],
  images: ['web'],
  prune,
});

test('manifests: the namespace is made, the image set, and applying again changes nothing', async () => {
  const namespace = 'deploy-plain';
  const first = deployer(namespace, plain(), '1.0.0');
  const created = await first.diff(signal);
  assert.ok(created.every(({ action }) => action === 'create'));
  const applied = await first.apply(options);
  assert.equal(applied.previous, null);
  await until('web', isReady(namespace));
  assert.equal(await imageOf(namespace), `${repository}:1.0.0@${digests['1.0.0']}`);
  const generation = (await access.get(ref('Deployment', 'web', namespace), signal))?.metadata.generation;
  const again = deployer(namespace, plain(), '1.0.0');
  assert.ok((await again.diff(signal)).every(({ action }) => action === 'none'));
  await again.apply(options);
  assert.equal((await access.get(ref('Deployment', 'web', namespace), signal))?.metadata.generation, generation);
  await first.markVerified(null, first.targets(await first.render(signal)), signal);
});

test('manifests: the way back is the marked revision, and undo restores its template', async () => {
  const namespace = 'deploy-plain';
  const next = deployer(namespace, plain(), '1.1.0');
  const applied = await next.apply(options);
  // The workload's revision, and the state of the whole set that was kept.
  assert.match(applied.previous ?? '', /^Deployment\/web@[a-z0-9]+,Set\/\S+@\S+$/);
  await until('web', isReady(namespace));
  const way = await next.wayBack({ from: null, previous: applied.previous, signal });
  assert.ok(way.kind === 'revision', 'a way back');
  assert.deepEqual([way.trust, way.revision], ['verified', applied.previous]);
  await next.undo(way, options);
  await until('web', isReady(namespace));
  assert.equal(await imageOf(namespace), `${repository}:1.0.0@${digests['1.0.0']}`);
  const back = await next.wayBack({ from: null, previous: applied.previous, signal });
  assert.equal(back.kind, 'none', 'it is there already');
  // Our own undo is no conflict for our next apply.
  assert.deepEqual((await deployer(namespace, plain(), '1.1.0').apply(options)).warnings, []);
});

test("manifests: a field of a controller is left alone and named, one of a person's tool is taken over", async () => {
  const namespace = 'deploy-plain';
  const target = ref('Deployment', 'web', namespace);
  await kubectl(
    '-n',
    namespace,
    'patch',
    'deployment',
    'web',
    '--field-manager=autoscaler',
    '--patch={"spec":{"replicas":2}}',
  );
  const error = await failing(deployer(namespace, plain(), '1.1.0').apply(options), 'apply.conflict');
  assert.match(error.message, /spec\.replicas of autoscaler/);
  assert.match(error.fix ?? '', /Leave `spec.replicas` out/);
  assert.equal(error.place?.file, join(fixtures, 'manifests', 'app.yaml'));
  assert.equal(at(await access.get(target, signal), 'spec', 'replicas'), 2);
  await kubectl('-n', namespace, 'scale', 'deployment', 'web', '--replicas=3');
  const { warnings } = await deployer(namespace, plain(), '1.1.0').apply(options);
  assert.match(warnings.join(), /took over spec\.replicas of kubectl/);
  assert.equal(at(await access.get(target, signal), 'spec', 'replicas'), 1);
});

test('manifests: pruning removes what left the set, and only when asked', async () => {
  const namespace = 'deploy-plain';
  const folder = join(work, 'prune');
  cpSync(join(fixtures, 'manifests'), folder, { recursive: true });
  const extra = join(folder, 'extra.yaml');
  writeFileSync(extra, 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: extra }\n');
  await deployer(namespace, plain(true, folder), '1.1.0').apply(options);
  rmSync(extra);
  const foreign = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'foreign', namespace } };
  await access.apply(foreign, { signal });
  await deployer(namespace, plain(false, folder), '1.1.0').apply(options);
  assert.ok(await access.get(ref('ConfigMap', 'extra', namespace), signal), 'kept while not asked');
  const pruning = deployer(namespace, plain(true, folder), '1.1.0');
  const deletions = (await pruning.diff(signal)).filter(({ action }) => action === 'delete');
  assert.deepEqual(
    deletions.map(({ object }) => object.name),
    ['extra'],
  );
  await pruning.apply(options);
  assert.equal(await access.get(ref('ConfigMap', 'extra', namespace), signal), undefined);
  assert.ok(await access.get(ref('ConfigMap', 'foreign', namespace), signal));
  assert.ok(await access.get(ref('ConfigMap', 'settings', namespace), signal));
});

test('manifests: a definition and an object of it in one set', async () => {
  const namespace = 'deploy-plain';
  const folder = join(work, 'crd');
  cpSync(join(fixtures, 'manifests'), folder, { recursive: true });
  writeFileSync(
    join(folder, 'a-thing.yaml'),
    `apiVersion: slipway.example/v1
kind: Thing
metadata: { name: one }
spec: { size: 1 }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.slipway.example }
spec:
  group: slipway.example
  scope: Namespaced
  names: { kind: Thing, plural: things, singular: thing }
  versions:
    - name: v1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`,
  );
  try {
    await deployer(namespace, plain(false, folder), '1.1.0').apply(options);
    const thing = { apiVersion: 'slipway.example/v1', kind: 'Thing', name: 'one', namespace };
    assert.equal(at(await access.get(thing, signal), 'spec', 'size'), 1);
  } finally {
    const definition = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      name: 'things.slipway.example',
    };
    await access.remove(definition, { signal });
  }
});

test('manifests: objects of a Helm release are refused', async () => {
  const error = await failing(deployer('deploy-helm', plain(), '1.1.0').apply(options), 'owned.helm');
  assert.match(error.message, /Helm release deploy-helm\/web/);
});

test('manifests: an image nothing runs is an error, not a deploy of the old version', async () => {
  const folder = join(work, 'other');
  cpSync(join(fixtures, 'manifests'), folder, { recursive: true });
  const file = join(folder, 'app.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('deploy/app', 'deploy/other'));
  await failing(deployer('deploy-plain', plain(false, folder), '1.1.0').apply(options), 'manifest.image-unused');
});

test("kustomize: the overlay gets our image, and the person's files stay as they are", async () => {
  const namespace = 'deploy-kustomize';
  const folder = join(fixtures, 'kustomize');
  const hash = () => {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const text = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')).join('\0');
    return createHash('sha256').update(`${files.length}\0${text}`).digest('hex');
  };
  const before = hash();
  const config: DeployConfig = { kind: 'kustomize', path: join(folder, 'overlay'), images: ['web'], prune: false };
  await deployer(namespace, config, '1.1.0').apply(options);
  assert.equal(hash(), before);
  await until('dev-web', isReady(namespace, 'dev-web'));
  assert.equal(await imageOf(namespace, 'dev-web'), `${repository}:1.1.0@${digests['1.1.0']}`);
  const broken = join(work, 'broken');
  cpSync(join(folder, 'base'), broken, { recursive: true });
  writeFileSync(join(broken, 'kustomization.yaml'), 'resources: [missing.yaml]\n');
  const error = await failing(
    deployer(namespace, { ...config, path: broken }, '1.1.0').apply(options),
    'kustomize.build',
  );
  assert.match(error.message, /missing\.yaml/);
});

test('kustomize: two images of one repository are told apart by tag or container', async () => {
  const folder = join(work, 'shared');
  mkdirSync(folder);
  const container = (name: string, tag: string) => ({ name, image: `${repository}${tag}` });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'both' },
    spec: { containers: [container('one', ':api-0'), container('worker', '')] },
  };
  writeFileSync(join(folder, 'both.json'), JSON.stringify(pod));
  writeFileSync(join(folder, 'kustomization.yaml'), 'resources: [both.json]\n');
  const of = (name: string, version: string) => ({ ...image(version), name, tag: `${name}-${version}` });
  const environment: EnvironmentConfig = {
    name: 'dev',
    namespace: 'deploy-kustomize',
    isProtected: false,
    deploy: { kind: 'kustomize', path: folder, images: ['worker', 'api'], prune: false },
    rollout: { rollback: true },
    smoke: [],
    place: { file: '/slipway.yaml' },
  };
  const images = [of('worker', '1.0.0'), of('api', '1.1.0')];
  const { objects } = await createDeployer({ system, secrets, access, request: { environment, images } }).render(
    signal,
  );
  assert.deepEqual(
    listOf(podTemplateOf(objects[0]?.object as KubeObject)?.spec.containers).map((one) => one.image),
    [`${repository}:api-1.1.0@${digests['1.1.0']}`, `${repository}:worker-1.0.0@${digests['1.0.0']}`],
  );
});

async function kubectl(...args: string[]): Promise<void> {
  await system.processes.check({ file: 'kubectl', args: ['--context', access.context, ...args] });
}

await removeNamespaces();
await run('deploy', async () => {
  await removeNamespaces();
  rmSync(work, { recursive: true, force: true });
  await system.processes.dispose();
});
process.exit();
