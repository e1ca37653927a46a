// Fields that another manager owns: which of them a deploy takes, and which it refuses to take.

import { nameOf, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { ApplyConflict, type ClusterAccess, type FieldConflict } from './access.ts';
import type { Answer } from './answers.ts';
import type { PlacedObject } from './objects.ts';
import { inParallel } from './parallel.ts';

/** What the write itself would refuse, by dry runs that take nothing by force. */
export async function checkConflicts(
  objects: readonly PlacedObject[],
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<readonly Answer[]> {
  const answers = await inParallel(objects, async ({ object, place }): Promise<Answer | undefined> => {
    try {
      await access.apply(object, { signal, isDryRun: true });
      return undefined;
    } catch (error) {
      if (signal.aborted) throw error;
      // Other refusals are the look at admission's to say.
      if (!(error instanceof ApplyConflict)) return undefined;
      const ref = refOf(object);
      const refused = refusalOf(nameOf(ref), error, place);
      if (refused === undefined) return undefined;
      return {
        certainty: 'wrong',
        code: 'apply.conflict',
        object: ref,
        message: refused.message,
        fix: refused.fix ?? '',
        evidence: refused.evidence ?? [],
        ...(place !== undefined && { place }),
      };
    }
  });
  return answers.filter((answer) => answer !== undefined);
}

/** Tools a person runs by hand, and our own other writes: the manifest of the deploy is newer than what they did. */
const isPersonsTool = (manager: string): boolean =>
  /^(kubectl(-|$)|kubectl\.exe|k9s|Lens|node-fetch|OpenAPI-Generator|before-first-apply|slipway)/.test(manager);

/** What a conflict refuses; undefined when only tools of persons have written these fields. */
export function refusalOf(name: string, error: ApplyConflict, place: PlacedObject['place']): SlipwayError | undefined {
  const foreign = error.conflicts.filter(({ manager }) => !isPersonsTool(manager));
  if (foreign.length === 0 && error.conflicts.length > 0) return undefined;
  return conflict(name, foreign, place, error.message);
}

function conflict(
  name: string,
  conflicts: readonly FieldConflict[],
  place: PlacedObject['place'],
  message: string,
): SlipwayError {
  const isScale = conflicts.some(({ field }) => field === '.spec.replicas');
  return new SlipwayError({
    reason: 'refused',
    code: 'apply.conflict',
    message: `${name} was not changed: ${conflicts.length === 0 ? message : `${listedConflicts(conflicts)} would be overwritten`}.`,
    fix: isScale
      ? 'Leave `spec.replicas` out of the manifest: an autoscaler or somebody else sets it.'
      : 'Leave these fields out of the manifest, or end what else writes them.',
    ...(place !== undefined && { place }),
    evidence: conflicts.map(({ manager, field }) => `${field} is set by ${manager}`),
  });
}

export function listedConflicts(conflicts: readonly FieldConflict[]): string {
  const byManager = Map.groupBy(conflicts, ({ manager }) => manager);
  return [...byManager]
    .map(([manager, fields]) => `${fields.map(({ field }) => field.replace(/^\./, '')).join(', ')} of ${manager}`)
    .join('; ');
}
