import type { EventBody, Outputs } from '../engine/events/index.ts';
import type { Failure, Place } from '../engine/problems/index.ts';
import type { StepView } from '../engine/run/index.ts';

/** `0.4 s`, `12 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export const shortDigest = (digest: string): string => digest.replace(/^sha256:([0-9a-f]{12})[0-9a-f]*$/, 'sha256:$1…');

/** `file:line:column`, counted from 1 as editors and terminals do. */
export function placeText(place: Place): string {
  return place.range === undefined
    ? place.file
    : `${place.file}:${place.range.start.line + 1}:${place.range.start.character + 1}`;
}

/** The failure in lines: what, where, proof, fix. */
export function failureLines(failure: Failure): readonly string[] {
  return [
    failure.message,
    ...(failure.place === undefined ? [] : [`at ${placeText(failure.place)}`]),
    ...(failure.evidence ?? []).slice(0, 12).map((line) => `  | ${line}`),
    ...(failure.fix === undefined ? [] : [`Fix: ${failure.fix}`]),
  ];
}

const MARKS: Readonly<Record<StepView['state'], string>> = {
  waiting: '·',
  running: '●',
  succeeded: '✓',
  failed: '✗',
  cancelled: '-',
  skipped: '↷',
};

/** A sign for the state; never the only carrier of it, the line says it in words as well. */
export const markOf = (state: StepView['state']): string => MARKS[state];

/** What the reports of a test say: `12 passed, 1 skipped`. */
export function testCounts(outputs: Outputs | undefined): string | undefined {
  if (typeof outputs?.passed !== 'number') return undefined;
  const counts = ['passed', 'failed', 'skipped'].map((name) => [outputs[name], name] as const);
  return (
    counts
      .flatMap(([count, name]) => (typeof count === 'number' && count > 0 ? [`${count} ${name}`] : []))
      .join(', ') || 'no tests'
  );
}

/** One plain line for an event, or undefined for those that only views need. */
export function eventLine(
  event: EventBody & { readonly step?: string },
  titleOf: (step: string) => string,
): string | undefined {
  const step = event.step === undefined ? '' : titleOf(event.step);
  switch (event.type) {
    case 'step.started':
      return `${step}: started`;
    case 'step.finished': {
      const how = { succeeded: 'done', failed: 'FAILED', cancelled: 'cancelled', skipped: 'skipped' }[event.outcome];
      const time = event.outcome === 'skipped' || event.durationMs === 0 ? '' : ` in ${duration(event.durationMs)}`;
      const why = event.failure === undefined ? (event.message ?? testCounts(event.outputs)) : event.failure.message;
      return `${step}: ${how}${time}${why === undefined ? '' : ` (${why})`}`;
    }
    case 'scan.result':
      return `${step}: ${event.message}`;
    case 'image.published':
      return `${event.image}: ${event.repository}:${event.tags.join(', ')} is ${event.digest}`;
    case 'deploy.applied':
      return `${step}: applied ${event.objects.length} objects${event.revision === undefined ? '' : `, revision ${event.revision}`}`;
    case 'rollout.warning':
      return `${step}: warning, ${event.warning.code}: ${event.warning.message}`;
    case 'rollout.contact':
      return event.state === 'connected'
        ? undefined
        : `${step}: contact to the cluster ${event.state} since ${event.since}`;
    case 'rollout.verdict':
      return `${step}: ${event.state}, ${event.message}`;
    case 'smoke.result':
      return `${step}: ${event.check} ${event.isOk ? 'ok' : 'FAILED'} (${event.message})`;
    case 'rollback.started':
      return `Rolling back ${event.environment} to ${event.target}: ${event.why}`;
    case 'rollback.finished':
      return `Rollback of ${event.environment}: ${event.message}`;
    case 'report':
      return `${event.title}: ${event.path}`;
    case 'endpoint':
      return `${event.title}: ${event.url}`;
    default:
      return undefined;
  }
}
