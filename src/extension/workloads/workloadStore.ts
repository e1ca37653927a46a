// What runs of each environment that somebody looks at. No vscode here. An environment's cluster is contacted by `open` and
// by nothing else.
import type { LiveState } from '../../engine/main.ts';
import { type Failure, isCancelled, toFailure } from '../../engine/problems/index.ts';
import { type Disposable, Emitter } from '../events.ts';

export type Standing =
  | { readonly kind: 'closed' }
  | { readonly kind: 'opening' }
  | { readonly kind: 'live'; readonly state: LiveState }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Names an environment of a workspace root. */
export interface EnvironmentKey {
  readonly folder: string;
  readonly environment: string;
}

type Watch = (key: EnvironmentKey, onChange: (state: LiveState) => void, signal: AbortSignal) => Promise<void>;

interface Open {
  readonly key: EnvironmentKey;
  readonly stop: AbortController;
  standing: Standing;
  /** Resolves when there is something to show: the first state, or the failure. */
  readonly seen: Promise<void>;
}

const closed: Standing = { kind: 'closed' };

export class WorkloadStore implements Disposable {
  readonly #watch: Watch;
  readonly #open = new Map<string, Open>();
  readonly #changed = new Emitter<EnvironmentKey>();
  readonly onDidChange = this.#changed.event;

  constructor(watch: Watch) {
    this.#watch = watch;
  }

  get(key: EnvironmentKey): Standing {
    return this.#open.get(idOf(key))?.standing ?? closed;
  }

  get openKeys(): readonly EnvironmentKey[] {
    return [...this.#open.values()].map(({ key }) => key);
  }

  /** Contacts the cluster unless it is being followed already; resolves when there is something to show. */
  open(key: EnvironmentKey): Promise<void> {
    const known = this.#open.get(idOf(key));
    if (known !== undefined) return known.seen;
    const stop = new AbortController();
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    const open: Open = { key, stop, standing: { kind: 'opening' }, seen };
    this.#open.set(idOf(key), open);
    const show = (standing: Standing): void => {
      if (stop.signal.aborted) return;
      open.standing = standing;
      resolve();
      this.#changed.fire(key);
    };
    this.#watch(key, (state) => show({ kind: 'live', state }), stop.signal).catch((error: unknown) => {
      if (!isCancelled(error)) show({ kind: 'failed', failure: toFailure(error) });
      resolve();
    });
    return seen;
  }

  close(key: EnvironmentKey): void {
    const open = this.#open.get(idOf(key));
    if (open === undefined) return;
    this.#open.delete(idOf(key));
    open.stop.abort();
    this.#changed.fire(key);
  }

  /** Looks anew: after a deploy the environment may consist of other objects. Does nothing for one that is not open. */
  async reopen(key: EnvironmentKey): Promise<void> {
    const open = this.#open.get(idOf(key));
    if (open === undefined) return;
    open.stop.abort();
    this.#open.delete(idOf(key));
    const before = open.standing;
    const seen = this.open(key);
    const fresh = this.#open.get(idOf(key));
    // What was seen last stays on screen until there is something newer.
    if (fresh?.standing.kind === 'opening' && before.kind === 'live') fresh.standing = before;
    await seen;
  }

  dispose(): void {
    for (const { stop } of this.#open.values()) stop.abort();
    this.#open.clear();
    this.#changed.dispose();
  }
}

const idOf = ({ folder, environment }: EnvironmentKey): string => `${folder}#${environment}`;
