// The state the cluster is in before the deploy: paused, not healthy, or owned by somebody else.

import { at, type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import type { Answer } from './answers.ts';

/** Whether a workload serves as it should, by its own status; undefined for kinds that do not serve. */
export function isHealthy(object: KubeObject): boolean | undefined {
  const status = (name: string): number => Number(at(object, 'status', name) ?? 0);
  const replicas = Number(at(object, 'spec', 'replicas') ?? 1);
  switch (object.kind) {
    case 'Deployment':
      return status('availableReplicas') >= replicas && status('unavailableReplicas') === 0;
    case 'StatefulSet':
      return status('readyReplicas') >= replicas;
    case 'DaemonSet':
      return status('numberAvailable') >= status('desiredNumberScheduled');
    default:
      return undefined;
  }
}

export function checkLive(live: readonly KubeObject[]): readonly Answer[] {
  return live.flatMap((object): readonly Answer[] => {
    const ref = refOf(object);
    if (object.kind === 'Deployment' && at(object, 'spec', 'paused') === true) {
      return [
        {
          certainty: 'wrong',
          code: 'paused',
          object: ref,
          message: `${nameOf(ref)} is paused: a new version would be written and never rolled out.`,
          fix: `Resume it: kubectl -n ${ref.namespace ?? 'default'} rollout resume deployment/${ref.name}`,
        },
      ];
    }
    if (isHealthy(object) !== false) return [];
    const available = at(object, 'status', 'availableReplicas') ?? at(object, 'status', 'readyReplicas') ?? 0;
    return [
      {
        certainty: 'suspicious',
        code: 'baseline.unhealthy',
        object: ref,
        message: `${nameOf(ref)} is not healthy before this deploy (${String(available)} of ${String(at(object, 'spec', 'replicas') ?? '?')} available), so a failure will not be rolled back by itself.`,
        fix: 'If this deploy is the remedy, go on; else look at its pods first.',
      },
    ];
  });
}
