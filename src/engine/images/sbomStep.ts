import { join } from 'node:path';
import type { BuildOutputs, StepContext, StepKind } from '../plan/step.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ImageConfig, SbomFormat } from '../project/model.ts';
import { attach } from './attach.ts';
import { attestationsOf, attestDigest, type CosignTarget } from './cosign.ts';
import { parseReference } from './reference.ts';
import { registryOf } from './registry.ts';
import { PLATFORM_ANNOTATION, SBOM_FORMATS, sbomsOf } from './sboms.ts';
import { writeSbom } from './scanners.ts';

/**
 * Attaches to the published digest one SBOM for each platform: as a signed attestation where the image is signed, else as
 * a referrer. A document differs with every making (its number, its date), so those that are there already stay.
 */
export const sbomStep: StepKind<'sbom'> = {
  kind: 'sbom',
  async run({ image, build, format }, context) {
    const { system, emit, signal, secrets } = context;
    const built = context.outputs<BuildOutputs>(build);
    secrets.add(system.env.COSIGN_PASSWORD);
    const reports = join(context.folder, 'reports');
    await system.files.makeFolder(reports);
    const reference = `${built.repository}@${built.digest}`;
    const present = await countOf(image, reference, format, context);
    const { ending, type, cosign } = SBOM_FORMATS[format];
    const platforms = Object.entries(built.platforms);
    if (present >= platforms.length) return { reference, documents: platforms.length };
    for (const [platform, digest] of platforms) {
      const title = `sbom-${image.name}-${platform.replaceAll('/', '-')}.${ending}`;
      const file = join(reports, title);
      const target = { reference: `${built.repository}@${digest}`, platform, isPlainHttp: isPlain(reference) };
      await writeSbom(system, { ...target, reportFile: file, format: SBOM_FORMATS[format].trivy }, signal, (text) =>
        emit({ type: 'log', stream: 'err', text }),
      );
      emit({ type: 'step.intent', effect: 'attach', subject: reference, detail: { platform, format } });
      if (image.sign !== undefined) {
        await attestDigest(
          system,
          targetOf(image.sign, reference, context),
          { type: cosign, predicate: file },
          { signal, onText: (text) => emit({ type: 'log', stream: 'err', text }) },
        );
      } else {
        await attach(
          registryOf(context),
          { ...parseReference(built.repository), digest: built.digest },
          {
            type,
            title,
            bytes: (await system.files.readBytes(file)) ?? new Uint8Array(),
            annotations: {
              'org.opencontainers.image.created': new Date(system.clock.now()).toISOString(),
              [PLATFORM_ANNOTATION]: platform,
            },
          },
          signal,
        );
      }
    }
    // What is not found here is not found by those who ask for it later.
    const found = await countOf(image, reference, format, context);
    if (found < platforms.length) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'sbom.missing',
        message: `The SBOM of ${image.name} was attached to ${reference}, but only ${found} of ${platforms.length} can be found there.`,
        fix:
          image.sign === undefined
            ? 'Check that the registry keeps referrers, and that no clean-up job removes what has no tag.'
            : 'Check that "publicKey" belongs to "key", and that the registry keeps referrers.',
        place: image.place,
      });
    }
    return { reference, documents: found };
  },

  async holds({ image, format }, outputs, context) {
    const { reference, documents } = outputs;
    if (typeof reference !== 'string' || typeof documents !== 'number') return false;
    return (await countOf(image, reference, format, context)) >= documents;
  },
};

const isPlain = (reference: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+)(:\d+)?\//.test(reference);

const targetOf = (sign: CosignTarget['sign'], reference: string, context: StepContext): CosignTarget => ({
  reference,
  sign,
  folder: join(context.folder, 'reports'),
});

/** How many documents of the format the digest carries, signed by the key where the image is signed. */
async function countOf(
  image: ImageConfig,
  reference: string,
  format: SbomFormat,
  context: StepContext,
): Promise<number> {
  const { system, signal } = context;
  if (image.sign !== undefined) {
    const target = targetOf(image.sign, reference, context);
    return (await attestationsOf(system, target, SBOM_FORMATS[format].cosign, signal)).count;
  }
  const registry = registryOf(context);
  const parsed = parseReference(reference);
  const manifest = await registry.manifest(parsed, signal);
  if (manifest === undefined) return 0;
  const referrers = await registry.referrers(parsed.registry, parsed.repository, manifest.digest, signal);
  const found = await sbomsOf(registry, { ...manifest, children: [] }, referrers, parsed, signal);
  return found.filter((sbom) => sbom.how === 'referrer' && sbom.format === format).length;
}
