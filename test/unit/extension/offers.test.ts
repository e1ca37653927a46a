import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../src/engine/main.ts';
import { project } from '../../../src/engine/run/projection.ts';
import { offersOf } from '../../../src/extension/rollout/offers.ts';
import { sameAgain } from '../../../src/extension/rollout/sameAgain.ts';
import { achievementOf } from '../../../src/extension/words.ts';
import {
  gatedRun,
  rolledBackRun,
  runningRun,
  type SampleRun,
  succeededRun,
  unknownRun,
} from '../../editor/samples/runs.ts';

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
    [
      'a cancelled one, with its deploy',
      { ...viewOf(runningRun()), state: 'cancelled' },
      false,
      ['resume', 'runAgain'],
      ['rollBack'],
    ],
    [
      'one that nobody could watch to its end',
      viewOf(unknownRun()),
      false,
      ['runAgain', 'resume'],
      ['rollBack', 'diagnose'],
    ],
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

describe('run again', () => {
  const step = (id: string, image?: string) => {
    const [kind = ''] = id.split(':');
    return { id, kind, title: id, needs: [], state: 'succeeded', vertexes: [], ...(image !== undefined && { image }) };
  };
  const whole = viewOf(succeededRun());
  const run = (environment: string | null, ...steps: readonly ReturnType<typeof step>[]) =>
    ({ ...whole, environment, steps, published: [], scans: [], smoke: [] }) as unknown as RunView;

  it.each([
    ['a whole run', whole, {}, /is live on/],
    ['a build', run(null, step('build:api', 'api')), { images: ['api'], only: ['build'] }, /^Image api built/],
    [
      'a push',
      { ...run(null, step('build:api', 'api'), step('publish:api', 'api')), published: whole.published.slice(0, 1) },
      { images: ['api'], until: 'publish' },
      /^1 image published/,
    ],
    ['tests of an environment', run('dev', step('test:unit')), { only: ['test'] }, /^The tests pass/],
    ['smoke checks', run('dev', step('smoke:dev')), { only: ['smoke'] }, /live on dev passes its smoke checks/],
    ['a deploy of a tag', run('dev', step('deploy:dev'), step('smoke:dev')), { tag: whole.tag }, /is live on dev/],
    ['a rollback by hand', run('dev', step('rollback:dev')), undefined, /^dev is back at/],
  ] as const)('of %s is that part again, and the page claims no more', (_name, view, request, words) => {
    expect(sameAgain(view)).toEqual(request);
    expect(achievementOf(view).words).toMatch(words);
  });
});
