import { at, type KubeObject, listOf, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Clock } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';

const LIMIT_MS = 60_000;
const STEP_MS = 100;

/** Until the API server serves the kinds that were just defined: usually well under a second. */
export async function waitEstablished(
  access: ClusterAccess,
  clock: Clock,
  definitions: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  const end = clock.now() + LIMIT_MS;
  for (const definition of definitions) {
    for (;;) {
      const conditions = listOf(at(await access.get(refOf(definition), signal), 'status', 'conditions'));
      if (conditions.some(({ type, status }) => type === 'Established' && status === 'True')) break;
      const refused = conditions.find(({ type, status }) => type === 'NamesAccepted' && status === 'False');
      if (refused !== undefined || clock.now() >= end) {
        throw new SlipwayError({
          reason: 'cluster',
          code: 'crd.not-established',
          message: `The CustomResourceDefinition ${definition.metadata.name} is not served: ${String(refused?.message ?? `not established within ${LIMIT_MS / 1000} s`)}.`,
          fix: 'Look at its status conditions; two definitions may want the same names.',
        });
      }
      await clock.sleep(STEP_MS, signal);
    }
  }
}
