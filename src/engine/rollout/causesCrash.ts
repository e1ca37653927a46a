// Programs that end: when it is proof of a broken version and when it is a program that waits for its database.
import { at, fieldsOf, isFields, numberOf, textOf } from '../cluster/object.ts';
import { type ContainerScene, cleanText, type Finding, type Scene } from './causes.ts';
import { exitMeaning, FAILED_START, lastWords, logSignature, SAYS_DEPENDENCY, SAYS_FINAL } from './crashText.ts';
import { type Exit, targetKey } from './snapshot.ts';

const ALIKE_EXITS = 3;
const UNLIKE_EXITS = 5;
/** Held this long and for {@link UNLIKE_EXITS} exits when something it depends on may still come. */
const HOLD_MS = 90_000;

interface ExitFacts {
  readonly exits: readonly Exit[];
  /** Above the baseline; exits that were not seen count too. */
  readonly amount: number;
}

/** Notes how often and how a container ended. */
export function exitFacts(scene: Scene, container: ContainerScene): ExitFacts {
  const key = `${container.pod.metadata.uid ?? ''}/${container.name}`;
  const before = scene.baseline.restarts[key];
  const restarts = Math.max(0, (numberOf(container.status.restartCount) ?? 0) - (before ?? 0));
  const current = fieldsOf(at(container.status, 'state', 'terminated'));
  const last = fieldsOf(at(container.status, 'lastState', 'terminated'));
  scene.draft.keepExits(key);
  for (const terminated of [last, current]) {
    if (terminated.exitCode === undefined && terminated.reason === undefined) continue;
    // A container that was in the baseline ended its last time before us.
    if (before !== undefined && terminated === last && restarts === 0) continue;
    const finished = textOf(terminated.finishedAt);
    const started = textOf(terminated.startedAt);
    const finishedMs = finished === undefined ? 0 : Date.parse(finished);
    scene.draft.addExit(key, {
      id: textOf(terminated.containerID) ?? `${finished ?? ''}#${restarts}`,
      code: numberOf(terminated.exitCode) ?? 0,
      reason: textOf(terminated.reason) ?? '',
      finishedAt: finishedMs / 1000,
      seenAt: scene.now,
      ranMs: started === undefined ? 0 : Math.max(0, finishedMs - Date.parse(started)),
      message: textOf(terminated.message) ?? '',
    });
  }
  const exits = scene.draft.exits(key);
  const isDown = current.exitCode !== undefined || (container.waiting !== undefined && last.exitCode !== undefined);
  return {
    exits,
    amount: Math.max(exits.length, restarts + (isDown && !(before !== undefined && restarts === 0) ? 1 : 0)),
  };
}

export function crashFindings(
  scene: Scene,
  container: ContainerScene,
  all: readonly ContainerScene[],
): readonly Finding[] {
  const { exits, amount } = exitFacts(scene, container);
  const last = exits.at(-1);
  if (last === undefined || FAILED_START.test(last.message)) return [];
  // Jobs count their own failures (backoffLimit); init containers that ended well are done.
  const isOnce = at(container.pod, 'spec', 'restartPolicy') !== 'Always';
  if (container.kind === 'init' && last.code === 0) return [];
  if (isOnce && (last.code === 0 || scene.target.object.kind === 'Job' || scene.target.object.kind === 'Pod'))
    return [];
  if (isProbeKill(scene, container, exits)) return [];
  const facts = crashFacts(scene, container, exits);
  const first = exits[0]?.seenAt ?? scene.now;
  const base = {
    scope: 'pod' as const,
    pod: container.pod.metadata.uid ?? '',
    ref: container.podRef,
    container: container.name,
    firstSeen: first,
    ...words(container, last, amount, facts.tail),
  };
  if (container.isRunning) {
    // Started again: it may live now. What it did so far is a warning.
    return amount === 0 ? [] : [{ ...base, strength: 'warning', warnAt: first }];
  }
  const due = decide(scene, container, all, { exits, amount, ...facts });
  return [{ ...base, ...due, warnAt: first }];
}

interface CrashFacts {
  /** Log of the last exit that could be read. */
  readonly tail: string | undefined;
  readonly isAlike: boolean;
  readonly isAsking: boolean;
  readonly isDependency: boolean;
  readonly finalLine: string | undefined;
}

function crashFacts(scene: Scene, container: ContainerScene, exits: readonly Exit[]): CrashFacts {
  const logs = exits.map((exit) =>
    scene.ask(
      {
        kind: 'logs',
        namespace: container.pod.metadata.namespace ?? '',
        pod: container.pod.metadata.name,
        container: container.name,
        containerId: exit.id,
        ...(exit.finishedAt > 0 && {
          span: { from: exit.finishedAt * 1000 - exit.ranMs, to: exit.finishedAt * 1000 },
        }),
      },
      Number.POSITIVE_INFINITY,
    ),
  );
  const known = logs.filter((log) => log !== undefined);
  const texts = known.flatMap((log) => (log.text === undefined ? [] : [log.text]));
  const codes = new Set(exits.map((exit) => `${exit.code} ${exit.reason === 'OOMKilled' ? 'oom' : ''}`));
  const lastLog = logs.at(-1);
  const tail = texts.at(-1);
  const termination = exits.at(-1)?.message ?? '';
  const spoken = `${tail ?? ''}\n${termination}`;
  const finals = texts.map((text) => lastWords(text).find((line) => SAYS_FINAL.test(line)));
  const finalLine = finals.at(-1);
  const isSameFinal =
    finalLine !== undefined &&
    finals.length >= 2 &&
    finals.every((line) => line !== undefined && logSignature(line) === logSignature(finalLine));
  return {
    tail: tail ?? (termination === '' ? undefined : termination),
    isAlike: codes.size === 1 && texts.length >= Math.min(exits.length, 2) && sayTheSame(texts),
    isAsking: lastLog === undefined,
    isDependency: SAYS_DEPENDENCY.test(spoken),
    finalLine: isSameFinal ? finalLine : undefined,
  };
}

/**
 * Whether the ends say the same. Each text is the log of the very container that ended, so one that differs counts. An
 * empty one may be a log that is not readable yet, and says nothing.
 */
export function sayTheSame(texts: readonly string[]): boolean {
  return new Set(texts.map(logSignature).filter((signature) => signature !== '')).size < 2;
}

type Due = Pick<Finding, 'strength' | 'dueAt'>;

function decide(
  scene: Scene,
  container: ContainerScene,
  all: readonly ContainerScene[],
  facts: ExitFacts & CrashFacts,
): Due {
  const { exits, amount } = facts;
  const wanted = scene.options.crashExits;
  if (wanted === 'never') return { strength: 'warning' };
  const first = exits[0]?.seenAt ?? scene.now;
  const learned = scene.options.learnedRestarts?.[targetKey(scene.target.ref)] ?? 0;
  const isWaitingForOthers =
    facts.isDependency ||
    all.some(
      (other) =>
        other.pod === container.pod &&
        other.name !== container.name &&
        other.kind !== 'init' &&
        !other.isReady &&
        other.waiting === undefined &&
        other.isRunning,
    );
  if (isWaitingForOthers && wanted === undefined) {
    const until = first + HOLD_MS;
    if (amount < UNLIKE_EXITS + learned || scene.isOthersProgressing) return { strength: 'warning' };
    return scene.now >= until ? { strength: 'proven' } : { strength: 'pending', dueAt: until };
  }
  const isOom = exits.filter((exit) => exit.reason === 'OOMKilled').length >= 2;
  const spreadMs = ((exits.at(-1)?.finishedAt ?? 0) - (exits[0]?.finishedAt ?? 0)) * 1000;
  if (wanted === undefined && learned === 0) {
    if (isOom) return { strength: 'proven' };
    if (facts.finalLine !== undefined && amount >= 2 && spreadMs >= 2000) return { strength: 'proven' };
  }
  // The kubelet may have ended it for a probe, and the event that says so may be on its way.
  const isUnclear = exits.every((exit) => looksLikeProbeKill(container, exit));
  const needed = (wanted ?? (facts.isAlike && !isUnclear ? ALIKE_EXITS : UNLIKE_EXITS)) + learned;
  if (amount < needed) return { strength: 'warning' };
  // The log of this exit decides whether they are alike: it is on its way.
  if (facts.isAsking) return { strength: 'pending', dueAt: scene.now + 1000 };
  return { strength: 'proven' };
}

/**
 * Ends by the kubelet after failed liveness or startup probes are the probe's finding. Events come late on a busy node, so
 * one of them is enough when all ends look like one.
 */
export function isProbeKill(scene: Scene, container: ContainerScene, exits: readonly Exit[]): boolean {
  const kills = probeKills(scene, container);
  if (kills === 0) return false;
  return kills >= exits.length - 1 || exits.every((exit) => looksLikeProbeKill(container, exit));
}

/** Ended as SIGTERM or SIGKILL ends a program, and after as long as the probe takes to give up. */
function looksLikeProbeKill(container: ContainerScene, exit: Exit): boolean {
  if (exit.reason === 'OOMKilled' || ![0, 137, 143].includes(exit.code)) return false;
  return ['livenessProbe', 'startupProbe'].some((field) => {
    const probe = container.spec[field];
    if (!isFields(probe)) return false;
    const attempts = (numberOf(probe.failureThreshold) ?? 3) - 1;
    const seconds = (numberOf(probe.initialDelaySeconds) ?? 0) + attempts * (numberOf(probe.periodSeconds) ?? 10);
    // Times of containers are whole seconds.
    return exit.ranMs + 1000 >= seconds * 1000;
  });
}

/** How often the kubelet ended it because of a probe: by its events, and by ends that look alike once it has said so. */
export function probeKillCount(scene: Scene, container: ContainerScene, exits: readonly Exit[]): number {
  const kills = probeKills(scene, container);
  return kills === 0 ? 0 : Math.max(kills, exits.filter((exit) => looksLikeProbeKill(container, exit)).length);
}

function probeKills(scene: Scene, container: ContainerScene): number {
  const pattern = new RegExp(
    `^Container ${container.name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')} failed (liveness|startup) probe`,
  );
  return (scene.index.events.get(container.pod.metadata.uid ?? '') ?? [])
    .filter((event) => event.reason === 'Killing' && pattern.test(event.message))
    .reduce((sum, event) => sum + event.count, 0);
}

function words(
  container: ContainerScene,
  last: Exit,
  amount: number,
  tail: string | undefined,
): Pick<Finding, 'code' | 'message' | 'fix' | 'evidence'> {
  const lines = tail === undefined ? [] : lastWords(tail);
  const evidence = [
    `exit code ${last.code}${last.reason === '' ? '' : ` (${last.reason})`} after ${(last.ranMs / 1000).toFixed(1)} s, ${amount} exits`,
    ...lines.slice(-30).map(cleanText),
  ];
  const times = amount === 1 ? 'once' : `${amount} times`;
  const quote = lines.at(-1) === undefined ? '' : `: ${cleanText(lines.at(-1) ?? '')}`;
  const final = [...lines].reverse().find((line) => SAYS_FINAL.test(line));
  if (last.reason === 'OOMKilled') {
    const limit = textOf(at(container.spec, 'resources', 'limits', 'memory'));
    return {
      code: 'crash.oom',
      message: `Container ${container.name} was killed ${times} because it used more memory than its limit${limit === undefined ? '' : ` of ${limit}`}.`,
      fix: `Raise resources.limits.memory${limit === undefined ? '' : ` above ${limit}`}, or find out why the new version needs more.`,
      evidence,
    };
  }
  if (container.kind === 'init') {
    return {
      code: 'crash.init',
      message: `Init container ${container.name} failed ${times} with ${exitMeaning(last.code)}${quote}; the containers after it never started.`,
      fix: 'Correct what the init container does; its log is in the evidence.',
      evidence,
    };
  }
  if (last.code === 0) {
    return {
      code: 'crash.exited',
      message: `Container ${container.name} ended normally ${times}, though it should go on running${quote}.`,
      fix: `Start the program in the foreground; use a Job for work that ends.${looksLikeProbeKill(container, last) ? ' Its ends also look like those after a failed liveness or startup probe, whose event may be late or lost: then correct the probe.' : ''}`,
      evidence,
    };
  }
  if (final !== undefined) {
    return {
      code: 'crash.app',
      message: `Container ${container.name} failed ${times} with ${exitMeaning(last.code)}: ${cleanText(final)}`,
      fix: 'Correct the image or its settings: the program says what it misses.',
      evidence,
    };
  }
  return {
    code: 'crash',
    message: `Container ${container.name} failed ${times} with ${exitMeaning(last.code)}${quote}`,
    fix: 'Read the log lines in the evidence.',
    evidence,
  };
}
