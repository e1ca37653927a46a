import { createLogUpdate } from 'log-update';
import type { CliContext } from './context.ts';

/** Lines that are drawn over each other on a terminal; undefined where that is not wanted. */
export function liveLines(
  stdout: NodeJS.WriteStream,
  { isJson, isVerbose, system }: CliContext,
): { draw(lines: readonly string[]): void; end(): void } | undefined {
  if (isJson || isVerbose || stdout.isTTY !== true || system.env.CI || system.env.TERM === 'dumb') return undefined;
  const update = createLogUpdate(stdout);
  return {
    draw: (lines) => update(lines.slice(0, Math.max(3, (stdout.rows ?? 24) - 1)).join('\n')),
    end: () => update.done(),
  };
}
