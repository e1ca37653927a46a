// Containers that cannot be created or started: the runtime's refusal, before the program says a word.
import { afterWait, asWarning, type ContainerScene, cleanText, type Finding, type Scene } from './causes.ts';
import { exitFacts } from './causesCrash.ts';
import { FAILED_START } from './crashText.ts';

const CREATE_REASONS = new Set(['CreateContainerError', 'CreatePodSandboxError']);
const START_REASONS = new Set(['RunContainerError', 'StartError', 'ContainerCannotRun']);
const HOOK_REASONS = new Set(['PostStartHookError', 'PreStartHookError', 'PreCreateHookError']);

/** Decided by text, not by exit code 128: containerd uses it for both final and passing errors. */
const FINAL_START =
  /executable file not found|no such file or directory|permission denied|exec format error|not a directory|is a directory|invalid (capability|user)|unable to find user|no users found/i;
const PASSING_CREATE = /name .* is reserved|is already in use|context deadline exceeded|timeout/i;

export function startFindings(scene: Scene, container: ContainerScene): readonly Finding[] {
  const { waiting, pod, name } = container;
  const uid = pod.metadata.uid ?? '';
  const common = { scope: 'pod' as const, pod: uid, ref: container.podRef, container: name };
  if (waiting !== undefined && CREATE_REASONS.has(waiting.reason)) {
    const sighting = scene.draft.see(`create ${uid}/${name}`, waiting.message);
    const evidence = [`${waiting.reason}: ${cleanText(waiting.message)}`];
    const isFinal = FINAL_START.test(waiting.message);
    return [
      {
        ...common,
        code: isFinal ? 'container.start' : 'container.create',
        evidence,
        ...(isFinal && !PASSING_CREATE.test(waiting.message)
          ? { strength: 'proven' as const, firstSeen: sighting.first }
          : afterWait(sighting, 120_000, scene.now)),
        warnAt: sighting.first,
        message: `Container ${name} cannot be created: ${shortReason(waiting.message)}.`,
        fix: isFinal ? startFix(container) : 'Look at the container runtime of the node if this goes on.',
      },
    ];
  }
  if (waiting !== undefined && HOOK_REASONS.has(waiting.reason)) {
    const sighting = scene.draft.see(`hook ${uid}/${name}`, waiting.message);
    return [
      {
        ...common,
        code: 'container.hook',
        evidence: [`${waiting.reason}: ${cleanText(waiting.message)}`],
        ...asWarning(sighting),
        message: `The ${waiting.reason.replace(/Error$/, '')} of container ${name} failed.`,
        fix: 'Correct the command of the lifecycle hook; its output is in the event.',
      },
    ];
  }
  const exits = exitFacts(scene, container).exits.filter(
    (exit) => START_REASONS.has(exit.reason) || FAILED_START.test(exit.message),
  );
  const refusal =
    exits.at(-1)?.message ?? (waiting !== undefined && START_REASONS.has(waiting.reason) ? waiting.message : '');
  if (refusal === '' || container.isRunning) return [];
  const sighting = scene.draft.see(`start ${uid}/${name}`, refusal, waiting?.reason ?? 'terminated');
  const isFinal = FINAL_START.test(refusal);
  const tries = Math.max(exits.length, 1);
  const isProven = isFinal
    ? tries >= 2 || scene.now - sighting.first >= 2000
    : tries >= 3 && scene.now - sighting.first >= 60_000;
  return [
    {
      ...common,
      code: 'container.start',
      evidence: [cleanText(refusal)],
      firstSeen: sighting.first,
      ...(isProven
        ? { strength: 'proven' as const }
        : { strength: 'pending' as const, dueAt: sighting.first + (isFinal ? 2000 : 60_000) }),
      warnAt: sighting.first,
      message: `Container ${name} cannot start: ${shortReason(refusal)}.`,
      fix: startFix(container),
    },
  ];
}

/** The telling part of a runtime's chained message is its end. */
function shortReason(text: string): string {
  const clean = cleanText(text);
  const exec = /exec: \\?"([^"\\]+)\\?": (.+?)(?::? unknown)?$/.exec(clean);
  if (exec !== null) return `"${exec[1]}": ${exec[2]}`;
  const parts = clean.replace(/: unknown$/, '').split(': ');
  return parts.slice(-2).join(': ');
}

function startFix(container: ContainerScene): string {
  const command = [...texts(container.spec.command), ...texts(container.spec.args)];
  return command.length === 0
    ? 'Correct ENTRYPOINT or CMD of the image: the program must exist in it, be executable and built for the platform.'
    : `Correct command and args (${command.join(' ')}): the program must exist in the image and be executable.`;
}

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
