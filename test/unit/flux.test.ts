import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/object.ts';
import {
  type Chain,
  causeOf,
  chainAround,
  chooseObject,
  commitOf,
  fluxChains,
  inventoryOf,
  reconcileOrder,
  revisionText,
  standingOf,
  title,
} from '../../src/engine/flux/index.ts';
import { durationMs } from '../../src/engine/flux/standing.ts';
import {
  COMMIT,
  type Condition,
  IMAGE,
  installation,
  NOW,
  notReady,
  OLDER,
  object,
  type PartName,
  type Parts,
  ready,
} from './fluxObjects.ts';

const chainOf = (
  changes: Partial<Record<PartName, Parts | null>> = {},
  options: {
    readonly wanted?: string;
    readonly more?: readonly KubeObject[];
    readonly pods?: readonly KubeObject[];
  } = {},
): Chain => {
  const { wanted, more = [], pods = [] } = options;
  const [chain] = fluxChains(
    { ...installation(changes, more), pods },
    { now: NOW, ...(wanted !== undefined && { wanted }) },
  );
  if (chain === undefined) throw new Error('no chain');
  return chain;
};

const brief = (chain: Chain): string => chain.links.map(({ step, state }) => `${step} ${state}`).join(', ');

describe('the chain of an image', () => {
  it('is told from tag to pods', () => {
    const chain = chainOf();
    expect(brief(chain)).toBe('scanned done, chosen done, committed done, fetched done, applied done, rolled-out done');
    expect(chain.links.map(({ message }) => message)).toEqual([
      `3 tags of ${IMAGE}, scanned 20 s ago.`,
      '1.0.12 is the latest (before: 1.0.11).',
      '1.0.12 is in git (last push 3fa2b1c, 15 s ago).',
      'main at 3fa2b1c, fetched 12 s ago.',
      'main at 3fa2b1c is applied.',
      `2 of 2 pods available, 2 of the new version (${IMAGE}:1.0.12).`,
    ]);
    expect([chain.name, chain.state, chain.summary]).toEqual(['flux-system/api', 'delivered', '1.0.12 runs.']);
  });

  const stuckAt: readonly (readonly [
    what: string,
    changes: Partial<Record<PartName, Parts | null>>,
    step: string,
    code: string,
    text: RegExp,
  ])[] = [
    [
      'registry wants credentials',
      {
        repository: {
          conditions: [
            notReady('AuthenticationFailed', 'GET https://ghcr.io/token: UNAUTHORIZED: authentication required'),
          ],
        },
      },
      'scanned',
      'flux.registry-auth',
      /does not let Flux in/,
    ],
    [
      'registry speaks http',
      {
        repository: {
          conditions: [
            notReady(
              'ReadOperationFailed',
              'Get "https://localhost:5000/v2/": http: server gave HTTP response to HTTPS client',
            ),
          ],
        },
      },
      'scanned',
      'flux.https',
      /plain http/,
    ],
    [
      'nothing in range',
      { policy: { conditions: [notReady('Failure', 'unable to determine latest version from provided list')] } },
      'chosen',
      'flux.no-tag-in-range',
      /Until then 1\.0\.12 stays chosen/,
    ],
    [
      'git refuses the push',
      {
        automation: {
          conditions: [
            notReady(
              'GitOperationFailed',
              'failed to update source: failed to push to remote: command error on refs/heads/main: pre-receive hook declined',
            ),
          ],
        },
      },
      'committed',
      'flux.push-refused',
      /refuses the push/,
    ],
    [
      'update path is gone',
      {
        automation: {
          conditions: [
            notReady('UpdateFailed', 'failed to apply policies: lstat /tmp/x/apps: no such file or directory'),
          ],
        },
      },
      'committed',
      'flux.update-path',
      /does not exist/,
    ],
    [
      'branch is gone',
      {
        source: {
          conditions: [
            notReady(
              'GitOperationFailed',
              'failed to checkout and determine revision: couldn\'t find remote ref "refs/heads/main"',
            ),
          ],
        },
      },
      'fetched',
      'flux.git-branch',
      /does not exist/,
    ],
    [
      'path of the Kustomization is gone',
      {
        kustomization: {
          conditions: [
            notReady('ArtifactFailed', 'kustomization path not found: stat /tmp/k/apps: no such file or directory'),
          ],
        },
      },
      'applied',
      'flux.path',
      /spec\.path does not exist/,
    ],
    [
      'a kind is not defined',
      {
        kustomization: {
          conditions: [
            notReady(
              'ReconciliationFailed',
              'ServiceMonitor/shop/api dry-run failed: no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"',
            ),
          ],
        },
      },
      'applied',
      'flux.kind-missing',
      /no kind ServiceMonitor/,
    ],
    [
      'a stalled object',
      {
        policy: {
          conditions: [
            { type: 'Stalled', status: 'True', reason: 'InvalidPolicy', message: 'bad range' },
            notReady('InvalidPolicy', 'bad range'),
          ],
        },
      },
      'chosen',
      'flux.policy-invalid',
      /cannot be used/,
    ],
    [
      'the marker is missing',
      { workload: { spec: { template: { spec: { containers: [{ image: `${IMAGE}:1.0.9` }] } } } } },
      'rolled-out',
      'flux.not-in-files',
      /It runs 1\.0\.9, although 1\.0\.12 is chosen/,
    ],
    [
      'the controller does not run',
      {
        kustomization: {
          metadata: {
            generation: 2,
            managedFields: [
              { manager: 'kubectl', operation: 'Update', time: '2026-11-21T09:20:00Z', fieldsV1: { 'f:spec': {} } },
            ],
          },
        },
      },
      'applied',
      'flux.controller-silent',
      /kustomize-controller has not answered since 10 min ago/,
    ],
  ];
  it.each(stuckAt)('stops where %s', (_what, changes, step, code, text) => {
    const chain = chainOf(changes);
    const link = chain.links.find(({ state }) => state === 'stuck');
    expect([link?.step, link?.cause?.code, chain.state]).toEqual([step, code, 'stuck']);
    expect(link?.message).toMatch(text);
    expect(link?.cause?.fix).toBeTruthy();
    expect(chain.summary).toContain(`Stuck before "${step === 'rolled-out' ? 'rolled out' : step}"`);
  });

  const waits: readonly (readonly [
    what: string,
    changes: Partial<Record<PartName, Parts | null>>,
    states: string,
    summary: RegExp,
  ])[] = [
    [
      'for the automation',
      { automation: { status: { observedPolicies: { api: { name: IMAGE, tag: '1.0.11' } } } } },
      'committed waiting',
      /has not run since 1\.0\.12 was chosen; it looks again every 1m0s/,
    ],
    [
      "for the fetch of the automation's own commit",
      { source: { status: { artifact: { revision: `main@sha1:${OLDER}`, lastUpdateTime: '2026-11-21T09:10:00Z' } } } },
      'fetched waiting',
      /commit 3fa2b1c is newer and nothing has told about it: it looks again every 1m0s/,
    ],
    [
      'for the merge of another branch',
      {
        automation: { spec: { git: { push: { branch: 'updates' } } } },
        source: { status: { artifact: { revision: `main@sha1:${OLDER}`, lastUpdateTime: '2026-11-21T09:10:00Z' } } },
      },
      'fetched waiting',
      /pushes to updates .* merge it into main/,
    ],
    [
      'for the next revision',
      { kustomization: { status: { lastAppliedRevision: `main@sha1:${OLDER}` } } },
      'applied waiting',
      /main at 1111111 is applied, main at 3fa2b1c is fetched/,
    ],
    [
      'for a health check',
      {
        kustomization: {
          spec: { wait: true, timeout: '3m0s' },
          conditions: [
            {
              type: 'Reconciling',
              status: 'True',
              reason: 'Progressing',
              message: `Running health checks for revision main@sha1:${COMMIT} with a timeout of 3m0s`,
            },
            { type: 'Ready', status: 'Unknown', reason: 'Progressing' },
          ],
        },
      },
      'applied working',
      /for at most 3m0s\. A newer commit is not applied before that/,
    ],
    [
      'for an answer',
      { source: { metadata: { annotations: { 'reconcile.fluxcd.io/requestedAt': '2026-11-21T09:29:50Z' } } } },
      'fetched working',
      /asked to look again/,
    ],
    [
      'for a status of this generation',
      { policy: { metadata: { generation: 2, creationTimestamp: '2026-11-21T09:29:30Z' } } },
      'chosen working',
      /older generation/,
    ],
  ];
  it.each(waits)('waits %s', (_what, changes, state, summary) => {
    const chain = chainOf(changes);
    expect(brief(chain)).toContain(state);
    expect(brief(chain)).not.toContain('stuck');
    expect(chain.summary).toMatch(summary);
  });

  it('says what a suspension stops, who did it and why', () => {
    const chain = chainOf({
      automation: {
        spec: { suspend: true },
        metadata: {
          annotations: {
            'slipway.dev/suspended-why': '1.0.13 does not start',
            'slipway.dev/suspended-by': 'kim',
            'slipway.dev/suspended-at': '2026-11-21T07:30:00Z',
          },
        },
      },
    });
    expect(chain.state).toBe('suspended');
    expect(chain.summary).toContain('Suspended (1.0.13 does not start, kim, 2 h ago): nothing is written to git.');
    expect(chain.links.find(({ step }) => step === 'committed')?.reminder?.by).toBe('kim');
  });

  it('a suspended policy still counts with its last choice', () => {
    const chain = chainOf({ policy: { spec: { suspend: true } } });
    expect(chain.links.find(({ step }) => step === 'chosen')?.message).toBe(
      'Suspended: 1.0.12 stays chosen and is still written.',
    );
  });

  it('names the dependency at the root of the waiting', () => {
    const waitsFor = (name: string): Parts => ({
      spec: { sourceRef: { kind: 'GitRepository', name: 'fleet' }, dependsOn: [{ name }] },
      conditions: [notReady('DependencyNotReady', `dependency 'flux-system/${name}' is not ready`)],
    });
    const chain = chainOf(
      { kustomization: waitsFor('infra') },
      {
        more: [
          object('Kustomization', 'infra', waitsFor('crds')),
          object('Kustomization', 'crds', {
            conditions: [
              notReady('BuildFailed', 'kustomize build failed: accumulating resources: open crds.yaml: no such file'),
            ],
          }),
        ],
      },
    );
    const cause = chain.links.find(({ step }) => step === 'applied')?.cause;
    expect(cause?.message).toBe(
      'It waits for Kustomization flux-system/crds: The files cannot be built with Kustomize.',
    );
    const circle = chainOf(
      { kustomization: waitsFor('infra') },
      { more: [object('Kustomization', 'infra', waitsFor('apps'))] },
    );
    expect(circle.links.find(({ step }) => step === 'applied')?.cause?.message).toContain('waits for it in turn');
    const absent = chainOf({ kustomization: waitsFor('infra') });
    expect(absent.links.find(({ step }) => step === 'applied')?.cause?.message).toContain('does not exist');
  });

  it("tells the pods' trouble at the end of the chain", () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'api-1', namespace: 'shop', labels: { app: 'api' } },
      status: { containerStatuses: [{ state: { waiting: { reason: 'ImagePullBackOff', message: 'not found' } } }] },
    } as unknown as KubeObject;
    const status = { replicas: 3, updatedReplicas: 1, readyReplicas: 2, availableReplicas: 2, unavailableReplicas: 1 };
    const chain = chainOf({ workload: { status } }, { pods: [pod] });
    const link = chain.links.find(({ step }) => step === 'rolled-out');
    expect(link?.cause?.code).toBe('flux.rollout');
    expect(link?.message).toContain('api-1: ImagePullBackOff, not found');
  });

  const asked: readonly (readonly [tag: string, step: string, text: RegExp])[] = [
    ['1.0.12', '', /1\.0\.12 runs/],
    ['1.0.13', 'scanned waiting', /1\.0\.13 is not among the 3 tags/],
    ['1.0.11', 'chosen stuck', /prefers 1\.0\.12 to 1\.0\.11/],
  ];
  it.each(asked)('finds where %s is', (wanted, state, text) => {
    const chain = chainOf({}, { wanted });
    expect(brief(chain)).toContain(state);
    expect(chain.summary).toMatch(text);
  });

  it('says why the policy refuses a tag', () => {
    const scan = { tagCount: 40, scanTime: '2026-11-21T09:29:40Z', latestTags: ['2.0.0'] };
    const chain = chainOf({ repository: { status: { lastScanResult: scan } } }, { wanted: '2.0.0' });
    expect(chain.links.find(({ step }) => step === 'chosen')?.cause?.code).toBe('flux.tag-refused');
  });
});

describe('chains without an image', () => {
  it('go from the source through charts to releases', () => {
    const chains = fluxChains(
      {
        objects: [
          object('HelmRepository', 'charts', { status: { artifact: { revision: 'sha256:abc' } } }),
          object('HelmChart', 'shop-redis', { spec: { sourceRef: { kind: 'HelmRepository', name: 'charts' } } }),
          object(
            'HelmRelease',
            'redis',
            {
              status: {
                helmChart: 'flux-system/shop-redis',
                history: [{ chartName: 'redis', chartVersion: '19.0.1', version: 4, status: 'deployed' }],
              },
            },
            'shop',
          ),
          object('Kustomization', 'lost', {
            spec: { sourceRef: { kind: 'GitRepository', name: 'gone' } },
            conditions: [notReady('ArtifactFailed', "Source 'GitRepository/flux-system/gone' not found")],
          }),
        ],
        workloads: [],
        pods: [],
      },
      { now: NOW },
    );
    expect(chains.map(({ name, summary }) => `${name}: ${summary}`)).toEqual([
      'HelmRepository flux-system/charts: Everything has gone through.',
      'Kustomization flux-system/lost: Stuck before "applied", at Kustomization lost: Its source does not exist.',
    ]);
    expect(chains[0]?.links.at(-1)?.message).toBe('redis 19.0.1, release 4, deployed.');
  });
});

describe('standing of an object', () => {
  const cases: readonly (readonly [string, readonly Condition[], Parts, string])[] = [
    ['ready', [ready()], {}, 'ready'],
    ['never looked at', [], { status: { observedGeneration: -1, conditions: [] } }, 'new'],
    [
      'at it',
      [
        { type: 'Reconciling', status: 'True', reason: 'Progressing', message: 'x' },
        { type: 'Ready', status: 'Unknown', reason: 'Progressing' },
      ],
      {},
      'working',
    ],
    [
      'failed and tried again',
      [{ type: 'Reconciling', status: 'True', reason: 'ProgressingWithRetry' }, notReady('BuildFailed', 'x')],
      {},
      'failed',
    ],
    [
      'being tried again right now',
      [
        { type: 'Reconciling', status: 'True', reason: 'Progressing', message: 'Building' },
        notReady('BuildFailed', 'x'),
      ],
      {},
      'working',
    ],
    ['behind', [ready()], { metadata: { generation: 2 } }, 'stale'],
    ['going', [ready()], { metadata: { deletionTimestamp: '2026-11-21T09:00:00Z' } }, 'deleting'],
  ];
  it.each(cases)('%s', (_what, conditions, parts, state) => {
    expect(standingOf(object('Kustomization', 'apps', { ...parts, conditions })).state).toBe(state);
  });
});

describe('names and order', () => {
  const { objects } = installation({}, [
    object('Kustomization', 'infra'),
    object('Kustomization', 'late', { spec: { dependsOn: [{ name: 'apps' }] } }),
  ]);
  it('reconciles in the order of the chain, dependencies first', () => {
    const kustomizations = [
      object('Kustomization', 'a', { spec: { dependsOn: [{ name: 'z' }] } }),
      object('Kustomization', 'z'),
    ];
    const order = reconcileOrder([...objects].reverse().concat(kustomizations)).map(title);
    expect(order.slice(0, 4)).toEqual([
      'imagerepository/flux-system/api',
      'imagepolicy/flux-system/api',
      'imageupdateautomation/flux-system/fleet',
      'gitrepository/flux-system/fleet',
    ]);
    expect(order.indexOf('kustomization/flux-system/z')).toBeLessThan(order.indexOf('kustomization/flux-system/a'));
    expect(order.indexOf('kustomization/flux-system/apps')).toBeLessThan(
      order.indexOf('kustomization/flux-system/late'),
    );
  });

  it('takes in what is before and after, and nothing beside', () => {
    const around = chainAround(objects, [chooseObject(objects, 'policy/api')]).map(title);
    expect(around).toContain('imagerepository/flux-system/api');
    expect(around).toContain('kustomization/flux-system/late');
    expect(around).not.toContain('kustomization/flux-system/infra');
  });

  it('finds an object by as little as is clear', () => {
    expect(title(chooseObject(objects, 'ks/apps'))).toBe('kustomization/flux-system/apps');
    expect(title(chooseObject(objects, 'flux-system/infra'))).toBe('kustomization/flux-system/infra');
    expect(() => chooseObject(objects, 'api')).toThrow(/means 2 objects/);
    expect(() => chooseObject(objects, 'nobody')).toThrow(/no Flux object/);
    const [ours, theirs] = [object('Kustomization', 'web'), object('Kustomization', 'web', {}, 'other-team')];
    expect(chooseObject([theirs, ours], 'ks/web', [ours])).toBe(ours);
    expect(() => chooseObject([theirs, ours], 'ks/web', [theirs, ours])).toThrow(/means 2 objects/);
  });

  it('reads revisions, inventories and durations', () => {
    expect(revisionText(`main@sha1:${COMMIT}`)).toBe('main at 3fa2b1c');
    expect(commitOf(`refs/heads/main@sha1:${COMMIT}`)).toBe(COMMIT);
    expect(commitOf('1.2.3')).toBeUndefined();
    expect(
      inventoryOf(
        object('Kustomization', 'a', {
          status: {
            inventory: {
              entries: [
                { id: 'shop_api_apps_Deployment', v: 'v1' },
                { id: '_shop__Namespace', v: 'v1' },
              ],
            },
          },
        }),
      ),
    ).toEqual([
      { kind: 'Deployment', name: 'api', namespace: 'shop', apiVersion: 'apps/v1' },
      { kind: 'Namespace', name: 'shop', namespace: '', apiVersion: 'v1' },
    ]);
    expect([durationMs('1m30s'), durationMs('500ms'), durationMs('soon')]).toEqual([90_000, 500, undefined]);
  });
});

describe('sources other than git', () => {
  // Recorded from source-controller 1.8 and helm-controller 1.4 on the lab.
  it.each([
    [
      'OCIRepository',
      'ReadOperationFailed',
      "failed to determine the artifact tag for 'oci://r/app': no match found for semver: 9.x",
      'flux.artifact-version',
      /in the range 9\.x/,
    ],
    [
      'OCIRepository',
      'OCIArtifactPullFailed',
      'failed to determine artifact digest: GET http://r/v2/app/manifests/none: MANIFEST_UNKNOWN: manifest unknown; map[Tag:none]',
      'flux.artifact-missing',
      /no tag none/,
    ],
    [
      'OCIRepository',
      'OCIArtifactPullFailed',
      'GET http://r/v2/x/manifests/1: NAME_UNKNOWN: repository name not known to registry',
      'flux.artifact-missing',
      /no such artifact/,
    ],
    [
      'HelmRepository',
      'Failed',
      'failed to fetch Helm repository index: failed to cache index to temporary file: failed to fetch http://h/elsewhere/index.yaml : 404 Not Found',
      'flux.chart-index',
      /no chart index/,
    ],
    [
      'HelmRelease',
      'SourceNotReady',
      "HelmChart 'a/a-by-http' is not ready: invalid chart reference: failed to get chart version for remote reference: no 'note' chart with version matching '7.x' found",
      'flux.chart-version',
      /no version 7\.x of the chart note/,
    ],
    ['Bucket', 'BucketOperationFailed', "bucket 'nothing' not found", 'flux.bucket-missing', /no bucket nothing/],
    [
      'Bucket',
      'BucketOperationFailed',
      'failed to confirm existence of bucket: Access Denied.',
      'flux.bucket-auth',
      /may not be read/,
    ],
  ] as const)('%s %s', (kind, reason, message, code, words) => {
    const broken = object(kind, 'x', { conditions: [notReady(reason, message)] });
    const cause = causeOf(broken, standingOf(broken));
    expect(cause.code).toBe(code);
    expect(cause.message).toMatch(words);
  });

  it('a chart that cannot be had is named while helm-controller still waits for it', () => {
    const charts = object('HelmRepository', 'charts');
    const chart = object('HelmChart', 'web', {
      spec: { sourceRef: { kind: 'HelmRepository', name: 'charts' } },
      conditions: [notReady('InvalidChartReference', "no 'web' chart with version matching '7.x' found")],
    });
    const waits = (conditions: readonly Condition[]) =>
      object('HelmRelease', 'web', {
        spec: { chart: { spec: { chart: 'web', sourceRef: { kind: 'HelmRepository', name: 'charts' } } } },
        status: { helmChart: 'flux-system/web' },
        conditions,
      });
    const reconciling = {
      type: 'Reconciling',
      status: 'True',
      reason: 'Progressing',
      message: 'reconciliation in progress',
    };
    const released = (objects: readonly KubeObject[]) =>
      fluxChains({ objects, workloads: [], pods: [] }, { now: 0 })[0]?.links.find(({ step }) => step === 'released');
    const release = waits([reconciling]);
    expect(released([charts, chart, release])).toMatchObject({ state: 'stuck', cause: { code: 'flux.chart-version' } });
    expect(released([charts, object('HelmChart', 'web', { spec: chart.spec as object }), release])).toMatchObject({
      state: 'working',
    });
  });

  it('a chart registry by OCI has no status, and is fine', () => {
    const registry = object('HelmRepository', 'charts', { spec: { type: 'oci', url: 'oci://r/charts' } });
    const bare = { ...registry, status: undefined };
    expect(fluxChains({ objects: [bare], workloads: [], pods: [] }, { now: 0 })[0]?.state).toBe('delivered');
  });
});

describe('causes', () => {
  it('keeps the words of what no rule knows', () => {
    const odd = object('Bucket', 'b', { conditions: [notReady('Strange', 'the moon is full')] });
    expect(causeOf(odd, standingOf(odd))).toMatchObject({ code: 'flux.other', message: 'the moon is full' });
  });
});
