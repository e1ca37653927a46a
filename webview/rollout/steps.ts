// Where the bars of the steps stand on the run's time axis. Pure.
import type { RunView, StepView } from '../../src/engine/run/projection.ts';

export interface Bar {
  /** Percent of the axis. */
  readonly start: number;
  readonly width: number;
}

export interface Axis {
  readonly startMs: number;
  readonly endMs: number;
}

/**
 * From the first start to the end of the run, or to now while it goes on. Nobody knows when an interrupted run ended: it is
 * drawn to the last that is known of it, and a little further for the steps that were under way.
 */
export function axisOf(run: RunView, now: number, isLive: boolean): Axis {
  const startMs = Date.parse(run.startedAt);
  const known = run.steps.flatMap(({ startedAt, finishedAt }) =>
    [startedAt, finishedAt].flatMap((time) => (time === undefined ? [] : [Date.parse(time)])),
  );
  if (run.finishedAt !== undefined)
    return { startMs, endMs: Math.max(startMs + 1000, Date.parse(run.finishedAt), ...known) };
  if (isLive) return { startMs, endMs: Math.max(startMs + 1000, now, ...known) };
  const last = Math.max(startMs + 1000, ...known);
  return { startMs, endMs: last + (last - startMs) * 0.08 };
}

/** Undefined for a step that took no time: it has not run, or was skipped. */
export function barOf(step: StepView, axis: Axis): Bar | undefined {
  if (step.startedAt === undefined || step.state === 'skipped') return undefined;
  const span = axis.endMs - axis.startMs;
  const from = Date.parse(step.startedAt) - axis.startMs;
  const to = (step.finishedAt === undefined ? axis.endMs : Date.parse(step.finishedAt)) - axis.startMs;
  const clamp = (value: number) => Math.min(100, Math.max(0, value));
  const start = clamp((from / span) * 100);
  return { start, width: Math.max(0, clamp((to / span) * 100) - start) };
}

/** Round times at which the axis is marked: at most three, so that their words do not touch in a narrow column. */
export function ticksOf(axis: Axis): readonly { readonly at: number; readonly ms: number }[] {
  const span = axis.endMs - axis.startMs;
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600].map((seconds) => seconds * 1000);
  const step = steps.find((size) => span / size <= 4) ?? Math.ceil(span / 4 / 3_600_000) * 3_600_000;
  const ticks: { readonly at: number; readonly ms: number }[] = [];
  for (let ms = step; ms < span * 0.97; ms += step) ticks.push({ at: (ms / span) * 100, ms });
  return ticks;
}

/** How much of a build came from the cache, 0 to 1; undefined when it reported no vertex with a platform or a step. */
export function cacheShareOf(step: StepView): number | undefined {
  // Context transfers and exports are never cached; they would hide how good the cache is.
  const work = step.vertexes.filter(({ name }) => /\d+\/\d+\]/.test(name));
  if (work.length === 0) return undefined;
  return work.filter(({ state }) => state === 'cached').length / work.length;
}

/** Platforms a step is for: its own, or those its build reported. */
export function platformsOf(step: StepView): readonly string[] {
  if (step.platform !== undefined) return [step.platform];
  return [...new Set(step.vertexes.flatMap(({ platform }) => (platform === undefined ? [] : [platform])))].sort();
}

/** `amd64` for `linux/amd64`: what every container has need not be said. */
export const shortPlatform = (platform: string): string => platform.replace(/^linux\//, '');
