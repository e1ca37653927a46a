import { at, type KubeObject, listOf, refOf, textOf } from '../cluster/object.ts';
import {
  after,
  type Candidate,
  exitMeaning,
  isHopeless,
  never,
  normalLine,
  now,
  speaksOfDependency,
} from './causes.ts';
import { type ContainerState, keyOf, type Question, type Snapshot, type Termination } from './snapshot.ts';

/** One end of a container in the new revision, as remembered over evaluations. */
export interface Exit {
  /** Number of the run that ended: 0 is the first. */
  readonly run: number;
  readonly code: number;
  readonly reason: string;
  readonly finishedAt: string;
  /** Last log lines, once they could be read. */
  readonly lines?: readonly string[];
}

export interface CrashInput {
  readonly pod: KubeObject;
  readonly container: ContainerState;
  /** Restarts before the deploy: they speak of the old state. */
  readonly baseRestarts: number;
  readonly exits: readonly Exit[];
  readonly snapshot: Snapshot;
  /** Kills by a liveness or startup probe, from events. */
  readonly probeKills: readonly KubeObject[];
  readonly wasEverReady: boolean;
  readonly now: number;
}

/** Alike exits needed when the log says nothing special (rule C1), and when exits differ or no log can be read. */
const ALIKE = 3;
const UNLIKE = 5;
/** A dependency may come up late: hold until so many exits and so much time (rule C3). */
const PATIENT_MS = 90_000;

/** The end that the container's state shows now, if it is one that counts; normal ends of init containers do not. */
export function exitShown(
  container: ContainerState,
): { readonly ended: Termination; readonly isPrevious: boolean } | undefined {
  if (container.terminated !== undefined) {
    const isDone = container.isInit && !container.isSidecar && container.terminated.exitCode === 0;
    return isDone ? undefined : { ended: container.terminated, isPrevious: false };
  }
  return container.last === undefined ? undefined : { ended: container.last, isPrevious: true };
}

/** The question whose answer is the log of the run that ended last. */
export function logQuestion(pod: KubeObject, container: ContainerState, run: number, isPrevious: boolean): Question {
  return {
    kind: 'log',
    namespace: pod.metadata.namespace ?? 'default',
    pod: pod.metadata.name,
    container: container.name,
    restart: run,
    isPrevious,
  };
}

/** Crash loops, early ends, memory, and containers that probes kill. */
export function crashCandidate(input: CrashInput): Candidate | undefined {
  const { pod, container, exits, snapshot } = input;
  const last = exits.at(-1);
  const isDown = container.terminated !== undefined || container.waiting?.reason === 'CrashLoopBackOff';
  if (last === undefined || (!isDown && exits.length < 2)) return undefined;
  const shown = exitShown(container);
  const run = container.terminated === undefined ? container.restarts - 1 : container.restarts;
  const question = logQuestion(pod, container, Math.max(0, run), shown?.isPrevious ?? true);
  const lines = last.lines ?? snapshot.answers.get(keyOf(question))?.lines ?? [];
  const base = {
    object: refOf(pod),
    container: container.name,
    ask: last.lines === undefined ? [question] : [],
    evidence: [
      `${exits.length} exits, last with code ${last.code} (${last.reason || exitMeaning(last.code)})`,
      ...lines.slice(-30),
    ],
  };
  const times = exits.length === 1 ? 'once' : `${exits.length} times`;
  const where = container.isInit ? `The init container ${container.name}` : `Container ${container.name}`;
  if (input.probeKills.length > 0) {
    const message = textOf(input.probeKills.at(-1)?.message) ?? '';
    return {
      ...base,
      code: 'probe.kill',
      message: `${where} is killed by its probe before it is ready: ${message}`,
      fix: 'Give it a startupProbe or more time (failureThreshold, periodSeconds), or correct path and port of the probe.',
      proof: exits.length >= ALIKE && !input.wasEverReady ? now : never,
    };
  }
  if (last.reason === 'OOMKilled' || (last.code === 137 && exits.some((exit) => exit.reason === 'OOMKilled'))) {
    return {
      ...base,
      code: 'crash.oom',
      message: `${where} was killed ${times} for using more memory than its limit${memoryLimit(pod, container.name)}.`,
      fix: 'Raise resources.limits.memory, or let the program use less.',
      proof: exits.filter((exit) => exit.reason === 'OOMKilled').length >= 2 ? now : never,
    };
  }
  // A pod that served and then ended once may just have met a bad moment (rule C4).
  if (input.wasEverReady && exits.length === 1) {
    return {
      ...base,
      code: 'crash',
      message: `${where} was ready and then ended with code ${last.code}.`,
      fix: 'See its log.',
      proof: never,
    };
  }
  const telling = lines.toReversed().find((line) => line.trim() !== '');
  const words = telling === undefined ? exitMeaning(last.code) : telling.trim().slice(0, 300);
  const others = othersNotReady(pod, container.name);
  const isPatient = speaksOfDependency(lines) || others;
  if (exits.length >= 2 && isHopeless(lines) && spread(exits) >= 2_000) {
    return {
      ...base,
      code: container.isInit ? 'crash.init' : 'crash.app',
      message: `${where} ends at every start (${times}, code ${last.code}): ${words}`,
      fix: 'Correct what the message names; another start will say the same.',
      proof: now,
    };
  }
  const code = container.isInit ? 'crash.init' : last.code === 0 ? 'crash.exited' : 'crash';
  const isEnough = isPatient ? exits.length >= UNLIKE : exits.length >= (areAlike(exits) ? ALIKE : UNLIKE);
  return {
    ...base,
    code,
    message:
      last.code === 0
        ? `${where} ends by itself (${times}), but it is meant to keep running.`
        : `${where} crashed ${times}, last with code ${last.code}: ${words}`,
    fix:
      last.code === 0
        ? 'Run the program in the foreground, or use a Job.'
        : isPatient
          ? 'It waits for something: check that what it needs runs and is reachable.'
          : `See its log: kubectl -n ${pod.metadata.namespace ?? 'default'} logs ${pod.metadata.name} -c ${container.name} --previous.`,
    proof: !isEnough ? never : isPatient ? after(PATIENT_MS) : now,
  };
}

/** Same code and same last words: the same thing happens every time. */
function areAlike(exits: readonly Exit[]): boolean {
  const known = exits.slice(-ALIKE);
  const words = known.map((exit) => normalLine(exit.lines?.toReversed().find((line) => line.trim() !== '') ?? ''));
  return (
    known.every((exit) => exit.code === known[0]?.code && exit.lines !== undefined) &&
    words.every((word) => word === words[0])
  );
}

function spread(exits: readonly Exit[]): number {
  const times = exits.map((exit) => Date.parse(exit.finishedAt)).filter((time) => !Number.isNaN(time));
  return times.length < 2 ? 0 : Math.max(...times) - Math.min(...times);
}

/** A service-mesh sidecar that is not up yet makes apps crash until it is. */
function othersNotReady(pod: KubeObject, name: string): boolean {
  return listOf(at(pod, 'status', 'containerStatuses')).some(
    (status) => status.name !== name && status.ready !== true && at(status, 'state', 'running') !== undefined,
  );
}

function memoryLimit(pod: KubeObject, name: string): string {
  const spec = listOf(at(pod, 'spec', 'containers')).find((container) => container.name === name);
  const limit = textOf(at(spec, 'resources', 'limits', 'memory'));
  return limit === undefined ? '' : ` of ${limit}`;
}
