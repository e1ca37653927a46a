import { join } from 'node:path';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ImageConfig } from '../project/model.ts';
import { type CosignTarget, signatureOf, signDigest } from './cosign.ts';

/** Signs the digest with cosign, once: a digest that carries a signature of this key already is left alone. */
export const signStep: StepKind<'sign'> = {
  kind: 'sign',
  async run({ image, build }, context) {
    const { system, outputs, emit, signal, secrets } = context;
    const { digest, repository } = outputs<BuildOutputs>(build);
    secrets.add(system.env.COSIGN_PASSWORD);
    const target = targetOf(image, `${repository}@${digest}`, context);
    const { reference } = target;
    if ((await signatureOf(system, target, signal)).state === 'signed') return { reference };
    emit({ type: 'step.intent', effect: 'sign', subject: reference });
    await signDigest(system, target, { signal, onText: (text) => emit({ type: 'log', stream: 'err', text }) });
    // What cannot be verified here cannot be verified in the cluster either.
    const { state, ...rest } = await signatureOf(system, target, signal);
    if (state !== 'signed') {
      throw new SlipwayError({
        reason: 'tool-failed',
        code: 'sign.unverified',
        message: `cosign signed ${reference}, but the signature does not verify: ${'why' in rest ? rest.why : state}.`,
        fix: 'Check that "publicKey" belongs to "key", and that the registry keeps referrers.',
        place: image.place,
      });
    }
    return { reference };
  },

  async holds({ image }, outputs, context) {
    const reference = typeof outputs.reference === 'string' ? outputs.reference : undefined;
    if (reference === undefined) return false;
    const found = await signatureOf(context.system, targetOf(image, reference, context), context.signal);
    return found.state === 'signed';
  },
};

function targetOf(image: ImageConfig, reference: string, context: StepContext): CosignTarget {
  if (image.sign === undefined)
    throw new SlipwayError({ reason: 'internal', message: `Image ${image.name} has no key to sign with.` });
  return { reference, sign: image.sign, folder: join(context.folder, 'reports') };
}
