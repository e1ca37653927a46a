// What is found before a deploy on a real cluster with a real registry: one broken manifest a case, and a good one that
// must pass without a word.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { at, openCluster } from '../../src/engine/cluster/index.ts';
import { createDeployer } from '../../src/engine/deploy/index.ts';
import { failureOf, type Preflight, preflight } from '../../src/engine/deploy/preflight.ts';
import { registryLookUp } from '../../src/engine/deploy/registryLookUp.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import type { EnvironmentConfig } from '../../src/engine/project/model.ts';
import { deployAccess } from '../../src/engine/run/clusterAccess.ts';
import { createSystem } from '../../src/engine/system/index.ts';
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
const work = mkdtempSync(join(tmpdir(), 'slipway-preflight-'));
const secrets = new Secrets();
const registry = registryLookUp(system, secrets);
const namespace = 'deploy-preflight';
for (const version of ['1.0.0', '1.1.0']) await pushActor(env, repository, version);

const apply = (object: object) =>
  access.apply(object as Parameters<typeof access.apply>[0], { signal, isForced: true });
const v1 = (kind: string, name: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace },
  ...more,
});

/** A Deployment that would run; `spec` and `container` are laid over its pod's spec and its container. */
function deployment(spec: object = {}, container: object = {}, own: object = {}) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          containers: [
            {
              name: 'web',
              image: repository,
              ports: [{ name: 'http', containerPort: 8080 }],
              readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
              ...container,
            },
          ],
          ...spec,
        },
      },
      ...own,
    },
  };
}

let number = 0;
async function look(objects: readonly object[], tag = '1.0.0', where = namespace): Promise<Preflight> {
  number += 1;
  const file = join(work, `case-${number}.json`);
  writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  const environment: EnvironmentConfig = {
    name: 'dev',
    namespace: where,
    isProtected: false,
    deploy: { kind: 'manifests', paths: [file], images: ['web'], prune: false },
    rollout: { rollback: true },
    smoke: [],
    place: { file: '/slipway.yaml' },
  };
  const request = { environment, images: [{ name: 'web', repository, tag }] };
  const deployer = createDeployer({ system, secrets, access, request });
  return preflight({ deployer, request, access, registry, signal });
}

interface Expected {
  readonly code: string;
  readonly certainty?: 'wrong' | 'suspicious';
  readonly says: RegExp;
  readonly fix?: RegExp;
}

function finds(name: string, objects: () => readonly object[], expected: Expected, tag?: string): void {
  test(name, async () => {
    const { answers, unchecked } = await look(objects(), tag);
    const found = answers.map(({ certainty, code, message, fix }) => `${certainty} ${code}: ${message} → ${fix}`);
    const answer = answers.find(({ code }) => code === expected.code);
    assert.ok(
      answer,
      `${expected.code} was not found; found: ${found.join(' | ') || 'nothing'}; unchecked: ${unchecked}`,
    );
    assert.equal(answer.certainty, expected.certainty ?? 'wrong', found.join(' | '));
    assert.match(answer.message, expected.says);
    if (expected.fix !== undefined) assert.match(answer.fix, expected.fix);
    assert.equal(answers.filter(({ certainty }) => certainty === 'wrong' && answer.code !== expected.code).length, 0);
    if (expected.certainty !== 'suspicious') assert.equal(failureOf(answers, 'dev')?.code, expected.code);
  });
}

const envFrom = (kind: string, name: string, key: string) => ({
  env: [{ name: 'VALUE', valueFrom: { [`${kind}KeyRef`]: { name, key } } }],
});

test('a good set passes without a word', async () => {
  const service = v1('Service', 'web', {
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
  });
  const started = Date.now();
  const { answers, unchecked } = await look([deployment({}, envFrom('secret', 'login', 'password')), service]);
  console.log(`     all looks took ${Date.now() - started} ms`);
  assert.deepEqual(answers, []);
  assert.deepEqual(unchecked, []);
});

finds(
  'a tag that the registry does not have',
  () => [deployment()],
  {
    code: 'image.missing',
    says: /deploy\/app:1\.0\.1 is not in the registry .* Nearest tags: 1\.0\.0/,
    fix: /1\.0\.0/,
  },
  '1.0.1',
);
finds(
  'a foreign image that its registry does not have is only suspicious',
  () => [deployment({ initContainers: [{ name: 'init', image: `${lab.registry}/deploy/nothing:1` }] })],
  { code: 'image.missing', certainty: 'suspicious', says: /deploy\/nothing:1 is not in the registry/ },
);
finds(
  'a name that is no reference',
  () => [deployment({ initContainers: [{ name: 'init', image: `${lab.registry}/Deploy/App:1` }] })],
  { code: 'image.invalid', says: /upper-case/ },
);
finds(
  'an image for other nodes',
  () => [
    deployment({
      nodeSelector: { 'kubernetes.io/hostname': 'other-arch' },
      tolerations: [{ key: 'slipway-test', operator: 'Exists' }],
    }),
  ],
  {
    code: 'image.platform',
    says: /is for linux\/amd64; every node that .* may run on is linux\/arm64 \(other-arch\)/,
  },
);
finds(
  'a Secret that is not there, with the one that was meant',
  () => [deployment({}, envFrom('secret', 'logn', 'password'))],
  { code: 'config.missing', says: /needs the Secret logn \(env VALUE\)/, fix: /Did you mean login/ },
);
finds('a key that is not there', () => [deployment({}, envFrom('secret', 'login', 'pasword'))], {
  code: 'config.missing',
  says: /key pasword of Secret login/,
  fix: /Did you mean password/,
});
finds(
  'a key that is not in our own ConfigMap',
  () => [
    deployment({}, envFrom('configMap', 'settings', 'colour')),
    v1('ConfigMap', 'settings', { data: { color: 'red' } }),
  ],
  { code: 'config.missing', says: /key colour of ConfigMap settings .* in this deploy/ },
);
finds(
  'a ConfigMap that a Job of the set may still make',
  () => [
    deployment({ volumes: [{ name: 'config', configMap: { name: 'made-later' } }] }),
    {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'make' },
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'make', image: repository }] } } },
    },
  ],
  { code: 'config.missing', certainty: 'suspicious', says: /ConfigMap made-later \(volume config\)/ },
);
finds(
  'a claim that is not there',
  () => [deployment({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }] })],
  { code: 'ref.missing', says: /PersistentVolumeClaim data/ },
);
finds('a service account that is not there', () => [deployment({ serviceAccountName: 'robot' })], {
  code: 'ref.missing',
  says: /ServiceAccount robot/,
});
finds('a priority class that is not there', () => [deployment({ priorityClassName: 'urgent' })], {
  code: 'ref.missing',
  says: /PriorityClass urgent/,
});
finds(
  'an ingress class that is not there blocks no pod',
  () => [
    deployment(),
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: 'web' },
      spec: { ingressClassName: 'nginx', defaultBackend: { service: { name: 'web', port: { number: 80 } } } },
    },
  ],
  { code: 'ref.missing', certainty: 'suspicious', says: /IngressClass nginx/ },
);
finds('a pull secret that is not there', () => [deployment({ imagePullSecrets: [{ name: 'login-to-registry' }] })], {
  code: 'image.auth',
  certainty: 'suspicious',
  says: /pull secret login-to-registry .* does not exist/,
});
finds('a pull secret for another registry', () => [deployment({ imagePullSecrets: [{ name: 'pull' }] })], {
  code: 'image.auth',
  certainty: 'suspicious',
  says: /No pull secret .* has a login for localhost:5000; pull is for registry\.example/,
});
finds(
  'a service that sends to a port no container names',
  () => [
    deployment(),
    v1('Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'web' }] } }),
  ],
  { code: 'port.mismatch', says: /port named web, which no container of Deployment .* has/, fix: /http \(8080\)/ },
);
finds(
  'a service that sends to a port no container declares',
  () => [
    deployment(),
    v1('Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 9090 }] } }),
  ],
  { code: 'port.mismatch', certainty: 'suspicious', says: /sends port 80 to port 9090/ },
);
finds(
  'a probe of a port the container does not name',
  () => [deployment({}, { livenessProbe: { httpGet: { path: '/', port: 'admin' } } })],
  { code: 'port.mismatch', says: /livenessProbe .* port named admin/ },
);
finds(
  'an immutable field',
  () =>
    [
      { ...deployment({}, {}, { selector: { matchLabels: { app: 'web', tier: 'x' } } }), metadata: { name: 'live' } },
    ].map((object) => {
      object.spec.template.metadata.labels = { app: 'web', tier: 'x' } as never;
      return object;
    }),
  { code: 'spec.immutable', says: /selector.*immutable/ },
);
finds('a field the API does not accept', () => [deployment({}, { ports: [{ containerPort: 123456 }] })], {
  code: 'spec.invalid',
  says: /123456|between 1 and 65535/,
});
finds(
  'a kind that the cluster does not have',
  () => [
    deployment(),
    { apiVersion: 'monitoring.coreos.com/v1', kind: 'ServiceMonitor', metadata: { name: 'web' }, spec: {} },
  ],
  { code: 'api.no-kind', says: /ServiceMonitor/ },
);
finds(
  'a pod that PodSecurity refuses',
  () => [{ ...deployment({ hostNetwork: true }), metadata: { name: 'web', namespace: `${namespace}-strict` } }],
  { code: 'admission.policy', says: /A pod of Deployment .* would be refused: .*violates PodSecurity/ },
);
finds(
  'a quota without room',
  () => [
    {
      ...deployment({}, { resources: { requests: { cpu: '2' }, limits: { cpu: '2' } } }),
      metadata: { name: 'web', namespace: `${namespace}-small` },
    },
  ],
  { code: 'quota', certainty: 'suspicious', says: /exceeded quota: small/ },
);
finds(
  'a port of the node that another pod has',
  () => [deployment({}, { ports: [{ name: 'http', containerPort: 8080, hostPort: 18473 }] })],
  { code: 'schedule.ports', certainty: 'suspicious', says: /port 18473\/TCP .*holder/, fix: /another hostPort/ },
);
finds(
  'an update that would wait for the port its old pod has',
  () =>
    [
      {
        ...deployment({}, { ports: [{ name: 'http', containerPort: 8080, hostPort: 18473 }] }),
        metadata: { name: 'holder' },
      },
    ].map((object) => {
      object.spec.selector = { matchLabels: { app: 'holder' } };
      object.spec.template.metadata = { labels: { app: 'holder' } };
      return object;
    }),
  {
    code: 'schedule.ports',
    certainty: 'suspicious',
    says: /holds port 18473\/TCP on the only node/,
    fix: /maxSurge: 0/,
  },
);
finds(
  'a claim for one pod that another pod has',
  () => [deployment({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'single' } }] })],
  {
    code: 'volume.attach',
    certainty: 'suspicious',
    says: /claim single, which is ReadWriteOncePod and mounted by .*keeper/,
  },
);
finds(
  'a field that a controller has',
  () =>
    [{ ...deployment({}, {}, { replicas: 3 }), metadata: { name: 'scaled' } }].map((object) => {
      object.spec.selector = { matchLabels: { app: 'scaled' } };
      object.spec.template.metadata = { labels: { app: 'scaled' } };
      return object;
    }),
  { code: 'apply.conflict', says: /spec\.replicas of keda-operator/, fix: /Leave `spec.replicas` out/ },
);
finds('a paused Deployment', () => [{ ...deployment(), metadata: { name: 'paused' } }], {
  code: 'paused',
  says: /is paused/,
  fix: /rollout resume/,
});
finds('a workload that does not serve before', () => [{ ...deployment(), metadata: { name: 'sick' } }], {
  code: 'baseline.unhealthy',
  certainty: 'suspicious',
  says: /0 of 1 available/,
});

test('a namespace that does not exist yet is no obstacle', async () => {
  const { answers, unchecked } = await look([deployment()], '1.0.0', 'deploy-preflight-new');
  assert.deepEqual([answers, unchecked], [[], []]);
});

const namespaces = [namespace, `${namespace}-strict`, `${namespace}-small`];
async function clean(): Promise<void> {
  const remove = (apiVersion: string, kind: string, name: string) =>
    access.remove({ apiVersion, kind, name }, { signal, graceSeconds: 0 });
  await Promise.all(namespaces.map((name) => remove('v1', 'Namespace', name)));
  await remove('v1', 'Node', 'other-arch');
  for (const name of namespaces) {
    while ((await access.get({ apiVersion: 'v1', kind: 'Namespace', name }, signal)) !== undefined) {
      await system.clock.sleep(100);
    }
  }
}

async function prepare(): Promise<void> {
  await clean();
  const space = (name: string, labels: object = {}) =>
    apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await space(namespace);
  await space(`${namespace}-strict`, { 'pod-security.kubernetes.io/enforce': 'baseline' });
  await space(`${namespace}-small`);
  await apply({
    apiVersion: 'v1',
    kind: 'ResourceQuota',
    metadata: { name: 'small', namespace: `${namespace}-small` },
    spec: { hard: { 'requests.cpu': '1', 'limits.cpu': '1' } },
  });
  await apply(v1('Secret', 'login', { stringData: { password: 'open sesame' } }));
  const config = JSON.stringify({ auths: { 'https://registry.example/v1/': { auth: 'YTpi' } } });
  await apply(
    v1('Secret', 'pull', { type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': config } }),
  );
  const live = (name: string, own: object, image: string) => {
    const object = deployment({}, { image }, own);
    return apply({ ...object, metadata: { name, namespace } });
  };
  await live('live', {}, `${repository}:1.0.0`);
  await live('paused', { paused: true, replicas: 0 }, `${repository}:1.0.0`);
  await live('sick', {}, `${repository}:never`);
  const labelled = (name: string, spec: object, container: object, own: object = {}) => {
    const object = deployment(spec, { image: `${repository}:1.0.0`, ...container }, own);
    object.spec.selector = { matchLabels: { app: name } };
    object.spec.template.metadata = { labels: { app: name } };
    return apply({ ...object, metadata: { name, namespace } });
  };
  await labelled('holder', {}, { ports: [{ name: 'http', containerPort: 8080, hostPort: 18473 }] });
  await labelled('scaled', {}, {});
  await system.processes.check({
    file: 'kubectl',
    args: [
      ...['--context', access.context, '-n', namespace, 'patch', 'deployment', 'scaled'],
      ...['--field-manager=keda-operator', '--patch={"spec":{"replicas":0}}'],
    ],
  });
  // Nobody binds the claim here: that a pod names it and has a node is what counts.
  await apply(
    v1('PersistentVolumeClaim', 'single', {
      spec: { accessModes: ['ReadWriteOncePod'], resources: { requests: { storage: '1Mi' } }, storageClassName: '' },
    }),
  );
  const keeper = deployment({
    nodeName: 'other-arch',
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'single' } }],
  });
  await apply({
    ...v1('Pod', 'keeper'),
    spec: { ...keeper.spec.template.spec, containers: [{ name: 'web', image: `${repository}:1.0.0` }] },
  });
  // A node of another architecture: an object is enough, nothing is scheduled there.
  await access.create(
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'other-arch', labels: { 'kubernetes.io/hostname': 'other-arch' } },
      spec: { taints: [{ key: 'slipway-test', effect: 'NoSchedule' }] },
    },
    { signal },
  );
  await system.processes.check({
    file: 'kubectl',
    args: [
      ...['--context', access.context, 'patch', 'node', 'other-arch', '--subresource=status', '--type=merge'],
      `--patch=${JSON.stringify({ status: { nodeInfo: { operatingSystem: 'linux', architecture: 'arm64' } } })}`,
    ],
  });
  // The quota controller needs a moment before it counts, and a new account before pods may use it.
  for (;;) {
    const quota = await access.get(
      { apiVersion: 'v1', kind: 'ResourceQuota', name: 'small', namespace: `${namespace}-small` },
      signal,
    );
    const account = await access.get({ apiVersion: 'v1', kind: 'ServiceAccount', name: 'default', namespace }, signal);
    const status = quota?.status as { readonly hard?: object } | undefined;
    const pods = await access.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels: 'app=holder' }, signal);
    const isHeld = pods.some((pod) => at(pod, 'spec', 'nodeName') !== undefined);
    if (status?.hard !== undefined && account !== undefined && isHeld) break;
    await system.clock.sleep(100);
  }
}

await prepare();
await run('preflight', async () => {
  await clean();
  rmSync(work, { recursive: true, force: true });
  await system.processes.dispose();
});
process.exit();
