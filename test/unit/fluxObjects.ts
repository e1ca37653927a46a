// A small Flux installation as the API server shows it, for tests: one image chain, its delivery and its workload.
import type { KubeObject } from '../../src/engine/cluster/object.ts';

export const NOW = Date.parse('2026-11-21T09:30:00Z');
export const IMAGE = 'localhost:5000/shop/api';
export const COMMIT = '3fa2b1c0d4e5f60718293a4b5c6d7e8f90a1b2c3';
export const OLDER = '1111111111111111111111111111111111111111';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

export const ready = (reason = 'Succeeded', message = ''): Condition => ({
  type: 'Ready',
  status: 'True',
  reason,
  message,
});
export const notReady = (reason: string, message: string): Condition => ({
  type: 'Ready',
  status: 'False',
  reason,
  message,
});

export interface Parts {
  readonly spec?: object;
  readonly status?: object;
  readonly conditions?: readonly Condition[];
  readonly metadata?: object;
}

const apiVersions: Readonly<Record<string, string>> = {
  ImageRepository: 'image.toolkit.fluxcd.io/v1',
  ImagePolicy: 'image.toolkit.fluxcd.io/v1',
  ImageUpdateAutomation: 'image.toolkit.fluxcd.io/v1',
  GitRepository: 'source.toolkit.fluxcd.io/v1',
  HelmRepository: 'source.toolkit.fluxcd.io/v1',
  HelmChart: 'source.toolkit.fluxcd.io/v1',
  OCIRepository: 'source.toolkit.fluxcd.io/v1',
  Kustomization: 'kustomize.toolkit.fluxcd.io/v1',
  HelmRelease: 'helm.toolkit.fluxcd.io/v2',
  Deployment: 'apps/v1',
  Pod: 'v1',
};

export function object(kind: string, name: string, parts: Parts = {}, namespace = 'flux-system'): KubeObject {
  return {
    apiVersion: apiVersions[kind] ?? 'v1',
    kind,
    metadata: { name, namespace, generation: 1, creationTimestamp: '2026-11-20T08:00:00Z', ...parts.metadata },
    spec: { interval: '1m0s', ...parts.spec },
    status: {
      observedGeneration: 1,
      conditions: (parts.conditions ?? [ready()]).map((condition) => ({
        lastTransitionTime: '2026-11-21T09:29:00Z',
        observedGeneration: 1,
        message: '',
        ...condition,
      })),
      ...parts.status,
    },
  } as unknown as KubeObject;
}

export const merged = (base: Parts, change: Parts): Parts => ({
  spec: { ...base.spec, ...change.spec },
  status: { ...base.status, ...change.status },
  metadata: { ...base.metadata, ...change.metadata },
  ...(change.conditions !== undefined && { conditions: change.conditions }),
});

const parts: Readonly<Record<string, readonly [kind: string, name: string, parts: Parts, namespace?: string]>> = {
  repository: [
    'ImageRepository',
    'api',
    {
      spec: { image: IMAGE },
      status: {
        lastScanResult: { tagCount: 3, scanTime: '2026-11-21T09:29:40Z', latestTags: ['1.0.12', '1.0.11', '1.0.10'] },
      },
    },
  ],
  policy: [
    'ImagePolicy',
    'api',
    {
      spec: { imageRepositoryRef: { name: 'api' }, policy: { semver: { range: '1.0.x' } } },
      status: {
        latestRef: { name: IMAGE, tag: '1.0.12' },
        observedPreviousRef: { name: IMAGE, tag: '1.0.11' },
      },
    },
  ],
  automation: [
    'ImageUpdateAutomation',
    'fleet',
    {
      spec: { sourceRef: { kind: 'GitRepository', name: 'fleet' }, update: { path: './apps', strategy: 'Setters' } },
      status: {
        observedPolicies: { api: { name: IMAGE, tag: '1.0.12' } },
        lastPushCommit: COMMIT,
        lastPushTime: '2026-11-21T09:29:45Z',
      },
    },
  ],
  source: [
    'GitRepository',
    'fleet',
    {
      spec: { url: 'https://git.example.com/acme/fleet', ref: { branch: 'main' } },
      status: { artifact: { revision: `main@sha1:${COMMIT}`, lastUpdateTime: '2026-11-21T09:29:48Z' } },
    },
  ],
  kustomization: [
    'Kustomization',
    'apps',
    {
      spec: { sourceRef: { kind: 'GitRepository', name: 'fleet' }, path: './apps', prune: true },
      status: {
        lastAppliedRevision: `main@sha1:${COMMIT}`,
        lastAttemptedRevision: `main@sha1:${COMMIT}`,
        inventory: {
          entries: [
            { id: 'shop_api_apps_Deployment', v: 'v1' },
            { id: 'shop_api__Service', v: 'v1' },
          ],
        },
      },
    },
  ],
  workload: [
    'Deployment',
    'api',
    {
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'api' } },
        template: { spec: { containers: [{ name: 'api', image: `${IMAGE}:1.0.12` }] } },
      },
      status: { replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 },
    },
    'shop',
  ],
};

export type PartName = 'repository' | 'policy' | 'automation' | 'source' | 'kustomization' | 'workload';

/** The installation with some parts changed or left out (null), and more objects. */
export function installation(
  changes: Partial<Record<PartName, Parts | null>> = {},
  more: readonly KubeObject[] = [],
): { readonly objects: readonly KubeObject[]; readonly workloads: readonly KubeObject[] } {
  const all = Object.entries(parts).flatMap(([part, [kind, name, base, namespace]]) => {
    const change = changes[part as PartName];
    return change === null ? [] : [object(kind, name, merged(base, change ?? {}), namespace)];
  });
  return {
    objects: [...all.filter(({ kind }) => kind !== 'Deployment'), ...more],
    workloads: all.filter(({ kind }) => kind === 'Deployment'),
  };
}
