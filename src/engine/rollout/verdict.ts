// The judgement: a pure function of what is seen, what was there before and what has been observed so far.
import { at, type KubeObject, nameOf, numberOf } from '../cluster/object.ts';
import type { CauseView, WorkloadView } from '../events/index.ts';
import { type Attributed, eventsOf, type Index, indexSnapshot } from './attribution.ts';
import type { Scene } from './causes.ts';
import { findCauses } from './causesAll.ts';
import { Draft } from './memory.ts';
import { conditionOf } from './readiness.ts';
import {
  type Answer,
  type Baseline,
  type EvaluateOptions,
  type Evaluation,
  type Question,
  questionKey,
  type RolloutState,
  type Snapshot,
} from './snapshot.ts';
import { causeView, fatalFindings, rank, undecided, visible, Wakes } from './verdictFindings.ts';
import { hasMoved, type Looked, look } from './verdictLook.ts';
import { podView } from './verdictViews.ts';

const STABLE_MS = 10_000;
const NO_PROGRESS_MS = 600_000;

/** Judges all targets together. Asks nothing itself: questions are part of the result. */
export function evaluate(snapshot: Snapshot, baseline: Baseline, now: number, options: EvaluateOptions): Evaluation {
  if (snapshot.contact.state === 'lost') return whileLost(snapshot, now, options, snapshot.contact.since);
  const shift = snapshot.memory.lostAt === undefined ? 0 : Math.max(0, now - snapshot.memory.lostAt);
  const draft = new Draft(snapshot.memory, now, shift);
  const index = indexSnapshot(snapshot, baseline);
  const clock = new Wakes(now);
  const questions = new Map<string, Question>();
  const looked = options.targets.map((ref) => look(ref, snapshot, index, baseline, draft, now, options));
  const judged = looked.map((one) =>
    judge(one, looked, { snapshot, index, baseline, draft, now, options, questions, clock }),
  );
  return summarise(judged, { draft, now, options, clock, questions, startedAt: snapshot.memory.startedAt });
}

function whileLost(snapshot: Snapshot, now: number, options: EvaluateOptions, since: number): Evaluation {
  const limit = Math.min(
    since + (options.noProgressMs ?? NO_PROGRESS_MS),
    options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : snapshot.memory.startedAt + options.timeoutMs,
  );
  const isOver = now >= limit;
  const seconds = Math.round((now - since) / 1000);
  return {
    state: isOver ? 'unknown' : 'progressing',
    message: `Contact with the cluster has been lost for ${seconds} s; whether the rollout succeeded is not known.`,
    causes: [],
    warnings: [],
    workloads: [],
    isCollecting: false,
    ...(!isOver && { wakeAt: limit }),
    questions: [],
    memory: { ...snapshot.memory, lostAt: snapshot.memory.lostAt ?? since },
  };
}

interface Around {
  readonly snapshot: Snapshot;
  readonly index: Index;
  readonly baseline: Baseline;
  readonly draft: Draft;
  readonly now: number;
  readonly options: EvaluateOptions;
  readonly questions: Map<string, Question>;
  readonly clock: Wakes;
}

interface Judged {
  readonly target: Attributed;
  readonly state: RolloutState;
  readonly causes: readonly CauseView[];
  readonly warnings: readonly CauseView[];
  readonly view: WorkloadView;
  readonly readySince: number | undefined;
  readonly isCollecting: boolean;
}

function judge(one: Looked, all: readonly Looked[], around: Around): Judged {
  const { target, mark } = one;
  const { now, options, draft, clock } = around;
  const { object } = target;
  if (object === undefined || one.standing === undefined) return judgeAbsent(one, around);
  const at0 = { ...target, object };
  const scene: Scene = {
    now,
    snapshot: around.snapshot,
    index: around.index,
    baseline: around.baseline,
    options,
    target: at0,
    standing: one.standing,
    draft,
    isOthersProgressing: all.some((other) => other !== one && isProgressing(other, now)),
    isJobRunning: around.snapshot.jobs.some((job) => isJobRunning(job) && job.metadata.uid !== object.metadata.uid),
    progressAt: mark.progressAt,
    events: eventsOf(around.index, target.uids),
    ask: (question, freshMs = Number.POSITIVE_INFINITY) => {
      const key = questionKey(question);
      const answer = around.snapshot.answers.get(key);
      // An answer that is too old decides nothing: what was missing may be there by now.
      if (answer !== undefined && now - answer.at <= freshMs)
        return answer as Extract<Answer, { readonly kind: typeof question.kind }>;
      around.questions.set(key, question);
      return undefined;
    },
  };
  const isOurs = options.phase === 'applied' || hasMoved(target);
  const findings = isOurs ? findCauses(scene, one.containers) : [];
  const view = (state: WorkloadView['state'], message: string): WorkloadView => ({
    ref: target.ref,
    state,
    message,
    desired: one.standing?.desired ?? 0,
    updated: one.standing?.updated ?? 0,
    ready: one.standing?.ready ?? 0,
    available: one.standing?.available ?? 0,
    ...(target.revision !== undefined && { revision: target.revision }),
    pods: [...target.newPods.map((pod) => podView(pod, true)), ...target.oldPods.map((pod) => podView(pod, false))],
  });
  const base = { target, readySince: mark.readySince, isCollecting: false };
  if (object.metadata.deletionTimestamp !== undefined)
    return { ...base, ...deletedBy(target, now), view: view('failed', 'It is being deleted.') };
  if (mark.template !== undefined && mark.template !== target.template && object.kind !== 'Job') {
    const message = `${nameOf(target.ref)} was changed by somebody else after this deploy${target.revision === undefined ? '' : `: revision ${target.revision}`}.`;
    return { ...base, state: 'superseded', causes: [], warnings: [], view: view('unknown', message) };
  }
  if (one.standing.state === 'ready') {
    const warnings = visible(findings, now, clock).map((finding) => causeView(finding, now));
    return { ...base, state: 'ready', causes: [], warnings, view: view('ready', one.standing.message) };
  }
  const fatal = fatalFindings(findings, one, now, clock);
  for (const finding of findings) clock.add(finding.dueAt);
  const warnings = visible(
    findings.filter((finding) => !fatal.includes(finding)),
    now,
    clock,
  ).map((finding) => causeView(finding, now));
  if (fatal.length > 0) {
    const causes = rank(fatal, findings).map((finding) => causeView(finding, now));
    return {
      ...base,
      state: 'failed',
      causes,
      warnings,
      isCollecting: undecided(one, findings),
      view: view('failed', causes[0]?.message ?? one.standing.message),
    };
  }
  if (one.standing.state === 'paused')
    return { ...base, state: 'paused', causes: [], warnings, view: view('paused', one.standing.message) };
  const limit = mark.progressAt + deadlineMs(object, options);
  if (isOurs) clock.add(limit);
  if (isOurs && now >= limit) {
    const guesses = [...findings]
      .sort((a, b) => a.firstSeen - b.firstSeen)
      .slice(0, 3)
      .map((finding) => causeView(finding, now));
    const message = `No progress for ${Math.round((now - mark.progressAt) / 1000)} s: ${one.standing.message}`;
    return { ...base, state: 'stalled', causes: guesses, warnings, view: view('failed', message) };
  }
  return { ...base, state: 'progressing', causes: [], warnings, view: view('progressing', one.standing.message) };
}

function judgeAbsent({ target, mark }: Looked, { now, options, clock }: Around): Judged {
  const base = { target, warnings: [], readySince: undefined, isCollecting: false };
  const view = (state: WorkloadView['state'], message: string): WorkloadView => ({
    ref: target.ref,
    state,
    message,
    desired: 0,
    updated: 0,
    ready: 0,
    available: 0,
    pods: [],
  });
  // A Job with ttlSecondsAfterFinished goes away by itself, and nothing else removes it this quietly.
  if (mark.wasSeen && target.ref.kind === 'Job' && mark.everReady)
    return {
      ...base,
      state: 'ready',
      causes: [],
      readySince: mark.readySince ?? now,
      view: view('ready', 'The Job is complete and was removed.'),
    };
  if (mark.wasSeen) return { ...base, ...deletedBy(target, now), view: view('failed', 'It was deleted.') };
  if (options.phase === 'applying')
    return { ...base, state: 'progressing', causes: [], view: view('progressing', 'It has not been created yet.') };
  // Watches lag behind the write; a moment later it is there.
  const limit = mark.progressAt + 30_000;
  clock.add(limit);
  return now >= limit
    ? { ...base, ...deletedBy(target, now), view: view('failed', 'It does not exist.') }
    : { ...base, state: 'progressing', causes: [], view: view('progressing', 'It is not visible yet.') };
}

function deletedBy(target: Attributed, now: number): Pick<Judged, 'state' | 'causes' | 'warnings'> {
  const time = new Date(now).toISOString();
  return {
    state: 'failed',
    causes: [
      {
        code: 'deleted',
        object: target.ref,
        message: `${nameOf(target.ref)} was deleted while it was rolled out.`,
        fix: 'Find out who deletes it (another tool, a clean-up job), then deploy again.',
        evidence: [],
        firstSeen: time,
        namedAt: time,
      },
    ],
    warnings: [],
  };
}

const isJobRunning = (job: KubeObject): boolean =>
  conditionOf(job, 'Complete')?.status !== 'True' &&
  conditionOf(job, 'Failed')?.status !== 'True' &&
  (numberOf(at(job, 'status', 'active')) ?? 0) > 0;

/** On its way up, and came further within the last minute and a half: others may be waiting for it. */
const isProgressing = (one: Looked, now: number): boolean =>
  one.standing?.state === 'progressing' && now - one.mark.progressAt < 90_000;

function deadlineMs(object: KubeObject, options: EvaluateOptions): number {
  const own = object.kind === 'Deployment' ? numberOf(at(object, 'spec', 'progressDeadlineSeconds')) : undefined;
  if (own === undefined) return options.noProgressMs ?? NO_PROGRESS_MS;
  // The controller's own deadline comes first, so that its word is in the report. The API server sets it to 600 s where
  // nobody does, so a limit that was asked for counts as well.
  return Math.min(own * 1000 + 5000, options.noProgressMs ?? Number.POSITIVE_INFINITY);
}

interface Frame {
  readonly draft: Draft;
  readonly now: number;
  readonly options: EvaluateOptions;
  readonly clock: Wakes;
  readonly questions: ReadonlyMap<string, Question>;
  readonly startedAt: number;
}

function summarise(judged: readonly Judged[], frame: Frame): Evaluation {
  const { now, options, clock } = frame;
  const of = (state: RolloutState): readonly Judged[] => judged.filter((one) => one.state === state);
  const result = (state: RolloutState, message: string, from: readonly Judged[] = []): Evaluation => ({
    state,
    message,
    causes: from.flatMap(({ causes }) => causes),
    warnings: judged.flatMap(({ warnings }) => warnings),
    workloads: judged.map(({ view }) => view),
    isCollecting: from.some(({ isCollecting }) => isCollecting),
    ...(clock.at !== undefined && { wakeAt: clock.at }),
    questions: [...frame.questions.values()],
    memory: frame.draft.finish(),
  });
  const failed = of('failed');
  if (failed.length > 0) return result('failed', failed[0]?.causes[0]?.message ?? 'The rollout failed.', failed);
  const superseded = of('superseded');
  if (superseded[0] !== undefined) return result('superseded', superseded[0].view.message);
  if (judged.every(({ state }) => state === 'ready')) {
    const stableMs = options.stabilityMs ?? STABLE_MS;
    const since = Math.max(frame.startedAt - stableMs, ...judged.map(({ readySince }) => readySince ?? now));
    if (options.phase === 'applied' && now >= since + stableMs) return result('ready', readyMessage(judged));
    clock.add(since + stableMs);
    return result(
      'progressing',
      `All ready; it stays under watch for ${Math.ceil((since + stableMs - now) / 1000)} s.`,
    );
  }
  const stalled = of('stalled');
  if (stalled[0] !== undefined) return result('stalled', stalled[0].view.message, stalled);
  const limit = options.timeoutMs === undefined ? undefined : frame.startedAt + options.timeoutMs;
  if (limit !== undefined && now >= limit) {
    const late = result(
      'stalled',
      `Not finished within ${Math.round((options.timeoutMs ?? 0) / 1000)} s: ${waitingFor(judged)}`,
    );
    return { ...late, causes: late.warnings.slice(0, 3) };
  }
  clock.add(limit);
  const paused = of('paused');
  if (paused[0] !== undefined && of('progressing').length === 0) return result('paused', paused[0].view.message);
  return result('progressing', waitingFor(judged));
}

const waitingFor = (judged: readonly Judged[]): string => {
  const open = judged.filter(({ state }) => state !== 'ready');
  const [first] = open;
  if (first === undefined) return 'All are ready.';
  const more = open.length > 1 ? ` (and ${open.length - 1} more)` : '';
  return `${first.target.ref.kind} ${first.target.ref.name}: ${first.view.message}${more}`;
};

function readyMessage(judged: readonly Judged[]): string {
  const idle = judged.filter(({ view }) => view.desired === 0 && view.ref.kind !== 'CronJob').length;
  const amount = judged.length === 1 ? 'The workload is' : `All ${judged.length} workloads are`;
  return `${amount} ready and stable${idle === 0 ? '' : `; ${idle} of them run nothing`}.`;
}
