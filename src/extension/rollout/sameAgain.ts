// What "Run again" asks for: the part of the pipeline that the run was, and no more. Pure.
import type { PlanRequest } from '../../engine/main.ts';
import type { Stage } from '../../engine/project/model.ts';
import type { RunView } from '../../engine/run/projection.ts';

const stages: readonly Stage[] = ['test', 'build', 'scan', 'publish', 'deploy', 'smoke'];

/**
 * A run that only built must not publish when it is run again, and one that deployed a tag deploys that tag. Undefined for a
 * rollback by hand: a version that is back already is not gone back to again.
 */
export function sameAgain({ environment, steps, tag }: RunView): Omit<PlanRequest, 'environment'> | undefined {
  const had = stages.filter((stage) => steps.some(({ kind }) => kind === stage));
  if (had.length === 0) return undefined;
  const images = [...new Set(steps.flatMap(({ image }) => (image === undefined ? [] : [image])))];
  const ofImages = environment === null && images.length > 0 ? { images } : {};
  if (had.includes('deploy') && !had.includes('build')) return tag === undefined ? { only: had } : { tag };
  if (had.includes('deploy')) return {};
  return had.includes('publish') ? { ...ofImages, until: 'publish' } : { ...ofImages, only: had };
}
