import type { RunEvent, RunId, RunView } from '../engine/main.ts';
import type { ActiveRunsLike, RunHost, RunOptions } from './operation.ts';

interface Active {
  readonly cancel: AbortController;
  readonly ended: Promise<RunView>;
}

/**
 * The runs that agents of this host started. A run outlives the request that started it: a client waits as long as it
 * likes and asks again. When the host ends, all are cancelled in order.
 */
export class ActiveRuns implements ActiveRunsLike {
  readonly #host: RunHost;
  readonly #active = new Map<RunId, Active>();
  readonly #starting = new Set<Active>();

  constructor(host: RunHost) {
    this.#host = host;
  }

  /**
   * Starts and waits up to `waitMs`. Gives the view when the run has ended, else the id of the run that goes on. A request
   * that is taken back while it waits cancels the run.
   */
  async start(
    work: (host: RunHost, options: RunOptions) => Promise<RunView>,
    waiting: { readonly waitMs: number; readonly signal: AbortSignal; readonly report: (message: string) => void },
  ): Promise<RunView | { readonly startedRun: RunId }> {
    const cancel = new AbortController();
    const started = Promise.withResolvers<RunId>();
    const titles = new Map<string, string>();
    const onEvent = (event: RunEvent): void => {
      if (event.type === 'run.started') for (const step of event.steps) titles.set(step.id, step.title);
      if (event.type === 'run.started' || event.type === 'run.resumed') started.resolve(event.run);
      if (event.type === 'step.started') waiting.report(titles.get(event.step ?? '') ?? event.step ?? '');
    };
    const ended = work(this.#host, { signal: cancel.signal, onEvent });
    const active: Active = { cancel, ended };
    this.#starting.add(active);
    const onAbort = () => cancel.abort();
    waiting.signal.addEventListener('abort', onAbort, { once: true });
    void started.promise.then((run) => {
      this.#starting.delete(active);
      this.#active.set(run, active);
    });
    const forget = () => {
      this.#starting.delete(active);
      for (const [run, other] of this.#active) if (other === active) this.#active.delete(run);
    };
    ended.then(forget, forget);
    try {
      const first = await Promise.race([ended, after(waiting.waitMs)]);
      if (first !== undefined) return first;
      // Planning may take longer than the wait: without an id there is nothing to answer.
      const run = await Promise.race([started.promise, ended]);
      return typeof run === 'string' ? { startedRun: run } : run;
    } finally {
      waiting.signal.removeEventListener('abort', onAbort);
    }
  }

  /** Until the run has ended, or the time or the caller's patience is over. Runs of others are not waited for. */
  async wait(run: RunId, { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<void> {
    const active = this.#active.get(run);
    if (active === undefined) return;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([active.ended.catch(() => {}), after(waitMs), aborted]);
  }

  has(run: RunId): boolean {
    return this.#active.has(run);
  }

  async cancel(run: RunId): Promise<'cancelled' | 'not-ours'> {
    const active = this.#active.get(run);
    if (active === undefined) return 'not-ours';
    active.cancel.abort();
    await active.ended.catch(() => {});
    return 'cancelled';
  }

  /** Cancels all and waits for their ends. */
  async stop(): Promise<void> {
    const all = [...this.#starting, ...this.#active.values()];
    for (const { cancel } of all) cancel.abort();
    await Promise.allSettled(all.map(({ ended }) => ended));
  }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}
