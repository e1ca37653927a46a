import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/engine/cluster/index.ts';
import type { ClusterAccess } from '../../src/engine/deploy/access.ts';
import { liveDifferences } from '../../src/engine/deploy/liveDifferences.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';

const { signal } = new AbortController();

const deployment = (name: string, image: string, more: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'shop', labels: { 'slipway.dev/set': 'x' } },
  spec: { template: { spec: { containers: [{ name: 'web', image, ...more }] } } },
});
/** As the server has it: with defaults, and without our label where somebody else deployed it. */
const stored = (object: KubeObject, labels?: Record<string, string>): KubeObject => ({
  ...object,
  metadata: { name: object.metadata.name, namespace: 'shop', uid: 'u', ...(labels !== undefined && { labels }) },
  spec: { ...(object.spec as object), replicas: 1 },
});

function clusterOf(live: readonly KubeObject[], after: (object: KubeObject) => KubeObject | Error) {
  const asked: string[] = [];
  const access = {
    get: async ({ name }: { name: string }) => {
      asked.push(`get ${name}`);
      return live.find(({ metadata }) => metadata.name === name);
    },
    list: async ({ kind }: { kind: string }) => {
      asked.push(`list ${kind}`);
      return live.map(({ kind: _kind, apiVersion: _version, ...rest }) => rest as KubeObject);
    },
    apply: async (object: KubeObject, options: { isDryRun?: boolean }) => {
      asked.push(`${options.isDryRun === true ? 'dry run' : 'WRITE'} ${object.metadata.name}`);
      const answer = after(object);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  } as unknown as ClusterAccess;
  return { access, asked };
}

describe('where live objects differ', () => {
  it('asks for each and nothing else while all is as it should be', async () => {
    const wanted = [deployment('a', 'web:1'), deployment('b', 'web:1')];
    const { access, asked } = clusterOf(
      wanted.map((object) => stored(object)),
      () => new Error('not asked'),
    );
    const found = await liveDifferences(wanted, access, signal);
    expect(found.map(({ action }) => action)).toEqual(['none', 'none']);
    expect(asked.sort()).toEqual(['get a', 'get b']);
  });

  it('lists where there are many of a kind', async () => {
    const wanted = Array.from({ length: 12 }, (_, index) => deployment(`w${index}`, 'web:1'));
    const { access, asked } = clusterOf(
      wanted.slice(1).map((object) => stored(object)),
      () => new Error('not asked'),
    );
    const found = await liveDifferences(wanted, access, signal);
    expect(asked).toEqual(['list Deployment']);
    expect(found.map(({ action }) => action)).toEqual(['create', ...Array.from({ length: 11 }, () => 'none')]);
  });

  it('lets the server judge what looks different, with a dry run', async () => {
    const wanted = [deployment('a', 'web:1'), deployment('b', 'web:1', { workingDir: '/app/' })];
    const [a, b] = wanted as [KubeObject, KubeObject];
    const live = [stored(deployment('a', 'web:bad')), stored(deployment('b', 'web:1', { workingDir: '/app' }))];
    const { access, asked } = clusterOf(live, (object) =>
      object.metadata.name === 'a' ? stored(a, { 'slipway.dev/set': 'x' }) : (live[1] ?? b),
    );
    const found = await liveDifferences(wanted, access, signal);
    expect(asked.filter((line) => /dry|WRITE/.test(line)).sort()).toEqual(['dry run a', 'dry run b']);
    expect(found.map(({ action }) => action)).toEqual(['change', 'none']);
    expect(found[0]?.changes).toEqual([
      { path: 'spec.template.spec.containers[web].image', before: 'web:bad', after: 'web:1' },
    ]);
  });

  it('says what it sees itself where dry runs are refused', async () => {
    const refusal = new SlipwayError({ reason: 'cluster', code: 'api.Forbidden', message: 'no', fix: '' });
    const { access } = clusterOf([stored(deployment('a', 'web:bad'))], () => refusal);
    const [found] = await liveDifferences([deployment('a', 'web:1')], access, signal);
    expect(found).toMatchObject({ action: 'change', changes: [{ before: 'web:bad', after: 'web:1' }] });
  });
});
