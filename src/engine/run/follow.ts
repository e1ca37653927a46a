import { relative, sep } from 'node:path';
import type { RunEvent, RunId } from '../events/index.ts';
import type { Files } from '../system/index.ts';
import { eventsFile, listRuns, parseEvents, prepareFolder, runsFolder } from './journal.ts';

/**
 * Follows the journals of a workspace, whoever writes them: this process, a terminal, another window.
 * First calls back with what is there (the newest `newest` runs), then with each batch of new events, in order, until
 * the signal aborts. The folder is created when it is missing, so that a first run is seen; with `isReadOnly` a missing
 * folder is left alone and nothing is followed.
 */
export async function followRuns(
  files: Files,
  root: string,
  onEvents: (run: RunId, events: readonly RunEvent[]) => void,
  options: { readonly signal: AbortSignal; readonly newest?: number; readonly isReadOnly?: boolean },
): Promise<void> {
  const { signal } = options;
  const readers = new Map<RunId, Reader>();
  const read = (run: RunId): Promise<void> => {
    let reader = readers.get(run);
    if (reader === undefined) {
      reader = new Reader(files, eventsFile(root, run), (events) => {
        if (!signal.aborted) onEvents(run, events);
      });
      readers.set(run, reader);
    }
    return reader.pull();
  };

  const folder = runsFolder(root);
  if (options.isReadOnly !== true) {
    await prepareFolder(files, root);
    await files.makeFolder(folder);
  }
  if ((await files.stat(folder))?.isFolder === true && !signal.aborted) {
    files.watch(
      folder,
      ({ path }) => {
        const [run, file] = relative(folder, path).split(sep);
        if (run === undefined || run === '') return;
        if (file === undefined || file === 'events.jsonl') void read(run);
      },
      signal,
    );
  }
  for (const run of (await listRuns(files, root)).slice(0, options.newest ?? 20).reverse()) await read(run);
}

/** Reads on from where it stopped; pulls that overlap become one, and a half-written line waits for its end. */
class Reader {
  readonly #files: Files;
  readonly #path: string;
  readonly #onEvents: (events: readonly RunEvent[]) => void;
  #offset = 0;
  #rest = Buffer.alloc(0);
  #running: Promise<void> | undefined;
  #isAgain = false;

  constructor(files: Files, path: string, onEvents: (events: readonly RunEvent[]) => void) {
    this.#files = files;
    this.#path = path;
    this.#onEvents = onEvents;
  }

  pull(): Promise<void> {
    if (this.#running !== undefined) {
      this.#isAgain = true;
      return this.#running;
    }
    this.#running = this.#pullAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #pullAll(): Promise<void> {
    do {
      this.#isAgain = false;
      const bytes = await this.#files.readFrom(this.#path, this.#offset);
      if (bytes === undefined || bytes.length === 0) continue;
      this.#offset += bytes.length;
      const all = Buffer.concat([this.#rest, bytes]);
      const end = all.lastIndexOf(0x0a) + 1;
      this.#rest = Buffer.from(all.subarray(end));
      const events = parseEvents(all.subarray(0, end).toString('utf8'));
      if (events.length > 0) this.#onEvents(events);
    } while (this.#isAgain);
  }
}
