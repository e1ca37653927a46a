import { type ClusterTarget, openCluster } from '../cluster/index.ts';
import { Secrets } from '../events/secrets.ts';
import { type ImageChoice, latestOf, servedVersion } from '../flux/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { deployAccess } from '../run/clusterAccess.ts';
import type { System } from '../system/index.ts';

/**
 * What Flux in a cluster chose before its present choice (`status.observedPreviousRef`, Flux 2.6 or later; before that
 * `observedPreviousImage`). Undefined when the policy never chose another. Throws SlipwayError `cluster`; `usage` when the
 * policy is not there.
 */
export async function previousInCluster(
  system: System,
  target: ClusterTarget,
  policy: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<ImageChoice | undefined> {
  const access = deployAccess(await openCluster(system, target, new Secrets()));
  const apiVersion = await servedVersion(access, 'ImagePolicy', signal);
  const object =
    apiVersion === undefined ? undefined : await access.get({ apiVersion, kind: 'ImagePolicy', ...policy }, signal);
  if (object !== undefined) return latestOf(object, 'observedPreviousRef');
  throw new SlipwayError({
    reason: 'usage',
    code: 'gitops.not-in-cluster',
    message: `The cluster ${target.context ?? ''} has no ImagePolicy ${policy.namespace}/${policy.name}.`,
    fix: 'Choose an earlier value from git.',
  });
}
