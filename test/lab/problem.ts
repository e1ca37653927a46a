import { existsSync, readFileSync } from 'node:fs';

/** A failure of the lab, told in words a newcomer can act on. */
export class LabError extends Error {
  override readonly name = 'LabError';
}

/** The last lines of a log file with its path, as an indented block for a message; empty when there is no log. */
export function logTail(path: string, count = 20): string {
  if (!existsSync(path)) return '';
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count);
  return `\n  last lines of ${path}:\n${lines.map((line) => `    ${line.slice(0, 400)}`).join('\n')}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
