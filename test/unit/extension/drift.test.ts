import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { deployedBy, driftsIn } from '../../../src/engine/drift.ts';
import type { Drift, LiveState, LiveWorkloadView, RunView } from '../../../src/engine/main.ts';
import { DriftStore } from '../../../src/extension/drift/driftStore.ts';
import { driftLines, driftOfObject, driftText } from '../../../src/extension/drift/driftWords.ts';
import { workloadItem } from '../../../src/extension/workloads/workloadItems.ts';
import { type EnvironmentKey, WorkloadStore } from '../../../src/extension/workloads/workloadStore.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const api = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'api', namespace: 'shop' };
const image = {
  path: 'spec.template.spec.containers[api].image',
  before: 'registry.example/api:bad',
  after: `registry.example/api:main-1@${digest}`,
};
const drift: Drift = { object: api, kind: 'changed', changes: [image], file: '/work/deploy/api.yaml' };

describe('drift in words', () => {
  it.each([
    ['an image', drift, ['api image: live registry.example/api:bad, files registry.example/api:main-1']],
    [
      'a number',
      { ...drift, changes: [{ path: 'spec.replicas', before: 5, after: 2 }] },
      ['replicas: live 5, files 2'],
    ],
    [
      'a field nobody wrote',
      { ...drift, changes: [{ path: 'metadata.labels.team', before: 'x' }] },
      ['metadata.labels.team: live x, files nothing'],
    ],
    ['a missing object', { ...drift, kind: 'missing', changes: [] }, ['is in the files and not in the cluster']],
  ] as const)('%s', (_title, given, lines) => expect(driftLines(given)).toEqual(lines));

  it('shows the first fields and says how many more there are', () => {
    const changes = Array.from({ length: 9 }, (_, index) => ({ path: `data.k${index}`, before: 'a', after: 'b' }));
    const lines = driftLines({ ...drift, changes });
    expect(lines).toHaveLength(7);
    expect(lines.at(-1)).toBe('and 3 more');
  });

  it('names environment and object for a file', () => {
    expect(driftText('dev', [drift])).toMatch(/^dev: Deployment api api image: live/);
  });

  it('is in the row of its workload and in no other', () => {
    expect(driftOfObject([drift], { ...api, name: 'web' })).toBeUndefined();
    const workload: LiveWorkloadView = {
      ref: api,
      state: 'ready',
      message: '',
      desired: 1,
      updated: 1,
      ready: 1,
      available: 1,
      pods: [],
      images: [],
    };
    const item = workloadItem(workload, 0, { drift: driftOfObject([drift], api) });
    expect(item.description).toMatch(/^differs from the files/);
    expect(item.tooltip.join('\n')).toContain('api image: live registry.example/api:bad');
  });
});

describe('what the journal says is live', () => {
  const run = (more: Partial<RunView>): RunView =>
    ({ environment: 'dev', state: 'succeeded', rolledBack: false, ...more }) as RunView;
  const deployed = (tag: string) => ({ deployed: { images: { api: `x:${tag}` } } }) as unknown as Partial<RunView>;
  it.each([
    ['the newest deploy that succeeded', [run(deployed('2')), run(deployed('1'))], { api: 'x:2' }],
    ['a build deploys nothing', [run({}), run(deployed('1'))], { api: 'x:1' }],
    [
      'other environments say nothing',
      [run({ ...deployed('9'), environment: 'qa' }), run(deployed('1'))],
      { api: 'x:1' },
    ],
    [
      'a deploy that was rolled back left the one before',
      [run({ ...deployed('2'), state: 'failed', rolledBack: true }), run(deployed('1'))],
      { api: 'x:1' },
    ],
    ['a deploy that failed and stayed', [run({ ...deployed('2'), state: 'failed' }), run(deployed('1'))], undefined],
    [
      'a way back by command: nobody knows',
      [run({ rollback: { why: 'by command', target: '1' } }), run(deployed('2'))],
      undefined,
    ],
    ['nothing was deployed', [run({})], undefined],
  ] as const)('%s', (_title, runs, expected) => expect(deployedBy(runs, 'dev')).toEqual(expected));
});

describe('differences that are drift', () => {
  const fileOf = () => '/f.yaml';
  const none = () => false;
  it('is none where nothing is deployed', () => {
    expect(driftsIn([{ object: api, action: 'create', changes: [] }], none, fileOf)).toEqual([]);
  });
  it('leaves out images nobody knows the version of, and objects of which nothing is left', () => {
    const isUnknown = (value: unknown) => String(value).startsWith('registry.example/api:');
    const replicas = { path: 'spec.replicas', before: 3, after: 1 };
    expect(driftsIn([{ object: api, action: 'change', changes: [image] }], isUnknown, fileOf)).toEqual([]);
    const [found] = driftsIn([{ object: api, action: 'change', changes: [image, replicas] }], isUnknown, fileOf);
    expect(found?.changes).toEqual([replicas]);
  });
  it('tells changed and missing', () => {
    const found = driftsIn(
      [
        { object: api, action: 'none', changes: [] },
        { object: { ...api, name: 'a' }, action: 'change', changes: [image] },
        { object: { ...api, name: 'b' }, action: 'create', changes: [] },
      ],
      none,
      fileOf,
    );
    expect(found.map(({ object, kind }) => [object.name, kind])).toEqual([
      ['a', 'changed'],
      ['b', 'missing'],
    ]);
  });
});

describe('comparing while somebody watches', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const key: EnvironmentKey = { folder: '/work', environment: 'dev' };
  const stateOf = (generation: number): LiveState => ({
    contact: { state: 'connected', since: 0 },
    workloads: [
      {
        ref: api,
        state: 'ready',
        message: '',
        desired: 1,
        updated: 1,
        ready: 1,
        available: 1,
        pods: [],
        images: [],
        generation,
      },
    ],
  });

  function stage(isBusy = () => false) {
    let tell: (state: LiveState) => void = () => {};
    const store = new WorkloadStore((_key, onChange, signal) => {
      tell = onChange;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    const asked: number[] = [];
    let answer: readonly Drift[] = [];
    const drift = new DriftStore({
      store,
      compare: async () => {
        asked.push(asked.length);
        return answer;
      },
      isBusy,
      onError: () => {},
      quietMs: 0,
    });
    const settled = () => vi.advanceTimersByTimeAsync(1);
    return {
      store,
      drift,
      asked,
      tell: async (state: LiveState) => {
        tell(state);
        await settled();
      },
      answers: (drifts: readonly Drift[]) => {
        answer = drifts;
      },
      settled,
    };
  }

  it('asks nobody before an environment is opened, and again only when what is wanted changed', async () => {
    const { store, drift, asked, tell, settled, answers } = stage();
    await settled();
    expect(asked).toEqual([]);
    void store.open(key);
    await tell(stateOf(1));
    expect(asked).toHaveLength(1);
    await tell(stateOf(1));
    expect(asked).toHaveLength(1);
    answers([{ object: api, kind: 'changed', changes: [image], file: '/f' }]);
    await tell(stateOf(2));
    expect(asked).toHaveLength(2);
    expect(drift.get(key)).toHaveLength(1);
    store.close(key);
    expect(drift.get(key)).toEqual([]);
    drift.dispose();
  });

  it('asks again when files change, and not in the middle of a run', async () => {
    let isBusy = true;
    const { store, drift, asked, tell, settled } = stage(() => isBusy);
    void store.open(key);
    await tell(stateOf(1));
    expect(asked).toEqual([]);
    isBusy = false;
    await tell(stateOf(1));
    expect(asked).toHaveLength(1);
    drift.filesChanged('/elsewhere');
    await settled();
    expect(asked).toHaveLength(1);
    drift.filesChanged('/work');
    await settled();
    expect(asked).toHaveLength(2);
    drift.dispose();
  });
});
