import * as vscode from 'vscode';
import type { RunEvent, RunId } from '../../engine/events/index.ts';
import type { PlanRequest, RollbackWay, RunView } from '../../engine/main.ts';
import { HostEndedError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import type { System } from '../../engine/system/index.ts';
import { Emitter, Owner } from '../events.ts';
import { contextKeys, viewIds } from '../ids.ts';
import { duration } from '../words.ts';
import type { Root } from '../workspace.ts';
import type { EngineLoader } from './engineLoader.ts';

interface Active {
  readonly root: Root;
  readonly environment: string | null;
  readonly cancel: AbortController;
  readonly ended: Promise<unknown>;
  run?: RunId;
}

type Engine = Awaited<ReturnType<EngineLoader['engine']>>;

interface AgentRunOptions {
  readonly signal: AbortSignal;
  readonly startedBy: 'editor';
  readonly onEvent: (event: RunEvent) => void;
}

/** Executes runs in this window's extension host through the engine; ends them with the window. */
export class Runner extends Owner {
  readonly #loader: EngineLoader;
  readonly #system: System;
  readonly #log: vscode.LogOutputChannel;
  readonly #active = new Set<Active>();
  readonly #started = this.own(new Emitter<{ readonly root: Root; readonly run: RunId }>());
  readonly #event = this.own(new Emitter<{ readonly root: Root; readonly event: RunEvent }>());
  readonly onDidStart = this.#started.event;
  /** Every event of this window's runs, log lines too. */
  readonly onEvent = this.#event.event;

  constructor(loader: EngineLoader, system: System, log: vscode.LogOutputChannel) {
    super();
    this.#loader = loader;
    this.#system = system;
    this.#log = log;
  }

  /** Runs to the end and gives the view; a failed app is a view, not an exception. */
  run(root: Root, request: PlanRequest, environment: EnvironmentConfig | null): Promise<RunView> {
    return this.#execute(root, environment?.name ?? null, (engine, options) => engine.run({ ...request, ...options }));
  }

  /** The same for a caller that shows the run itself, such as a task's terminal. */
  runQuietly(
    root: Root,
    request: PlanRequest,
    signal: AbortSignal,
    onEvent: (event: RunEvent) => void,
  ): Promise<RunView> {
    return this.#execute(root, request.environment ?? null, (engine, options) =>
      engine.run({
        ...request,
        ...options,
        signal: AbortSignal.any([options.signal, signal]),
        onEvent: (event) => {
          options.onEvent(event);
          onEvent(event);
        },
      }),
    );
  }

  resume(root: Root, run: RunId, environment: string | null): Promise<RunView> {
    return this.#execute(root, environment, (engine, options) => engine.resume({ run, ...options }));
  }

  /** Without `to`, to the last verified version; without `how`, under Flux by the first way that stays. */
  rollBack(
    root: Root,
    environment: string,
    { to, how }: { readonly to: string | undefined; readonly how: RollbackWay | undefined },
  ): Promise<RunView> {
    return this.#execute(root, environment, (engine, options) =>
      engine.rollBack({ environment, ...(to !== undefined && { to }), ...(how !== undefined && { how }), ...options }),
    );
  }

  isRunning(root: Root, environment: string | null): boolean {
    return [...this.#active].some((active) => active.root === root && active.environment === environment);
  }

  /**
   * Cancels a run. One of this window is told directly; one of a terminal gets what Ctrl-C sends. Throws SlipwayError
   * `refused` for a run that belongs to another window or machine.
   */
  cancel(root: Root, view: RunView): void {
    const own = [...this.#active].find((active) => active.run === view.id);
    if (own !== undefined) {
      own.cancel.abort();
      return;
    }
    if (view.host !== this.#system.host) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'cancel.elsewhere',
        message: `Run ${view.id} goes on on ${view.host}, where this window cannot reach it.`,
        fix: `Cancel it on ${view.host}.`,
      });
    }
    // The process of an editor run is a whole extension host: a signal would end everything in that window.
    if (view.startedBy === 'editor') {
      throw new SlipwayError({
        reason: 'refused',
        code: 'cancel.other-window',
        message: `Run ${view.id} was started in another window of VS Code.`,
        fix: 'Cancel it there.',
      });
    }
    this.#log.info(`Interrupting run ${view.id} in ${root.path} (process ${view.pid})`);
    process.kill(view.pid, 'SIGINT');
  }

  /** The window closes: ends all and waits, so that no child process is left behind; the journal says why they ended. */
  async stopAll(): Promise<void> {
    const active = [...this.#active];
    for (const { cancel } of active) cancel.abort(new HostEndedError());
    await Promise.allSettled(active.map(({ ended }) => ended));
    await this.#system.processes.dispose();
  }

  /** Work of an agent's tool, shown like that of a person; it ends with the agent's signal too. */
  perform(
    root: Root,
    environment: string | null,
    work: (engine: Engine, options: AgentRunOptions) => Promise<RunView>,
    { signal, onEvent }: Pick<AgentRunOptions, 'signal' | 'onEvent'>,
  ): Promise<RunView> {
    return this.#execute(root, environment, (engine, options) =>
      work(engine, {
        startedBy: options.startedBy,
        signal: AbortSignal.any([options.signal, signal]),
        onEvent: (event) => {
          options.onEvent(event);
          onEvent(event);
        },
      }),
    );
  }

  async #execute(
    root: Root,
    environment: string | null,
    work: (
      engine: Awaited<ReturnType<EngineLoader['engine']>>,
      options: {
        readonly signal: AbortSignal;
        readonly startedBy: 'editor';
        readonly onEvent: (event: RunEvent) => void;
      },
    ) => Promise<RunView>,
  ): Promise<RunView> {
    const cancel = new AbortController();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const active: Active = { root, environment, cancel, ended };
    this.#active.add(active);
    this.#sayRunning();
    try {
      // Tree, page and status bar tell how it goes: a bar over the view is enough, a notification would tell it again.
      return await vscode.window.withProgress({ location: { viewId: viewIds.pipelines } }, async () => {
        const engine = await this.#loader.engine(root.path);
        return await work(engine, {
          signal: cancel.signal,
          startedBy: 'editor',
          onEvent: (event) => this.#onEvent(active, event),
        });
      });
    } finally {
      this.#active.delete(active);
      if (active.run !== undefined) root.runs.disown(active.run);
      this.#sayRunning();
      end();
    }
  }

  #onEvent(active: Active, event: RunEvent): void {
    const { runs } = active.root;
    const isFirst = active.run === undefined;
    active.run = event.run;
    if (isFirst) {
      // The journal exists from here on.
      void runs.follow().catch((error: unknown) => this.#log.error('Following the journal failed', error as Error));
    }
    runs.apply(event.run, [event]);
    if (isFirst) {
      runs.own(event.run);
      this.#started.fire({ root: active.root, run: event.run });
    }
    this.#event.fire({ root: active.root, event });
    if (event.type === 'run.finished') {
      this.#log.info(`Run ${event.run} ${event.outcome} after ${duration(event.durationMs)}`);
    }
  }

  #sayRunning(): void {
    void vscode.commands.executeCommand('setContext', contextKeys.running, this.#active.size > 0);
  }
}
