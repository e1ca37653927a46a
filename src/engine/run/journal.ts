import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { EVENT_VERSION, type EventBody, type RunEvent, type RunId, type StepId } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import type { AppendFile, Clock, Files, System } from '../system/index.ts';

/** Where everything that survives a run lives: `.slipway/` in the workspace root, ignored by git by its own file. */
export const folderOf = (root: string): string => join(root, '.slipway');
export const runsFolder = (root: string): string => join(folderOf(root), 'runs');
export const runFolder = (root: string, run: RunId): string => join(runsFolder(root), run);
export const eventsFile = (root: string, run: RunId): string => join(runFolder(root, run), 'events.jsonl');
/** Log lines are events as well, but kept per step: a noisy build must not slow down who reads what happened. */
export const logFile = (root: string, run: RunId, step: StepId): string =>
  join(runFolder(root, run), 'logs', `${fileNameOf(step)}.jsonl`);

/** A step id as a file name on every platform: `scan:api:linux/arm64` → `scan.api.linux-arm64`. */
export const fileNameOf = (step: StepId): string => step.replaceAll(':', '.').replace(/[^A-Za-z0-9._-]/g, '-');

export function newRunId(clock: Clock): RunId {
  const time = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}

/** Creates `.slipway/` with its own `.gitignore` of `*`, so that nothing in it is ever committed by accident. */
export async function prepareFolder(files: Files, root: string): Promise<void> {
  await files.createExclusive(join(folderOf(root), '.gitignore'), '*\n');
}

/**
 * Writes one run's events. Numbers and masks them; an event is in the file before `append` returns.
 * A resumed run continues the numbering of its own journal.
 */
export class JournalWriter {
  readonly run: RunId;
  readonly folder: string;
  readonly #root: string;
  readonly #system: System;
  readonly #secrets: Secrets;
  readonly #events: AppendFile;
  readonly #logs = new Map<StepId, { readonly file: AppendFile; seq: number }>();
  readonly #listener: ((event: RunEvent) => void) | undefined;
  #seq: number;

  constructor(options: {
    readonly system: System;
    readonly root: string;
    readonly run: RunId;
    readonly secrets: Secrets;
    readonly after?: readonly RunEvent[];
    readonly onEvent?: (event: RunEvent) => void;
  }) {
    this.run = options.run;
    this.#root = options.root;
    this.#system = options.system;
    this.#secrets = options.secrets;
    this.#listener = options.onEvent;
    this.#seq = options.after?.at(-1)?.seq ?? 0;
    this.folder = runFolder(options.root, options.run);
    this.#events = options.system.files.openAppend(eventsFile(options.root, options.run));
    // A torn last line of a killed writer must not swallow our first event.
    if (options.after !== undefined) this.#events.write('\n');
  }

  append(body: EventBody, step?: StepId): RunEvent {
    const masked = this.#secrets.maskAll(body);
    if (masked.type === 'log' && step !== undefined) return this.#appendLog(masked, step);
    this.#seq += 1;
    const event = this.#stamp(masked, this.#seq, step);
    this.#events.write(`${JSON.stringify(event)}\n`);
    // Before an effect and at an end, the record must outlive a crash of the machine as well.
    if (event.type === 'step.intent' || event.type === 'run.finished') this.#events.sync();
    this.#listener?.(event);
    return event;
  }

  close(): void {
    this.#events.close();
    for (const { file } of this.#logs.values()) file.close();
    this.#logs.clear();
  }

  #appendLog(body: EventBody, step: StepId): RunEvent {
    let log = this.#logs.get(step);
    if (log === undefined) {
      log = { file: this.#system.files.openAppend(logFile(this.#root, this.run, step)), seq: 0 };
      this.#logs.set(step, log);
    }
    log.seq += 1;
    const event = this.#stamp(body, log.seq, step);
    log.file.write(`${JSON.stringify(event)}\n`);
    this.#listener?.(event);
    return event;
  }

  #stamp(body: EventBody, seq: number, step: StepId | undefined): RunEvent {
    return {
      v: EVENT_VERSION,
      run: this.run,
      seq,
      time: new Date(this.#system.clock.now()).toISOString(),
      ...(step !== undefined && { step }),
      ...body,
    };
  }
}

/** The events in a piece of a journal. A torn or foreign line is passed over: it never was a whole event. */
export function parseEvents(text: string): readonly RunEvent[] {
  const events: RunEvent[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    try {
      const event = JSON.parse(line) as Partial<RunEvent>;
      if (typeof event.type === 'string' && typeof event.seq === 'number' && event.v === EVENT_VERSION) {
        events.push(event as RunEvent);
      }
    } catch {
      // A line cut off by a kill; what it was about to say is found out again by `resume`.
    }
  }
  return events;
}

/** All run ids of a workspace, newest first. */
export async function listRuns(files: Files, root: string): Promise<readonly RunId[]> {
  const entries = (await files.list(runsFolder(root))) ?? [];
  return entries
    .filter((entry) => entry.isDirectory() && /^\d{8}T\d{6}Z-[0-9a-f]+$/.test(entry.name))
    .map((entry) => entry.name)
    .sort((a, b) => (a < b ? 1 : -1));
}

/** The events of a run without its logs; empty when there is no such run. */
export async function readEvents(files: Files, root: string, run: RunId): Promise<readonly RunEvent[]> {
  return parseEvents((await files.readText(eventsFile(root, run))) ?? '');
}

/** The log lines of one step, oldest first. */
export async function readLog(files: Files, root: string, run: RunId, step: StepId): Promise<readonly RunEvent[]> {
  return parseEvents((await files.readText(logFile(root, run, step))) ?? '');
}

/** Which finished runs stay. */
export interface Retention {
  readonly keep: number;
  /** ms; absent = age does not count. */
  readonly maxAgeMs?: number;
}

/**
 * Removes whole runs beyond the newest `keep`, and older ones than `maxAgeMs`; the newest of all stays whatever its age.
 * A run that goes on is kept.
 */
export async function pruneRuns(
  files: Files,
  root: string,
  { keep, maxAgeMs }: Retention,
  now: number,
  isLive: (events: readonly RunEvent[]) => boolean,
): Promise<readonly RunId[]> {
  const removed: RunId[] = [];
  for (const [index, run] of (await listRuns(files, root)).entries()) {
    const isOld = maxAgeMs !== undefined && now - startOf(run) > maxAgeMs;
    if (index === 0 || (index < keep && !isOld)) continue;
    if (isLive(await readEvents(files, root, run))) continue;
    await files.remove(runFolder(root, run));
    removed.push(run);
  }
  return removed;
}

/** ms since the epoch, from the id. */
function startOf(run: RunId): number {
  return Date.parse(run.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*$/, '$1-$2-$3T$4:$5:$6Z'));
}
