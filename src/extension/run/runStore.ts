import { existsSync, type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { RunEvent, RunId } from '../../engine/events/index.ts';
import { followRuns } from '../../engine/run/follow.ts';
import { folderOf, runsFolder } from '../../engine/run/journal.ts';
import { isRunLive } from '../../engine/run/lock.ts';
import { project, type RunView } from '../../engine/run/projection.ts';
import type { System } from '../../engine/system/index.ts';
import { type Disposable, Emitter } from '../events.ts';

export interface RunEntry {
  readonly view: RunView;
  /** A process works on it: in this window, in a terminal, on another machine. */
  readonly isLive: boolean;
}

/** Runs kept in memory per root; the journal on disk holds more. */
const NEWEST = 50;

/**
 * The runs of one workspace root as the journal tells them, whoever writes it. Reading starts with {@link follow} and
 * never writes: a workspace that has no journal yet is left without one.
 */
export class RunStore implements Disposable {
  readonly root: string;
  readonly #system: System;
  readonly #views = new Map<RunId, RunView>();
  readonly #live = new Set<RunId>();
  /** Runs this window executes itself. */
  readonly #own = new Set<RunId>();
  readonly #changed = new Emitter<readonly RunId[]>();
  readonly #stop = new AbortController();
  #isFollowing = false;
  #wait: FSWatcher | undefined;

  constructor(system: System, root: string) {
    this.#system = system;
    this.root = root;
  }

  /** Fires with the runs that changed. */
  readonly onDidChange = this.#changed.event;

  /**
   * Reads what is there and goes on with what comes, from whichever process. Where there is no journal yet, waits for one
   * to appear. May be called again at any time.
   */
  async follow(): Promise<void> {
    if (this.#isFollowing || this.#stop.signal.aborted) return;
    if (!existsSync(runsFolder(this.root))) {
      this.#waitForJournal();
      return;
    }
    this.#isFollowing = true;
    this.#wait?.close();
    await followRuns(this.#system.files, this.root, (run, events) => this.apply(run, events), {
      signal: this.#stop.signal,
      newest: NEWEST,
      isReadOnly: true,
    });
    await this.checkLiveness();
  }

  /** Watches the deepest folder on the way to the journal that exists; each step deeper brings it here again. */
  #waitForJournal(): void {
    this.#wait?.close();
    const journal = folderOf(this.root);
    const nearest = existsSync(journal) ? journal : this.root;
    if (!existsSync(nearest)) return;
    this.#wait = watch(nearest, { persistent: false }, (_kind, name) => {
      if (name === null || name === '.slipway' || name === 'runs') void this.follow().catch(() => this.#wait?.close());
    });
    this.#wait.on('error', () => this.#wait?.close());
    // It may have come between the look and the watch.
    const next = nearest === journal ? runsFolder(this.root) : journal;
    if (existsSync(next)) void this.follow().catch(() => this.#wait?.close());
  }

  /** Takes events from the journal or straight from a run of this window; what is known already is passed over. */
  apply(run: RunId, events: readonly RunEvent[]): void {
    const before = this.#views.get(run);
    const seen = before?.lastSeq ?? 0;
    const fresh = events.filter((event) => event.type !== 'log' && event.seq > seen);
    if (fresh.length === 0) return;
    const view = project(fresh, before);
    if (view === undefined) return;
    this.#views.set(run, view);
    if (before === undefined || fresh.some((event) => event.type === 'run.resumed')) void this.#judge(view);
    if (view.state !== 'running') this.#live.delete(run);
    this.#changed.fire([run]);
  }

  own(run: RunId): void {
    this.#own.add(run);
    this.#changed.fire([run]);
  }

  disown(run: RunId): void {
    this.#own.delete(run);
    this.#changed.fire([run]);
  }

  isOwn(run: RunId): boolean {
    return this.#own.has(run);
  }

  /** Newest first. */
  list(): readonly RunEntry[] {
    return [...this.#views.keys()]
      .sort((a, b) => (a < b ? 1 : -1))
      .flatMap((run) => {
        const entry = this.get(run);
        return entry === undefined ? [] : [entry];
      });
  }

  get(run: RunId): RunEntry | undefined {
    const view = this.#views.get(run);
    if (view === undefined) return undefined;
    return { view, isLive: view.state === 'running' && (this.#own.has(run) || this.#live.has(run)) };
  }

  /** The newest run for an environment; `null` = runs that deploy nowhere. */
  latest(environment: string | null): RunEntry | undefined {
    return this.list().find(({ view }) => view.environment === environment);
  }

  /** Asks again whether the processes of running runs still live. */
  async checkLiveness(): Promise<void> {
    await Promise.all(
      [...this.#views.values()].filter(({ state }) => state === 'running').map((view) => this.#judge(view)),
    );
  }

  /** Absolute path inside the run's folder; undefined when the relative path would leave it. */
  pathIn(run: RunId, relative: string): string | undefined {
    const folder = join(runsFolder(this.root), run);
    const path = join(folder, relative);
    return path.startsWith(`${folder}/`) || path.startsWith(`${folder}\\`) ? path : undefined;
  }

  dispose(): void {
    this.#stop.abort();
    this.#wait?.close();
    this.#changed.dispose();
  }

  async #judge(view: RunView): Promise<void> {
    const isLive = await isRunLive(this.#system, view);
    if (isLive === this.#live.has(view.id) || this.#stop.signal.aborted) return;
    if (isLive && this.#views.get(view.id)?.state === 'running') this.#live.add(view.id);
    else this.#live.delete(view.id);
    this.#changed.fire([view.id]);
  }
}
