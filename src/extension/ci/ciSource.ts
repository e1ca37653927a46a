import type { CiClient, CiJob, CiRun, FoundRepository, Look, RunWithJobs } from '../../engine/ci/index.ts';
import { isCancelled, SlipwayError, toFailure } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';

type CiModule = typeof import('../../engine/ciHost.ts');

export type SourceState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly staleSince?: number; readonly why?: string }
  | { readonly kind: 'no-remote' }
  /** The host has to be asked what it is, which the person has to allow. */
  | { readonly kind: 'unknown-host'; readonly host: string }
  | { readonly kind: 'sign-in'; readonly message: string; readonly fix: string }
  | { readonly kind: 'failed'; readonly message: string; readonly fix: string };

export interface SourceParts {
  readonly system: System;
  readonly load: () => Promise<CiModule>;
  /** The repository of the folder, from files alone. */
  readonly find: (folder: string) => Promise<FoundRepository | undefined>;
  readonly connect: (found: FoundRepository) => Promise<CiClient | undefined>;
}

const MOST_RUNS = 20;
/** What a client says that has none. */
const NO_TOKEN = 'no token';
/** Codes of errors that a sign-in, or another one, can mend. */
export const SIGN_IN: ReadonlySet<string> = new Set([
  'ci.sign-in',
  'ci.token-refused',
  'ci.not-found',
  'ci.scope',
  'ci.sso',
]);

/** The CI of one workspace folder. Asks its host only between start and stop. */
export class CiSource extends Owner {
  readonly folder: string;
  readonly #parts: SourceParts;
  readonly #changed = this.own(new Emitter<string | undefined>());
  /** The id of the run that changed; undefined for all. */
  readonly onDidChange = this.#changed.event;
  #state: SourceState = { kind: 'idle' };
  #found: FoundRepository | undefined;
  #client: CiClient | undefined;
  #runs: readonly CiRun[] = [];
  readonly #jobs = new Map<string, readonly CiJob[]>();
  readonly #open = new Map<string, AbortController>();
  readonly #wanted = new Set<string>();
  #stop: AbortController | undefined;
  #nudge: InstanceType<CiModule['Nudge']> | undefined;

  constructor(folder: string, parts: SourceParts) {
    super();
    this.folder = folder;
    this.#parts = parts;
    this.own({ dispose: () => this.stop() });
  }

  get state(): SourceState {
    return this.#state;
  }

  get found(): FoundRepository | undefined {
    return this.#found;
  }

  get client(): CiClient | undefined {
    return this.#client;
  }

  get runs(): readonly CiRun[] {
    return this.#runs;
  }

  run(id: string): CiRun | undefined {
    return this.#runs.find((run) => run.id === id);
  }

  jobs(run: string): readonly CiJob[] | undefined {
    return this.#jobs.get(run);
  }

  /** Begins to look, and goes on until {@link stop}. */
  start(): void {
    if (this.#stop !== undefined || this.isDisposed) return;
    const stop = new AbortController();
    this.#stop = stop;
    void this.#follow(stop.signal).finally(() => {
      if (this.#stop === stop) this.#stop = undefined;
    });
  }

  stop(): void {
    this.#stop?.abort();
    this.#stop = undefined;
    for (const one of this.#open.values()) one.abort();
    this.#open.clear();
  }

  /** Forgets the connection: a token, the remote, or a setting has changed. */
  reset(): void {
    const wasActive = this.#stop !== undefined;
    this.stop();
    this.#client = undefined;
    this.#found = undefined;
    // What another account or repository shows is not what this one did.
    this.#runs = [];
    this.#jobs.clear();
    this.#set({ kind: 'idle' });
    if (wasActive) this.start();
  }

  /** Looks again at once; starts anew where looking had ended. */
  refresh(): void {
    if (this.#stop === undefined) this.start();
    else this.#nudge?.now();
  }

  /** The client, connected when it was not; for commands. Throws SlipwayError. */
  async connected(): Promise<CiClient> {
    if (this.#client !== undefined) return this.#client;
    const found = this.#found ?? (await this.#parts.find(this.folder));
    this.#found = found;
    const client = found === undefined ? undefined : await this.#parts.connect(found);
    if (client === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'ci.no-remote',
        message: `No git remote of ${this.folder} leads to a CI host that is known.`,
        fix: 'Add a remote, or let Slipway ask the host what it is: Slipway: Ask CI Host.',
      });
    }
    this.#client = client;
    return client;
  }

  /** Jobs of a run on the screen: followed while it goes on. */
  openRun(id: string): void {
    this.#wanted.add(id);
    if (this.#open.has(id) || this.#stop === undefined) return;
    const stop = new AbortController();
    this.#open.set(id, stop);
    void this.#followRun(id, stop.signal).finally(() => this.#open.delete(id));
  }

  closeRun(id: string): void {
    this.#wanted.delete(id);
    this.#open.get(id)?.abort();
    this.#open.delete(id);
  }

  async loadJobs(id: string, signal: AbortSignal): Promise<readonly CiJob[]> {
    const known = this.#jobs.get(id);
    if (known !== undefined) return known;
    const jobs = await (await this.connected()).jobs(id, signal);
    this.#jobs.set(id, jobs);
    return jobs;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      if (this.#state.kind === 'idle') this.#set({ kind: 'loading' });
      this.#found ??= await this.#parts.find(this.folder);
      const found = this.#found;
      if (found === undefined) return this.#set({ kind: 'no-remote' });
      this.#client ??= await this.#parts.connect(found);
      const client = this.#client;
      if (client === undefined) return this.#set({ kind: 'unknown-host', host: found.remote.host });
      const ci = await this.#parts.load();
      if (signal.aborted) return;
      this.#nudge = new ci.Nudge();
      for (const id of this.#wanted) this.openRun(id);
      const looks = ci.followRunList(this.#parts.system, client, { most: MOST_RUNS }, { nudge: this.#nudge, signal });
      for await (const look of looks) {
        if (signal.aborted) return;
        this.#take(look);
      }
    } catch (error) {
      if (isCancelled(error) || signal.aborted) return;
      const { code = '', message, fix = '' } = toFailure(error);
      if (!SIGN_IN.has(code)) return this.#set({ kind: 'failed', message, fix });
      // How to sign in on a command line helps nobody here: the view has a row for it.
      const isOwnWay = code === 'ci.sign-in' || code === 'ci.token-refused' || this.#client?.credential === NO_TOKEN;
      this.#set({ kind: 'sign-in', message, fix: isOwnWay ? '' : fix });
    }
  }

  #take(look: Look<readonly CiRun[]>): void {
    if (look.state === 'stale') {
      this.#set({ kind: 'ready', staleSince: look.since, why: look.error.message });
      return;
    }
    const before = new Map(this.#runs.map((run) => [run.id, JSON.stringify(run)]));
    this.#runs = look.value;
    // Jobs of a run that went on are old; those on the screen are fetched anew by their own follower.
    for (const run of look.value) {
      if (before.get(run.id) === JSON.stringify(run)) continue;
      if (this.#wanted.has(run.id)) this.openRun(run.id);
      else this.#jobs.delete(run.id);
    }
    this.#set({ kind: 'ready' });
  }

  async #followRun(id: string, signal: AbortSignal): Promise<void> {
    const ci = await this.#parts.load();
    const client = await this.connected();
    try {
      for await (const look of ci.followRun(this.#parts.system, client, id, { signal })) {
        if (signal.aborted) return;
        if (look.state === 'ok') this.#takeRun(look.value);
      }
    } catch (error) {
      // The list says what is wrong with the connection; a run that is gone disappears from it.
      if (!SlipwayError.is(error) && !isCancelled(error)) throw error;
    }
  }

  #takeRun({ run, jobs }: RunWithJobs): void {
    this.#jobs.set(run.id, jobs);
    this.#runs = this.#runs.map((known) => (known.id === run.id ? run : known));
    this.#changed.fire(run.id);
  }

  #set(state: SourceState): void {
    this.#state = state;
    this.#changed.fire(undefined);
  }
}
