import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import { ApplyConflict, type ClusterAccess } from '../../src/engine/deploy/access.ts';
import { nearMatches } from '../../src/engine/deploy/answers.ts';
import { refusal } from '../../src/engine/deploy/checkAdmission.ts';
import { checkImages, checkPullSecrets, type LookUp } from '../../src/engine/deploy/checkImages.ts';
import { checkPlacement } from '../../src/engine/deploy/checkPlacement.ts';
import { checkConflicts } from '../../src/engine/deploy/conflicts.ts';
import { withoutSecrets } from '../../src/engine/deploy/diagnose.ts';
import { podStates } from '../../src/engine/deploy/diagnoseFacts.ts';
import { checkPorts } from '../../src/engine/deploy/ports.ts';
import { checkReferences, referencesOf } from '../../src/engine/deploy/references.ts';
import { recognise } from '../../src/engine/deploy/troubles.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';

const never = new AbortController().signal;
const unexpected = () => Promise.reject(new Error('not asked for'));

/** A cluster with just these objects. */
function cluster(objects: readonly KubeObject[]): ClusterAccess {
  return {
    context: 'test',
    get: async ({ kind, name }) => objects.find((object) => object.kind === kind && object.metadata.name === name),
    list: async ({ kind }) => objects.filter((object) => object.kind === kind),
    apply: unexpected,
    create: unexpected,
    merge: unexpected,
    patch: unexpected,
    remove: unexpected,
    isNamespaced: unexpected,
  };
}

const object = (kind: string, name: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name },
  ...more,
});
const deployment = (
  spec: object,
  containers: readonly object[] = [{ name: 'web', image: 'acme/web:1' }],
): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { template: { metadata: { labels: { app: 'web' } }, spec: { containers, ...spec } } },
});
const place = (one: KubeObject) => ({ object: one });

describe('fields of others', () => {
  const asked: boolean[] = [];
  const refusing = (manager: string): ClusterAccess => ({
    ...cluster([]),
    apply: async (_, options) => {
      asked.push(options.isDryRun === true && options.isForced !== true);
      throw new ApplyConflict('conflict', [{ manager, field: '.spec.replicas' }]);
    },
  });
  const look = (manager: string) => checkConflicts([place(deployment({}))], refusing(manager), never);

  test("a controller's fields are refused as the write would refuse them; what a person wrote by hand is taken", async () => {
    expect(await look('keda')).toEqual([
      expect.objectContaining({
        certainty: 'wrong',
        code: 'apply.conflict',
        evidence: ['.spec.replicas is set by keda'],
        fix: expect.stringMatching(/autoscaler/),
      }),
    ]);
    expect(await look('kubectl-client-side-apply')).toEqual([]);
    expect(asked).toEqual([true, true]);
  });
});

describe('a place for the pods', () => {
  const node = (name: string): KubeObject => object('Node', name, { spec: {}, status: {} });
  const pod = (name: string, spec: object, app = 'other', phase = 'Running'): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app } },
    spec,
    status: { phase },
  });
  const claim = (mode: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'shop' },
    spec: { accessModes: [mode] },
  });
  const web = (spec: object, own: object = {}, port: object = {}): KubeObject => ({
    ...deployment({}),
    spec: {
      selector: { matchLabels: { app: 'web' } },
      ...own,
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'acme/web:1', ports: [port] }], ...spec },
      },
    },
  });
  const onPort = (own: object = {}, port: object = { containerPort: 80, hostPort: 80 }) => web({}, own, port);
  const withClaim = (own: object = {}) =>
    web({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, own);
  const holding = (name: string, at: string, port: object = { hostPort: 80 }, app = 'other', phase = 'Running') =>
    pod(name, { nodeName: at, containers: [{ ports: [port] }] }, app, phase);
  const using = (name: string, at: string, app = 'other') =>
    pod(name, { nodeName: at, volumes: [{ persistentVolumeClaim: { claimName: 'data' } }] }, app);

  test.each([
    ['nobody has the port', onPort(), [], undefined],
    [
      'it is taken on the only node',
      onPort(),
      [holding('x', 'a')],
      /port 80\/TCP .*every node .*Pod shop\/x on node a/,
    ],
    ['by another protocol', onPort(), [holding('x', 'a', { hostPort: 80, protocol: 'UDP' })], undefined],
    [
      'on another address',
      onPort({}, { hostPort: 80, hostIP: '10.0.0.1' }),
      [holding('x', 'a', { hostPort: 80, hostIP: '10.0.0.2' })],
      undefined,
    ],
    ['by a pod that has ended', onPort(), [holding('x', 'a', { hostPort: 80 }, 'other', 'Succeeded')], undefined],
    ['on one of two nodes', onPort(), [node('b'), holding('x', 'a')], undefined],
    ['more pods than nodes', onPort({ replicas: 3 }), [node('b')], /3 pods .* may run on 2: one pod a node/],
    ['an update that adds first', onPort(), [holding('old', 'a', { hostPort: 80 }, 'web')], /wait for ever/],
    [
      'an update that takes first',
      onPort({ strategy: { type: 'Recreate' } }),
      [holding('old', 'a', { hostPort: 80 }, 'web')],
      undefined,
    ],
    ['a claim for one node, nobody else', withClaim(), [node('b'), claim('ReadWriteOnce')], undefined],
    [
      'a claim that another pod has on another node',
      withClaim(),
      [node('b'), claim('ReadWriteOnce'), using('x', 'b')],
      /mounted by Pod shop\/x on node b/,
    ],
    ['one node only', withClaim({ replicas: 2 }), [claim('ReadWriteOnce'), using('x', 'a')], undefined],
    [
      'one pod only',
      withClaim(),
      [claim('ReadWriteOncePod'), using('x', 'a')],
      /ReadWriteOncePod .*a second pod waits/,
    ],
    [
      'two pods and a claim for one node',
      withClaim({ replicas: 2 }),
      [node('b'), claim('ReadWriteOnce')],
      /2 pods and one claim/,
    ],
    ['many may have it', withClaim({ replicas: 2 }), [node('b'), claim('ReadWriteMany'), using('x', 'b')], undefined],
    [
      'a rolling update with it',
      withClaim(),
      [node('b'), claim('ReadWriteOnce'), using('old', 'a', 'web')],
      /replaces its pod by making a new one first/,
    ],
  ])('%s', async (_name, wanted, live, says) => {
    const answers = await checkPlacement([place(wanted)], cluster([node('a'), ...live]), 'shop', never);
    expect(answers.map(({ certainty, message }) => `${certainty} ${message}`)).toEqual(
      says === undefined ? [] : [expect.stringMatching(says)],
    );
  });
});

describe('references', () => {
  test('all ways to name another object are found, optional ones are not', () => {
    const found = referencesOf(
      place(
        deployment(
          {
            serviceAccountName: 'robot',
            priorityClassName: 'high',
            runtimeClassName: 'gvisor',
            initContainers: [{ name: 'init', envFrom: [{ secretRef: { name: 'init-env' } }] }],
            volumes: [
              { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
              { name: 'cert', secret: { secretName: 'cert', items: [{ key: 'tls.crt' }, { key: 'tls.key' }] } },
              { name: 'maybe', configMap: { name: 'maybe', optional: true } },
              { name: 'all', projected: { sources: [{ configMap: { name: 'part' } }, { secret: { name: 'half' } }] } },
            ],
          },
          [
            {
              name: 'web',
              env: [
                { name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } },
                { name: 'B', valueFrom: { secretKeyRef: { name: 'perhaps', key: 'b', optional: true } } },
                { name: 'C', value: 'plain' },
              ],
            },
          ],
        ),
      ),
    );
    expect(found.map(({ kind, name, key }) => [kind, name, key].filter(Boolean).join(' ')).sort()).toEqual([
      'ConfigMap part',
      'ConfigMap settings a',
      'PersistentVolumeClaim data',
      'PriorityClass high',
      'RuntimeClass gvisor',
      'Secret cert tls.crt',
      'Secret cert tls.key',
      'Secret half',
      'Secret init-env',
      'ServiceAccount robot',
    ]);
  });

  const wanting = deployment({ volumes: [{ name: 's', secret: { secretName: 'login' } }] });
  const check = (live: readonly KubeObject[], own: readonly KubeObject[] = [], hasHooks = false) =>
    checkReferences([wanting, ...own].map(place), hasHooks, cluster(live), 'shop', never);

  test('what the set or the cluster has is no answer', async () => {
    expect(await check([object('Secret', 'login')])).toEqual([]);
    expect(await check([], [object('Secret', 'login')])).toEqual([]);
  });

  test('absence is proof only when nobody may still make it', async () => {
    const external: KubeObject = {
      apiVersion: 'external-secrets.io/v1',
      kind: 'ExternalSecret',
      metadata: { name: 'other' },
      spec: { target: { name: 'login' } },
    };
    expect((await check([]))[0]).toMatchObject({ certainty: 'wrong', code: 'config.missing' });
    expect((await check([external]))[0]).toMatchObject({ certainty: 'suspicious' });
    expect((await check([], [external]))[0]?.message).toContain('ExternalSecret other may still make it');
    expect((await check([], [], true))[0]).toMatchObject({ certainty: 'suspicious' });
    expect((await check([], [object('Job', 'make')]))[0]).toMatchObject({ certainty: 'suspicious' });
  });

  test('no right to look is no answer', async () => {
    const blind = { ...cluster([]), get: unexpected };
    expect(await checkReferences([place(wanting)], false, blind, 'shop', never)).toEqual([]);
  });
});

test('near matches are near', () => {
  expect(nearMatches('logn', ['login', 'settings', 'logs', 'data'])).toEqual(['login', 'logs']);
  expect(nearMatches('1.4.2-rc1', ['1.4.2', '1.4.1', '2.0.0'])[0]).toBe('1.4.2');
  expect(nearMatches('x', [])).toEqual([]);
});

describe('images', () => {
  const own = [{ name: 'web', repository: 'acme/web', tag: '1' }];
  const node = (name: string, architecture: string, more: object = {}): KubeObject =>
    object('Node', name, { ...more, status: { nodeInfo: { operatingSystem: 'linux', architecture } } });
  const look = (lookUp: LookUp, nodes: readonly KubeObject[], one = deployment({})) =>
    checkImages([place(one)], own, { lookUp: async () => lookUp }, cluster(nodes), never);
  const present = (...platforms: string[]): LookUp => ({ state: 'present', digest: 'sha256:aa', platforms });
  const absent: LookUp = { state: 'absent', nearestTags: ['1.0'] };

  test('the registry of our own images saying no is proof, of others it is not', async () => {
    expect((await look(absent, []))[0]).toMatchObject({ certainty: 'wrong', code: 'image.missing' });
    const foreign = deployment({}, [{ name: 'db', image: 'postgres:16' }]);
    expect((await look(absent, [], foreign))[0]).toMatchObject({ certainty: 'suspicious' });
    expect(await look({ state: 'unknown', why: 'timeout' }, [])).toEqual([]);
  });

  test('an image that lies on every node, or is never pulled, is not missed', async () => {
    const holding = object('Node', 'n', { status: { images: [{ names: ['acme/web:1'] }] } });
    expect(await look(absent, [holding])).toEqual([]);
    const always = deployment({}, [{ name: 'web', image: 'acme/web:1', imagePullPolicy: 'Always' }]);
    expect(await look(absent, [holding], always)).toHaveLength(1);
    const never = deployment({}, [{ name: 'web', image: 'acme/web:1', imagePullPolicy: 'Never' }]);
    expect(await look(absent, [], never)).toEqual([]);
  });

  test.each([
    ['every node fits', [node('a', 'amd64')], {}, undefined],
    ['no node fits', [node('a', 'arm64'), node('b', 'arm64')], {}, 'wrong'],
    ['some do not fit', [node('a', 'arm64'), node('b', 'amd64')], {}, 'suspicious'],
    ['the selector leaves fitting ones', [node('a', 'arm64'), node('b', 'amd64')], { nodeName: 'b' }, undefined],
    [
      'cordoned ones do not count',
      [node('a', 'arm64', { spec: { unschedulable: true } }), node('b', 'amd64')],
      {},
      undefined,
    ],
    [
      'tainted ones do not count',
      [node('a', 'arm64', { spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } }), node('b', 'amd64')],
      {},
      undefined,
    ],
    [
      'unless tolerated',
      [node('a', 'arm64', { spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] } })],
      { tolerations: [{ key: 'x', operator: 'Exists' }] },
      'wrong',
    ],
    ['no nodes are seen', [], {}, undefined],
  ])('platforms: %s', async (_name, nodes, spec, certainty) => {
    const found = await look(present('linux/amd64'), nodes, deployment(spec));
    expect(found[0]?.certainty).toBe(certainty);
    if (certainty !== undefined) expect(found[0]?.code).toBe('image.platform');
  });

  test('a variant is its architecture, and an unknown platform proves nothing', async () => {
    expect(await look(present('linux/arm64/v8'), [node('a', 'arm64')])).toEqual([]);
    expect(await look(present(), [node('a', 'arm64')])).toEqual([]);
  });

  test.each([
    ['https://ghcr.example/v1/', []],
    ['*.example', []],
    ['other.example', ['image.auth']],
  ])('a pull secret for %s', async (host, codes) => {
    const one = deployment({ imagePullSecrets: [{ name: 'pull' }] }, [
      { name: 'web', image: 'ghcr.example/acme/web:1' },
    ]);
    const config = Buffer.from(JSON.stringify({ auths: { [host]: { auth: 'YTpi' } } })).toString('base64');
    const secret = object('Secret', 'pull', { data: { '.dockerconfigjson': config } });
    const found = await checkPullSecrets([place(one)], cluster([secret]), 'shop', never);
    expect(found.map(({ code }) => code)).toEqual(codes);
  });
});

describe('ports', () => {
  const service = (targetPort: unknown, selector: object = { app: 'web' }): KubeObject =>
    object('Service', 'web', {
      spec: { selector, ports: [{ port: 80, ...(targetPort !== undefined && { targetPort }) }] },
    });
  const web = (ports: readonly object[], more: object = {}) => deployment({}, [{ name: 'web', ports, ...more }]);
  const http = [{ name: 'http', containerPort: 8080 }];

  test.each([
    ['by name', service('http'), web(http), undefined],
    ['by number', service(8080), web(http), undefined],
    ['a number as text', service('8080'), web(http), undefined],
    ['an unknown name', service('web'), web(http), 'wrong'],
    ['an undeclared number', service(9000), web(http), 'suspicious'],
    ['nothing declared', service(9000), web([]), undefined],
    ['pods of others', service('x', { app: 'other' }), web(http), undefined],
    ['no selector', service('x', {}), web(http), undefined],
  ])('a service: %s', (_name, one, workload, certainty) => {
    expect(checkPorts([one, workload].map(place))[0]?.certainty).toBe(certainty);
  });

  test.each([
    [{ httpGet: { port: 'http' } }, undefined],
    [{ httpGet: { port: 'admin' } }, 'wrong'],
    [{ tcpSocket: { port: 9000 } }, 'suspicious'],
    [{ exec: { command: ['true'] } }, undefined],
    [{ httpGet: { port: 9000, host: 'elsewhere' } }, undefined],
  ])('a probe %j', (readinessProbe, certainty) => {
    expect(checkPorts([place(web(http, { readinessProbe }))])[0]?.certainty).toBe(certainty);
  });
});

// Texts of Kubernetes 1.35.
test.each([
  [
    'Deployment.apps "web" is invalid: spec.selector: Invalid value: {}: field is immutable',
    'api.Invalid',
    false,
    'spec.immutable',
    'wrong',
  ],
  [
    'pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
    'api.Forbidden',
    true,
    'admission.policy',
    'wrong',
  ],
  [
    'pods "x" is forbidden: exceeded quota: small, requested: cpu=2, used: cpu=0, limited: cpu=1',
    'api.Forbidden',
    true,
    'quota',
    'suspicious',
  ],
  [
    'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2',
    'api.Forbidden',
    true,
    'admission.policy',
    'wrong',
  ],
  [
    'admission webhook "v.example" denied the request: no latest tags',
    'api.Forbidden',
    false,
    'admission.denied',
    'wrong',
  ],
  [
    'deployments.apps "web" is forbidden: User "dev" cannot patch resource "deployments"',
    'api.Forbidden',
    false,
    'rbac.denied',
    'wrong',
  ],
  [
    'Internal error occurred: failed calling webhook "v.example": no endpoints available',
    'api.InternalError',
    false,
    undefined,
    undefined,
  ],
  ['admission webhook "v.example" does not support dry run', 'api.BadRequest', false, undefined, undefined],
  [
    'pods "x" is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found',
    'api.Forbidden',
    true,
    undefined,
    undefined,
  ],
  ['etcdserver: request timed out', 'api.InternalError', false, undefined, undefined],
])('the API server says: %s', (message, code, isPod, expected, certainty) => {
  const answer = refusal(
    place(deployment({})),
    new SlipwayError({ reason: 'cluster', code, message, evidence: [message] }),
    isPod,
  );
  expect([answer?.code, answer?.certainty]).toEqual([expected, certainty]);
});

describe('troubles', () => {
  const nothing = { pods: [], states: [], events: [], nodes: [], logs: [] };
  const state = (status: object, spec: object = {}) =>
    podStates([
      object('Pod', 'web-1', { spec, status: { containerStatuses: [{ name: 'web', restartCount: 0, ...status }] } }),
    ]);
  const waiting = (reason: string, message = '') => state({ state: { waiting: { reason, message } } });
  const log = (text: string) => [{ name: 'web-1.web.log', pod: 'web-1', container: 'web', isPrevious: false, text }];
  const event = (reason: string, message: string) => [
    { at: '', type: 'Warning', reason, object: 'Pod web-1', message, count: 1 },
  ];

  test.each([
    ['The image is not in the registry', { states: waiting('ErrImagePull', 'code = NotFound desc = not found') }],
    ['The registry refuses the node', { states: waiting('ImagePullBackOff', '401 Unauthorized') }],
    ['The registry limits pulls', { states: waiting('ErrImagePull', '429 Too Many Requests') }],
    ['The node does not reach the registry', { states: waiting('ErrImagePull', 'lookup r.example: no such host') }],
    ['The image is for another processor', { logs: log('exec /app: exec format error') }],
    [
      'A ConfigMap, Secret or key is missing',
      { states: waiting('CreateContainerConfigError', 'secret "a" not found') },
    ],
    ['The program cannot be started', { states: waiting('RunContainerError', 'exec: "x": executable file not found') }],
    [
      'Out of memory',
      { states: state({ restartCount: 1, lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } }) },
    ],
    ['The port is taken', { logs: log('listen tcp :8080: bind: address already in use') }],
    ['A name does not resolve', { logs: log('getaddrinfo ENOTFOUND db') }],
    ['Something it depends on does not answer', { logs: log('connect ECONNREFUSED 10.0.0.1:5432') }],
    [
      'The health probe fails',
      { events: event('Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 500') },
    ],
    ['The container ends again and again', { states: waiting('CrashLoopBackOff') }],
    ['The namespace has used up its quota', { events: event('FailedCreate', 'forbidden: exceeded quota: small') }],
    ['A volume is not there yet', { events: event('FailedMount', 'MountVolume.SetUp failed') }],
    ['The Helm release is locked', { failure: { reason: 'locked' as const, code: 'helm.pending', message: 'x' } }],
  ])('%s', (title, facts) => {
    expect(recognise({ ...nothing, ...facts }).map((trouble) => trouble.title)).toContain(title);
  });

  test('a pod that nothing has room for, and a node under pressure', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes are available' }];
    const states = podStates([object('Pod', 'web-1', { status: { conditions } })]);
    expect(recognise({ ...nothing, states })[0]).toMatchObject({ title: 'No node has room' });
    const pressed = object('Node', 'n', {
      status: { conditions: [{ type: 'DiskPressure', status: 'True', message: 'full' }] },
    });
    expect(recognise({ ...nothing, nodes: [pressed] })[0]).toMatchObject({ title: 'A node is under pressure' });
  });

  test('healthy facts show no trouble', () => {
    const states = state({ state: { running: {} } });
    const events = [
      { at: '', type: 'Normal', reason: 'Pulled', object: 'Pod web-1', message: 'Successfully pulled', count: 1 },
    ];
    expect(recognise({ ...nothing, states, events, logs: log('listening on 8080') })).toEqual([]);
  });
});

test('values whose key says that they are secret are masked, the rest stays', () => {
  const values = { db: { password: 'x', host: 'h', apiKey: 1 }, list: [{ token: 't' }], passwords: { a: 'kept?' } };
  expect(withoutSecrets(values)).toEqual({
    db: { password: '***', host: 'h', apiKey: '***' },
    list: [{ token: '***' }],
    passwords: { a: 'kept?' },
  });
});
