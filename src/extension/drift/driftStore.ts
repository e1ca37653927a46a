// Where watched environments differ from the files of the workspace. No vscode here. Compares only what a person watches:
// when it is first seen, when somebody changes what is wanted in the cluster, and when the files change.
import type { Drift } from '../../engine/main.ts';
import { Emitter, Owner } from '../events.ts';
import type { EnvironmentKey, WorkloadStore } from '../workloads/workloadStore.ts';

interface Watched {
  readonly key: EnvironmentKey;
  /** What was wanted in the cluster when it was compared last. */
  wanted: string | undefined;
  drifts: readonly Drift[];
  comparing: AbortController | undefined;
  timer: NodeJS.Timeout | undefined;
}

export interface DriftParts {
  readonly store: WorkloadStore;
  readonly compare: (key: EnvironmentKey, signal: AbortSignal) => Promise<readonly Drift[]>;
  /** A run writes there now: what differs is about to change. */
  readonly isBusy: (key: EnvironmentKey) => boolean;
  readonly onError: (key: EnvironmentKey, error: unknown) => void;
  /** Changes within so long are compared once; half a second unless told. */
  readonly quietMs?: number;
}

export class DriftStore extends Owner {
  readonly #parts: DriftParts;
  readonly #watched = new Map<string, Watched>();
  readonly #changed = this.own(new Emitter<EnvironmentKey>());
  readonly #began = this.own(new Emitter<EnvironmentKey>());
  readonly onDidChange = this.#changed.event;
  /** An environment is compared from now on. */
  readonly onDidWatch = this.#began.event;

  constructor(parts: DriftParts) {
    super();
    this.#parts = parts;
    this.own(parts.store.onDidChange((key) => this.#onLive(key)));
    this.own({
      dispose: () => {
        for (const watched of this.#watched.values()) stop(watched);
      },
    });
  }

  get(key: EnvironmentKey): readonly Drift[] {
    return this.#watched.get(idOf(key))?.drifts ?? [];
  }

  get all(): readonly { readonly key: EnvironmentKey; readonly drifts: readonly Drift[] }[] {
    return [...this.#watched.values()].map(({ key, drifts }) => ({ key, drifts }));
  }

  /** The files of a folder have changed. */
  filesChanged(folder: string): void {
    for (const watched of this.#watched.values()) if (watched.key.folder === folder) this.#compareSoon(watched);
  }

  #onLive(key: EnvironmentKey): void {
    const standing = this.#parts.store.get(key);
    const known = this.#watched.get(idOf(key));
    if (standing.kind === 'closed') {
      if (known === undefined) return;
      stop(known);
      this.#watched.delete(idOf(key));
      if (known.drifts.length > 0) this.#changed.fire(key);
      return;
    }
    if (standing.kind !== 'live') return;
    const watched = known ?? { key, wanted: undefined, drifts: [], comparing: undefined, timer: undefined };
    this.#watched.set(idOf(key), watched);
    if (known === undefined) this.#began.fire(key);
    const wanted = JSON.stringify(
      standing.state.workloads.map(({ ref, generation }) => [ref.kind, ref.name, generation]),
    );
    if (this.#parts.isBusy(key)) {
      watched.wanted = undefined;
      return;
    }
    if (watched.wanted === wanted) return;
    watched.wanted = wanted;
    this.#compareSoon(watched);
  }

  #compareSoon(watched: Watched): void {
    clearTimeout(watched.timer);
    watched.timer = setTimeout(() => void this.#compare(watched), this.#parts.quietMs ?? 500);
    watched.timer.unref();
  }

  async #compare(watched: Watched): Promise<void> {
    watched.comparing?.abort();
    const comparing = new AbortController();
    watched.comparing = comparing;
    const { key } = watched;
    try {
      const drifts = await this.#parts.compare(key, comparing.signal);
      if (comparing.signal.aborted || JSON.stringify(drifts) === JSON.stringify(watched.drifts)) return;
      watched.drifts = drifts;
      this.#changed.fire(key);
    } catch (error) {
      if (comparing.signal.aborted) return;
      // What was said before may no longer be true.
      const hadSome = watched.drifts.length > 0;
      watched.drifts = [];
      if (hadSome) this.#changed.fire(key);
      this.#parts.onError(key, error);
    }
  }
}

function stop(watched: Watched): void {
  clearTimeout(watched.timer);
  watched.comparing?.abort();
}

const idOf = ({ folder, environment }: EnvironmentKey): string => `${folder}#${environment}`;
