/** Keeps Image Updater of either generation from writing a bad version again. */
import { type Application, applicationRef, whoRestoresAutomation } from '../argocd/index.ts';
import { at } from '../cluster/index.ts';
import { allowTagsKey, ignoreTagsKey, pinPattern, type UpdaterOfApplication } from '../gitops/index.ts';
import type { ClusterAccess } from './access.ts';
import { UPDATER_API, updaterImage } from './argocdPlaces.ts';
import type { ApplyOptions } from './deployer.ts';
import type { ImageToDeploy } from './images.ts';

/** The live object is told at once; when it is itself in git, the same commit says so there. */
export async function holdUpdater(
  access: ClusterAccess,
  app: Application,
  updater: UpdaterOfApplication | undefined,
  way: 'ignore' | 'pin',
  { repository, tag: goodTag }: ImageToDeploy,
  badTag: string,
  { signal, onLine }: ApplyOptions,
): Promise<void> {
  const image = updaterImage(updater, repository);
  if (image === undefined || updater === undefined) return;
  const ignored = [...new Set([...image.ignoreTags, badTag])];
  if (updater.updater === undefined) {
    const annotations =
      way === 'ignore' ? { [ignoreTagsKey(image)]: ignored.join(',') } : { [allowTagsKey(image)]: pinPattern(goodTag) };
    await access.merge(applicationRef(app), { metadata: { annotations } }, { signal });
  } else {
    const ref = {
      apiVersion: UPDATER_API,
      kind: 'ImageUpdater',
      name: updater.updater.name,
      namespace: app.namespace,
    };
    const object = await access.get(ref, signal);
    const references = at(object, 'spec', 'applicationRefs');
    if (!Array.isArray(references)) return;
    const settings = way === 'ignore' ? { ignoreTags: ignored } : { allowTags: pinPattern(goodTag) };
    const next = references.map((reference) => withSettings(reference, image.image, settings));
    await access.merge(ref, { spec: { applicationRefs: next } }, { signal });
  }
  onLine(
    way === 'pin'
      ? `Image Updater was told to take only ${goodTag}, as it would have written ${badTag} again`
      : `Image Updater was told to leave ${badTag} alone, as it would have written it again`,
  );
  const parent = whoRestoresAutomation(app);
  if (parent !== undefined && updater.updater === undefined)
    onLine(`Note: ${parent.replace(/ and may .*$/, '')}; the same must stand there as well`);
}

/** One `applicationRefs` entry with settings at the image itself: inner ones win over outer ones. */
function withSettings(reference: unknown, repository: string, settings: object): unknown {
  const images = at(reference, 'images');
  if (!Array.isArray(images)) return reference;
  const next = images.map((image: Record<string, unknown>) => {
    const name = String(image.imageName ?? '');
    const isOurs = name === repository || name.startsWith(`${repository}:`);
    if (!isOurs) return image;
    return {
      ...image,
      commonUpdateSettings: { ...(image.commonUpdateSettings as object | undefined), ...settings },
    };
  });
  return { ...(reference as object), images: next };
}
