import { expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import type { ClusterAccess } from '../../src/engine/deploy/access.ts';
import { differences, restore, type SetRecord, SetRecords } from '../../src/engine/deploy/setRecord.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';

const signal = new AbortController().signal;
const object = (kind: string, name: string, more: object = {}, metadata: object = {}): KubeObject => ({
  apiVersion: kind === 'Deployment' ? 'apps/v1' : 'v1',
  kind,
  metadata: { name, namespace: 'shop', uid: `${kind}-${name}`, ...metadata },
  ...more,
});
const refOf = ({ apiVersion, kind, metadata }: KubeObject) => ({
  apiVersion,
  kind,
  name: metadata.name,
  namespace: 'shop',
});

interface World {
  readonly access: ClusterAccess;
  readonly done: string[];
  readonly secrets: KubeObject[];
}

function cluster(live: readonly KubeObject[], fail?: (what: string) => SlipwayError | undefined): World {
  const done: string[] = [];
  const secrets: KubeObject[] = [];
  const act = (what: string): void => {
    const error = fail?.(what);
    if (error !== undefined) throw error;
    done.push(what);
  };
  const access = {
    get: async (ref: { kind: string; name: string }) =>
      live.find(({ kind, metadata }) => kind === ref.kind && metadata.name === ref.name),
    list: async () => secrets,
    create: async (made: KubeObject) => {
      act(`create ${made.kind}/${made.metadata.name}`);
      if (made.kind === 'Secret' && made.type !== undefined) {
        secrets.push({
          ...made,
          metadata: { ...made.metadata, creationTimestamp: `2026-11-21T08:00:0${secrets.length}Z` },
        });
      }
      return made;
    },
    patch: async (ref: { kind: string; name: string }, operations: readonly { op: string; path: string }[]) => {
      act(`patch ${ref.kind}/${ref.name} ${operations.map(({ op, path }) => `${op} ${path}`).join(', ')}`);
    },
    remove: async (ref: { kind: string; name: string }) => {
      act(`remove ${ref.kind}/${ref.name}`);
      const index = secrets.findIndex(({ metadata }) => metadata.name === ref.name);
      if (index !== -1) secrets.splice(index, 1);
      return true;
    },
  };
  return { access: access as unknown as ClusterAccess, done, secrets };
}

const recordOf = (...objects: readonly (readonly [KubeObject, 'there' | 'absent'])[]): SetRecord => ({
  id: 'run',
  points: null,
  objects: objects.map(([one, was]) => ({ ref: refOf(one), live: was === 'there' ? one : null })),
});

test('changed, made, pruned and same objects; settings before workloads, removals last', async () => {
  const managed = { managedFields: [{ manager: 'slipway' }] };
  const config = object('ConfigMap', 'settings', { data: { a: '1' } }, managed);
  const web = object('Deployment', 'web', { spec: { replicas: 1 }, status: { x: 1 } }, managed);
  const pruned = object('ConfigMap', 'old', { data: { b: '1' } });
  const same = object('Service', 'web', { spec: { ports: [{ name: 'http', port: 80 }] } });
  const extra = object('Secret', 'extra', { data: {} });
  const { access, done } = cluster([
    object('ConfigMap', 'settings', { data: { a: '2' }, immutable: true }),
    object(
      'Deployment',
      'web',
      { spec: { replicas: 2 } },
      { annotations: { 'deployment.kubernetes.io/revision': '4' } },
    ),
    object('Service', 'web', { spec: { ports: [{ port: 80, name: 'http' }] }, status: { loadBalancer: {} } }),
    extra,
  ]);
  const record = recordOf([web, 'there'], [config, 'there'], [pruned, 'there'], [same, 'there'], [extra, 'absent']);
  await restore(access, await differences(access, record, signal), { signal, onLine: () => {} });
  expect(done).toEqual([
    'patch ConfigMap/settings test /metadata/uid, add /data, remove /immutable',
    'patch ConfigMap/settings add /metadata/managedFields',
    'create ConfigMap/old',
    'patch Deployment/web test /metadata/uid, add /spec',
    'patch Deployment/web add /metadata/managedFields',
    'remove Secret/extra',
  ]);
});

test('what holds content is left, what is refused is said, a workload that is refused is a failure', async () => {
  const claim = object('PersistentVolumeClaim', 'data');
  const service = object('Service', 'web', { spec: { type: 'ClusterIP' } });
  const web = object('Deployment', 'web', { spec: { replicas: 1 } });
  const { access, done } = cluster(
    [claim, object('Service', 'web', { spec: { type: 'x' } }), object('Deployment', 'web', { spec: { replicas: 2 } })],
    (what) =>
      what.startsWith('patch')
        ? new SlipwayError({ reason: 'cluster', code: 'api.Invalid', message: 'field is immutable' })
        : undefined,
  );
  const lines: string[] = [];
  const options = { signal, onLine: (line: string) => lines.push(line) };
  const soft = recordOf([claim, 'absent'], [service, 'there']);
  await restore(access, await differences(access, soft, signal), options);
  expect(done).toEqual([]);
  expect(lines).toEqual([
    'Service shop/web could not be put back: field is immutable',
    expect.stringContaining('PersistentVolumeClaim shop/data was made by the failed version and is left'),
  ]);
  const hard = recordOf([web, 'there']);
  await expect(restore(access, await differences(access, hard, signal), options)).rejects.toThrow('immutable');
});

test('records: read again, the newest first, three are kept, too large or forbidden ones are said', async () => {
  const { access, secrets } = cluster([]);
  const records = new SetRecords(access, 'shop', 'dev-12345678');
  for (const id of ['a', 'b', 'c', 'd']) {
    const live = object('ConfigMap', 'settings', { data: { id }, status: { gone: true } });
    const ref = refOf(live);
    expect(await records.write({ id, points: 'Deployment/web@1', objects: [{ ref, live }] }, signal)).toBeUndefined();
  }
  const found = await records.list(signal);
  expect(found.map(({ id }) => id)).toEqual(['d', 'c', 'b']);
  expect(found[0]?.objects[0]?.live).toMatchObject({ kind: 'ConfigMap', data: { id: 'd' } });
  expect(found[0]?.objects[0]?.live?.status).toBeUndefined();
  expect(secrets.every(({ metadata }) => /^slipway\.before\.dev-12345678\.[a-d]$/.test(metadata.name))).toBe(true);
  const large = object('ConfigMap', 'large', {
    data: { noise: Array.from({ length: 200_000 }, () => Math.random().toString(36)).join('') },
  });
  expect(
    await records.write({ id: 'e', points: null, objects: [{ ref: refOf(large), live: large }] }, signal),
  ).toContain('too large');
  const denied = cluster([], () => new SlipwayError({ reason: 'cluster', code: 'api.Forbidden', message: 'no right' }));
  const refused = await new SetRecords(denied.access, 'shop', 'x').write(
    { id: 'f', points: null, objects: [] },
    signal,
  );
  expect(refused).toContain('pod templates only');
});
