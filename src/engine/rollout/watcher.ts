// Watches a rollout until it is judged: feeds the pure verdict with what changes, finds out what it asks for, and tells
// what it sees.
import { type Cluster, findPodLog, type KubeObject, nameOf } from '../cluster/index.ts';
import type { CauseView, Emit, ObjectRef, VerdictState, WorkloadView } from '../events/index.ts';
import type { Secrets } from '../events/secrets.ts';
import { CancelledError, throwIfCancelled } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import { Answerer } from './answers.ts';
import type { AskRegistry } from './askRegistry.ts';
import { cleanText } from './cleanText.ts';
import { lastWords } from './crashText.ts';
import {
  type Answer,
  type Baseline,
  type EvaluateOptions,
  type Evaluation,
  emptyMemory,
  type Memory,
  questionKey,
  type Snapshot,
} from './snapshot.ts';
import { evaluate } from './verdict.ts';
import { type ContactState, RolloutWatches } from './watches.ts';

export interface RolloutWatchOptions extends Omit<EvaluateOptions, 'targets' | 'phase'> {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly askRegistry: AskRegistry;
  /** Told what is seen: `rollout.progress`, `.warning`, `.contact` and one `.verdict`. */
  readonly emit: Emit;
  /** `applying` for a watch that starts before the write is over; it ends only with a failure. Default `applied`. */
  readonly phase?: EvaluateOptions['phase'];
  readonly secrets?: Secrets;
  /** Ms since the epoch from which `elapsedMs` counts: the start of the deploy. Default the start of the watch. */
  readonly since?: number;
  /** For recording: every snapshot as it was judged. */
  readonly onSnapshot?: (snapshot: Snapshot, now: number) => void;
}

export interface RolloutResult {
  readonly state: VerdictState;
  readonly message: string;
  /** Most telling first; what was proven, or for `stalled` the best guesses. */
  readonly causes: readonly CauseView[];
  readonly warnings: readonly CauseView[];
  readonly workloads: readonly WorkloadView[];
  readonly elapsedMs: number;
}

/** Changes that come within so long are judged together. */
const GATHER_MS = 20;
/** At most five progress events a second. */
const PROGRESS_MS = 200;
/** How long other pods may take to show the same cause before the verdict is given. */
const COLLECT_MS = 500;
const EVIDENCE_MS = 1500;

/**
 * Resolves with the verdict; throws CancelledError when the signal aborts, after telling a `cancelled` verdict. Failures of
 * the app are a result, not an exception.
 */
export async function watchRollout(
  cluster: Cluster,
  targets: readonly ObjectRef[],
  baseline: Baseline,
  options: RolloutWatchOptions,
): Promise<RolloutResult> {
  throwIfCancelled(options.signal);
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const watch = new RolloutWatch(cluster, targets, baseline, options, signal);
  try {
    return await watch.run();
  } finally {
    ending.abort();
  }
}

class RolloutWatch {
  readonly #cluster: Cluster;
  readonly #targets: readonly ObjectRef[];
  readonly #baseline: Baseline;
  readonly #o: RolloutWatchOptions;
  readonly #signal: AbortSignal;
  readonly #watches: RolloutWatches;
  readonly #answerer: Answerer;
  readonly #answers = new Map<string, Answer>();
  readonly #asking = new Set<string>();
  readonly #startedAt: number;
  #memory: Memory;
  #poke: () => void = () => {};
  #isPoked = false;
  #contact: ContactState;
  readonly #warned = new Set<string>();
  #progress = '';
  #progressAt = 0;
  #failedAt: number | undefined;

  constructor(
    cluster: Cluster,
    targets: readonly ObjectRef[],
    baseline: Baseline,
    options: RolloutWatchOptions,
    signal: AbortSignal,
  ) {
    this.#cluster = cluster;
    this.#targets = targets;
    this.#baseline = baseline;
    this.#o = options;
    this.#signal = signal;
    this.#startedAt = options.clock.now();
    this.#memory = emptyMemory(this.#startedAt);
    this.#contact = { state: 'connected', since: this.#startedAt };
    this.#answerer = new Answerer(cluster, options.askRegistry, options.clock, options.secrets);
    this.#watches = new RolloutWatches(cluster, targets, {
      clock: options.clock,
      signal,
      onChange: () => this.#wake(),
    });
  }

  async run(): Promise<RolloutResult> {
    const { clock, signal } = this.#o;
    // A cluster that cannot be reached must not keep the person without a word.
    await Promise.race([this.#watches.ready(), clock.sleep(5000, this.#signal).catch(() => {})]);
    for (;;) {
      if (signal.aborted) return this.#cancelled();
      this.#isPoked = false;
      const began = clock.now();
      const evaluation = this.#judge();
      const costMs = clock.now() - began;
      const verdict = this.#decide(evaluation);
      if (verdict !== undefined) return await this.#finish(verdict, evaluation);
      await this.#sleep(this.#nextWake(evaluation));
      // Thousands of pods take longer to judge: then more changes are judged at once, so that most of the time stays free.
      await clock.sleep(Math.max(GATHER_MS, costMs * 3), this.#signal).catch(() => {});
    }
  }

  #judge(): Evaluation {
    const now = this.#o.clock.now();
    const contact = this.#tellContact(now);
    const snapshot: Snapshot = {
      ...this.#watches.objects(),
      contact: contact.state === 'connected' ? { state: 'connected' } : { state: 'lost', since: contact.since },
      answers: this.#answers,
      memory: this.#memory,
    };
    this.#o.onSnapshot?.(snapshot, now);
    const evaluation = evaluate(snapshot, this.#baseline, now, {
      ...this.#o,
      targets: this.#targets,
      phase: this.#o.phase ?? 'applied',
    });
    this.#memory = evaluation.memory;
    for (const question of evaluation.questions) {
      const key = questionKey(question);
      if (this.#asking.has(key)) continue;
      this.#asking.add(key);
      void this.#answerer
        .answer(question, this.#signal)
        .then((answer) => this.#answers.set(key, answer))
        .catch(() => {})
        .finally(() => {
          this.#asking.delete(key);
          this.#wake();
        });
    }
    this.#tell(evaluation, now);
    return evaluation;
  }

  /** The state to end with, or undefined to go on. */
  #decide(evaluation: Evaluation): VerdictState | undefined {
    if (this.#contact.state === 'lost') return 'unknown';
    switch (evaluation.state) {
      case 'failed': {
        const now = this.#o.clock.now();
        this.#failedAt ??= now;
        // Named at once; the others get a moment so that all that fails is in the report.
        for (const cause of evaluation.causes) this.#warn(cause);
        return evaluation.isCollecting && now - this.#failedAt < COLLECT_MS ? undefined : 'failed';
      }
      case 'ready':
      case 'stalled':
      case 'superseded':
      case 'unknown':
        this.#failedAt = undefined;
        return evaluation.state;
      default:
        // It has healed within the moment.
        this.#failedAt = undefined;
        return undefined;
    }
  }

  #nextWake(evaluation: Evaluation): number | undefined {
    const times = [
      evaluation.wakeAt,
      this.#failedAt === undefined ? undefined : this.#failedAt + COLLECT_MS,
      this.#isProgressHeld ? this.#progressAt + PROGRESS_MS : undefined,
    ].filter((time) => time !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  #wake(): void {
    this.#isPoked = true;
    this.#poke();
  }

  /** Until something changes, or until then. */
  async #sleep(until: number | undefined): Promise<void> {
    if (this.#isPoked) return;
    const { clock } = this.#o;
    const timer = new AbortController();
    const poked = new Promise<void>((resolve) => {
      this.#poke = resolve;
    });
    const stop = new Promise<void>((resolve) => {
      this.#signal.addEventListener('abort', () => resolve(), { once: true, signal: timer.signal });
    });
    const waits: Promise<void>[] = [poked, stop];
    if (until !== undefined) waits.push(clock.sleep(Math.max(0, until - clock.now()), timer.signal).catch(() => {}));
    await Promise.race(waits);
    timer.abort();
  }

  #tellContact(now: number): ContactState {
    const contact = this.#watches.contact();
    if (contact.state !== this.#contact.state) {
      const wasLost = this.#contact.state !== 'connected' && contact.state === 'connected';
      const lostMs = now - this.#contact.since;
      const message = wasLost
        ? `Contact is back after ${(lostMs / 1000).toFixed(1)} s; the rollout was not watched meanwhile.`
        : contact.message;
      this.#o.emit({
        type: 'rollout.contact',
        state: contact.state,
        since: new Date(contact.since).toISOString(),
        ...(message !== undefined && { message }),
      });
      this.#contact = contact;
    }
    return contact;
  }

  #isProgressHeld = false;

  #tell(evaluation: Evaluation, now: number): void {
    for (const warning of evaluation.warnings) this.#warn(warning);
    if (evaluation.workloads.length === 0) return;
    const text = JSON.stringify(evaluation.workloads);
    if (text === this.#progress) return;
    this.#isProgressHeld = now - this.#progressAt < PROGRESS_MS;
    if (this.#isProgressHeld) return;
    this.#progress = text;
    this.#progressAt = now;
    this.#o.emit({ type: 'rollout.progress', workloads: evaluation.workloads });
  }

  /** Each trouble once: the same on many pods, or with a higher count, is not news. */
  #warn(warning: CauseView): void {
    const object =
      warning.object.kind === 'Pod'
        ? warning.object.name.replace(/(-[a-z0-9]{8,10})?-[a-z0-9]{1,5}$/, '')
        : nameOf(warning.object);
    const key = `${warning.code} ${warning.container ?? ''} ${object}`;
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#o.emit({ type: 'rollout.warning', warning });
  }

  async #finish(state: VerdictState, evaluation: Evaluation): Promise<RolloutResult> {
    const causes = await this.#withLogs(evaluation.causes);
    const message =
      state === 'unknown' && this.#contact.state === 'lost'
        ? `The rollout cannot be watched: ${this.#contact.message ?? 'contact with the cluster is lost'}`
        : evaluation.message;
    return this.#tellVerdict({
      state,
      message,
      causes,
      warnings: evaluation.warnings,
      workloads: evaluation.workloads,
      elapsedMs: this.#o.clock.now() - (this.#o.since ?? this.#startedAt),
    });
  }

  #tellVerdict(verdict: RolloutResult): RolloutResult {
    this.#o.emit({
      type: 'rollout.verdict',
      state: verdict.state,
      message: verdict.message,
      causes: verdict.causes,
      elapsedMs: verdict.elapsedMs,
      workloads: verdict.workloads,
    });
    return verdict;
  }

  #cancelled(): never {
    this.#tellVerdict({
      state: 'cancelled',
      message: 'The watch was cancelled; the rollout goes on in the cluster.',
      causes: [],
      warnings: [],
      workloads: [],
      elapsedMs: this.#o.clock.now() - (this.#o.since ?? this.#startedAt),
    });
    throw new CancelledError();
  }

  /** The last lines of what the failing containers wrote, where the cause does not hold them yet. */
  async #withLogs(causes: readonly CauseView[]): Promise<readonly CauseView[]> {
    const limited = AbortSignal.any([this.#signal, AbortSignal.timeout(EVIDENCE_MS)]);
    return Promise.all(
      causes.map(async (cause) => {
        if (!WITH_LOG.test(cause.code)) return cause;
        const lines = await this.#logOf(cause, limited).catch(() => []);
        return lines.length === 0 ? cause : { ...cause, evidence: [...cause.evidence, ...lines] };
      }),
    );
  }

  async #logOf(cause: CauseView, signal: AbortSignal): Promise<readonly string[]> {
    const pod =
      cause.object.kind === 'Pod'
        ? { name: cause.object.name, namespace: cause.object.namespace ?? '' }
        : this.#podOf(cause.object);
    if (pod === undefined) return [];
    const query = {
      namespace: pod.namespace,
      pod: pod.name,
      ...(cause.container !== undefined && { container: cause.container }),
      tail: 30,
    };
    const text =
      (await findPodLog(this.#cluster, query, signal)) ??
      (await findPodLog(this.#cluster, { ...query, isPrevious: true }, signal));
    return lastWords(text ?? '').map(cleanText);
  }

  /** The newest pod of a Job or other owner. */
  #podOf(owner: ObjectRef): { readonly name: string; readonly namespace: string } | undefined {
    const { pods } = this.#watches.objects();
    const owned = pods.filter((pod) =>
      pod.metadata.ownerReferences?.some((reference) => reference.kind === owner.kind && reference.name === owner.name),
    );
    const born = (pod: KubeObject): string => pod.metadata.creationTimestamp ?? '';
    const [newest] = [...owned].sort((a, b) => (born(a) < born(b) ? 1 : -1));
    return newest === undefined
      ? undefined
      : { name: newest.metadata.name, namespace: newest.metadata.namespace ?? '' };
  }
}

/** Causes whose evidence does not hold the log already. */
const WITH_LOG = /^(probe\.|init\.|job$|gate$|failed$)/;
