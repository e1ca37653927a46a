import { fieldsOf, listOf, textOf } from '../cluster/index.ts';
import type { ObjectRef } from '../events/index.ts';
import type { ClusterObject, SmokeAccess } from './access.ts';

/** What was rolled out: pods of these workloads count only when they are of the newest revision. */
export interface NewRevision {
  readonly workloads: readonly ObjectRef[];
}

/**
 * Ready pods that the selector matches, without those that are on their way out and those of an older revision of the
 * workloads. Pods of other owners count: a service may have more than one.
 */
export async function newPods(
  access: SmokeAccess,
  namespace: string,
  selector: string,
  revision: NewRevision,
  signal: AbortSignal,
): Promise<readonly ClusterObject[]> {
  const [pods, hashes] = await Promise.all([
    access.list({ apiVersion: 'v1', kind: 'Pod', namespace, labels: selector }, signal),
    oldHashes(access, revision, signal),
  ]);
  return pods.filter(
    (pod) => isReady(pod) && pod.metadata.deletionTimestamp === undefined && !hashes.isOld(pod.metadata.labels ?? {}),
  );
}

function isReady(pod: ClusterObject): boolean {
  return listOf(fieldsOf(pod.status).conditions).some(({ type, status }) => type === 'Ready' && status === 'True');
}

/** Revision hashes of the workloads that are not their newest, by the labels their controllers put on pods. */
async function oldHashes(
  access: SmokeAccess,
  revision: NewRevision,
  signal: AbortSignal,
): Promise<{ isOld(labels: Readonly<Record<string, string>>): boolean }> {
  const old = new Set<string>();
  const current = new Map<string, string>();
  await Promise.all(
    revision.workloads.map(async (ref) => {
      if (ref.kind === 'Deployment') {
        const [deployment, sets] = await Promise.all([
          access.get(ref, signal),
          access.list(
            {
              apiVersion: 'apps/v1',
              kind: 'ReplicaSet',
              ...(ref.namespace !== undefined && { namespace: ref.namespace }),
            },
            signal,
          ),
        ]);
        const live = deployment?.metadata.annotations?.[REVISION];
        for (const set of sets) {
          const isOurs = listOf(set.metadata.ownerReferences).some((owner) => owner.uid === deployment?.metadata.uid);
          const hash = set.metadata.labels?.['pod-template-hash'];
          if (isOurs && hash !== undefined && set.metadata.annotations?.[REVISION] !== live) old.add(hash);
        }
      } else if (ref.kind === 'StatefulSet') {
        const status = fieldsOf((await access.get(ref, signal))?.status);
        const update = textOf(status.updateRevision);
        if (update !== undefined) current.set(ref.name, update);
      }
    }),
  );
  return {
    isOld(labels) {
      const hash = labels['pod-template-hash'];
      if (hash !== undefined && old.has(hash)) return true;
      const controller = labels['controller-revision-hash'];
      if (controller === undefined) return false;
      // A StatefulSet's revisions are named `<set>-<hash>`; a DaemonSet's label is the bare hash.
      const update = current.get(controller.slice(0, Math.max(0, controller.lastIndexOf('-'))));
      return update !== undefined && controller !== update;
    },
  };
}

const REVISION = 'deployment.kubernetes.io/revision';
