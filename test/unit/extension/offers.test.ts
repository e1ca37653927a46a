import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../src/engine/main.ts';
import { project } from '../../../src/engine/run/projection.ts';
import { offersOf } from '../../../src/extension/rollout/offers.ts';
import { gatedRun, rolledBackRun, runningRun, type SampleRun, succeededRun } from '../../editor/samples/runs.ts';

function viewOf(run: SampleRun): RunView {
  const view = project(run.events);
  if (view === undefined) throw new Error('the sample has no start');
  return view;
}

describe('what the page offers', () => {
  it.each([
    ['a running one', viewOf(runningRun()), true, ['cancel'], []],
    ['an interrupted one', viewOf(runningRun()), false, ['runAgain', 'resume'], []],
    [
      'one whose window was closed',
      { ...viewOf(runningRun()), state: 'cancelled', hostEnded: true },
      false,
      ['runAgain', 'resume'],
      [],
    ],
    ['a cancelled one', { ...viewOf(runningRun()), state: 'cancelled' }, false, ['resume', 'runAgain'], []],
    ['a success', viewOf(succeededRun()), false, ['rollBack', 'runAgain'], []],
    ['a success without an environment', { ...viewOf(succeededRun()), environment: null }, false, ['runAgain'], []],
    ['a gate that stopped it', viewOf(gatedRun()), false, ['resume', 'runAgain'], []],
    ['an image that is missing', viewOf(rolledBackRun()), false, ['resume', 'runAgain'], ['deploy', 'diagnose']],
  ] as const)('%s', (_name, view, isLive, offers, fixes) => {
    expect(offersOf(view, isLive)).toEqual({ offers, fixes });
  });

  it('offers the rollback when a failed version was left in place', () => {
    const { rollback: _gone, ...left } = viewOf(rolledBackRun());
    expect(offersOf({ ...left, rolledBack: false }, false).fixes).toContain('rollBack');
  });

  it('offers to take away a lock that a killed helm left', () => {
    const { verdict: _gone, ...view } = viewOf(rolledBackRun());
    const failure = { reason: 'locked', code: 'helm.pending', message: 'locked' } as const;
    expect(offersOf({ ...view, failure }, false).fixes[0]).toBe('unlock');
  });
});
