import type { ObjectRef } from '../events/index.ts';
import { type CosignTarget, signatureOf } from '../images/index.ts';
import type { DeployedImage } from '../plan/step.ts';
import type { System } from '../system/index.ts';
import type { Answer } from './answers.ts';
import type { Registry } from './checkImages.ts';

/**
 * Images that are to be signed and are not, or by another key. Asked of the digest a tag points at now, or of the digest
 * given; an image that is not there is the business of another look. Throws with what could not be checked.
 */
export async function checkSignatures(
  images: readonly (DeployedImage & { readonly digest?: string })[],
  options: {
    readonly system: System;
    readonly registry: Registry;
    /** Absolute, for cosign's small files. */
    readonly folder: string;
    readonly object: ObjectRef;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly answers: readonly Answer[]; readonly unchecked: readonly string[] }> {
  const { system, registry, folder, object, signal } = options;
  const answers: Answer[] = [];
  const unchecked: string[] = [];
  for (const { image, tag, digest: known } of images) {
    const { sign, repository } = image;
    if (sign === undefined) continue;
    const found = known === undefined ? await registry.lookUp(`${repository}:${tag}`, signal) : undefined;
    const digest = known ?? (found?.state === 'present' ? found.digest : undefined);
    if (digest === undefined) continue;
    const target: CosignTarget = { reference: `${repository}@${digest}`, sign, folder };
    const signature = await signatureOf(system, target, signal);
    if (signature.state === 'unknown') unchecked.push(`signature of ${repository}:${tag}: ${signature.why}`);
    if (signature.state !== 'unsigned' && signature.state !== 'other-key') continue;
    answers.push({
      certainty: 'wrong',
      code: 'image.unsigned',
      object,
      message:
        signature.state === 'unsigned'
          ? `${repository}:${tag} (${digest.slice(0, 19)}…) carries no signature, and image "${image.name}" is to be signed.`
          : `${repository}:${tag} (${digest.slice(0, 19)}…) carries no signature of the configured key, only of others.`,
      fix: 'Publish it with slipway run, which signs it, or sign the digest with the key of this project.',
      evidence: [signature.why],
      place: image.place,
    });
  }
  return { answers, unchecked };
}
