import { describe, expect, test } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import type { ClusterAccess } from '../../src/engine/deploy/access.ts';
import { WorkloadHistory } from '../../src/engine/deploy/workloadHistory.ts';

const { signal } = new AbortController();
const ref = (name: string) => ({ apiVersion: 'apps/v1', kind: 'Deployment', name, namespace: 'shop' });

/** A Deployment whose controller keeps a ReplicaSet for each of these numbers; the highest is live. */
function deployment(name: string, ...numbers: readonly number[]): readonly KubeObject[] {
  const annotation = (number: number) => ({ 'deployment.kubernetes.io/revision': String(number) });
  const uid = `uid-${name}`;
  return [
    {
      ...ref(name),
      metadata: { name, namespace: 'shop', uid, annotations: annotation(Math.max(...numbers)) },
    },
    ...numbers.map((number) => ({
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-hash${number}`,
        namespace: 'shop',
        labels: { 'pod-template-hash': `hash${number}` },
        annotations: { ...annotation(number), 'slipway.dev/verified': `hash${number}` },
        ownerReferences: [{ uid }],
      },
      spec: { template: { metadata: {}, spec: { containers: [{ name: 'web', image: `app:${number}` }] } } },
    })),
  ] as unknown as readonly KubeObject[];
}

function historyOf(objects: readonly KubeObject[]): WorkloadHistory {
  return new WorkloadHistory({
    get: async ({ kind, name }: { kind: string; name: string }) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name),
    list: async ({ kind }: { kind: string }) => objects.filter((object) => object.kind === kind),
  } as unknown as ClusterAccess);
}

describe('the revision a person names', () => {
  const one = deployment('web', 1, 2, 3);
  const two = [...one, ...deployment('api', 4, 5)];
  const wayBack = (objects: readonly KubeObject[], wanted?: string) => {
    const names = objects.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => ref(metadata.name));
    const targets = names.length === 0 ? [ref('web')] : names;
    return historyOf(objects).wayBack(targets, {
      from: null,
      previous: null,
      isAsked: true,
      ...(wanted !== undefined && { wanted }),
      signal,
    });
  };

  test.each([
    ['as the list has it', one, 'Deployment/web@hash1', 'Deployment/web@hash1'],
    ['by number', one, 'Deployment/web@2', 'Deployment/web@hash2'],
    ['by number alone, of the only workload', one, '1', 'Deployment/web@hash1'],
    ['by hash alone, of the only workload', one, 'hash2', 'Deployment/web@hash2'],
    ['of one workload among others', two, 'Deployment/api@4', 'Deployment/api@hash4'],
    ['of several', two, 'Deployment/web@1,Deployment/api@4', 'Deployment/web@hash1,Deployment/api@hash4'],
  ])('%s', async (_how, objects, wanted, revision) => {
    expect(await wayBack(objects, wanted)).toMatchObject({ kind: 'revision', revision });
  });

  test.each([
    [
      'is not kept',
      one,
      '9',
      'There is no earlier revision 9. Those that are kept: Deployment/web: 2 (hash2), 1 (hash1).',
    ],
    ['is live', one, '3', 'Deployment/web runs revision 3 (hash3) already.'],
    [
      'is of which workload?',
      two,
      '4',
      'There is no earlier revision 4. Those that are kept: Deployment/web: 2 (hash2), 1 (hash1); Deployment/api: 4 (hash4).',
    ],
    ['is of nothing that is there', [], '1', 'No workload of this environment is in the cluster'],
  ])('%s', async (_how, objects, wanted, why) => {
    expect(await wayBack(objects as readonly KubeObject[], wanted)).toEqual({
      kind: 'none',
      why: expect.stringContaining(why),
    });
  });

  test('nobody names one: nothing is there, or nothing earlier', async () => {
    expect(await wayBack([])).toMatchObject({ why: expect.stringContaining('nothing to go back from') });
    expect(await wayBack(deployment('web', 1))).toMatchObject({ why: expect.stringContaining('ran in no earlier') });
  });
});
