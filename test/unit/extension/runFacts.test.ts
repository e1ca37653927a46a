import { describe, expect, it } from 'vitest';
import type { RunView } from '../../../src/engine/main.ts';
import { project } from '../../../src/engine/run/projection.ts';
import {
  environmentMarkdown,
  imageFacts,
  imageLine,
  imageMarkdown,
  liveMarkdown,
  liveRun,
  scanWords,
  sizeWords,
} from '../../../src/extension/config/runFacts.ts';
import { gatedRun, rolledBackRun, type SampleRun, succeededRun } from '../../editor/samples/runs.ts';

function viewOf(run: SampleRun): RunView {
  const view = project(run.events);
  if (view === undefined) throw new Error('the sample has no start');
  return view;
}

const succeeded = viewOf(succeededRun());
const rolledBack = viewOf(rolledBackRun());
const gated = viewOf(gatedRun());
const later = (view: RunView) => Date.parse(view.finishedAt ?? view.startedAt) + 5 * 60_000;

/** The build step of a run as the engine leaves it: with digest, platforms and sizes. */
function withBuild(view: RunView, sizes: Readonly<Record<string, number>>): RunView {
  const outputs = {
    digest: `sha256:${'a'.repeat(64)}`,
    repository: 'ghcr.io/acme/api',
    platforms: { 'linux/amd64': 'sha256:1', 'linux/arm64': 'sha256:2' },
    sizes,
  };
  return { ...view, steps: view.steps.map((step) => (step.id === 'build:api' ? { ...step, outputs } : step)) };
}

describe('image facts', () => {
  it('come from the newest run that has the image', () => {
    const built = withBuild(succeeded, { 'linux/amd64': 63_400_000, 'linux/arm64': 61_000_000 });
    const facts = imageFacts([{ ...rolledBack, steps: [], scans: [] }, built], 'api');
    expect(facts).toMatchObject({ run: built.id, repository: 'ghcr.io/acme/api' });
    if (facts === undefined) throw new Error('no facts');
    expect(imageLine(facts, later(built))).toMatch(/^63 MB · .+ · 5 min ago$/);
    expect(imageMarkdown(facts, later(built))).toContain('- `linux/arm64`: 61 MB compressed');
  });

  it('take the scans of the run that made them when the newest one skipped the scan', () => {
    const skipped = { ...withBuild(succeeded, {}), id: 'newer', scans: [] };
    const facts = imageFacts([skipped, succeeded], 'api');
    expect(facts?.run).toBe('newer');
    expect(facts?.scans.length).toBe(succeeded.scans.filter(({ image }) => image === 'api').length);
  });

  it('say where the image is live, and nothing of an image that no deploy holds', () => {
    expect(liveMarkdown([succeeded], 'api', ['dev', 'prod'], later(succeeded))).toMatch(
      /^- Live on `dev`: `main-[0-9a-f]+`, verified 5 min ago$/,
    );
    expect(liveMarkdown([succeeded], 'other', ['dev'], later(succeeded))).toBe('');
  });

  it('are absent for an image that was never built', () => expect(imageFacts([succeeded], 'other')).toBeUndefined());
});

describe('words', () => {
  it.each([
    [412, '412 B'],
    [9_640, '9.6 kB'],
    [63_400_000, '63 MB'],
    [1_240_000_000, '1.2 GB'],
  ])('%i bytes', (bytes, text) => expect(sizeWords(bytes)).toBe(text));

  it('tell a stopped gate from a clean one and from no answer', () => {
    expect(scanWords(gated.scans)).toMatch(/^gate stopped: 1 CRITICAL/);
    expect(scanWords([])).toBeUndefined();
    const [scan] = gated.scans;
    if (scan === undefined) throw new Error('the sample has no scan');
    expect(scanWords([{ ...scan, outcome: 'stale-database' }])).toBe('stale database');
  });
});

describe('environments', () => {
  it('are live by the last verified deploy, also after a rollback', () => {
    expect(liveRun([rolledBack, succeeded], 'dev')?.id).toBe(succeeded.id);
    const text = environmentMarkdown([rolledBack, succeeded], 'dev', later(rolledBack));
    expect(text).toContain(`Live: \`${succeeded.tag}\``);
    expect(text).toMatch(/Newest run: failed and was rolled back, 5 min ago/);
  });

  it('without a run say so', () => {
    expect(environmentMarkdown([], 'dev', 0)).toBe('Not deployed from this folder yet.');
  });
});
