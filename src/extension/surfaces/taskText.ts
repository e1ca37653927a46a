// The lines of a run in a task's terminal. Pure. Failures are written so that the problem matcher `$slipway` finds them.
import { relative } from 'node:path';
import type { RunEvent } from '../../engine/events/index.ts';
import type { Failure } from '../../engine/problems/index.ts';
import { duration } from '../words.ts';

/** Gives the lines for an event; remembers titles of steps. Log lines of steps are not shown: the log has them. */
export function taskLines(root: string): (event: RunEvent) => readonly string[] {
  const titles = new Map<string, string>();
  const started = new Set<string>();
  const title = (step: string | undefined): string => titles.get(step ?? '') ?? step ?? '';
  return (event) => {
    switch (event.type) {
      case 'run.started':
        for (const step of event.steps) titles.set(step.id, step.title);
        return [`run ${event.run}${event.environment === null ? '' : ` for ${event.environment}`}`];
      case 'step.started':
        started.add(event.step ?? '');
        return [`  ${title(event.step)}`];
      case 'step.finished': {
        // What a failure kept from starting is one line each, and says nothing that the failure does not.
        if (event.outcome === 'cancelled' && !started.has(event.step ?? '')) return [];
        const word = event.outcome === 'succeeded' ? 'done' : event.outcome;
        const message = event.failure === undefined ? event.message : undefined;
        return [
          `  ${title(event.step)}: ${word}${event.outcome === 'skipped' ? '' : ` in ${duration(event.durationMs)}`}${message === undefined ? '' : `, ${message}`}`,
          ...(event.failure === undefined ? [] : failureLines(event.failure, root)),
        ];
      }
      case 'endpoint':
        return [`  ${event.title}: ${event.url}`];
      case 'rollback.finished':
        return [`  rollback: ${event.message}`];
      case 'run.finished':
        // The id again: it is a link, and the first line has scrolled away.
        return [`run ${event.run} ${event.outcome} in ${duration(event.durationMs)}`];
      default:
        return [];
    }
  };
}

/** `docker/api.Dockerfile:4:1: error gate.findings: …`, then the fix. */
export function failureLines({ message, place, code, reason, fix }: Failure, root: string): readonly string[] {
  const start = place?.range?.start;
  const at = place === undefined ? 'slipway.yaml' : relative(root, place.file) || place.file;
  const line = message.replaceAll('\n', ' ');
  return [
    `${at}:${(start?.line ?? 0) + 1}:${(start?.character ?? 0) + 1}: error ${code ?? reason}: ${line}`,
    ...(fix === undefined ? [] : [`    fix: ${fix}`]),
  ];
}
