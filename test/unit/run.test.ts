import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Outputs, RunEvent } from '../../src/engine/events/index.ts';
import { Secrets } from '../../src/engine/events/secrets.ts';
import type { Plan, PlannedStep, StepContext, StepKind } from '../../src/engine/plan/step.ts';
import { SlipwayError } from '../../src/engine/problems/index.ts';
import {
  eventsFile,
  executeRun,
  failedStep,
  followRuns,
  project,
  readEvents,
  readRecords,
} from '../../src/engine/run/index.ts';
import { takeLock } from '../../src/engine/run/lock.ts';
import { createSystem } from '../../src/engine/system/index.ts';

const system = createSystem();
let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'slipway-run-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const place = { file: 'slipway.yaml' };
const command = (name: string, needs: readonly string[] = [], more: Partial<PlannedStep> = {}): PlannedStep => ({
  id: `command:${name}`,
  kind: 'command',
  title: name,
  needs,
  spec: {
    kind: 'command',
    command: { name, run: ['true'], cwd: root, env: {}, reports: [], isOptional: false, place },
  },
  key: `key-${name}`,
  inputs: [],
  decision: { action: 'run', why: 'first run' },
  ...more,
});
const plan = (...steps: PlannedStep[]): Plan => ({ root, environment: null, steps, isDirty: false, tags: [] });

type Behaviour = (name: string, context: StepContext) => Promise<Outputs>;
const kinds = (run: Behaviour, holds?: StepKind['holds']): ReadonlyMap<string, StepKind> =>
  new Map([
    [
      'command',
      {
        kind: 'command',
        run: (spec, context) => run(spec.kind === 'command' ? spec.command.name : '', context),
        ...(holds !== undefined && { holds }),
      } satisfies StepKind,
    ],
  ]);

const start = (steps: PlannedStep[], run: Behaviour, more: Partial<Parameters<typeof executeRun>[0]> = {}) =>
  executeRun({
    system,
    plan: plan(...steps),
    kinds: kinds(run),
    secrets: new Secrets(),
    startedBy: 'test',
    signal: new AbortController().signal,
    ...more,
  });

describe('executeRun', () => {
  it('runs steps after those they need and hands on their outputs', async () => {
    const order: string[] = [];
    const view = await start([command('a'), command('b', ['command:a'])], async (name, context) => {
      order.push(name);
      return name === 'b' ? { got: context.outputs('command:a') } : { value: 1 };
    });
    expect(order).toEqual(['a', 'b']);
    expect(view).toMatchObject({ state: 'succeeded' });
    expect(view.steps[1]?.outputs).toEqual({ got: { value: 1 } });
    expect((await readRecords(system.files, root)).get('command:a')).toMatchObject({
      key: 'key-a',
      outputs: { value: 1 },
    });
  });

  it('is failed by the step that may not fail, not by an optional one before it', async () => {
    const optional = command('snyk', [], { isOptional: true });
    const view = await start([optional, command('approve', ['command:snyk'])], async (name) => {
      throw new SlipwayError({ reason: 'test', code: 'command.failed', message: `${name} says no`, fix: 'x' });
    });
    expect(view.steps.map(({ state }) => state)).toEqual(['failed', 'failed']);
    expect(failedStep(view)?.id).toBe('command:approve');
    expect(failedStep({ steps: view.steps })?.id).toBe('command:snyk');
  });

  it('has the end of a step in its journal before the beginning of what waits for it', async () => {
    // What a leaves is still being noted when b ends, and the executor looks for what may start.
    const noted = Promise.withResolvers<void>();
    const writeAtomic: typeof system.files.writeAtomic = async (path, content) => {
      if (path.includes('command.a')) await noted.promise;
      return system.files.writeAtomic(path, content);
    };
    const order: string[] = [];
    await start([command('a'), command('b'), command('after', ['command:a'])], async () => ({}), {
      system: { ...system, files: { ...system.files, writeAtomic } },
      onEvent: ({ type, step }) => {
        order.push(`${type} ${step}`);
        if (type === 'step.finished' && step === 'command:b') setImmediate(() => setImmediate(noted.resolve));
      },
    });
    expect(order.indexOf('step.finished command:a')).toBeLessThan(order.indexOf('step.started command:after'));
  });

  it('stops at the first failure, cancels what runs beside it and starts nothing after it', async () => {
    let isCancelSeen = false;
    const view = await start(
      [command('bad'), command('slow'), command('after', ['command:bad'])],
      (name, { signal }) =>
        name === 'bad'
          ? Promise.reject(new SlipwayError({ reason: 'gate', message: '1 HIGH finding' }))
          : new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                isCancelSeen = true;
                reject(new DOMException('aborted', 'AbortError'));
              });
            }),
    );
    expect(view.state).toBe('failed');
    expect(view.failure).toMatchObject({ reason: 'gate', message: '1 HIGH finding' });
    expect(isCancelSeen).toBe(true);
    expect(view.steps.map((step) => step.state)).toEqual(['failed', 'cancelled', 'cancelled']);
  });

  describe('a later step that is sure to fail', () => {
    const untilStopped = (signal: AbortSignal): Promise<Outputs> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      });
    const startWith = (before: 'build' | 'command', error: SlipwayError) => {
      const person = new AbortController();
      const fail = () => {
        if (error.reason === 'cluster') setImmediate(() => person.abort());
        return Promise.reject(error);
      };
      const first = { ...command('first'), id: 'first', kind: before };
      const steps = [first, { ...command('scan', ['first']), id: 'scan', kind: 'scan' as const }];
      const kind = (run: StepKind['run'], prepare?: StepKind['prepare']): StepKind =>
        ({ kind: before, run, ...(prepare !== undefined && { prepare }) }) as StepKind;
      return start(steps, async () => ({}), {
        signal: before === 'build' ? person.signal : new AbortController().signal,
        kinds: new Map([
          [before, kind((_spec, { signal }) => (before === 'command' ? Promise.resolve({}) : untilStopped(signal)))],
          ['scan', kind(() => Promise.resolve({ ran: true }), fail)],
        ]),
      });
    };
    const missing = new SlipwayError({ reason: 'tool-missing', message: 'trivy was not found on PATH.' });

    it('ends the run while those before it work', async () => {
      const view = await startWith('build', missing);
      expect(view).toMatchObject({ state: 'failed', failure: { reason: 'tool-missing' } });
      expect(view.steps.map(({ id, state }) => `${id} ${state}`)).toEqual(['first cancelled', 'scan failed']);
    });

    it('is not sure when a command before it may mend that, and not when time may', async () => {
      expect(await startWith('command', missing)).toMatchObject({ state: 'succeeded' });
      const view = await startWith('build', new SlipwayError({ reason: 'cluster', message: 'not reachable' }));
      expect(view, 'it is the person who ends the build here').toMatchObject({ state: 'cancelled' });
    });
  });

  it('ends as cancelled with exit code 130 when the person cancels', async () => {
    const cancel = new AbortController();
    const events: RunEvent[] = [];
    const view = await start(
      [command('a')],
      (_name, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
          cancel.abort();
        }),
      { signal: cancel.signal, onEvent: (event) => events.push(event) },
    );
    expect(view.state).toBe('cancelled');
    expect(events.at(-1)).toMatchObject({ type: 'run.finished', exitCode: 130 });
  });

  it('says that nobody cancelled it when the window was closed, until it is resumed', async () => {
    const cancel = new AbortController();
    const hangs: Behaviour = (_name, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
        // As the extension's bundle does, which has another class of this name.
        cancel.abort(Object.assign(new Error('closed'), { name: 'CancelledError', isHostEnded: true }));
      });
    const events: RunEvent[] = [];
    const onEvent = (event: RunEvent) => void events.push(event);
    const view = await start([command('a')], hangs, { signal: AbortSignal.any([cancel.signal]), onEvent });
    expect(view).toMatchObject({ state: 'cancelled', hostEnded: true });
    const resumed = await start([command('a')], async () => ({}), { resume: { run: view.id, events } });
    expect(resumed.state).toBe('succeeded');
    expect(resumed.hostEnded).toBeUndefined();
  });

  it('skips an unchanged step with its old outputs, and runs it when they no longer hold', async () => {
    const unchanged = command('a', [], {
      decision: { action: 'skip', why: 'nothing changed' },
      outputs: { old: true },
    });
    let runs = 0;
    const run: Behaviour = async () => {
      runs += 1;
      return { old: false };
    };
    const skipped = await start([unchanged], run);
    expect(skipped.steps[0]).toMatchObject({ state: 'skipped', message: 'nothing changed', outputs: { old: true } });
    expect(runs).toBe(0);
    const gone = await start([unchanged], run, { kinds: kinds(run, async () => false) });
    expect(gone.steps[0]).toMatchObject({ state: 'succeeded', outputs: { old: false } });
  });

  it('masks secrets before they reach journal or listener', async () => {
    const secrets = new Secrets();
    secrets.add('hunter2hunter2');
    const seen: string[] = [];
    await start(
      [command('a')],
      async (_name, { emit }) => {
        emit({ type: 'log', stream: 'out', text: 'password hunter2hunter2' });
        return { token: 'hunter2hunter2' };
      },
      { secrets, onEvent: (event) => seen.push(JSON.stringify(event)) },
    );
    expect(seen.join('\n')).not.toContain('hunter2');
  });

  it('resumes after the finished steps, with continued numbering after a torn line', async () => {
    const ran: string[] = [];
    const steps = [command('a'), command('b', ['command:a'])];
    const first = await start(steps, async (name) => {
      ran.push(name);
      if (name === 'b') throw new SlipwayError({ reason: 'network', message: 'lost' });
      return { from: 'first' };
    });
    // As a SIGKILL would leave it: no end, and half a line.
    const file = eventsFile(root, first.id);
    const lines = (await readFile(file, 'utf8')).trim().split('\n').slice(0, -2);
    await writeFile(file, `${lines.join('\n')}\n{"v":1,"run":"x","se`);
    const events = await readEvents(system.files, root, first.id);
    const second = await start(
      steps,
      async (name, context) => {
        ran.push(name);
        return { seen: context.outputs('command:a') };
      },
      { resume: { run: first.id, events } },
    );
    expect(ran).toEqual(['a', 'b', 'b']);
    expect(second).toMatchObject({ id: first.id, state: 'succeeded' });
    const all = await readEvents(system.files, root, first.id);
    expect(all.map((event) => event.seq)).toEqual(all.map((_event, index) => index + 1));
    expect(project(all)?.steps[1]?.outputs).toEqual({ seen: { from: 'first' } });
  });
});

describe('followRuns', () => {
  it('sees a run of somebody else from its beginning to its end', async () => {
    const stop = new AbortController();
    const seen: RunEvent[] = [];
    const finished = new Promise<void>((resolve) => {
      void followRuns(
        system.files,
        root,
        (_run, events) => {
          seen.push(...events);
          if (events.some((event) => event.type === 'run.finished')) resolve();
        },
        { signal: stop.signal },
      ).then(() => start([command('a')], async () => ({})));
    });
    await finished;
    stop.abort();
    expect(project(seen)?.state).toBe('succeeded');
  });
});

describe('takeLock', () => {
  it('lets one in, names the holder to the other, and frees the lock of a dead process', async () => {
    const lock = await takeLock(system, root, 'dev', 'run-1');
    await expect(takeLock(system, root, 'dev', 'run-2')).rejects.toMatchObject({
      reason: 'locked',
      message: expect.stringContaining('run-1'),
    });
    await lock.release();
    // Another process with our number that started at another time: the pid was reused.
    await writeFile(
      join(root, '.slipway/locks/dev.json'),
      JSON.stringify({ run: 'dead', pid: process.pid, host: system.host, processStart: '1', since: '', token: 't' }),
    );
    const again = await takeLock(system, root, 'dev', 'run-3');
    await again.release();
  });

  it('gives a dead lock to exactly one of many', async () => {
    await (await takeLock(system, root, 'dev', 'x')).release();
    await writeFile(
      join(root, '.slipway/locks/dev.json'),
      JSON.stringify({ run: 'dead', pid: 2 ** 22 + 1, host: system.host, since: '', token: 'dead' }),
    );
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, n) => takeLock(system, root, 'dev', `run-${n}`)),
    );
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results) if (result.status === 'fulfilled') await result.value.release();
  });
});
