import { at, type KubeObject, numberOf, refOf, textOf } from '../cluster/object.ts';
import type { CauseView, ObjectRef, PodView, WorkloadView } from '../events/index.ts';
import { isDisrupted, type PodsOf, podsOf } from './attribution.ts';
import type { Candidate } from './causes.ts';
import { crashCandidate, type Exit, exitShown, logQuestion } from './causesCrash.ts';
import { imageCandidate } from './causesImage.ts';
import { creationCandidate, probeCandidate, schedulingCandidate } from './causesPlacement.ts';
import { podEventCandidate, startCandidate } from './causesStart.ts';
import { type Readiness, readinessOf } from './readiness.ts';
import {
  type Baseline,
  conditionOf,
  containersOf,
  eventCount,
  eventTime,
  isPodReady,
  keyOf,
  type Question,
  type Snapshot,
} from './snapshot.ts';

export interface EvaluateOptions {
  /** The new version must stay healthy for so long, ms. */
  readonly stabilityMs: number;
  /** Absolute limit since `startedAt`, ms. */
  readonly timeoutMs?: number;
  /** ms since the epoch. */
  readonly startedAt: number;
}

export interface Verdict {
  readonly state: 'progressing' | 'ready' | 'failed' | 'stalled' | 'superseded';
  readonly message: string;
  readonly causes: readonly CauseView[];
  readonly warnings: readonly CauseView[];
  readonly workloads: readonly WorkloadView[];
  /** What should be asked before the next evaluation. */
  readonly questions: readonly Question[];
  /** Evaluate again then, ms since the epoch, even when nothing changes. */
  readonly wakeAt?: number;
}

/** What must be remembered from one evaluation to the next. Opaque to callers; starts as {@link noMemory}. */
export interface Memory {
  readonly states: ReadonlyMap<string, Sighting>;
  readonly exits: ReadonlyMap<string, readonly Exit[]>;
  readonly pullErrors: ReadonlyMap<string, string>;
  readonly everReady: ReadonlySet<string>;
  readonly milestones: ReadonlySet<string>;
  readonly progressAt: number | undefined;
  readonly templates: ReadonlyMap<string, string>;
  readonly readySince: number | undefined;
}

interface Sighting {
  readonly firstSeen: number;
  /** Separate attempts, told apart by the waiting reason coming back. */
  readonly sights: number;
  readonly reason: string;
}

export const noMemory: Memory = {
  states: new Map(),
  exits: new Map(),
  pullErrors: new Map(),
  everReady: new Set(),
  milestones: new Set(),
  progressAt: undefined,
  templates: new Map(),
  readySince: undefined,
};

/** kube-controller-manager's default for progressDeadlineSeconds; other kinds have none, so it serves for them as well. */
const DEADLINE_MS = 600_000;
/** A workload that was to be applied and is not there at all. */
const ABSENT_MS = 10_000;

/**
 * The verdict over one snapshot. Pure: the same inputs give the same answer, so a recorded rollout can be replayed.
 * Fails early only on proof, that is a state which cannot heal by itself, seen in the new revision; all else waits for
 * the no-progress deadline.
 */
export function evaluate(
  targets: readonly ObjectRef[],
  snapshot: Snapshot,
  baseline: Baseline,
  now: number,
  options: EvaluateOptions,
  memory: Memory,
): { readonly verdict: Verdict; readonly memory: Memory } {
  const evaluation = new Evaluation(snapshot, baseline, now, options, memory);
  const verdict = evaluation.judge(targets);
  return { verdict, memory: evaluation.memory() };
}

interface Judged {
  readonly target: ObjectRef;
  readonly readiness: Readiness;
  readonly pods: PodsOf;
  readonly proven: readonly Candidate[];
  readonly view: WorkloadView;
  readonly isSuperseded: boolean;
  readonly deadlineMs: number;
  readonly hasPassedDeadline: boolean;
}

class Evaluation {
  readonly #snapshot: Snapshot;
  readonly #baseline: Baseline;
  readonly #now: number;
  readonly #options: EvaluateOptions;
  readonly #before: Memory;
  readonly #states = new Map<string, Sighting>();
  readonly #exits: Map<string, readonly Exit[]>;
  readonly #pullErrors: Map<string, string>;
  readonly #everReady: Set<string>;
  readonly #milestones: Set<string>;
  readonly #templates: Map<string, string>;
  readonly #questions = new Map<string, Question>();
  readonly #warnings: CauseView[] = [];
  readonly #wakes: number[] = [];
  #progressAt: number;
  #readySince: number | undefined;

  constructor(snapshot: Snapshot, baseline: Baseline, now: number, options: EvaluateOptions, memory: Memory) {
    this.#snapshot = snapshot;
    this.#baseline = baseline;
    this.#now = now;
    this.#options = options;
    this.#before = memory;
    this.#exits = new Map(memory.exits);
    this.#pullErrors = new Map(memory.pullErrors);
    this.#everReady = new Set(memory.everReady);
    this.#milestones = new Set(memory.milestones);
    this.#templates = new Map(memory.templates);
    this.#progressAt = memory.progressAt ?? options.startedAt;
    this.#readySince = memory.readySince;
  }

  memory(): Memory {
    return {
      states: this.#states,
      exits: this.#exits,
      pullErrors: this.#pullErrors,
      everReady: this.#everReady,
      milestones: this.#milestones,
      progressAt: this.#progressAt,
      templates: this.#templates,
      readySince: this.#readySince,
    };
  }

  judge(targets: readonly ObjectRef[]): Verdict {
    const judged = targets.map((target) => this.#judgeTarget(target));
    const workloads = judged.map(({ view }) => view);
    const answer = (state: Verdict['state'], message: string, causes: readonly CauseView[] = []): Verdict => ({
      state,
      message,
      causes,
      warnings: this.#warnings,
      workloads: workloads.map((view) => mark(view, causes)),
      questions: [...this.#questions.values()],
      ...(this.#wakes.length > 0 && { wakeAt: Math.min(...this.#wakes) }),
    });

    const proven = judged.flatMap(({ proven: found }) => found);
    if (proven.length > 0) {
      const causes = unique(proven).map((candidate) => this.#toView(candidate));
      return answer('failed', causes[0]?.message ?? '', causes);
    }
    const superseded = judged.find(({ isSuperseded }) => isSuperseded);
    if (superseded !== undefined) {
      return answer('superseded', `${label(superseded.target)} was changed by somebody else after this deploy.`);
    }
    const open = judged.filter(({ readiness }) => readiness.state !== 'ready');
    if (open.length === 0) return this.#stable(judged, answer);
    this.#readySince = undefined;

    const passed = open.find(({ hasPassedDeadline }) => hasPassedDeadline);
    const limit = this.#options.timeoutMs;
    const elapsed = this.#now - this.#options.startedAt;
    if (passed !== undefined || (limit !== undefined && elapsed >= limit)) {
      const what = passed ?? open[0];
      const best = this.#warnings[0];
      const why = best === undefined ? 'no cause was found' : best.message;
      const text =
        passed === undefined
          ? `Not ready after the limit of ${Math.round((limit ?? 0) / 1000)} s: ${why}`
          : `No progress for ${Math.round(passed.deadlineMs / 1000)} s: ${why}`;
      return answer('stalled', `${what === undefined ? '' : `${label(what.target)}: `}${text}`, this.#warnings);
    }
    if (limit !== undefined) this.#wakes.push(this.#options.startedAt + limit);
    const first = open[0];
    return answer('progressing', first === undefined ? '' : `${label(first.target)}: ${first.readiness.message}`);
  }

  #stable(judged: readonly Judged[], answer: (state: Verdict['state'], message: string) => Verdict): Verdict {
    this.#readySince ??= this.#now;
    const until = this.#readySince + this.#options.stabilityMs;
    if (this.#now < until) {
      this.#wakes.push(until);
      return answer('progressing', `ready, watching for ${Math.ceil((until - this.#now) / 1000)} s more`);
    }
    const one = judged[0];
    return answer(
      'ready',
      judged.length === 1 && one !== undefined
        ? `${label(one.target)}: ${one.readiness.message}`
        : `all ${judged.length} workloads are ready`,
    );
  }

  #judgeTarget(target: ObjectRef): Judged {
    const workload = this.#snapshot.workloads.find(
      (object) =>
        object.kind === target.kind &&
        object.metadata.name === target.name &&
        object.metadata.namespace === target.namespace,
    );
    if (workload === undefined || workload.metadata.deletionTimestamp !== undefined)
      return this.#judgeAbsent(target, workload);
    const pods = podsOf(workload, this.#snapshot);
    const readiness = readinessOf(workload, pods, this.#snapshot);
    this.#noteProgress(workload, pods, readiness);
    const candidates = this.#candidatesOf(workload, pods, readiness);
    const proven = this.#provenOf(candidates, pods, readiness);
    const deadlineMs = (numberOf(at(workload, 'spec', 'progressDeadlineSeconds')) ?? DEADLINE_MS / 1000) * 1000;
    const hasPassedDeadline =
      readiness.state === 'progressing' &&
      (this.#hasNewDeadline(workload) || this.#now - this.#progressAt >= deadlineMs);
    if (readiness.state === 'progressing') this.#wakes.push(this.#progressAt + deadlineMs);
    return {
      target,
      readiness,
      pods,
      proven,
      view: viewOf(target, workload, pods, readiness),
      isSuperseded: this.#isSuperseded(workload),
      deadlineMs,
      hasPassedDeadline,
    };
  }

  #judgeAbsent(target: ObjectRef, workload: KubeObject | undefined): Judged {
    const readiness: Readiness = {
      state: 'progressing',
      message: 'it does not exist yet',
      desired: 0,
      updated: 0,
      ready: 0,
      available: 0,
    };
    const wasThere = workload !== undefined || this.#milestones.has(`seen ${label(target)}`);
    const since = this.#sight(`absent ${label(target)}`, 'absent').firstSeen;
    const isCertain = wasThere || this.#now - since >= ABSENT_MS;
    if (!isCertain) this.#wakes.push(since + ABSENT_MS);
    const candidate: Candidate = {
      code: 'deleted',
      object: target,
      message: wasThere ? `${label(target)} was deleted during the rollout.` : `${label(target)} does not exist.`,
      fix: 'Deploy again; find out who removes it (another tool, a namespace being deleted).',
      evidence: [],
      proof: { kind: 'now' },
    };
    return {
      target,
      readiness,
      pods: { fresh: [], old: [], isKnown: false },
      proven: isCertain ? [candidate] : [],
      view: {
        ref: target,
        state: 'progressing',
        message: readiness.message,
        desired: 0,
        updated: 0,
        ready: 0,
        available: 0,
        pods: [],
      },
      isSuperseded: false,
      deadlineMs: DEADLINE_MS,
      hasPassedDeadline: false,
    };
  }

  /** Steps forward that were not there before; restarts and repeated events are none. */
  #noteProgress(workload: KubeObject, pods: PodsOf, readiness: Readiness): void {
    const id = label(refOf(workload));
    const reached = [`seen ${id}`];
    for (const field of ['updated', 'ready', 'available'] as const) {
      for (let count = 1; count <= readiness[field]; count += 1) reached.push(`${id} ${field} ${count}`);
    }
    for (const pod of pods.fresh) {
      const uid = pod.metadata.uid ?? pod.metadata.name;
      reached.push(`${uid} created`);
      for (const type of ['PodScheduled', 'Initialized']) {
        if (conditionOf(pod, type)?.status === 'True') reached.push(`${uid} ${type}`);
      }
      for (const container of containersOf(pod)) {
        if (container.running !== undefined) reached.push(`${uid} ${container.name} started`);
        if (container.isInit && container.terminated?.exitCode === 0) reached.push(`${uid} ${container.name} done`);
      }
      if (isPodReady(pod)) this.#everReady.add(uid);
    }
    // Old pods going away is progress as well: with maxSurge 0 it is the first that happens.
    reached.push(`${id} old ${pods.old.length}`);
    const before = this.#milestones.size;
    for (const milestone of reached) this.#milestones.add(milestone);
    if (this.#milestones.size > before) this.#progressAt = this.#now;
  }

  #candidatesOf(
    workload: KubeObject,
    pods: PodsOf,
    readiness: Readiness,
  ): ReadonlyMap<KubeObject, readonly Candidate[]> {
    const found = new Map<KubeObject, readonly Candidate[]>();
    if (readiness.state === 'failed') {
      found.set(workload, [this.#failedCandidate(workload, pods, readiness)]);
      return found;
    }
    if (readiness.state === 'ready') return found;
    const owner = pods.replicaSet ?? workload;
    const creation = creationCandidate(owner, this.#eventsOf(owner));
    if (creation !== undefined && readiness.updated < readiness.desired) found.set(workload, [creation]);
    for (const pod of pods.fresh) {
      if (isPodReady(pod)) continue;
      const candidates = this.#podCandidates(pod);
      if (candidates.length > 0) found.set(pod, candidates);
    }
    return found;
  }

  #podCandidates(pod: KubeObject): readonly Candidate[] {
    const uid = pod.metadata.uid ?? pod.metadata.name;
    const events = this.#eventsOf(pod);
    const found: (Candidate | undefined)[] = [schedulingCandidate(pod, events, this.#snapshot)];
    for (const container of containersOf(pod)) {
      const key = `${uid}/${container.name}`;
      if (container.waiting?.reason === 'ErrImagePull') this.#pullErrors.set(key, container.waiting.message);
      const exits = this.#noteExit(pod, container, key);
      found.push(
        imageCandidate(pod, container, this.#pullErrors.get(key), this.#snapshot) ??
          startCandidate(pod, container, this.#snapshot) ??
          crashCandidate({
            pod,
            container,
            baseRestarts: this.#baseline.restarts[uid]?.[container.name] ?? 0,
            exits,
            snapshot: this.#snapshot,
            probeKills: events.filter(
              (event) =>
                event.reason === 'Killing' &&
                /failed (liveness|startup) probe/i.test(textOf(event.message) ?? '') &&
                (textOf(event.message) ?? '').includes(container.name),
            ),
            wasEverReady: this.#everReady.has(uid),
            now: this.#now,
          }),
      );
    }
    const certain = found.filter((candidate) => candidate !== undefined);
    if (certain.length > 0) return certain;
    const other = podEventCandidate(pod, events, this.#snapshot) ?? probeCandidate(pod, events);
    return other === undefined ? [] : [other];
  }

  /** Adds the end that the container shows now to those remembered, once per run of the container. */
  #noteExit(pod: KubeObject, container: ReturnType<typeof containersOf>[number], key: string): readonly Exit[] {
    const shown = exitShown(container);
    const known = this.#exits.get(key) ?? [];
    const base = this.#baseline.restarts[pod.metadata.uid ?? '']?.[container.name] ?? 0;
    if (shown === undefined) return known;
    const run = shown.isPrevious ? container.restarts - 1 : container.restarts;
    if (run < base || (shown.isPrevious && run < 0)) return known;
    const question = logQuestion(pod, container, run, shown.isPrevious);
    const lines = this.#snapshot.answers.get(keyOf(question))?.lines;
    const exit: Exit = {
      run,
      code: shown.ended.exitCode,
      reason: shown.ended.reason,
      finishedAt: shown.ended.finishedAt,
      ...(lines !== undefined && { lines }),
    };
    const at = known.findIndex((other) => other.run === run);
    // Runs that ended between two looks are counted as well: the restart count proves them.
    const missed = Array.from(
      { length: Math.max(0, run - base - known.length) },
      (_, index) => base + known.length + index,
    )
      .filter((missing) => missing < run && !known.some((other) => other.run === missing))
      .map((missing): Exit => ({ run: missing, code: exit.code, reason: exit.reason, finishedAt: exit.finishedAt }));
    const next = at === -1 ? [...known, ...missed, exit] : known.with(at, { ...known[at], ...exit });
    this.#exits.set(key, next);
    if (lines === undefined) this.#questions.set(keyOf(question), question);
    return next;
  }

  /** Candidates that are proof now. Others become warnings, or wait for their time. */
  #provenOf(
    candidates: ReadonlyMap<KubeObject, readonly Candidate[]>,
    pods: PodsOf,
    readiness: Readiness,
  ): readonly Candidate[] {
    const waiting = pods.fresh.filter((pod) => !isPodReady(pod) && !isDisrupted(pod)).length;
    const freshReady = pods.fresh.length - waiting;
    const provenPods: Candidate[] = [];
    const proven: Candidate[] = [];
    for (const [object, found] of candidates) {
      const isPod = object.kind === 'Pod' && pods.fresh.includes(object);
      for (const candidate of found) {
        for (const question of candidate.ask ?? []) {
          if (!this.#snapshot.answers.has(keyOf(question))) this.#questions.set(keyOf(question), question);
        }
        const isCertain = this.#isCertain(candidate);
        if (isCertain && isPod) provenPods.push(candidate);
        else if (isCertain) proven.push(candidate);
        this.#warn(candidate);
      }
    }
    const podsWithProof = new Set(provenPods.map((candidate) => candidate.object.name)).size;
    if (podsWithProof > 0 && podsWithProof >= Math.min(waiting, 2)) {
      // Some of the new pods serve: what keeps the others down may be their node. Give it time, unless it is hopeless.
      const isPartial =
        freshReady > 0 && readiness.available > 0 && provenPods.every((candidate) => !isAboutImage(candidate));
      const lasts = this.#now - this.#progressAt;
      if (!isPartial || lasts >= PARTIAL_MS) proven.push(...provenPods);
      else this.#wakes.push(this.#progressAt + PARTIAL_MS);
    }
    return proven;
  }

  #isCertain(candidate: Candidate): boolean {
    const sighting = this.#sight(stateKey(candidate), candidate.evidence[0]?.split(':')[0] ?? '');
    if (candidate.proof.kind === 'never') return false;
    if (candidate.proof.kind === 'now') return true;
    const due = sighting.firstSeen + candidate.proof.ms;
    if (this.#now < due) {
      this.#wakes.push(due);
      return false;
    }
    return candidate.proof.sights === undefined || sighting.sights >= candidate.proof.sights;
  }

  #sight(key: string, reason: string): Sighting {
    const known = this.#states.get(key) ?? this.#before.states.get(key);
    const isAgain = known !== undefined && known.reason !== reason && !/BackOff/.test(reason);
    const sighting: Sighting = {
      firstSeen: known?.firstSeen ?? this.#now,
      sights: known === undefined ? 1 : known.sights + (isAgain ? 1 : 0),
      reason,
    };
    this.#states.set(key, sighting);
    return sighting;
  }

  #warn(candidate: Candidate): void {
    const first = this.#states.get(stateKey(candidate))?.firstSeen ?? this.#now;
    const due = first + (candidate.warnAfterMs ?? 0);
    if (this.#now < due) this.#wakes.push(due);
    else if (
      !this.#warnings.some((other) => other.code === candidate.code && other.object.name === candidate.object.name)
    ) {
      this.#warnings.push(this.#toView(candidate));
    }
  }

  #toView(candidate: Candidate): CauseView {
    const first = this.#states.get(stateKey(candidate))?.firstSeen ?? this.#now;
    return {
      code: candidate.code,
      object: candidate.object,
      message: candidate.message,
      fix: candidate.fix,
      evidence: candidate.evidence,
      firstSeen: new Date(first).toISOString(),
      ...(candidate.container !== undefined && { container: candidate.container }),
    };
  }

  #failedCandidate(workload: KubeObject, pods: PodsOf, readiness: Readiness): Candidate {
    const condition = conditionOf(workload, 'Failed') ?? conditionOf(workload, 'FailureTarget');
    const reason = textOf(condition?.reason);
    const failedPod = pods.fresh.findLast((pod) => textOf(at(pod, 'status', 'phase')) === 'Failed');
    const ended =
      failedPod === undefined
        ? undefined
        : containersOf(failedPod).find((container) => container.terminated !== undefined);
    const question =
      failedPod === undefined || ended === undefined ? undefined : logQuestion(failedPod, ended, ended.restarts, false);
    const lines = question === undefined ? [] : (this.#snapshot.answers.get(keyOf(question))?.lines ?? []);
    const words = textOf(condition?.message) ?? readiness.message;
    return {
      code: workload.kind === 'Job' ? 'job' : 'resource.failed',
      object: refOf(workload),
      message: `${label(refOf(workload))} has failed${reason === undefined ? '' : ` (${reason})`}: ${words}${ended?.terminated === undefined ? '' : `; the last pod ended with code ${ended.terminated.exitCode}`}.`,
      fix: workload.kind === 'Job' ? 'See the log of its last pod.' : "See its status and its controller's log.",
      evidence: [words, ...lines.slice(-30)],
      // One more look for the log; it takes milliseconds and makes the report useful.
      proof:
        question !== undefined && !this.#snapshot.answers.has(keyOf(question))
          ? { kind: 'after', ms: 1_500 }
          : { kind: 'now' },
      ...(question !== undefined && { ask: [question] }),
    };
  }

  /** An old ProgressDeadlineExceeded survives a new apply of the same template: only one that is new counts. */
  #hasNewDeadline(workload: KubeObject): boolean {
    const condition = conditionOf(workload, 'Progressing');
    if (condition?.reason !== 'ProgressDeadlineExceeded') return false;
    const before = this.#baseline.workloads[workload.metadata.uid ?? '']?.progressingAt;
    return (textOf(condition.lastUpdateTime) ?? '') !== (before ?? '');
  }

  /** The template is compared, not the generation: an autoscaler changes replicas without touching what runs. */
  #isSuperseded(workload: KubeObject): boolean {
    const uid = workload.metadata.uid ?? workload.metadata.name;
    const template = JSON.stringify(at(workload, 'spec', 'template') ?? null);
    const known = this.#templates.get(uid);
    if (known === undefined) {
      this.#templates.set(uid, template);
      return false;
    }
    return known !== template;
  }

  #eventsOf(object: KubeObject): readonly KubeObject[] {
    const since = this.#options.startedAt - 5_000;
    return this.#snapshot.events.filter((event) => {
      if (at(event, 'involvedObject', 'uid') !== object.metadata.uid) return false;
      const before = this.#baseline.events[event.metadata.uid ?? ''];
      return before === undefined ? eventTime(event) >= since : eventCount(event) > before;
    });
  }
}

const PARTIAL_MS = 120_000;

const isAboutImage = (candidate: Candidate): boolean =>
  ['image.missing', 'image.invalid', 'config.security'].includes(candidate.code);

const stateKey = (candidate: Candidate): string =>
  `${candidate.code} ${candidate.object.kind}/${candidate.object.namespace ?? ''}/${candidate.object.name} ${candidate.container ?? ''}`;

const label = (ref: ObjectRef): string => `${ref.kind} ${ref.name}`;

/** One cause a class: ten pods with the same trouble are one sentence, with the worst evidence first. */
function unique(candidates: readonly Candidate[]): readonly Candidate[] {
  const seen = new Set<string>();
  return candidates.filter(({ code, container, message }) => {
    const key = `${code} ${container ?? ''} ${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function mark(view: WorkloadView, causes: readonly CauseView[]): WorkloadView {
  const isFailed = causes.some(
    (cause) => cause.object.name === view.ref.name || view.pods.some((pod) => pod.name === cause.object.name),
  );
  return isFailed ? { ...view, state: 'failed' } : view;
}

function viewOf(target: ObjectRef, workload: KubeObject, pods: PodsOf, readiness: Readiness): WorkloadView {
  return {
    ref: target,
    state:
      readiness.state === 'ready'
        ? 'ready'
        : readiness.state === 'paused'
          ? 'paused'
          : readiness.state === 'failed'
            ? 'failed'
            : 'progressing',
    message: readiness.message,
    desired: readiness.desired,
    updated: readiness.updated,
    ready: readiness.ready,
    available: readiness.available,
    ...(pods.revision !== undefined && { revision: pods.revision }),
    pods: [...pods.fresh.map((pod) => podView(pod, true)), ...pods.old.map((pod) => podView(pod, false))],
    ...(workload.kind === 'Pod' && { pods: [podView(workload, true)] }),
  };
}

function podView(pod: KubeObject, isNew: boolean): PodView {
  const containers = containersOf(pod);
  const worst =
    containers.find(
      (container) =>
        container.waiting !== undefined &&
        container.waiting.reason !== 'ContainerCreating' &&
        container.waiting.reason !== 'PodInitializing',
    ) ??
    containers.find(
      (container) => container.terminated !== undefined && !(container.isInit && container.terminated.exitCode === 0),
    );
  const reason = worst?.waiting?.reason ?? worst?.terminated?.reason;
  const message = worst?.waiting?.message ?? worst?.terminated?.message;
  const node = textOf(at(pod, 'spec', 'nodeName'));
  const image = containers.find((container) => !container.isInit)?.image;
  return {
    name: pod.metadata.name,
    isNew,
    isReady: isPodReady(pod),
    phase: textOf(at(pod, 'status', 'phase')) ?? 'Unknown',
    restarts: containers.reduce((sum, container) => sum + container.restarts, 0),
    ...(node !== undefined && { node }),
    ...(reason !== undefined && reason !== '' && { reason }),
    ...(message !== undefined && message !== '' && { message }),
    ...(image !== undefined && { image }),
    ...(pod.metadata.creationTimestamp !== undefined && { createdAt: pod.metadata.creationTimestamp }),
  };
}
