import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RunEvent, StepId } from '../../engine/events/index.ts';
import { logFile, parseEvents } from '../../engine/run/journal.ts';
import type { Files } from '../../engine/system/index.ts';

export type LogEvent = Extract<RunEvent, { readonly type: 'log' }>;

/** A write burst of a noisy build becomes one reading. */
const QUIET_MS = 60;

/**
 * The log of one step: first what is there, then each batch that is added, until the signal aborts. `isFirst` marks the
 * first call, which comes even when there is nothing yet.
 */
export async function followLog(
  files: Files,
  place: { readonly root: string; readonly run: string; readonly step: StepId },
  onLines: (lines: readonly LogEvent[], isFirst: boolean) => void,
  signal: AbortSignal,
): Promise<void> {
  const path = logFile(place.root, place.run, place.step);
  let offset = 0;
  let rest = Buffer.alloc(0);
  let isFirst = true;
  let pulling = false;
  let isAgain = false;
  const pull = async (): Promise<void> => {
    if (pulling) {
      isAgain = true;
      return;
    }
    pulling = true;
    do {
      isAgain = false;
      const bytes = await files.readFrom(path, offset);
      offset += bytes?.length ?? 0;
      const all = Buffer.concat([rest, bytes ?? Buffer.alloc(0)]);
      const end = all.lastIndexOf(0x0a) + 1;
      rest = Buffer.from(all.subarray(end));
      const lines = parseEvents(all.subarray(0, end).toString('utf8')).filter((event) => event.type === 'log');
      if (signal.aborted) return;
      if (lines.length > 0 || isFirst) onLines(lines, isFirst);
      isFirst = false;
    } while (isAgain);
    pulling = false;
  };
  await pull();
  if (signal.aborted) return;
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => clearTimeout(timer));
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void pull(), QUIET_MS);
    timer.unref();
  };
  // A step that has not written yet has no folder for logs; then its run's folder is watched.
  const folder = dirname(path);
  const watched = existsSync(folder) ? folder : dirname(folder);
  if (existsSync(watched)) files.watch(watched, soon, signal);
}
