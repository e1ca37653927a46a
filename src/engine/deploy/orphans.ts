// What pruning takes away.
import { refOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { ClusterAccess } from './access.ts';
import { keyOf } from './objects.ts';
import { inParallel } from './parallel.ts';

/** Never volumes or namespaces: their content would be lost. */
const prunedKinds: readonly (readonly [string, string])[] = [
  ['v1', 'ConfigMap'],
  ['v1', 'Secret'],
  ['v1', 'Service'],
  ['v1', 'ServiceAccount'],
  ['v1', 'Pod'],
  ['apps/v1', 'Deployment'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'DaemonSet'],
  ['batch/v1', 'Job'],
  ['batch/v1', 'CronJob'],
  ['networking.k8s.io/v1', 'Ingress'],
  ['networking.k8s.io/v1', 'NetworkPolicy'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler'],
  ['policy/v1', 'PodDisruptionBudget'],
  ['rbac.authorization.k8s.io/v1', 'Role'],
  ['rbac.authorization.k8s.io/v1', 'RoleBinding'],
];

/** Objects with the labels of a set that it no longer holds. */
export async function orphansOf(
  access: ClusterAccess,
  { namespace, labels }: { readonly namespace: string; readonly labels: string },
  kept: readonly ObjectRef[],
  signal: AbortSignal,
): Promise<readonly ObjectRef[]> {
  const keys = new Set(kept.map(keyOf));
  const lists = await inParallel(prunedKinds, ([apiVersion, kind]) =>
    access.list({ apiVersion, kind, namespace, labels, isMetadataOnly: true }, signal),
  );
  return lists.flatMap((found, index) => {
    const [apiVersion, kind] = prunedKinds[index] ?? ['', ''];
    return (
      found
        // What a controller made from one of ours carries our label without being ours.
        .filter((object) => !Array.isArray(object.metadata.ownerReferences))
        .map((object) => refOf({ ...object, apiVersion, kind }))
        .filter((ref) => !keys.has(keyOf(ref)))
    );
  });
}
