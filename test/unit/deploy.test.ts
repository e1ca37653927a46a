import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import { diffObject, quantityOf } from '../../src/engine/deploy/diff.ts';
import {
  normalRepository,
  refuseSharedRepository,
  runsInstead,
  setImages,
  splitReference,
} from '../../src/engine/deploy/images.ts';
import { inNamespace, isClusterScoped, parseObjects } from '../../src/engine/deploy/objects.ts';
import { inOrder } from '../../src/engine/deploy/order.ts';
import { obstaclesFor, ownersOf, refuseObstacles } from '../../src/engine/deploy/ownership.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';

const recorded = (name: string): string => readFileSync(join(import.meta.dirname, 'fixtures', 'deploy', name), 'utf8');
const object = (kind: string, name: string, more: object = {}): KubeObject => ({
  apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1',
  kind,
  metadata: { name },
  ...more,
});

describe('what runs instead of a version', () => {
  const runs = (...images: readonly string[]): KubeObject[] =>
    images.map((image, index) =>
      object('Deployment', `web-${index}`, { spec: { template: { spec: { containers: [{ name: 'web', image }] } } } }),
    );
  const digest = `sha256:${'a'.repeat(64)}`;
  test.each([
    ['the version runs', runs('acme.io/web:2.0'), []],
    ['by its digest alone', runs(`acme.io/web@${digest}`), []],
    ['beside another of the same repository', runs('acme.io/web:1.0', 'acme.io/web:2.0'), []],
    ['nothing of the repository', runs('acme.io/api:1.0'), []],
    ['an older one', runs('acme.io/web:1.0', 'acme.io/web:1.0'), ['acme.io/web:1.0']],
    ['another digest', runs(`acme.io/web@sha256:${'b'.repeat(64)}`), [`acme.io/web@sha256:${'b'.repeat(64)}`]],
  ])('%s', (_title, live, expected) => {
    expect(runsInstead(live, { name: 'web', repository: 'acme.io/web', tag: '2.0', digest })).toEqual(expected);
  });
});

describe('parseObjects', () => {
  test('opens lists, passes over empty documents, and keeps the place of each object', () => {
    const text = `# comment
---
apiVersion: v1
kind: ConfigMap
metadata: { name: a }
---
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Secret, metadata: { name: b } }
`;
    const objects = parseObjects(text, '/w/all.yaml');
    expect(objects.map(({ object: found }) => `${found.kind} ${found.metadata.name}`)).toEqual([
      'ConfigMap a',
      'Secret b',
    ]);
    expect(objects[0]?.place?.range?.start.line).toBe(2);
    expect(objects[1]?.place?.range?.start.line).toBe(7);
  });

  test.each([
    ['kind: X\nmetadata: {name: a}', 'without apiVersion and kind', 0],
    ['a: 1\n---\napiVersion: v1\nkind: Pod\nmetadata: {}', 'without apiVersion and kind', 0],
    ['apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}', 'generateName', 0],
    ['apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nx: [', 'is not valid YAML', 4],
    ['- 1', 'no object', 0],
  ])('says what is wrong with %j', (text, words, line) => {
    const error = captured(() => parseObjects(text, '/w/bad.yaml'));
    expect(error.reason).toBe('config');
    expect(error.message).toContain(words);
    expect(error.message).toContain('/w/bad.yaml');
    expect(error.place?.range?.start.line).toBe(line);
  });
});

test('namespaces go to namespaced objects only, by kind and by the CRDs of the set', () => {
  const crd = object('CustomResourceDefinition', 'things.acme.io', {
    spec: { group: 'acme.io', scope: 'Cluster', names: { kind: 'Thing' } },
  });
  const thing: KubeObject = { apiVersion: 'acme.io/v1', kind: 'Thing', metadata: { name: 't' } };
  const set = [object('ConfigMap', 'c'), object('Namespace', 'n'), crd, thing].map((o) => ({ object: o }));
  const placed = inNamespace(set, 'shop').map(({ object: o }) => `${o.kind} ${o.metadata.namespace ?? '-'}`);
  expect(placed).toEqual(['ConfigMap shop', 'Namespace -', 'CustomResourceDefinition -', 'Thing -']);
  expect(isClusterScoped({ apiVersion: 'acme.io/v1', kind: 'Node', metadata: { name: 'x' } })).toBe(false);
});

describe('images', () => {
  test.each([
    ['ghcr.io/acme/web:1.2@sha256:ab', 'ghcr.io/acme/web', '1.2', 'sha256:ab'],
    ['localhost:5000/web', 'localhost:5000/web', undefined, undefined],
    ['web:1', 'web', '1', undefined],
  ])('%s is cut at tag and digest', (reference, repository, tag, digest) => {
    const cut = splitReference(reference);
    expect([cut.repository, cut.tag, cut.digest]).toEqual([repository, tag, digest]);
  });

  test.each([
    ['nginx', 'docker.io/library/nginx'],
    ['index.docker.io/acme/web', 'docker.io/acme/web'],
    ['localhost/web', 'localhost/web'],
    ['ghcr.io/acme/web', 'ghcr.io/acme/web'],
  ])('%s means %s', (repository, normal) => expect(normalRepository(repository)).toBe(normal));

  test('are set in every pod template by repository, everything else untouched', () => {
    const pod = {
      containers: [{ name: 'a', image: 'docker.io/acme/web:old' }],
      initContainers: [{ image: 'busybox' }],
    };
    const cron = object('CronJob', 'nightly', { spec: { jobTemplate: { spec: { template: { spec: pod } } } } });
    const custom: KubeObject = {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Rollout',
      metadata: { name: 'r' },
      spec: { replicas: 2, template: { spec: pod } },
    };
    const image = { name: 'web', repository: 'acme/web', tag: '2', digest: 'sha256:cd' };
    const other = { name: 'other', repository: 'acme/other', tag: '2' };
    const result = setImages([cron, custom, object('ConfigMap', 'c')], [image, other]);
    expect(result.used).toEqual(['web']);
    expect(result.unused).toEqual(['other']);
    expect(JSON.stringify(result.objects).match(/acme\/web:2@sha256:cd/g)).toHaveLength(2);
    expect(JSON.stringify(result.objects)).toContain('"replicas":2');
    expect(JSON.stringify(result.objects).match(/busybox/g)).toHaveLength(2);
    expect(cron).toEqual(
      object('CronJob', 'nightly', { spec: { jobTemplate: { spec: { template: { spec: pod } } } } }),
    );
  });
});

test('objects are written in the order they need each other', () => {
  const kinds = ['Ingress', 'Deployment', 'Thing', 'Service', 'Namespace', 'CustomResourceDefinition', 'Role'];
  const groups = inOrder(kinds.map((kind) => object(kind, 'x')));
  expect(groups.map((group) => group.map((o) => o.kind).join())).toEqual([
    'Namespace',
    'CustomResourceDefinition',
    'Role',
    'Service',
    'Deployment',
    'Ingress',
    'Thing',
  ]);
});

describe('ownership', () => {
  const live = JSON.parse(recorded('live-deployment.json')) as KubeObject;
  const marked = (metadata: object): KubeObject =>
    object('Deployment', 'web', { metadata: { name: 'web', ...metadata } });

  test('a release may write its own objects, plain manifests may not', () => {
    expect(obstaclesFor({ kind: 'helm', release: 'web', namespace: 'deploy-hand' }, [live])).toEqual([]);
    const error = captured(() => refuseObstacles(obstaclesFor({ kind: 'manifests' }, [live])));
    expect([error.reason, error.code]).toEqual(['refused', 'owned.helm']);
    expect(error.message).toContain('deploy-hand/web');
  });

  test.each([
    [
      { labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps', 'kustomize.toolkit.fluxcd.io/namespace': 'flux' } },
      'flux',
    ],
    [{ labels: { 'helm.toolkit.fluxcd.io/name': 'web', 'helm.toolkit.fluxcd.io/namespace': 'shop' } }, 'flux'],
    [{ managedFields: [{ manager: 'kustomize-controller' }] }, 'flux'],
    [{ annotations: { 'argocd.argoproj.io/tracking-id': 'shop:apps/Deployment:shop/web' } }, 'argocd'],
    [{ managedFields: [{ manager: 'argocd-controller' }], labels: { 'app.kubernetes.io/instance': 'shop' } }, 'argocd'],
    [{ ownerReferences: [{ kind: 'Widget', name: 'w', controller: true }] }, 'controller'],
  ])('%j is owned by %s', (metadata, kind) => {
    expect(ownersOf(marked(metadata)).map((owner) => owner.kind)).toEqual([kind]);
    const error = captured(() => refuseObstacles(obstaclesFor({ kind: 'manifests' }, [marked(metadata)])));
    expect(error.code).toBe(`owned.${kind}`);
  });

  test.each([
    [{ labels: { 'app.kubernetes.io/instance': 'shop' } }],
    [
      {
        labels: { 'kustomize.toolkit.fluxcd.io/name': 'apps' },
        annotations: { 'kustomize.toolkit.fluxcd.io/reconcile': 'disabled' },
        managedFields: [{ manager: 'kustomize-controller' }],
      },
    ],
    [{ managedFields: [{ manager: 'kubectl' }] }],
  ])("%j is nobody else's", (metadata) => expect(ownersOf(marked(metadata))).toEqual([]));

  test('with Helm under Flux the way that lasts is git', () => {
    const both = marked({
      labels: { 'helm.toolkit.fluxcd.io/name': 'web' },
      annotations: { 'meta.helm.sh/release-name': 'web' },
    });
    expect(captured(() => refuseObstacles(obstaclesFor({ kind: 'manifests' }, [both]))).code).toBe('owned.flux');
  });
});

describe('diff', () => {
  const live = JSON.parse(recorded('live-deployment.json')) as KubeObject;
  const rendered = parseObjects(recorded('rendered.yaml')).map((placed) => placed.object);
  const desired = rendered.find((o) => o.kind === 'Deployment') as KubeObject;

  test('what Helm rendered and the server completed is the same', () => {
    expect(diffObject(desired, live, { kind: 'subset' })).toMatchObject({ action: 'none', changes: [] });
  });

  test('a changed image, a lower limit spelt otherwise, and a removed variable are found by name', () => {
    const next = structuredClone(desired) as unknown as { spec: { template: { spec: { containers: Container[] } } } };
    interface Container {
      image: string;
      env: { name: string }[];
      resources: { requests: Record<string, string> };
    }
    const container = next.spec.template.spec.containers[0] as Container;
    container.image = 'localhost:5000/deploy/actor:2';
    container.env = container.env.filter((variable) => variable.name !== 'GREETING');
    container.resources = { requests: { cpu: '0.010', memory: '32Mi' } };
    const found = diffObject(next as unknown as KubeObject, live, { kind: 'subset', previous: desired });
    expect(found.changes.map((change) => change.path)).toEqual([
      'spec.template.spec.containers[web].image',
      'spec.template.spec.containers[web].env[GREETING]',
      'spec.template.spec.containers[web].resources.requests.memory',
    ]);
    expect(found.changes[1]).not.toHaveProperty('after');
  });

  test('values of a Secret are never in it, whichever way they were written', () => {
    const secret = (more: object) => object('Secret', 's', more);
    const before = secret({ data: { password: Buffer.from('hunter2').toString('base64'), same: 'c2FtZQ==' } });
    const after = secret({ stringData: { password: 'correct horse' }, data: { same: 'c2FtZQ==' } });
    const found = diffObject(after, before, { kind: 'subset' });
    expect(found.changes).toEqual([
      { path: 'data.password', before: '(secret, 7 bytes)', after: '(secret, 13 bytes)' },
    ]);
    expect(diffObject(secret({ stringData: { same: 'same' } }), before, { kind: 'subset' }).action).toBe('none');
  });

  test('between two whole objects of the server, a field that goes away counts', () => {
    const a = object('ConfigMap', 'c', { data: { x: '1' } });
    const b = object('ConfigMap', 'c', { data: { x: '1', y: '2' } });
    expect(diffObject(a, b, { kind: 'subset' }).action).toBe('none');
    expect(diffObject(a, b, { kind: 'full' }).changes).toEqual([{ path: 'data.y', before: '2' }]);
    expect(diffObject(a, undefined, { kind: 'full' }).action).toBe('create');
  });

  test.each([
    ['500m', 0.5],
    ['0.5', 0.5],
    ['1Gi', 1073741824],
    ['1e3', 1000],
    ['1E', 1e18],
    [2, 2],
    ['abc', undefined],
    ['1.2.3', undefined],
  ])('quantity %j is %j', (text, value) => expect(quantityOf(text)).toBe(value));
});

function captured(work: () => unknown): SlipwayError {
  try {
    work();
  } catch (error) {
    if (SlipwayError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('images of one repository', () => {
  const of = (name: string, tag = `${name}-1.2`) => ({ name, repository: 'r.example.com/app', tag });
  const images = [of('api'), of('worker'), of('api-admin')];
  const pod = (name: string, container: string, image: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: container, image }] },
  });

  test.each([
    ['x', 'main', 'r.example.com/app:api-1.1', 'api-1.2'],
    ['x', 'main', 'r.example.com/app:worker-1.1@sha256:ab', 'worker-1.2'],
    ['x', 'main', 'r.example.com/app:api-admin-1.1', 'api-admin-1.2'],
    ['x', 'main', 'r.example.com/app:1.1_worker', 'worker-1.2'],
    ['x', 'worker', 'r.example.com/app', 'worker-1.2'],
    ['shop-api', 'main', 'r.example.com/app:latest', 'api-1.2'],
  ])('of pod %s, container %s with %s becomes %s', (name, container, image, tag) => {
    const { objects } = setImages([pod(name, container, image)], images);
    expect(JSON.stringify(objects)).toContain(`"r.example.com/app:${tag}"`);
  });

  test('what tells nothing is refused, and so is GitOps, which knows repositories only', () => {
    expect(() => setImages([pod('x', 'main', 'r.example.com/app:latest')], images)).toThrow(
      expect.objectContaining({ code: 'image.ambiguous' }),
    );
    expect(() => refuseSharedRepository(images, 'Flux')).toThrow(
      expect.objectContaining({ code: 'image.shared-repository' }),
    );
    refuseSharedRepository([of('api')], 'Flux');
  });
});
