// Pods as people see them in a tree or table.
import { at, type Fields, fieldsOf, type KubeObject, listOf, numberOf, textOf } from '../cluster/object.ts';
import type { PodView } from '../events/index.ts';
import { cleanText } from './cleanText.ts';
import { isPodReady } from './readiness.ts';

export function podView(pod: KubeObject, isNew: boolean): PodView {
  const statuses = [
    ...listOf(at(pod, 'status', 'initContainerStatuses')),
    ...listOf(at(pod, 'status', 'containerStatuses')),
  ];
  const worst = worstState(statuses);
  const isGoing = pod.metadata.deletionTimestamp !== undefined;
  const reason = isGoing ? 'Terminating' : (worst?.reason ?? textOf(at(pod, 'status', 'reason')));
  const node = textOf(at(pod, 'spec', 'nodeName'));
  const image = textOf(listOf(at(pod, 'spec', 'containers'))[0]?.image);
  const message = worst?.message ?? textOf(at(pod, 'status', 'message'));
  return {
    name: pod.metadata.name,
    ...(node !== undefined && { node }),
    isNew,
    isReady: isPodReady(pod),
    phase: textOf(at(pod, 'status', 'phase')) ?? 'Pending',
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && message !== '' && { message: cleanText(message).slice(0, 500) }),
    restarts: statuses.reduce((sum, status) => sum + (numberOf(status.restartCount) ?? 0), 0),
    ...(image !== undefined && { image }),
    ...(pod.metadata.creationTimestamp !== undefined && { createdAt: pod.metadata.creationTimestamp }),
  };
}

/** A container that waits for a bad reason, else one that ended badly, else one that just waits. */
function worstState(statuses: readonly Fields[]): { readonly reason: string; readonly message: string } | undefined {
  const states = statuses.flatMap((status) => {
    const waiting = fieldsOf(at(status, 'state', 'waiting'));
    const terminated = fieldsOf(at(status, 'state', 'terminated'));
    const reason = textOf(waiting.reason) ?? textOf(terminated.reason);
    if (reason === undefined || reason === 'Completed') return [];
    const isCalm = reason === 'ContainerCreating' || reason === 'PodInitializing';
    const message = textOf(waiting.message) ?? textOf(terminated.message) ?? '';
    return [{ reason, message, weight: isCalm ? 0 : waiting.reason === undefined ? 1 : 2 }];
  });
  return [...states].sort((a, b) => b.weight - a.weight)[0];
}
