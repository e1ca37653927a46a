import { describe, expect, it } from 'vitest';
import { project } from '../../../src/engine/run/projection.ts';
import { parseDiagnosis } from '../../../src/extension/rollout/diagnosis.ts';
import { rolloutHtml } from '../../../src/extension/rollout/html.ts';
import { parseToHost, parseToView } from '../../../src/extension/rollout/protocol.ts';
import { axisOf, barOf, cacheShareOf, platformsOf, ticksOf } from '../../../webview/rollout/steps.ts';
import { crashDiagnosis } from '../../editor/samples/diagnosis.ts';
import { runningRun, succeededRun } from '../../editor/samples/runs.ts';

describe('protocol', () => {
  it.each([
    [{ kind: 'ready', version: 1 }],
    [{ kind: 'openDiagnosis' }],
    [{ kind: 'do', offer: 'cancel' }],
    [{ kind: 'followLog' }],
    [{ kind: 'openFinding', image: 'api', platform: 'linux/amd64', id: 'CVE-1', package: 'p', what: 'advisory' }],
  ])('the host takes %j', (message) => expect(parseToHost(message)).toEqual(message));

  it.each([
    [undefined],
    [null],
    ['ready'],
    [{ kind: 'ready', version: 2 }],
    [{ kind: 'do', offer: 'deleteEverything' }],
    [{ kind: 'run', command: 'rm' }],
    [{ kind: 'openLog', step: 5 }],
    [{ kind: 'openLog', step: 'x'.repeat(301) }],
    [{ kind: 'followLog', step: 'build:api', path: '/etc/passwd' }],
  ])('the host drops %j', (message) => expect(parseToHost(message)).toBeUndefined());

  it('the page drops what is no snapshot', () => {
    expect(parseToView({ kind: 'snapshot', seq: 1, state: {} })).toBeUndefined();
    expect(parseToView({ kind: 'snapshot', seq: 1, state: null })).toBeUndefined();
    expect(parseToView({ kind: 'log', run: 'r', step: 's', isFirst: true, dropped: 0, lines: [{}] })).toBeUndefined();
    expect(parseToView({ kind: 'gone', message: 'm' })).toEqual({ kind: 'gone', message: 'm' });
  });
});

describe('diagnosis', () => {
  it('what the engine writes is what the page takes', () => {
    const data = parseDiagnosis(JSON.stringify(crashDiagnosis));
    const { reason: _, ...failure } = crashDiagnosis.failure ?? { reason: 'rollout', message: '' };
    expect(data).toEqual({ ...crashDiagnosis, failure });
    const message = { kind: 'diagnosis', run: 'r', origin: 'run', isAsked: false, data };
    expect(parseToView(message)).toEqual(message);
  });

  it.each([['not JSON'], ['{}'], [JSON.stringify({ ...crashDiagnosis, version: 2 })]])('%.20s is none', (text) => {
    expect(parseDiagnosis(text)).toBeUndefined();
    expect(parseToView({ kind: 'diagnosis', run: 'r', origin: 'run', isAsked: false, data: text })).toBeUndefined();
  });
});

describe('frame', () => {
  const html = rolloutHtml({
    cspSource: 'https://host.example',
    nonce: 'bm9uY2U=',
    script: 'https://host.example/a.js?x="1"',
    styles: ['https://host.example/a.css'],
    codicons: 'https://host.example/codicon.css',
    title: '<script>',
  });

  it('allows only its own script and the resources of the extension', () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)?.[1];
    expect(policy?.split('; ')).toEqual([
      "default-src 'none'",
      "script-src 'nonce-bm9uY2U='",
      'style-src https://host.example',
      'font-src https://host.example',
      'img-src https://host.example',
    ]);
    expect(html.indexOf('Content-Security-Policy')).toBeLessThan(html.indexOf('<link'));
  });

  it('has no inline script, style or handler, and lets no text become markup', () => {
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html).not.toMatch(/<style| style=| on\w+=/);
    expect(html).toContain('&lt;script&gt;');
    expect(html).toContain('a.js?x=&quot;1&quot;');
  });
});

describe('time axis', () => {
  const view = (run: ReturnType<typeof succeededRun>) => {
    const projected = project(run.events);
    if (projected === undefined) throw new Error('no run');
    return projected;
  };
  const step = (run: ReturnType<typeof view>, id: string) => {
    const found = run.steps.find((known) => known.id === id);
    if (found === undefined) throw new Error(`no step ${id}`);
    return found;
  };

  it('places bars by start and end, within the axis', () => {
    const run = view(succeededRun());
    const axis = axisOf(run, 0, true);
    expect(axis.endMs - axis.startMs).toBe(32_200);
    const bar = barOf(step(run, 'rollout:dev'), axis);
    expect(bar?.start).toBeCloseTo((24.9 / 32.2) * 100, 5);
    expect(bar?.width).toBeCloseTo((6.3 / 32.2) * 100, 5);
    expect(barOf(step(run, 'scan:worker:linux/arm64'), axis)).toBeUndefined();
    for (const known of run.steps) {
      const placed = barOf(known, axis);
      if (placed !== undefined) expect(placed.start + placed.width).toBeLessThanOrEqual(100.000001);
    }
  });

  it('ends at now while the run goes on, and so does the bar of a running step', () => {
    const run = view(runningRun(undefined, '2026-11-21T10:00:00.000Z'));
    const now = Date.parse('2026-11-21T10:01:40.000Z');
    const axis = axisOf(run, now, true);
    expect(axis.endMs).toBe(now);
    const bar = barOf(step(run, 'rollout:dev'), axis);
    expect((bar?.start ?? 0) + (bar?.width ?? 0)).toBeCloseTo(100, 5);
    expect(barOf(step(run, 'smoke:dev'), axis)).toBeUndefined();
  });

  it('ends soon after the last that is known of a run whose process died, however long ago that is', () => {
    const run = view(runningRun(undefined, '2026-11-21T10:00:00.000Z'));
    const axis = axisOf(run, Date.parse('2026-11-25T10:00:00.000Z'), false);
    expect(axis.endMs - axis.startMs).toBeCloseTo(24_900 * 1.08, 0);
  });

  it.each([1_000, 7_000, 32_200, 300_000, 4_000_000, 90_000_000])('marks %i ms at most three times', (ms) => {
    const ticks = ticksOf({ startMs: 0, endMs: ms });
    expect(ticks.length).toBeLessThanOrEqual(3);
    for (const { at } of ticks) expect(at).toBeLessThan(100);
  });

  it('counts only build instructions for the share of the cache', () => {
    const run = view(succeededRun());
    const build = step(run, 'build:api');
    expect(cacheShareOf(build)).toBe(0.5);
    expect(platformsOf(build)).toEqual(['linux/amd64', 'linux/arm64']);
    const transfer = {
      ...build.vertexes[0],
      digest: 'x',
      name: '[internal] load build context',
      state: 'done' as const,
    };
    expect(cacheShareOf({ ...build, vertexes: [...build.vertexes, transfer as (typeof build.vertexes)[number]] })).toBe(
      0.5,
    );
    expect(cacheShareOf({ ...build, vertexes: [] })).toBeUndefined();
  });
});
