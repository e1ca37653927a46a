// Images that a generated workflow names by version, pinned by the digest that the version has now.
import { Registry } from './images/registry.ts';
import { SlipwayError } from './problems/index.ts';
import type { System } from './system/index.ts';

/** What generated GitLab jobs use; addresses such as `tcp://docker:2376` and remarks are no images. */
const IMAGE = /(?<![\w/.-])((?:docker|aquasec\/trivy|tonistiigi\/binfmt):\w[\w.-]*)(?!@)/g;
const HINT = /The runner needs Docker in Docker \(privileged\)\. Pin[\s\S]*?imagetools inspect .*\n/;

/**
 * The text with `@sha256:…` behind each image. Asks the registries, so only on the person's word. Throws SlipwayError
 * `registry`, also for an image that is not there.
 */
export async function pinImages(system: System, text: string, signal: AbortSignal): Promise<string> {
  const registry = new Registry(system);
  const lines = text
    .replace(HINT, 'The runner needs Docker in Docker (privileged). The images are pinned by digest.\n')
    .split('\n');
  const wanted = new Set(
    lines.filter((line) => !line.trimStart().startsWith('#')).flatMap((line) => line.match(IMAGE) ?? []),
  );
  const digests = new Map<string, string>();
  for (const image of wanted) {
    const digest = await registry.digestOf(image, signal);
    if (digest === undefined) {
      throw new SlipwayError({
        reason: 'registry',
        code: 'registry.not-found',
        message: `${image} is not there, so it cannot be pinned.`,
        fix: 'Write the workflow without --pin, and name a version that exists.',
      });
    }
    digests.set(image, digest);
  }
  return lines
    .map((line) =>
      line.trimStart().startsWith('#')
        ? line
        : line.replaceAll(IMAGE, (image) => `${image}@${digests.get(image) ?? ''}`),
    )
    .join('\n');
}
