import { at, type KubeObject, listOf, refOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import { after, type Candidate, never, now } from './causes.ts';
import { type ContainerState, keyOf, type Question, type Snapshot } from './snapshot.ts';

/** Waiting reasons between image and process: configuration, creation, start. */
export function startCandidate(pod: KubeObject, container: ContainerState, snapshot: Snapshot): Candidate | undefined {
  const state = container.waiting ?? startError(container);
  if (state === undefined) return undefined;
  const { reason, message } = state;
  const base = { object: refOf(pod), container: container.name, evidence: [`${reason}: ${message}`] };
  switch (reason) {
    case 'CreateContainerConfigError':
      return configCandidate(pod, base, message, snapshot);
    case 'CreateContainerError': {
      const isFinal = FINAL_START.test(message);
      return {
        ...base,
        code: 'container.create',
        message: `The container ${container.name} cannot be created: ${message}`,
        fix: isFinal ? START_FIX : 'See the message; the node keeps trying.',
        proof: isFinal ? now : after(120_000),
      };
    }
    case 'RunContainerError':
    case 'StartError':
    case 'ContainerCannotRun': {
      const isFinal = FINAL_START.test(message);
      return {
        ...base,
        code: 'container.start',
        message: `The program of container ${container.name} cannot be started: ${shortReason(message)}`,
        fix: START_FIX,
        // containerd ends both kinds with exit code 128, so only the text tells them apart.
        proof: isFinal ? now : after(60_000, 3),
      };
    }
    case 'PostStartHookError':
    case 'PreCreateHookError':
    case 'PreStartHookError':
      return {
        ...base,
        code: 'container.hook',
        message: `The ${reason.replace('HookError', '')} hook of container ${container.name} fails: ${message}`,
        fix: "Correct the hook's command.",
        proof: after(45_000, 3),
      };
    default:
      return undefined;
  }
}

const FINAL_START =
  /executable file not found|no such file or directory|permission denied|exec format error|not a directory|is a directory|invalid (capability|user)|unable to find user|unable to find group|no command specified/i;
const START_FIX = 'Compare command and args with what the image has; the file must be there and executable.';

function startError(container: ContainerState): { readonly reason: string; readonly message: string } | undefined {
  // A container that could not start goes to CrashLoopBackOff, with the reason left in its last state.
  const ended = container.terminated ?? container.last;
  return ended !== undefined && (ended.reason === 'StartError' || ended.reason === 'ContainerCannotRun')
    ? ended
    : undefined;
}

/** The last part of the runtime's chain of causes says what is wrong. */
function shortReason(message: string): string {
  return (
    message
      .split(/: (?=(?:exec|stat|fork|chdir|mount)\b)/)
      .at(-1)
      ?.trim() ?? message
  );
}

function configCandidate(
  pod: KubeObject,
  base: Pick<Candidate, 'object' | 'container' | 'evidence'>,
  message: string,
  snapshot: Snapshot,
): Candidate {
  if (/failed to sync (secret|configmap) cache|timed out waiting for the condition/i.test(message)) {
    return {
      ...base,
      code: 'node.cache',
      message: `The node still waits for its copy of the configuration: ${message}`,
      fix: 'It heals by itself.',
      proof: never,
      warnAfterMs: 30_000,
    };
  }
  if (/runAsNonRoot|non-numeric user|image will run as root/i.test(message)) {
    return {
      ...base,
      code: 'config.security',
      message: `The pod must not run as root, but the image does: ${message}`,
      fix: 'Set a numeric USER in the Dockerfile, or runAsUser in the securityContext.',
      proof: now,
    };
  }
  return { ...base, ...referenceCandidate('config.missing', pod, message, snapshot, 15_000) };
}

const REFERENCE = /\b(secret|configmap)s? "([^"]+)" not found/i;
const KEY = /couldn't find key (\S+) in (Secret|ConfigMap) ([^/\s]+)\/(\S+)/i;
const MOUNT_KEY = /references non-existent (?:secret|config) key: (\S+)/i;

/** A missing ConfigMap, Secret or key: certain when the API server says so as well and it stays so. */
export function referenceCandidate(
  code: 'config.missing' | 'mount.missing',
  pod: KubeObject,
  message: string,
  snapshot: Snapshot,
  lastsMs: number,
): Pick<Candidate, 'code' | 'message' | 'fix' | 'proof' | 'ask'> {
  const namespace = pod.metadata.namespace ?? 'default';
  const byKey = KEY.exec(message);
  const byName = REFERENCE.exec(message);
  const kind = (byKey?.[2] ?? byName?.[1] ?? '').toLowerCase() === 'secret' ? 'Secret' : 'ConfigMap';
  const name = byKey?.[4] ?? byName?.[2];
  if (name === undefined) {
    const key = MOUNT_KEY.exec(message)?.[1];
    return {
      code,
      message: key === undefined ? message : `The key ${key} of a mounted volume does not exist.`,
      fix: 'Create what the message names, or correct the reference.',
      proof: after(lastsMs * 2),
    };
  }
  const object: ObjectRef = { apiVersion: 'v1', kind, name, namespace };
  const question: Question = { kind: 'exists', object, ...(byKey?.[1] !== undefined && { key: byKey[1] }) };
  const answer = snapshot.answers.get(keyOf(question));
  const what = byKey === null ? `${kind} "${name}"` : `key "${byKey[1] ?? ''}" of ${kind} "${name}"`;
  return {
    code,
    message: `${what} does not exist in namespace ${namespace}.`,
    fix: answer?.detail ?? `Create it, or correct its name where the pod refers to it.`,
    proof: answer?.value === 'yes' ? never : after(answer?.value === 'no' ? lastsMs : lastsMs * 3),
    ask: [question],
  };
}

/** Volumes and network of the pod's sandbox: told by events only. */
export function podEventCandidate(
  pod: KubeObject,
  events: readonly KubeObject[],
  snapshot: Snapshot,
): Candidate | undefined {
  const isStarting = listOf(at(pod, 'status', 'containerStatuses')).every(
    (container) => at(container, 'state', 'waiting') !== undefined,
  );
  if (!isStarting) return undefined;
  const latest = events.toSorted((a, b) => (time(b) < time(a) ? -1 : 1));
  const mount = latest.find((event) => event.reason === 'FailedMount' || event.reason === 'FailedAttachVolume');
  const base = { object: refOf(pod) };
  if (mount !== undefined) {
    const message = textOf(mount.message) ?? '';
    if (REFERENCE.test(message) || MOUNT_KEY.test(message)) {
      return { ...base, evidence: [message], ...referenceCandidate('mount.missing', pod, message, snapshot, 30_000) };
    }
    const isMultiAttach = /Multi-Attach/i.test(message);
    return {
      ...base,
      code: 'mount.wait',
      message: `A volume cannot be mounted yet: ${message}`,
      fix: isMultiAttach
        ? 'The volume is still used on another node: use strategy Recreate, or a volume that several nodes may mount.'
        : 'See the message; mounts are tried again.',
      evidence: [message],
      proof: isMultiAttach ? after(360_000) : never,
      warnAfterMs: 20_000,
    };
  }
  const sandbox = latest.find(
    (event) => event.reason === 'FailedCreatePodSandBox' || event.reason === 'NetworkNotReady',
  );
  if (sandbox === undefined) return undefined;
  const message = textOf(sandbox.message) ?? '';
  return {
    ...base,
    code: 'node.network',
    message: `The node cannot set up the pod's network: ${message}`,
    fix: 'Look at the network plugin of the node.',
    evidence: [message],
    proof: never,
    warnAfterMs: 60_000,
  };
}

const time = (event: KubeObject): string => textOf(event.lastTimestamp) ?? textOf(event.eventTime) ?? '';
