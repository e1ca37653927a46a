import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../src/engine/main.ts';
import { project } from '../../../src/engine/run/projection.ts';
import { runItem } from '../../../src/extension/runs/runItems.ts';
import { environmentItem, stepItem } from '../../../src/extension/views/pipelineItems.ts';
import { age, causeOf, conditionOf, duration, firstSentence, lensTitle } from '../../../src/extension/words.ts';
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

const minutesAfter = (view: RunView, minutes: number) =>
  Date.parse(view.finishedAt ?? view.startedAt) + minutes * 60_000;

describe('words', () => {
  it.each([
    [41, '41 ms'],
    [400, '0.4 s'],
    [12_300, '12 s'],
    [60_000, '1 min'],
    [185_000, '3 min 5 s'],
    [3_720_000, '1 h 2 min'],
  ])('%i ms is %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [10, 'just now'],
    [300, '5 min ago'],
    [3 * 3600, '3 h ago'],
    [25 * 3600, '1 day ago'],
    [50 * 3600, '2 days ago'],
  ])('%i s is %s', (seconds, text) => {
    const then = new Date('2026-11-21T10:00:00Z');
    expect(age(then.toISOString(), then.getTime() + seconds * 1000)).toBe(text);
  });

  it('ends a first sentence at its full stop, not at the dots of a version', () => {
    expect(firstSentence('registry.example/api:1.4.2 does not exist. It was there.')).toBe(
      'registry.example/api:1.4.2 does not exist',
    );
  });
});

it.each([
  ['$(package) Build & scan api', '$(package)\u00a0Build & scan api'],
  ['$(loading~spin) reading', '$(loading~spin)\u00a0reading'],
  ['succeeded · 5 min ago', 'succeeded · 5 min ago'],
])('a lens keeps the space behind its icon: %s', (title, shown) => {
  expect(lensTitle(title)).toBe(shown);
});

describe('environment row', () => {
  const rows: readonly (readonly [string, SampleRun, 'live' | 'dead', RegExp])[] = [
    ['succeeded', succeededRun(), 'dead', /^succeeded · 5 min ago · main-4f2a9c1$/],
    ['rolled back', rolledBackRun(), 'dead', /^rolled back: The image .* does not exist in the registry · 5 min ago/],
    ['failed', gatedRun(), 'dead', /^failed: Image api for linux\/amd64 has 1 CRITICAL/],
    ['running', runningRun(), 'live', /^Roll out on dev · 5 min/],
    ['interrupted', runningRun(), 'dead', /^interrupted/],
    ['unknown', unknownRun(), 'dead', /^unknown: The rollout cannot be watched: connect ECONNREFUSED/],
  ];
  it.each(rows)('%s', (condition, run, life, description) => {
    const view = viewOf(run);
    const isLive = life === 'live';
    expect(conditionOf(view, isLive)).toBe(condition);
    const item = environmentItem(null, { view, isLive }, minutesAfter(view, 5));
    expect(item.description).toMatch(description);
    expect(item.contextValue).toContain(condition.replace(' ', '-'));
    // The icon is never the only carrier of the state.
    expect(item.spoken).toContain(item.description.split(' · ')[0]);
  });

  it('offers to open the app only when a run left an address', () => {
    const succeeded = viewOf(succeededRun());
    const failed = viewOf(gatedRun());
    expect(environmentItem(null, { view: succeeded, isLive: false }, Date.now()).contextValue).toMatch(/\.endpoint$/);
    expect(environmentItem(null, { view: failed, isLive: false }, Date.now()).contextValue).not.toMatch(/\.endpoint$/);
  });
});

describe('step row', () => {
  it('says what it achieved, why it was skipped, how far it is, and why it failed', () => {
    const succeeded = viewOf(succeededRun());
    const text = (view: RunView, id: string, isLive = false) => {
      const step = view.steps.find((known) => known.id === id);
      if (step === undefined) throw new Error(`no step ${id}`);
      return stepItem(step, view, isLive, Date.now()).description;
    };
    expect(text(succeeded, 'test:unit')).toBe('14 s · 42 tests passed');
    expect(text(succeeded, 'scan:worker:linux/arm64')).toBe('skipped · Unchanged since run 20261121T081502Z-11aa22');
    expect(text(viewOf(runningRun()), 'rollout:dev', true)).toMatch(/ s · 1 of 2 pods · /);
    expect(text(viewOf(runningRun()), 'smoke:dev', true)).toBe('waiting');
    expect(text(viewOf(rolledBackRun()), 'rollout:dev')).toMatch(/^failed · 1\.8 s · The image .* does not exist/);
    expect(text(viewOf(rolledBackRun()), 'smoke:dev')).toBe('not reached');
  });

  it('names the cause of a rollout before the general failure', () => {
    expect(causeOf(viewOf(rolledBackRun()))).toMatch(/does not exist in the registry$/);
    expect(causeOf(viewOf(succeededRun()))).toBeUndefined();
  });
});

describe('row of the Runs view', () => {
  it('says how it ended, how long it took, when, and who started it', () => {
    const view = viewOf(succeededRun());
    const item = runItem({ view, isLive: false }, minutesAfter(view, 5));
    expect(item.label).toBe('dev');
    expect(item.description).toMatch(/^succeeded · [\d.]+ s · [56] min ago · from a terminal · main-4f2a9c1$/);
    expect(item.contextValue).toMatch(/^run\.succeeded/);
  });

  it.each([
    ['rollback', 'dev (rollback)'],
    ['smoke', 'dev (smoke)'],
    ['deploy', 'dev'],
  ] as const)('names a run that is only a %s', (kind, label) => {
    const view = viewOf(succeededRun());
    const steps = view.steps.filter((step) => step.kind === 'deploy').map((step) => ({ ...step, kind }));
    expect(runItem({ view: { ...view, steps }, isLive: false }, 0).label).toBe(label);
  });

  it('puts the cause of a failure first', () => {
    const view = viewOf(gatedRun());
    const item = runItem({ view, isLive: false }, minutesAfter(view, 5));
    expect(item.description).toMatch(/^failed: Image api for linux\/amd64 has 1 CRITICAL/);
    expect(item.spoken).toMatch(/^dev, failed: Image api/);
  });
});
