// What the steps of runs found in files besides scans: warnings of builds, misconfiguration, findings of own tools. Pure.
import type { RunView } from '../../engine/main.ts';
import type { Project } from '../../engine/project/model.ts';
import type { RunProblem } from './scanProblems.ts';

/**
 * For each step the newest run counts in which it did its work: one that was skipped stands by what was found before. Steps
 * that the project no longer has say nothing.
 */
export function stepProblems(
  runsNewestFirst: readonly RunView[],
  project: Pick<Project, 'commands' | 'tests'> | undefined,
): readonly RunProblem[] {
  const gone = (kind: string, id: string): boolean => {
    const names = kind === 'command' ? project?.commands : kind === 'test' ? project?.tests : undefined;
    return names !== undefined && !names.some(({ name }) => id === `${kind}:${name}`);
  };
  const seen = new Set<string>();
  const found = new Map<string, RunProblem>();
  for (const run of runsNewestFirst) {
    for (const { id, kind, state, problems = [] } of run.steps) {
      if (seen.has(id) || gone(kind, id) || (state !== 'succeeded' && state !== 'failed')) continue;
      seen.add(id);
      for (const { place, message, severity, code, fix } of problems) {
        const line = place.range?.start.line ?? 0;
        // Several platforms and runs find the same.
        found.set(`${place.file} ${line} ${code} ${message}`, {
          file: place.file,
          line,
          message: fix === undefined ? message : `${message} ${fix}`,
          severity,
          id: code,
        });
      }
    }
  }
  return [...found.values()];
}
