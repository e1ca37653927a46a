// The last link: what runs, in which version, and what its pods say when it does not.
import { at, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import { type ChainLink, done, link, type Said, stuck } from './link.ts';
import type { ImageChoice } from './links.ts';

export function rolledOutLink(
  workload: KubeObject,
  pods: readonly KubeObject[],
  images: readonly ImageChoice[],
  isWritten: boolean,
): ChainLink {
  return link('rolled-out', workload, rolledOut(workload, pods, images, isWritten));
}

function rolledOut(
  workload: KubeObject,
  pods: readonly KubeObject[],
  images: readonly ImageChoice[],
  isWritten: boolean,
): Said {
  const status = (field: string): number => numberOf(at(workload, 'status', field)) ?? 0;
  const isDaemon = workload.kind === 'DaemonSet';
  const desired = isDaemon ? status('desiredNumberScheduled') : (numberOf(at(workload, 'spec', 'replicas')) ?? 1);
  const updated = isDaemon ? status('updatedNumberScheduled') : status('updatedReplicas');
  const available = isDaemon
    ? status('numberAvailable')
    : workload.kind === 'StatefulSet'
      ? status('readyReplicas')
      : status('availableReplicas');
  const references = referencesOf(workload);
  const running = references.map((reference) => reference.replace(/@sha256:.*$/, '')).join(', ');
  for (const { name, tag } of images) {
    const other = references.find((reference) => reference.startsWith(`${name}:`) && tagOf(reference) !== tag);
    if (other === undefined || !isWritten) continue;
    return stuck({
      code: 'flux.not-in-files',
      message: `It runs ${tagOf(other) ?? other}, although ${tag} is chosen and everything before has gone through: git does not hold ${tag} at this place.`,
      fix: `Put the policy's marker behind the image, in a file below the automation's update path; \`slipway policies\` says what is wrong with each.`,
      evidence: [other],
    });
  }
  if (status('observedGeneration') < (workload.metadata.generation ?? 0)) {
    return { state: 'working', message: `The new version was written; its pods are not there yet (${running}).` };
  }
  const counts = `${available} of ${desired} pods available, ${updated} of the new version (${running})`;
  if (updated >= desired && available >= desired && status('unavailableReplicas') === 0) return done(`${counts}.`);
  const trouble = troubleOf(pods);
  if (trouble !== undefined) {
    return stuck({
      code: 'flux.rollout',
      message: `${counts}: ${trouble}`,
      fix: 'Mend it and push a new version, or go back: slipway rollback. `slipway diagnose` collects the evidence.',
      evidence: [trouble],
    });
  }
  return { state: 'working', message: `${counts}.` };
}

/** References of all containers of a workload's pod template. */
export function referencesOf(workload: KubeObject): readonly string[] {
  const template =
    workload.kind === 'CronJob'
      ? at(workload, 'spec', 'jobTemplate', 'spec', 'template')
      : at(workload, 'spec', 'template');
  return ['initContainers', 'containers'].flatMap((list) =>
    listOf(at(template, 'spec', list)).flatMap((container) => textOf(container.image) ?? []),
  );
}

export const tagOf = (reference: string): string | undefined =>
  /:([\w][\w.-]*)(?:@sha256:[0-9a-f]+)?$/.exec(reference)?.[1];

const telling =
  /^(ErrImagePull|ImagePullBackOff|InvalidImageName|CrashLoopBackOff|CreateContainerConfigError|CreateContainerError|RunContainerError|StartError|Error|OOMKilled|ContainerCannotRun)$/;

function troubleOf(pods: readonly KubeObject[]): string | undefined {
  for (const pod of pods) {
    for (const status of [
      ...listOf(at(pod, 'status', 'initContainerStatuses')),
      ...listOf(at(pod, 'status', 'containerStatuses')),
    ]) {
      for (const state of ['waiting', 'terminated'] as const) {
        const reason = textOf(at(status, 'state', state, 'reason'));
        if (reason === undefined || !telling.test(reason)) continue;
        const message = textOf(at(status, 'state', state, 'message'));
        return `${pod.metadata.name}: ${reason}${message === undefined ? '' : `, ${message.slice(0, 200)}`}`;
      }
    }
  }
  return undefined;
}
