// What became of the images in a rendered chart.
import { type KubeObject, nameOf, refOf } from '../cluster/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { HelmDeploy } from '../project/model.ts';
import type { ReleaseHook, ReleaseRecord } from './helmRecords.ts';
import { type ImageToDeploy, imagesOf, normalRepository, splitReference } from './images.ts';
import { type PlacedObject, podTemplateOf } from './objects.ts';

/** The objects of hooks that could be read. */
export const hookObjects = (hooks: readonly ReleaseHook[]): readonly KubeObject[] =>
  hooks.flatMap((hook) => (hook.object === undefined ? [] : [hook.object]));

/** A label of some object that holds a digest, as text; such an object is refused by the API server. */
export function labelWithDigest(record: ReleaseRecord): string | undefined {
  const objects = [...record.objects.map(({ object }: PlacedObject) => object), ...hookObjects(record.hooks)];
  for (const object of objects) {
    const template = podTemplateOf(object)?.metadata.labels as Readonly<Record<string, unknown>> | undefined;
    for (const [key, value] of Object.entries({ ...template, ...object.metadata.labels })) {
      if (String(value).includes('@sha256')) return `${key} of ${nameOf(refOf(object))}`;
    }
  }
  return undefined;
}

/** What the mapped images became; throws when a values key has no effect, as the old version would be deployed. */
export function usedImages(
  objects: readonly KubeObject[],
  images: readonly ImageToDeploy[],
  config: HelmDeploy,
): Readonly<Record<string, string>> {
  const references = imagesOf(objects).map(({ reference }) => reference);
  const used: Record<string, string> = {};
  for (const image of images) {
    const found = references.find((reference) => {
      const { repository, tag, digest } = splitReference(reference);
      if (normalRepository(repository) !== normalRepository(image.repository)) return false;
      return (digest !== undefined && digest === image.digest) || tag === image.tag;
    });
    if (found !== undefined) {
      used[image.name] = found;
      continue;
    }
    const key = config.images[image.name] ?? '';
    const others = references.filter((reference) => !images.some((other) => reference.includes(other.repository)));
    throw new SlipwayError({
      reason: 'config',
      code: 'helm.image-unused',
      message: `No container of the chart runs ${image.repository}:${image.tag}: the values key \`${key}\` of image ${image.name} has no effect.`,
      fix: `Correct \`deploy.helm.images.${image.name}\` to the key that the chart's templates use.`,
      evidence: others.slice(0, 10).map((reference) => `the chart runs ${reference}`),
    });
  }
  return used;
}
