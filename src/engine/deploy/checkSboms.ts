import type { ObjectRef } from '../events/index.ts';
import {
  attestationsOf,
  parseReference,
  type Registry as RegistryClient,
  SBOM_FORMATS,
  sbomsOf,
  taggedSboms,
} from '../images/index.ts';
import type { DeployedImage } from '../plan/step.ts';
import type { System } from '../system/index.ts';
import type { Answer } from './answers.ts';

/**
 * Images that are to carry an SBOM and do not: a warning, as the image is no worse for it. Where the image is signed, the
 * attestation must be of the same key, and one of another key only is wrong.
 */
export async function checkSboms(
  images: readonly (DeployedImage & { readonly digest?: string })[],
  options: {
    readonly system: System;
    readonly client: RegistryClient;
    /** Absolute, for cosign's small files. */
    readonly folder: string;
    readonly object: ObjectRef;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly answers: readonly Answer[]; readonly unchecked: readonly string[] }> {
  const { system, client, folder, object, signal } = options;
  const answers: Answer[] = [];
  const unchecked: string[] = [];
  for (const { image, tag, digest: known } of images) {
    const { sbom: format, sign, repository } = image;
    if (format === undefined || format === 'buildkit') continue;
    try {
      const parsed = parseReference(repository);
      const manifest = await client.manifest(
        { ...parsed, ...(known === undefined ? { tag } : { digest: known }) },
        signal,
      );
      if (manifest === undefined) continue;
      const name = `${repository}:${tag} (${manifest.digest.slice(0, 19)}…)`;
      const reference = `${repository}@${manifest.digest}`;
      const common = { object, place: image.place };
      const fix = 'Publish it with slipway run, which makes one with Trivy.';
      const referrers = await client.referrers(parsed.registry, parsed.repository, manifest.digest, signal);
      const sboms = [
        ...(await sbomsOf(client, manifest, referrers, parsed, signal)),
        ...(await taggedSboms(client, parsed, manifest.digest, signal)),
      ];
      if (sign !== undefined) {
        const target = { reference, sign, folder };
        const found = await attestationsOf(system, target, SBOM_FORMATS[format].cosign, signal);
        if (found.state === 'unknown') unchecked.push(`SBOM of ${repository}:${tag}: ${found.why}`);
        if (found.state === 'unsigned' || found.state === 'other-key') {
          // cosign has one answer for none and for none of this key.
          const isOther = sboms.some((sbom) => sbom.how === 'attestation' && sbom.format === format);
          answers.push({
            ...common,
            certainty: isOther ? 'wrong' : 'suspicious',
            code: 'image.no-sbom',
            message: `${name} carries no ${format} SBOM ${isOther ? 'signed by the configured key, only of others' : 'as an attestation'}.`,
            fix,
            evidence: [found.why],
          });
        }
        continue;
      }
      if (sboms.length > 0) continue;
      answers.push({
        ...common,
        certainty: 'suspicious',
        code: 'image.no-sbom',
        message: `${name} carries no SBOM.`,
        fix,
        evidence: [`${referrers.length} referrers`],
      });
    } catch (error) {
      if (signal.aborted) throw error;
      unchecked.push(`SBOM of ${repository}:${tag}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { answers, unchecked };
}
