import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { stringify } from 'yaml';
import { SlipwayError } from '../problems/index.ts';
import type { KustomizeDeploy } from '../project/model.ts';
import { findTool, howToInstall, type System } from '../system/index.ts';
import type { ImageToDeploy } from './images.ts';
import { type PlacedObject, parseObjects } from './objects.ts';

/**
 * What `kustomize build` makes of the folder, with the images transformer of an overlay of ours on top. The overlay
 * lives in a temporary folder and refers to the person's, whose files are not changed.
 */
export async function loadKustomization(
  system: System,
  config: KustomizeDeploy,
  images: readonly ImageToDeploy[],
  signal: AbortSignal,
): Promise<readonly PlacedObject[]> {
  const stat = await system.files.stat(config.path);
  if (stat?.isFolder !== true) {
    throw new SlipwayError({
      reason: 'config',
      code: 'kustomize.missing',
      message: `${config.path} is no folder.`,
      fix: 'Correct `deploy.kustomize.path`: the folder that holds kustomization.yaml.',
      place: { file: config.path },
    });
  }
  // Links are resolved first: kustomize does so too, and a relative path between the two must mean the same to it.
  const path = await realpath(config.path);
  const folder = join(await realpath(tmpdir()), `slipway-${randomBytes(6).toString('hex')}`);
  const overlay = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    // Kustomize takes folders only by relative path.
    resources: [relative(folder, path).split(sep).join('/')],
    images: images
      .filter((image) => config.images.includes(image.name))
      // Kustomize knows images by repository; those of one repository are told apart in the objects it makes.
      .filter((image, _index, all) => all.filter(({ repository }) => repository === image.repository).length === 1)
      .map((image) => ({
        name: image.repository,
        // With both, kustomize writes `name:tag@digest`.
        newTag: image.tag,
        ...(image.digest !== undefined && { digest: image.digest }),
      })),
  };
  try {
    await system.files.writeAtomic(join(folder, 'kustomization.yaml'), stringify(overlay));
    const result = await system.processes.run({ ...buildCommand(system, folder), signal });
    if (result.code !== 0) {
      const lines = result.stderr.split('\n').filter((line) => line.trim() !== '');
      throw new SlipwayError({
        reason: 'config',
        code: 'kustomize.build',
        message: `Kustomize cannot build ${config.path}: ${
          lines
            .at(-1)
            ?.replace(/^Error: /, '')
            .replaceAll(folder, 'the overlay') ?? 'no reason given'
        }`,
        fix: 'Correct the kustomization; `kubectl kustomize` on the folder shows the same.',
        place: { file: config.path },
        evidence: lines.slice(-10),
      });
    }
    return parseObjects(result.stdout);
  } finally {
    await system.files.remove(folder);
  }
}

/**
 * `kustomize` where there is one, as it is the newer of the two; else the one inside kubectl. Throws SlipwayError
 * `tool-missing` where there is neither.
 */
export function buildCommand(
  system: System,
  folder: string,
): { readonly file: string; readonly args: readonly string[] } {
  // The overlay lies outside the person's folder, so what it refers to is "outside the root" in kustomize's eyes.
  const args = ['--load-restrictor', 'LoadRestrictionsNone', folder];
  if (findTool('kustomize', system.env) !== undefined) return { file: 'kustomize', args: ['build', ...args] };
  if (findTool('kubectl', system.env) !== undefined) return { file: 'kubectl', args: ['kustomize', ...args] };
  throw new SlipwayError({
    reason: 'tool-missing',
    code: 'tool.kustomize',
    message: 'Neither kustomize nor kubectl was found on PATH.',
    fix: howToInstall('kustomize'),
  });
}
