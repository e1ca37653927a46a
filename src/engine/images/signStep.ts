import type { BuildOutputs, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';

/** Signs the digest with cosign. Signing again adds nothing harmful, so a resumed run may repeat it. */
export const signStep: StepKind<'sign'> = {
  kind: 'sign',
  async run({ image, build }, { system, outputs, emit, signal, secrets }) {
    const { digest, repository } = outputs<BuildOutputs>(build);
    if (image.sign === undefined)
      throw new SlipwayError({ reason: 'internal', message: `Image ${image.name} has no key to sign with.` });
    secrets.add(system.env.COSIGN_PASSWORD);
    const reference = `${repository}@${digest}`;
    const isPlainHttp = /^(localhost|127\.)/.test(repository);
    emit({ type: 'step.intent', effect: 'sign', subject: reference });
    await system.processes.check({
      file: 'cosign',
      args: [
        'sign',
        '--yes',
        '--key',
        image.sign.key,
        // Nothing about the image goes to a public log unless the person's own cosign settings say so.
        '--tlog-upload=false',
        ...(isPlainHttp ? ['--allow-http-registry'] : []),
        reference,
      ],
      // A key that wants a password would ask a terminal that is not there.
      env: { COSIGN_PASSWORD: system.env.COSIGN_PASSWORD ?? '' },
      signal,
      timeoutMs: 120_000,
      onStderr: (text) => emit({ type: 'log', stream: 'err', text }),
    });
    return { reference };
  },
};
