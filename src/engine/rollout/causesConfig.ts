// Objects that a pod refers to and that are not there, and settings the kubelet refuses before it creates a container.
import { at, listOf, textOf } from '../cluster/object.ts';
import type { ObjectRef } from '../events/index.ts';
import {
  afterWait,
  asWarning,
  type ContainerScene,
  cleanText,
  type Finding,
  MAKER_WAIT_MS,
  pendingAnswer,
  type Scene,
} from './causes.ts';
import { targetKey } from './snapshot.ts';

/** An object (and a key in it) that a message of the kubelet says is missing. */
export interface MissingObject {
  readonly kind: 'ConfigMap' | 'Secret' | 'PersistentVolumeClaim' | 'ServiceAccount';
  readonly name: string;
  readonly key?: string;
}

const KINDS: Readonly<Record<string, MissingObject['kind']>> = {
  configmap: 'ConfigMap',
  secret: 'Secret',
  persistentvolumeclaim: 'PersistentVolumeClaim',
  serviceaccount: 'ServiceAccount',
};

/** Texts of kubelet and volume plugins (Kubernetes 1.35). */
export function missingObject(text: string): MissingObject | undefined {
  const key = /couldn't find key ([^\s]+) in (ConfigMap|Secret) (?:[^\s/]+\/)?([^\s,]+)/i.exec(text);
  if (key?.[2] !== undefined && key[3] !== undefined)
    return {
      kind: KINDS[key[2].toLowerCase()] ?? 'Secret',
      name: key[3],
      ...(key[1] !== undefined && { key: key[1] }),
    };
  const reference = /references non-existent (config|secret) key: ([^\s]+)/i.exec(text);
  if (reference?.[1] !== undefined) {
    const volume = /MountVolume\.SetUp failed for volume "([^"]+)"/.exec(text)?.[1] ?? '';
    return {
      kind: reference[1].toLowerCase() === 'config' ? 'ConfigMap' : 'Secret',
      name: `volume ${volume}`,
      ...(reference[2] !== undefined && { key: reference[2] }),
    };
  }
  const absent = /\b(configmap|secret|persistentvolumeclaim|serviceaccount)s? "([^"]+)" not found/i.exec(text);
  if (absent?.[1] !== undefined && absent[2] !== undefined) {
    const kind = KINDS[absent[1].toLowerCase()];
    return kind === undefined ? undefined : { kind, name: absent[2].split('/').at(-1) ?? absent[2] };
  }
  return undefined;
}

const NOT_SYNCED =
  /failed to sync .* cache|timed out waiting for the condition|object "[^"]+"\/"[^"]+" not registered/i;

export function configFindings(scene: Scene, container: ContainerScene): readonly Finding[] {
  const found: Finding[] = [];
  const { waiting, pod, name } = container;
  if (waiting?.reason === 'CreateContainerConfigError' || waiting?.reason === 'CreatePodSandboxConfigError') {
    const finding = configFinding(scene, container, waiting);
    if (finding !== undefined) found.push(finding);
  }
  // Mounts belong to the pod: told once, with its first container.
  if (name === textOf(listOf(at(pod, 'spec', 'containers'))[0]?.name)) found.push(...mountFindings(scene, container));
  return found;
}

function configFinding(
  scene: Scene,
  container: ContainerScene,
  waiting: { readonly reason: string; readonly message: string },
): Finding | undefined {
  const { pod, name } = container;
  const uid = pod.metadata.uid ?? '';
  const text = waiting.message;
  const sighting = scene.draft.see(`config ${uid}/${name} ${text}`, text);
  const common = {
    scope: 'pod' as const,
    pod: uid,
    ref: container.podRef,
    container: name,
    evidence: [`${waiting.reason}: ${cleanText(text)}`],
  };
  if (NOT_SYNCED.test(text)) {
    return {
      ...common,
      code: 'node.cache',
      ...asWarning(sighting),
      message: 'The node has not read the ConfigMaps and Secrets of the pod yet.',
      fix: 'Wait; the kubelet tries again.',
      warnAt: sighting.first + 60_000,
    };
  }
  if (/runAsNonRoot|non-numeric user|run as non-root|will run as root/i.test(text)) {
    return {
      ...common,
      code: 'config.security',
      scope: 'object',
      strength: 'proven',
      firstSeen: sighting.first,
      message: `Container ${name} must not run as root, and its image ${/non-numeric/.test(text) ? 'names its user by name, which cannot be checked' : 'runs as root'}.`,
      fix: 'Set a numeric USER in the Dockerfile, or securityContext.runAsUser for the container.',
    };
  }
  const missing = missingObject(text);
  if (missing === undefined) {
    return {
      ...common,
      code: 'config.error',
      ...afterWait(sighting, 60_000, scene.now),
      warnAt: sighting.first,
      message: `Container ${name} cannot be configured: ${cleanText(text)}.`,
      fix: "Correct the container's environment and references.",
    };
  }
  return missingFinding(scene, container, missing, 'config.missing', 15_000, sighting, common);
}

function mountFindings(scene: Scene, container: ContainerScene): readonly Finding[] {
  const { pod } = container;
  const uid = pod.metadata.uid ?? '';
  const phase = textOf(at(pod, 'status', 'phase'));
  if (phase !== 'Pending' || container.isRunning) return [];
  const found: Finding[] = [];
  for (const event of scene.index.events.get(uid) ?? []) {
    const isAttach = event.reason === 'FailedAttachVolume';
    const isSandbox = ['FailedCreatePodSandBox', 'NetworkNotReady', 'FailedCreatePodContainer'].includes(event.reason);
    if (event.reason !== 'FailedMount' && !isAttach && !isSandbox) continue;
    const text = event.message;
    const key = `mount ${uid} ${event.reason} ${text.slice(0, 120)}`;
    const sighting = scene.draft.see(key, text);
    const common = {
      scope: 'pod' as const,
      pod: uid,
      ref: container.podRef,
      evidence: [`${event.reason}: ${cleanText(text)}`],
    };
    if (isSandbox) {
      found.push({
        ...common,
        code: 'node.network',
        ...asWarning(sighting),
        warnAt: sighting.first + 60_000,
        message: `${textOf(at(pod, 'spec', 'nodeName')) ?? 'The node'} cannot set up the pod's network.`,
        fix: 'Look at the CNI plugin of the node and at its free pod addresses.',
      });
      continue;
    }
    const missing = missingObject(text);
    if (missing !== undefined && !NOT_SYNCED.test(text)) {
      const named = missing.name.startsWith('volume ') ? volumeSource(scene, container, missing) : missing;
      found.push(missingFinding(scene, container, named, 'mount.missing', 30_000, sighting, common));
      continue;
    }
    const isMulti = /multi-attach/i.test(text);
    found.push({
      ...common,
      code: 'mount.wait',
      ...(isMulti ? afterWait(sighting, 6 * 60_000, scene.now) : asWarning(sighting)),
      warnAt: sighting.first + (isMulti ? 0 : 20_000),
      message: isMulti
        ? 'The volume is still attached to the node of another pod (ReadWriteOnce).'
        : `A volume of the pod cannot be mounted yet: ${cleanText(text)}.`,
      fix: isMulti
        ? 'Use strategy Recreate, or a volume that several nodes may mount.'
        : 'Look at the storage driver if this goes on.',
    });
  }
  return found;
}

/** A message that names only the volume: the object behind it stands in the pod. */
function volumeSource(_scene: Scene, container: ContainerScene, missing: MissingObject): MissingObject {
  const wanted = missing.name.slice('volume '.length);
  const volume = listOf(at(container.pod, 'spec', 'volumes')).find((one) => one.name === wanted);
  const name =
    missing.kind === 'ConfigMap' ? textOf(at(volume, 'configMap', 'name')) : textOf(at(volume, 'secret', 'secretName'));
  return { ...missing, name: name ?? wanted };
}

function missingFinding(
  scene: Scene,
  container: ContainerScene,
  missing: MissingObject,
  code: string,
  waitMs: number,
  sighting: ReturnType<Scene['draft']['see']>,
  common: Pick<Finding, 'scope' | 'pod' | 'ref' | 'container' | 'evidence'>,
): Finding {
  const namespace = container.pod.metadata.namespace ?? '';
  const object: ObjectRef = { apiVersion: 'v1', kind: missing.kind, name: missing.name, namespace };
  // Asked again just when it decides: somebody may have made it meanwhile.
  const freshMs = afterWait(sighting, waitMs, scene.now).strength === 'proven' ? 1500 : 5000;
  const answer = scene.ask(
    { kind: 'object-exists', object, ...(missing.key !== undefined && { key: missing.key }) },
    freshMs,
  );
  const who = common.container === undefined ? 'A volume of the pod' : `Container ${common.container}`;
  const what =
    missing.key === undefined
      ? `${missing.kind} "${missing.name}"`
      : `key "${missing.key}" in ${missing.kind} "${missing.name}"`;
  const similar = answer !== undefined && answer.similar.length > 0 ? ` There is ${answer.similar.join(', ')}.` : '';
  const base = {
    ...common,
    code,
    message: `${who} needs ${what} in namespace ${namespace}, which does not exist.${similar}`,
    fix: `Create ${what} before the deploy, or correct the reference.`,
  };
  if (answer?.state === 'present') {
    return {
      ...base,
      ...asWarning(sighting),
      message: `${what} exists by now; the kubelet has yet to try again.`,
      fix: 'Wait; mounts are tried again within about 2 minutes.',
    };
  }
  const isOwn = (scene.options.ownObjects ?? []).some((own) => targetKey(own) === targetKey(object));
  const maker = answer?.maker ?? (isOwn ? 'this deploy' : scene.isJobRunning ? 'a Job that still runs' : undefined);
  const limit = maker === undefined ? waitMs : MAKER_WAIT_MS;
  const due = afterWait(sighting, limit, scene.now);
  if (due.strength === 'proven' && answer === undefined)
    return { ...base, ...pendingAnswer(scene.now), firstSeen: sighting.first, warnAt: sighting.first };
  // Not allowed to look: the kubelet's word has to stand longer.
  if (due.strength === 'proven' && answer?.state === 'unknown')
    return { ...base, ...afterWait(sighting, limit * 2, scene.now), warnAt: sighting.first };
  return {
    ...base,
    ...due,
    scope: due.strength === 'proven' ? 'object' : 'pod',
    warnAt: sighting.first,
    ...(maker !== undefined &&
      due.strength !== 'proven' && { message: `${base.message} It may still come from ${maker}.` }),
  };
}
