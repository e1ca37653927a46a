// Which tags were rolled out and tested here: a note on the ImagePolicy, the one object that all who deploy can see.
import { type KubeObject, refOf } from '../cluster/index.ts';
import type { ClusterAccess } from './access.ts';

/** Annotation on the ImagePolicy: tags that were rolled out and tested here, newest first. */
const VERIFIED = 'slipway.dev/verified-tags';
const MOST_VERIFIED = 10;

export function readVerified(policy: KubeObject): readonly { readonly tag: string; readonly at: string }[] {
  const text = policy.metadata.annotations?.[VERIFIED] ?? '';
  return text
    .split(' ')
    .filter((part) => part.includes('@'))
    .map((part) => {
      const cut = part.lastIndexOf('@');
      return { tag: part.slice(0, cut), at: part.slice(cut + 1) };
    });
}

export async function writeVerified(
  access: ClusterAccess,
  policy: KubeObject,
  tag: string,
  now: string,
  signal: AbortSignal,
): Promise<void> {
  const live = (await access.get(refOf(policy), signal)) ?? policy;
  const others = readVerified(live).filter((one) => one.tag !== tag);
  const value = [{ tag, at: now }, ...others]
    .slice(0, MOST_VERIFIED)
    .map((one) => `${one.tag}@${one.at}`)
    .join(' ');
  await access.merge(refOf(policy), { metadata: { annotations: { [VERIFIED]: value } } }, { signal });
}
