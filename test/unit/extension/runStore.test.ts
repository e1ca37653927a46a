import { appendFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventsFile } from '../../../src/engine/run/journal.ts';
import { createSystem } from '../../../src/engine/system/index.ts';
import { RunStore } from '../../../src/extension/run/runStore.ts';
import { rolledBackRun, runningRun, succeededRun, writeRun } from '../../editor/samples/runs.ts';

let root: string;
let store: RunStore;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-store-'));
  store = new RunStore(createSystem(), root);
});

afterEach(() => {
  store.dispose();
  rmSync(root, { recursive: true, force: true });
});

/** Resolves with the first state that is right. */
function seen<T>(ask: () => T, isRight: (answer: T) => boolean): Promise<T> {
  return new Promise((resolve) => {
    const look = () => {
      const answer = ask();
      if (!isRight(answer)) return;
      subscription.dispose();
      resolve(answer);
    };
    const subscription = store.onDidChange(look);
    look();
  });
}

it('reads what is there, newest first', async () => {
  writeRun(root, succeededRun());
  writeRun(root, rolledBackRun());
  await store.follow();
  expect(store.list().map(({ view }) => view.state)).toEqual(['failed', 'succeeded']);
  expect(store.latest('dev')?.view.rolledBack).toBe(true);
  expect(store.latest(null)).toBeUndefined();
});

it('sees the first run of a workspace that had no journal, and does not make one itself', async () => {
  await store.follow();
  expect(store.list()).toEqual([]);
  expect(existsSync(join(root, '.slipway'))).toBe(false);
  const run = succeededRun();
  const arrived = seen(
    () => store.get(run.id),
    (entry) => entry?.view.state === 'succeeded',
  );
  writeRun(root, run);
  expect((await arrived)?.view.environment).toBe('dev');
});

it('follows a run that goes on, and tells a living process from a dead one', async () => {
  const run = runningRun();
  // Its journal names the pid of this process; from this store's point of view only an own run may have that.
  writeRun(root, run);
  await store.follow();
  expect(store.get(run.id)?.isLive).toBe(false);
  store.own(run.id);
  expect(store.get(run.id)?.isLive).toBe(true);
  const ended = seen(
    () => store.get(run.id),
    (entry) => entry?.view.state === 'cancelled',
  );
  const event = {
    v: 1,
    run: run.id,
    seq: 1000,
    time: new Date().toISOString(),
    type: 'run.finished',
    outcome: 'cancelled',
    exitCode: 130,
    durationMs: 1,
  };
  appendFileSync(eventsFile(root, run.id), `${JSON.stringify(event)}\n`);
  expect((await ended)?.isLive).toBe(false);
});

it('takes an event once, whether it comes from the run itself or from the journal', () => {
  const run = succeededRun();
  let changes = 0;
  store.onDidChange(() => {
    changes += 1;
  });
  store.apply(run.id, run.events.slice(0, 10));
  store.apply(run.id, run.events.slice(0, 10));
  expect(changes).toBe(1);
  store.apply(run.id, run.events);
  expect(store.get(run.id)?.view.state).toBe('succeeded');
});

it('gives no path outside the folder of a run', () => {
  expect(store.pathIn('r', 'reports/a.json')).toBe(join(root, '.slipway', 'runs', 'r', 'reports', 'a.json'));
  expect(store.pathIn('r', '../../../etc/passwd')).toBeUndefined();
});
