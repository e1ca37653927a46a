import type { EventBody, Outputs, RunEvent, RunId, StepId } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import type { Plan, PlannedStep, StepContext, StepKind } from '../plan/step.ts';
import {
  CancelledError,
  exitCodeOf,
  type Failure,
  isCancelled,
  isHostEnded,
  SlipwayError,
  toFailure,
} from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { HeldLease } from './clusterLease.ts';
import { JournalWriter, newRunId, prepareFolder } from './journal.ts';
import { takeLock } from './lock.ts';
import { opening } from './opening.ts';
import { project, type RunView } from './projection.ts';
import { writeRecord } from './records.ts';

/** What undoes a deploy after a failed rollout or smoke test. Emits rollback.* events and throws when it could not. */
export type Rollback = (plan: Plan, why: Failure, context: Omit<StepContext, 'step'>) => Promise<boolean>;

/** Called after a run that deployed has succeeded, before its end is journalled. A failure of it is a warning. */
export type AfterRun = (plan: Plan, context: Omit<StepContext, 'step'>) => Promise<void>;

/** Collects what a person would look at after a failed deploy. A failure of it is a warning. */
export type Diagnose = (plan: Plan, why: Failure, context: Omit<StepContext, 'step'>) => Promise<void>;

export interface RunOptions {
  readonly system: System;
  readonly plan: Plan;
  readonly kinds: ReadonlyMap<string, StepKind>;
  readonly secrets: Secrets;
  readonly startedBy: 'cli' | 'editor' | 'agent' | 'ci' | 'test';
  readonly signal: AbortSignal;
  readonly rollback?: Rollback;
  readonly recordVerified?: AfterRun;
  readonly diagnose?: Diagnose;
  /** Takes the lock in the cluster just before the first step that writes there. */
  readonly lease?: (plan: Plan, context: Omit<StepContext, 'step'>) => Promise<HeldLease | undefined>;
  readonly onEvent?: (event: RunEvent) => void;
  /** Steps at the same time. Default 4: builds and scans wait for the daemon more than for us. */
  readonly parallel?: number;
  /** What earlier runs left, for a run of single stages (`--only smoke`). */
  readonly records?: ReadonlyMap<StepId, { readonly outputs: Outputs }>;
  /** Go on with a run that ended early: its finished steps are kept. */
  readonly resume?: { readonly run: RunId; readonly events: readonly RunEvent[] };
}

/**
 * Runs a plan and journals it. A failing step stops what does not depend on its outcome any more; a failed rollout or
 * smoke test is rolled back when the environment says so. Returns the run as the views show it; throws only when the
 * journal or the lock cannot be had.
 */
export async function executeRun(options: RunOptions): Promise<RunView> {
  const { system, plan } = options;
  const run = options.resume?.run ?? newRunId(system.clock);
  await prepareFolder(system.files, plan.root);
  const lock = plan.environment === null ? undefined : await takeLock(system, plan.root, plan.environment.name, run);
  const events: RunEvent[] = [...(options.resume?.events ?? [])];
  const journal = new JournalWriter({
    system,
    root: plan.root,
    run,
    secrets: options.secrets,
    ...(options.resume !== undefined && { after: options.resume.events }),
    onEvent: (event) => {
      if (event.type !== 'log') events.push(event);
      options.onEvent?.(event);
    },
  });
  try {
    await new Execution(options, journal, events).perform();
  } finally {
    journal.close();
    await lock?.release();
  }
  const view = project(events);
  if (view === undefined) throw new SlipwayError({ reason: 'internal', message: `Run ${run} has no beginning.` });
  return view;
}

/** How long a rollback waits for the diagnosis; what is written later is of the time after it. */
const DIAGNOSE_FIRST_MS = 1_000;

/** Steps that write to a cluster. */
const WRITING: ReadonlySet<string> = new Set(['deploy', 'rollback']);

/** Why a step that has not begun is known to fail: no time and no other step will mend it, as it will a server that is down. */
const isCertain = ({ reason, code }: SlipwayError): boolean =>
  ['tool-missing', 'config', 'refused'].includes(reason) || code?.startsWith('kubeconfig.') === true;

class Execution {
  readonly #options: RunOptions;
  readonly #journal: JournalWriter;
  readonly #before: RunView | undefined;
  readonly #finished = new Map<StepId, Outputs>();
  readonly #kept = new Set<StepId>();
  readonly #running = new Map<StepId, Promise<void>>();
  readonly #waiting = new Set<PlannedStep>();
  /** Aborts the steps that run when one has failed; the person's own cancel aborts it as well. */
  readonly #stop = new AbortController();
  #lease: Promise<HeldLease | undefined> | undefined;
  /** What must be over before the run is. */
  readonly #loose: Promise<void>[] = [];
  readonly #prepared: Promise<(() => Promise<void>) | undefined>[] = [];
  #failure: { readonly step: PlannedStep; readonly failure: Failure } | undefined;

  constructor(options: RunOptions, journal: JournalWriter, events: readonly RunEvent[]) {
    this.#options = options;
    this.#journal = journal;
    this.#before = project(events);
  }

  async perform(): Promise<void> {
    const { signal, system } = this.#options;
    const started = system.clock.now();
    const onAbort = () => this.#stop.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    this.#journal.append(opening(this.#options, this.#before));
    this.#sortSteps();
    const running = this.#runSteps();
    // After the first steps have begun: what is loaded for later ones must not make them wait.
    this.#prepare();
    await running;
    let isRolledBack = false;
    let cancelled = signal.aborted;
    if (this.#failure !== undefined && !cancelled) {
      const { step, failure } = this.#failure;
      const diagnosing = this.#diagnose(step, failure);
      try {
        // A rollback removes the pods whose logs say what was wrong, so it waits for these, but not for long.
        await Promise.race([diagnosing, system.clock.sleep(DIAGNOSE_FIRST_MS, signal)]);
        isRolledBack = await this.#rollBack(step, failure);
      } catch (error) {
        if (!isCancelled(error)) throw error;
        cancelled = true;
      }
      await diagnosing;
    }
    if (this.#failure === undefined && !cancelled) await this.#recordVerified();
    await this.#cleanUp();
    await (await this.#lease?.catch(() => undefined))?.release();
    signal.removeEventListener('abort', onAbort);
    const failure = this.#failure?.failure;
    this.#journal.append({
      type: 'run.finished',
      outcome: cancelled ? 'cancelled' : failure === undefined ? 'succeeded' : 'failed',
      exitCode: cancelled ? 130 : failure === undefined ? 0 : exitCodeOf(failure),
      durationMs: system.clock.now() - started,
      ...(!cancelled && failure !== undefined && { failure }),
      ...(isRolledBack && { rolledBack: true }),
      ...(cancelled && isHostEnded(signal.reason) && { hostEnded: true }),
    });
  }

  /** Never rejects. */
  async #diagnose(step: PlannedStep, failure: Failure): Promise<void> {
    const { plan, diagnose, signal } = this.#options;
    if (diagnose === undefined || !['deploy', 'rollout', 'smoke'].includes(step.kind)) return;
    try {
      await diagnose(plan, failure, this.#sharedContext(step.id, signal));
    } catch (error) {
      if (isCancelled(error)) return;
      const text = `No diagnosis could be made: ${toFailure(error).message}\n`;
      this.#journal.append({ type: 'log', stream: 'err', text }, step.id);
    }
  }

  async #recordVerified(): Promise<void> {
    const { plan, recordVerified, signal } = this.#options;
    const deploy = plan.steps.find((step) => step.kind === 'deploy');
    if (recordVerified === undefined || deploy === undefined || !this.#finished.has(deploy.id)) return;
    try {
      await recordVerified(plan, this.#sharedContext(deploy.id, signal));
    } catch (error) {
      if (isCancelled(error)) return;
      const { message } = toFailure(error);
      this.#journal.append(
        { type: 'log', stream: 'err', text: `The version could not be marked as verified: ${message}\n` },
        deploy.id,
      );
    }
  }

  /** Never waited for: what fails here fails again, with its words, in the step itself, unless it is certain now. */
  #prepare(): void {
    const { plan, kinds, system, secrets } = this.#options;
    const context = { system, secrets, signal: this.#stop.signal, folder: this.#journal.folder };
    const isAhead = (step: PlannedStep) => step.decision.action === 'run' && step.needs.length > 0;
    const firsts = new Map(
      plan.steps
        .filter(isAhead)
        .map((step) => [step.kind, step] as const)
        .reverse(),
    );
    for (const [kind, step] of firsts) {
      const preparing = kinds.get(kind)?.prepare?.(step.spec, context);
      if (preparing === undefined) continue;
      this.#prepared.push(
        preparing.catch((error: unknown) => {
          this.#failAhead(step, error);
          return undefined;
        }),
      );
    }
  }

  /** Ends the run now that a later step is sure to fail, and not after the minutes that those before it take. */
  #failAhead(step: PlannedStep, error: unknown): void {
    if (!SlipwayError.is(error) || !isCertain(error) || step.isOptional === true) return;
    if (this.#stop.signal.aborted || this.#followsCommand(step) || !this.#waiting.delete(step)) return;
    const failure = toFailure(error);
    this.#journal.append({ type: 'step.started', key: step.key, attempt: 1 }, step.id);
    this.#journal.append({ type: 'step.finished', outcome: 'failed', durationMs: 0, failure }, step.id);
    this.#failure = { step, failure };
    this.#stop.abort();
  }

  /** A command of the person's own may install the tool, or write the kubeconfig, that is missing now. */
  #followsCommand(step: PlannedStep): boolean {
    const { steps } = this.#options.plan;
    return step.needs.some((need) => {
      const before = steps.find(({ id }) => id === need);
      return before !== undefined && (before.kind === 'command' || this.#followsCommand(before));
    });
  }

  async #cleanUp(): Promise<void> {
    const ends = await Promise.all(this.#prepared);
    await Promise.allSettled([...ends.map((end) => end?.()), ...this.#loose]);
  }

  /** What an earlier try of this run has finished, and what is left. */
  #sortSteps(): void {
    for (const step of this.#options.plan.steps) {
      const earlier = this.#before?.steps.find((other) => other.id === step.id);
      if (earlier?.outputs !== undefined && (earlier.state === 'succeeded' || earlier.state === 'skipped')) {
        this.#finished.set(step.id, earlier.outputs);
        this.#kept.add(step.id);
      } else this.#waiting.add(step);
    }
  }

  async #runSteps(): Promise<void> {
    const parallel = this.#options.parallel ?? 4;
    while (!this.#stop.signal.aborted) {
      for (const step of this.#waiting) {
        if (this.#running.size >= parallel) break;
        if (!step.needs.every((need) => this.#finished.has(need))) continue;
        this.#waiting.delete(step);
        this.#running.set(
          step.id,
          this.#runStep(step).finally(() => this.#running.delete(step.id)),
        );
      }
      if (this.#running.size === 0) break;
      await Promise.race(this.#running.values());
    }
    await Promise.all(this.#running.values());
    const why = this.#options.signal.aborted
      ? 'the run was cancelled'
      : this.#failure === undefined
        ? 'a step it needs did not finish'
        : `${this.#failure.step.title} failed`;
    const rest = [...this.#waiting];
    this.#waiting.clear();
    for (const step of rest) {
      this.#journal.append(
        { type: 'step.finished', outcome: 'cancelled', durationMs: 0, message: `Not started: ${why}.` },
        step.id,
      );
    }
  }

  async #runStep(step: PlannedStep): Promise<void> {
    const { system, plan, kinds } = this.#options;
    const emit = (body: EventBody) => void this.#journal.append(body, step.id);
    const started = system.clock.now();
    const elapsed = () => system.clock.now() - started;
    try {
      const kind = kinds.get(step.kind);
      if (kind === undefined) {
        throw new SlipwayError({ reason: 'internal', message: `No step kind ${step.kind} is registered.` });
      }
      const context = this.#contextOf(step);
      if (step.decision.action === 'skip' && step.outputs !== undefined) {
        if (kind.holds === undefined || (await kind.holds(step.spec, step.outputs, context))) {
          this.#finished.set(step.id, step.outputs);
          emit({
            type: 'step.finished',
            outcome: 'skipped',
            durationMs: elapsed(),
            message: step.decision.why,
            outputs: step.outputs,
          });
          return;
        }
      }
      const attempt = this.#before?.steps.find((other) => other.id === step.id)?.startedAt === undefined ? 1 : 2;
      emit({ type: 'step.started', key: step.key, attempt });
      if (WRITING.has(step.kind)) {
        this.#lease ??= this.#options.lease?.(plan, context);
        await this.#lease;
      }
      const outputs = await kind.run(step.spec, context);
      await writeRecord(system.files, plan.root, {
        step: step.id,
        // A step without a key never counts as unchanged; its outputs serve later runs of single stages.
        key: step.key ?? '',
        outputs: this.#options.secrets.maskAll(outputs),
        inputs: step.inputs,
        run: this.#journal.run,
        finishedAt: new Date(system.clock.now()).toISOString(),
      });
      emit({ type: 'step.finished', outcome: 'succeeded', durationMs: elapsed(), outputs });
      // Last, as what waits for it may be started by the end of another step: never before the journal has this end.
      this.#finished.set(step.id, outputs);
    } catch (error) {
      if (isCancelled(error) || (this.#stop.signal.aborted && this.#options.signal.aborted)) {
        emit({ type: 'step.finished', outcome: 'cancelled', durationMs: elapsed() });
        return;
      }
      const failure = toFailure(error);
      emit({ type: 'step.finished', outcome: 'failed', durationMs: elapsed(), failure });
      if (step.isOptional === true) {
        this.#finished.set(step.id, {});
        return;
      }
      // The first failure names the run; those it pulls down with it are consequences.
      this.#failure ??= { step, failure };
      this.#stop.abort();
    }
  }

  #contextOf(step: PlannedStep): StepContext {
    const unfinished = this.#before?.steps.find((other) => other.id === step.id)?.intent;
    return {
      ...this.#sharedContext(step.id, this.#stop.signal),
      step,
      kept: this.#kept,
      ...(unfinished !== undefined && { unfinished }),
    };
  }

  #sharedContext(step: StepId, signal: AbortSignal): Omit<StepContext, 'step'> {
    const { system, plan, secrets } = this.#options;
    return {
      system,
      root: plan.root,
      folder: this.#journal.folder,
      emit: (body) => void this.#journal.append(body, step),
      secrets,
      signal,
      later: (work) => void this.#loose.push(work),
      outputs: <T extends Outputs>(id: StepId): T => {
        const outputs = this.#finished.get(id) ?? this.#options.records?.get(id)?.outputs;
        if (outputs === undefined) {
          throw new SlipwayError({ reason: 'internal', message: `${step} asks for ${id}, which has not finished.` });
        }
        return outputs as T;
      },
    };
  }

  /** After a failed deploy, rollout or smoke test; a cancelled run is left as it is, as the person may want to look. */
  async #rollBack(step: PlannedStep, failure: Failure): Promise<boolean> {
    const { plan, rollback, signal, system } = this.#options;
    const environment = plan.environment;
    if (environment === null || rollback === undefined || !environment.rollout.rollback) return false;
    const hasDeployed = [...this.#finished.keys()].some((id) => id.startsWith('deploy:'));
    if (!hasDeployed || (step.kind !== 'rollout' && step.kind !== 'smoke')) return false;
    const id = `rollback:${environment.name}`;
    const started = system.clock.now();
    this.#journal.append({ type: 'step.started', key: null, attempt: 1 }, id);
    try {
      const isRestored = await rollback(plan, failure, this.#sharedContext(id, signal));
      this.#journal.append(
        {
          type: 'step.finished',
          outcome: isRestored ? 'succeeded' : 'skipped',
          durationMs: system.clock.now() - started,
        },
        id,
      );
      return isRestored;
    } catch (error) {
      const isAborted = isCancelled(error) || signal.aborted;
      this.#journal.append(
        {
          type: 'step.finished',
          outcome: isAborted ? 'cancelled' : 'failed',
          durationMs: system.clock.now() - started,
          ...(!isAborted && { failure: toFailure(error) }),
        },
        id,
      );
      if (isAborted) throw new CancelledError();
      return false;
    }
  }
}
