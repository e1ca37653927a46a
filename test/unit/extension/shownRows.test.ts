import { describe, expect, it } from 'vitest';
import type { LiveWorkloadView } from '../../../src/engine/main.ts';
import type { Item } from '../../../src/extension/views/pipelineItems.ts';
import { changedRows, shownRows } from '../../../src/extension/workloads/shownRows.ts';
import { workloadItem } from '../../../src/extension/workloads/workloadItems.ts';

const now = Date.parse('2026-11-21T10:05:00Z');
const workload = (name: string, more: Partial<LiveWorkloadView> = {}): LiveWorkloadView => ({
  ref: { apiVersion: 'apps/v1', kind: 'Deployment', name, namespace: 'shop' },
  state: 'ready',
  message: 'all is well',
  desired: 1,
  updated: 1,
  ready: 1,
  available: 1,
  pods: [{ name: `${name}-1`, phase: 'Running', isReady: true, restarts: 0, isNew: true }],
  images: ['registry.example/web:1.0'],
  createdAt: '2026-11-21T10:00:00Z',
  ...more,
});
const dev: Item = {
  label: 'dev',
  description: '2 workloads',
  icon: 'server-environment',
  tooltip: [],
  contextValue: '',
  spoken: '',
};
const shown = (workloads: readonly LiveWorkloadView[], environment = dev, at = now) =>
  shownRows(environment, workloads, {
    idOf: ({ ref }) => ref.name,
    rowOf: (one) => workloadItem(one, at),
    now: at,
  });
const two = [workload('api'), workload('web')];

describe('rows of the Workloads view that are drawn anew', () => {
  it.each([
    ['all at first', undefined, shown(two), 'all'],
    ['none when nothing changed', shown(two), shown(two), []],
    ['none when a second has passed', shown(two), shown(two, dev, now + 1000), []],
    ['the one whose number changed', shown(two), shown([workload('api'), workload('web', { available: 0 })]), ['web']],
    [
      'the one whose pod changed',
      shown(two),
      shown([
        workload('api', { pods: [{ name: 'api-1', phase: 'Running', isReady: false, restarts: 1, isNew: true }] }),
        workload('web'),
      ]),
      ['api'],
    ],
    ['those whose age changed', shown(two), shown(two, dev, now + 60_000), ['api', 'web']],
    ['all when the environment says something else', shown(two), shown(two, { ...dev, description: '1 of 2' }), 'all'],
    ['all when one came', shown(two.slice(1)), shown(two), 'all'],
    ['all when one went', shown(two), shown(two.slice(1)), 'all'],
    ['all when they moved', shown(two), shown([...two].reverse()), 'all'],
  ] as const)('%s', (_title, before, after, expected) => {
    expect(changedRows(before, after)).toEqual(expected);
  });
});
