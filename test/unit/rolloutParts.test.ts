import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/object.ts';
import type { ObjectRef } from '../../src/engine/events/index.ts';
import { missingObject } from '../../src/engine/rollout/causesConfig.ts';
import { classifyRefusal } from '../../src/engine/rollout/causesCreation.ts';
import { classifyPull } from '../../src/engine/rollout/causesImage.ts';
import { describeProbe } from '../../src/engine/rollout/causesProbe.ts';
import { cleanText } from '../../src/engine/rollout/cleanText.ts';
import { closest } from '../../src/engine/rollout/closest.ts';
import { logSignature, SAYS_DEPENDENCY, SAYS_FINAL } from '../../src/engine/rollout/crashText.ts';
import { obstacle, parseQuantity, requestsOf } from '../../src/engine/rollout/fits.ts';
import { freeStuckPods, readBaseline, templateHash } from '../../src/engine/rollout/index.ts';
import { FakeClock } from '../../src/engine/system/clock.ts';
import { node, pod } from './rolloutStory.ts';

describe('what a failed pull failed of', () => {
  const image = 'ghcr.io/acme/not-found-403:1.4.2';
  test.each([
    [
      'missing',
      `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`,
    ],
    ['missing', 'manifest for ghcr.io/acme/web:9 not found: manifest unknown: manifest unknown'],
    ['missing', 'reading manifest 9 in ghcr.io/acme/web: name unknown: repository name not known to registry'],
    [
      'auth',
      `failed to pull and unpack image "${image}": failed to resolve reference "${image}": failed to authorize: failed to fetch oauth token: unexpected status from GET request: 403 Forbidden`,
    ],
    [
      'auth',
      'pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    ],
    ['auth', 'Error response from daemon: unauthorized: authentication required'],
    ['auth', 'no basic auth credentials'],
    ['ratelimit', 'toomanyrequests: You have reached your unauthenticated pull rate limit'],
    ['ratelimit', 'unexpected status from HEAD request to https://x/v2/: 429 Too Many Requests'],
    ['platform', `no match for platform in manifest: not found`],
    ['platform', 'choosing image instance: no image found in image index for architecture "amd64"'],
    ['network', 'dial tcp: lookup ghcr.io on 10.96.0.10:53: no such host'],
    ['network', 'unexpected status from HEAD request to https://x: 503 Service Unavailable'],
    ['network', 'failed to copy: read tcp 10.0.0.1:443: read: connection reset by peer'],
    ['network', 'rpc error: code = Canceled desc = context canceled'],
    ['tls', 'tls: failed to verify certificate: x509: certificate signed by unknown authority'],
    ['tls', 'http: server gave HTTP response to HTTPS client'],
    ['disk', 'failed to extract layer sha256:1234567890: write /usr/lib/x: no space left on device'],
    ['policy', 'Source image rejected: A signature was required, but no signature exists'],
    ['other', 'something new'],
  ])('%s: %s', (kind, text) => expect(classifyPull(text, image)).toBe(kind));
});

describe('which object is missing', () => {
  test.each([
    ['secret "database" not found', { kind: 'Secret', name: 'database' }],
    ['configmap "settings" not found', { kind: 'ConfigMap', name: 'settings' }],
    ["couldn't find key mode in ConfigMap shop/settings", { kind: 'ConfigMap', name: 'settings', key: 'mode' }],
    ["couldn't find key password in Secret shop/database", { kind: 'Secret', name: 'database', key: 'password' }],
    ['MountVolume.SetUp failed for volume "tls" : secret "web-tls" not found', { kind: 'Secret', name: 'web-tls' }],
    [
      'MountVolume.SetUp failed for volume "conf" : references non-existent config key: app.ini',
      { kind: 'ConfigMap', name: 'volume conf', key: 'app.ini' },
    ],
    ['persistentvolumeclaim "data" not found', { kind: 'PersistentVolumeClaim', name: 'data' }],
    [
      'error looking up service account shop/deployer: serviceaccount "deployer" not found',
      { kind: 'ServiceAccount', name: 'deployer' },
    ],
    ['no such thing', undefined],
  ])('%s', (text, wanted) => expect(missingObject(text)).toEqual(wanted));
});

test.each([
  ['policy', 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'],
  ['policy', 'pods "x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi'],
  ['policy', 'Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value'],
  ['policy', 'pods "x" is forbidden: failed quota: compute: must specify limits.cpu for: app'],
  ['denied', 'admission webhook "validate.kyverno.svc" denied the request: no latest tag'],
  [
    'down',
    'Internal error occurred: failed calling webhook "x": failed to call webhook: Post "https://x": dial tcp: connect: connection refused',
  ],
  ['quota', 'pods "x" is forbidden: exceeded quota: compute, requested: cpu=1, used: cpu=4, limited: cpu=4'],
  ['reference', 'pods "x" is forbidden: no PriorityClass with name gold was found'],
  ['deleted', 'pods "x" is forbidden: unable to create new content in namespace shop because it is being terminated'],
])('a refused pod is %s: %s', (kind, text) => expect(classifyRefusal(text)).toBe(kind));

describe('words of programs', () => {
  test('ends of the same kind have one signature', () => {
    const a = logSignature(
      'starting\n2026-11-21T10:00:00.123Z web-7d9f8c6b5d-x2x4z pid 12: failed after 1.5s (id 0b9e4e5c-1111-2222-3333-444455556666)\n\n',
    );
    const b = logSignature(
      '2026-11-21T10:01:07.9Z web-7d9f8c6b5d-q8q8q pid 4711: failed after 12.25s (id 0b9e4e5c-9999-2222-3333-444455556666)',
    );
    expect(a).toBe(b);
    expect(logSignature('other words')).not.toBe(a);
  });
  test.each([
    "ModuleNotFoundError: No module named 'redis'",
    "Error: Cannot find module '/app/server.js'",
    'unknown flag: --portt',
    'flag provided but not defined: -portt',
    'exec /app/web: exec format error',
    "KeyError: 'DATABASE_URL'",
    'environment variable DATABASE_URL is not set',
    'django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty',
    'error while loading shared libraries: libpq.so.5: cannot open shared object file',
  ])('%s cannot heal', (line) => {
    expect(line).toMatch(SAYS_FINAL);
    expect(line).not.toMatch(SAYS_DEPENDENCY);
  });
  test.each([
    'dial tcp 10.96.0.7:5432: connect: connection refused',
    'Error: connect ECONNREFUSED 10.0.0.3:6379',
    'getaddrinfo ENOTFOUND database',
    'psycopg2.OperationalError: could not translate host name "db" to address',
    'waiting for migrations',
    'context deadline exceeded',
    'FATAL: the database system is starting up',
  ])('%s may heal', (line) => expect(line).toMatch(SAYS_DEPENDENCY));
  test('tokens and logins do not get out', () => {
    const text = cleanText(
      'Get https://bob:hunter2@reg.io/v2/?token=abc123&x=1 Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2lnbmF0dXJl',
    );
    expect(text).not.toMatch(/hunter2|abc123|c2lnbmF0dXJl/);
  });
});

describe('could it run on an empty node', () => {
  test.each([
    ['500m', 0.5],
    ['2', 2],
    ['1Gi', 1073741824],
    ['1e3', 1000],
    ['100k', 100_000],
    ['128974848', 128974848],
    ['x', undefined],
  ])('quantity %s', (text, value) => expect(parseQuantity(text)).toBe(value));

  test('requests are the sum of the containers or the largest init container', () => {
    const made = pod('p', {
      spec: {
        containers: [
          { name: 'a', resources: { requests: { cpu: '1' } } },
          { name: 'b', resources: { requests: { cpu: '500m' } } },
        ],
        initContainers: [
          { name: 'i', resources: { requests: { cpu: '3' } } },
          { name: 's', restartPolicy: 'Always', resources: { requests: { cpu: '250m' } } },
        ],
      },
    });
    expect(requestsOf(made).get('cpu')).toBe(3);
  });

  const taint = { key: 'team', value: 'ml', effect: 'NoSchedule' };
  test.each([
    ['fits', {}, {}, undefined],
    ['label', { nodeSelector: { disk: 'ssd' } }, {}, 'disk=ssd'],
    ['label that is there', { nodeSelector: { disk: 'ssd' } }, { labels: { disk: 'ssd' } }, undefined],
    ['taint', {}, { spec: { taints: [taint] } }, 'team=ml'],
    [
      'taint tolerated by key',
      { tolerations: [{ key: 'team', operator: 'Exists' }] },
      { spec: { taints: [taint] } },
      undefined,
    ],
    [
      'taint tolerated by value',
      { tolerations: [{ key: 'team', value: 'ml' }] },
      { spec: { taints: [taint] } },
      undefined,
    ],
    [
      'taint of another value',
      { tolerations: [{ key: 'team', value: 'web' }] },
      { spec: { taints: [taint] } },
      'team=ml',
    ],
    ['everything tolerated', { tolerations: [{ operator: 'Exists' }] }, { spec: { taints: [taint] } }, undefined],
    ['a preference is no obstacle', {}, { spec: { taints: [{ ...taint, effect: 'PreferNoSchedule' }] } }, undefined],
    [
      'trouble of the node passes',
      {},
      { spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] } },
      undefined,
    ],
    [
      'affinity',
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }],
            },
          },
        },
      },
      { labels: { zone: 'b' } },
      'affinity',
    ],
    [
      'affinity with another term that matches',
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] },
                { matchExpressions: [{ key: 'zone', operator: 'Exists' }] },
              ],
            },
          },
        },
      },
      { labels: { zone: 'b' } },
      undefined,
    ],
    ['memory', { containers: [{ name: 'a', resources: { requests: { memory: '9Gi' } } }] }, {}, '9216Mi memory'],
    [
      'a device no node has',
      { containers: [{ name: 'a', resources: { requests: { 'nvidia.com/gpu': '1' } } }] },
      {},
      'nvidia.com/gpu',
    ],
  ])('%s', (_name, spec, about, wanted) => {
    const why = obstacle(pod('p', { spec }), node('n', about as Parameters<typeof node>[1]));
    if (wanted === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(wanted);
  });
});

describe('small parts', () => {
  test('templates are equal whatever the order of keys, the hash label and empty fields', () => {
    const a = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'x:1' }] } };
    const b = {
      spec: { containers: [{ image: 'x:1', name: 'a' }] },
      metadata: { creationTimestamp: null, labels: { 'pod-template-hash': '7d9', app: 'web' } },
    };
    expect(templateHash(a)).toBe(templateHash(b));
    expect(templateHash(a)).not.toBe(templateHash({ ...a, spec: { containers: [{ name: 'a', image: 'x:2' }] } }));
  });
  test('names that were meant', () => {
    expect(closest('1.4.2-rc1', ['1.4.2', '1.4.1', '0.9', 'latest'], 2)).toEqual(['1.4.2', '1.4.1']);
    expect(closest('databse', ['settings', 'database'], 3)).toEqual(['database']);
  });
  test('probes in words', () => {
    expect(describeProbe({ httpGet: { path: '/ready', port: 8080 }, periodSeconds: 5 })).toBe(
      'GET :8080/ready every 5 s',
    );
    expect(describeProbe({ exec: { command: ['cat', '/x'] } })).toBe('cat /x every 10 s');
  });
  test('a baseline that is broken is none', () => {
    expect(readBaseline({ workloads: 3 })).toEqual({ workloads: {}, restarts: {}, events: {} });
    const kept = {
      workloads: { 'Deployment/a/b': { uid: 'u', generation: 1, template: 't', isHealthy: true, conditions: {} } },
      restarts: {},
      events: { e: 2 },
    };
    expect(readBaseline(kept)).toEqual(kept);
  });
});

describe('a StatefulSet that went back is freed', () => {
  const set = (generation: number, spec: object = {}): KubeObject => ({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'shop', uid: 'uid-db', generation: 3 },
    spec,
    status: { observedGeneration: generation, updateRevision: 'db-1' },
  });
  const member = (name: string, hash: string, isReady: boolean): KubeObject => {
    const made = pod(name, { labels: { 'controller-revision-hash': hash }, isReady });
    return {
      ...made,
      metadata: {
        ...made.metadata,
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-db', controller: true }],
      },
    };
  };
  const free = async (object: KubeObject, pods: readonly KubeObject[]): Promise<readonly string[]> => {
    const deleted: string[] = [];
    const cluster = {
      get: async () => object,
      list: async () => pods,
      remove: async (ref: ObjectRef) => deleted.push(ref.name) > 0,
    };
    const clock = new FakeClock();
    const target = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', namespace: 'shop' };
    const done = freeStuckPods(cluster, [target], { clock, signal: new AbortController().signal });
    let isOver = false;
    void done.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      clock.advance(200);
      await Promise.resolve();
    }
    expect(await done).toEqual(deleted);
    return deleted;
  };
  const pods = [
    member('db-0', 'db-1', true),
    member('db-1', 'db-2', true),
    member('db-2', 'db-2', false),
    member('db-10', 'db-2', false),
  ];
  test('broken pods of the version that was left, highest first', async () => {
    expect(await free(set(3), pods)).toEqual(['db-10', 'db-2']);
  });
  test('not before the controller has seen the template, nor where pods do not wait for one another', async () => {
    expect(await free(set(2), pods)).toEqual([]);
    expect(await free(set(3, { podManagementPolicy: 'Parallel' }), pods)).toEqual([]);
    expect(await free(set(3, { updateStrategy: { type: 'OnDelete' } }), pods)).toEqual([]);
  });
});
