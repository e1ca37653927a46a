import { describe, expect, it } from 'vitest';
import { metricsOf } from '../../src/engine/run/metrics.ts';
import type { RunView, StepView } from '../../src/engine/run/projection.ts';

const START = Date.UTC(2026, 10, 1);
const HOUR = 3_600_000;
const at = (hours: number): string => new Date(START + hours * HOUR).toISOString();
const step = (kind: StepView['kind'], more: Partial<StepView> = {}): StepView => ({
  id: `${kind}:x`,
  kind,
  title: kind,
  needs: [],
  state: 'succeeded',
  durationMs: 1000,
  vertexes: [],
  ...more,
});

/** A run that deployed to an environment at an hour and took a minute. */
function deployed(hour: number, more: Partial<RunView> = {}): RunView {
  return {
    id: `r${hour}`,
    state: 'succeeded',
    environment: 'dev',
    startedBy: 'cli',
    pid: 1,
    host: 'h',
    startedAt: at(hour),
    finishedAt: at(hour + 1 / 60),
    durationMs: 60_000,
    rolledBack: false,
    steps: [step('build', { durationMs: 3000 }), step('deploy', { startedAt: at(hour) })],
    workloads: [],
    warnings: [],
    smoke: [],
    scans: [],
    published: [],
    endpoints: [],
    reports: [],
    lastSeq: 1,
    deployed: { type: 'deploy.applied', environment: 'dev', deployer: 'helm', objects: [], images: {} },
    ...more,
  };
}
const takenBack = (hour: number): RunView => {
  const { deployed: _deployed, ...rest } = deployed(hour, { id: `back${hour}`, steps: [step('rollback')] });
  return rest;
};
const failed = (hour: number, more: Partial<RunView> = {}): RunView =>
  deployed(hour, { state: 'failed', failure: { reason: 'rollout', code: 'crash.loop', message: 'm' }, ...more });
const now = START + 48 * HOUR;
const dev = (views: readonly RunView[]) => metricsOf(views, { now }).environments[0];

describe('metricsOf', () => {
  it('says nothing where there is nothing', () => {
    const metrics = metricsOf([], { now });
    expect(metrics.runs).toEqual({ total: 0, succeeded: 0, failed: 0, cancelled: 0 });
    expect(metrics.environments).toEqual([]);
  });

  it('counts deployments a day, from the first on, and medians of what succeeded', () => {
    const metrics = metricsOf([deployed(40), deployed(0), deployed(24), deployed(25, { state: 'running' })], { now });
    expect(metrics.runs).toMatchObject({ total: 3, succeeded: 3, successRate: 1, medianMs: 60_000 });
    expect(metrics.steps.build).toEqual({ count: 3, medianMs: 3000 });
    expect(metrics.environments).toMatchObject([{ deployments: 3, perDay: 1.5, failed: 0, changeFailureRate: 0 }]);
  });

  it('takes the restoring time from the rollback of the run itself', () => {
    const finished = {
      type: 'rollback.finished',
      environment: 'dev',
      outcome: 'restored',
      target: '1',
      message: '',
      sinceDeployMs: 9_000,
    } as const;
    const bad = failed(1, { rolledBack: true, rollback: { why: 'w', target: '1', finished } });
    expect(dev([deployed(0), bad])).toMatchObject({
      deployments: 2,
      failed: 1,
      changeFailureRate: 0.5,
      timeToRestore: { restored: 1, open: 0, medianMs: 9_000 },
      causes: [{ code: 'crash.loop', count: 1, latest: 'r1' }],
    });
  });

  it('takes it from the next good deployment otherwise, and counts what is not restored yet', () => {
    expect(dev([deployed(0), failed(1), deployed(3)])?.timeToRestore).toEqual({
      restored: 1,
      open: 0,
      medianMs: 2 * HOUR + 60_000,
    });
    expect(dev([deployed(0), failed(1)])?.timeToRestore).toEqual({ restored: 0, open: 1 });
  });

  it('counts a version that was taken back by hand as one that did not hold', () => {
    expect(dev([deployed(0), deployed(1), takenBack(2)])).toMatchObject({
      deployments: 2,
      failed: 1,
      causes: [{ code: 'taken back by hand' }],
    });
    expect(dev([deployed(0), deployed(1), deployed(2), takenBack(3)])?.failed).toBe(1);
  });

  it('does not count as a deployment what never was written', () => {
    const { deployed: _deployed, ...gate } = failed(1, { failure: { reason: 'gate', message: 'm' } });
    expect(dev([deployed(0), gate])).toMatchObject({ deployments: 1, failed: 0 });
    expect(metricsOf([deployed(0), gate], { now }).runs.successRate).toBe(0.5);
  });

  it('looks only at the period asked for', () => {
    const metrics = metricsOf([deployed(0), deployed(30)], { now, from: now - 24 * HOUR });
    expect(metrics.runs.total).toBe(1);
  });
});
