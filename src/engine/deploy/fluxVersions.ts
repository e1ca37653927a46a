// Versions of an environment as text: the tag, or one tag for each policy.
import { referencesOf, tagOf } from '../flux/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { Goal } from './fluxFollow.ts';
import type { FluxView, PolicyView } from './fluxPlan.ts';

export const textOfRef = ({ name, tag, digest }: Goal['ref']): string =>
  `${name}:${tag}${digest === '' ? '' : `@${digest}`}`;

/** The tag that the first container of the image runs now. */
export function liveTag({ workloads, image }: PolicyView): string | undefined {
  for (const workload of workloads) {
    const reference = referencesOf(workload).find(
      (one) => one.startsWith(image) && /^[:@]/.test(one.slice(image.length)),
    );
    if (reference !== undefined) return tagOf(reference);
  }
  return undefined;
}

/** One policy: the tag. Several: `flux-system:api=1.0.12 flux-system:web=2.1.0`. */
export function versionsText(
  versions: readonly (readonly [PolicyView, string | undefined])[],
  isNamed = versions.length > 1,
): string | null {
  const known = versions.flatMap(([policy, tag]) =>
    tag === undefined ? [] : [isNamed ? `${policy.key}=${tag}` : tag],
  );
  return known.length === 0 ? null : known.join(' ');
}

export function versionOf(text: string | null, policy: PolicyView, { policies }: FluxView): string | undefined {
  if (text === null) return undefined;
  const parts = text.split(' ');
  const own = parts.find((part) => part.startsWith(`${policy.key}=`));
  if (own !== undefined) return own.slice(policy.key.length + 1);
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && !only.includes('=')) {
    if (policies.length === 1) return only;
    throw new SlipwayError({
      reason: 'usage',
      code: 'flux.which-policy',
      message: `This environment follows ${policies.length} policies, and "${only}" does not say which one it is for.`,
      fix: `Write for example "${policy.key}=${only}".`,
    });
  }
  return undefined;
}
