import type { KubeObject } from '../cluster/index.ts';

/**
 * Kinds in the order they are written; unknown kinds come after workloads, as their definitions may need a running
 * operator. Objects of one phase do not need each other and are written at the same time.
 */
const phases: readonly (readonly string[])[] = [
  ['Namespace'],
  ['CustomResourceDefinition'],
  [
    'PriorityClass',
    'StorageClass',
    'IngressClass',
    'RuntimeClass',
    'ServiceAccount',
    'ClusterRole',
    'Role',
    'ResourceQuota',
    'LimitRange',
    'NetworkPolicy',
  ],
  ['ClusterRoleBinding', 'RoleBinding'],
  ['Secret', 'ConfigMap', 'PersistentVolume', 'PersistentVolumeClaim', 'PodDisruptionBudget', 'Service'],
  ['DaemonSet', 'Pod', 'ReplicaSet', 'ReplicationController', 'Deployment', 'StatefulSet', 'Job', 'CronJob', 'Rollout'],
  ['HorizontalPodAutoscaler', 'Ingress', 'HTTPRoute', 'GRPCRoute', 'Gateway', 'APIService'],
  [],
  // Last: a webhook that points at a service which is not ready refuses everything written after it.
  ['ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'],
];
const unknownPhase = phases.findIndex((kinds) => kinds.length === 0);

/** Objects grouped by when they are written, first group first; the order within a kind is the person's. */
export function inOrder(objects: readonly KubeObject[]): readonly (readonly KubeObject[])[] {
  const groups: KubeObject[][] = phases.map(() => []);
  for (const object of objects) {
    const phase = phases.findIndex((kinds) => kinds.includes(object.kind));
    groups[phase === -1 ? unknownPhase : phase]?.push(object);
  }
  return groups.filter((group) => group.length > 0);
}

/** What the rollout watches: objects whose pods (or completion) are the point of the deploy. */
const watched = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob', 'Pod', 'Rollout']);

export const isWatched = (object: KubeObject): boolean => watched.has(object.kind);
