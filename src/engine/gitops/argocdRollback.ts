/**
 * Ways back under Argo CD with Image Updater: what each controller does next is found by running Image Updater's own
 * choice on the known tags, with the settings as the way would leave them. Pure.
 */
import { ignoreTagEdits, ignoreTagInUpdater, setInUpdater } from './argocd.ts';
import type { TextEdit } from './edit.ts';
import { annotationPrefix, chooseTag, type DatedTag, type UpdaterImage } from './imageUpdater.ts';
import type { ApplicationObject, ImageUpdaterObject } from './objects.ts';
import { setValue } from './yaml.ts';

/** `ignore`: the bad tag is left out. `pin`: only the good one is taken. `revert`: git only. `pause`: the cluster only. */
export type ArgoCdWay = 'ignore' | 'pin' | 'revert' | 'pause';

export interface ArgoCdStep {
  readonly controller: 'argocd' | 'argocd-image-updater';
  /** One clause, with the controller as its subject. */
  readonly does: string;
}

export interface ArgoCdRecipe {
  readonly way: ArgoCdWay;
  readonly title: string;
  readonly next: readonly ArgoCdStep[];
  /** `sticks`: the good tag stays. `bounces`: the bad one comes again. `differs`: another tag comes. */
  readonly verdict: 'sticks' | 'bounces' | 'differs';
  readonly warnings: readonly string[];
}

export interface ArgoCdRollback {
  readonly automated: 'on' | 'off';
  /** Absent where no Image Updater looks after the image. */
  readonly image: UpdaterImage | undefined;
  readonly tags: readonly DatedTag[];
  readonly badTag: string;
  readonly goodTag: string;
  /** Who writes the Application itself, in words. */
  readonly parent?: string;
}

/** All ways, best first. */
export function argocdRecipes(rollback: ArgoCdRollback): readonly ArgoCdRecipe[] {
  const { image } = rollback;
  const ways: readonly ArgoCdWay[] = image === undefined ? ['revert', 'pause'] : ['ignore', 'pin', 'revert', 'pause'];
  return ways.map((way) => recipe(way, rollback));
}

/** Image Updater's settings as a way leaves them. */
export function settingsAfter(way: ArgoCdWay, image: UpdaterImage, badTag: string, goodTag: string): UpdaterImage {
  if (way === 'ignore') return { ...image, ignoreTags: [...new Set([...image.ignoreTags, badTag])] };
  if (way === 'pin') return { ...image, allowTags: pinPattern(goodTag) };
  return image;
}

export const pinPattern = (tag: string): string => `regexp:^${tag.replaceAll(/[.+*?()|[\]{}^$\\]/g, '\\$&')}$`;

function recipe(way: ArgoCdWay, rollback: ArgoCdRollback): ArgoCdRecipe {
  const { automated, image, badTag, goodTag, parent } = rollback;
  const chosen = image === undefined ? undefined : choice(way, rollback);
  const updater: readonly ArgoCdStep[] =
    image === undefined
      ? []
      : [{ controller: 'argocd-image-updater', does: updaterText(chosen, badTag, goodTag, image.strategy) }];
  if (way === 'pause') {
    return {
      way,
      title: `Switch automatic sync off and roll back in the cluster (argocd rollback --pause)`,
      next: [
        { controller: 'argocd', does: 'applies the old revision of its history and then leaves it, however git moves' },
        ...updater,
      ],
      verdict: 'sticks',
      warnings: [
        `Git still holds ${badTag}; nothing of the application is synced until automatic sync is resumed.`,
        ...(parent === undefined ? [] : [`${parent} writes this Application and may switch automatic sync on again.`]),
      ],
    };
  }
  const titles = {
    ignore: `Write ${goodTag} into git, and have Image Updater leave ${badTag} alone`,
    pin: `Write ${goodTag} into git, and pin Image Updater to it`,
    revert: `Write ${goodTag} into git, and change nothing else`,
  };
  const applies: ArgoCdStep = {
    controller: 'argocd',
    does:
      automated === 'on'
        ? `syncs the commit with ${goodTag} by itself`
        : `waits until the commit with ${goodTag} is synced (the run asks for it)`,
  };
  return {
    way,
    title: titles[way],
    next: [applies, ...updater],
    verdict: chosen === undefined || chosen === goodTag ? 'sticks' : chosen === badTag ? 'bounces' : 'differs',
    warnings: warningsOf(way, rollback),
  };
}

function choice(way: ArgoCdWay, { image, tags, badTag, goodTag }: ArgoCdRollback): string | undefined {
  if (image === undefined) return undefined;
  const settings = settingsAfter(way, image, badTag, goodTag);
  if (settings.strategy !== 'newest-build' || tags.every(({ created }) => created !== undefined))
    return chooseTag(settings, tags).tag;
  // Without build dates only these two can be ordered: the bad one was deployed after the good one.
  return chooseTag(settings, [
    { tag: goodTag, created: 1 },
    { tag: badTag, created: 2 },
  ]).tag;
}

function updaterText(chosen: string | undefined, badTag: string, goodTag: string, strategy: string): string {
  if (chosen === undefined) return 'finds no tag that it may take, and writes nothing';
  if (chosen === goodTag) return `chooses ${goodTag} (${strategy}), which is what stands there`;
  return chosen === badTag
    ? `chooses ${badTag} again (${strategy}) and writes it within two minutes`
    : `chooses ${chosen} (${strategy}) and writes that within two minutes`;
}

function warningsOf(way: ArgoCdWay, { badTag, goodTag, image }: ArgoCdRollback): readonly string[] {
  if (way === 'pin') return [`No newer tag is taken until the pin on ${goodTag} is taken out again.`];
  if (way === 'ignore' && image?.strategy === 'digest')
    return ['The digest strategy follows one tag: when it moves, the new digest is written.'];
  return way === 'ignore' ? [`${badTag} stays left out; the next version is taken as soon as it is there.`] : [];
}

/** Edits of an Application (0.x) or ImageUpdater (1.x) that carry a way out; undefined when there is no place for them. */
export function holdEdits(
  way: 'ignore' | 'pin',
  text: string,
  object: ApplicationObject | ImageUpdaterObject,
  image: UpdaterImage,
  tags: { readonly badTag: string; readonly goodTag: string },
): readonly TextEdit[] | undefined {
  if (object.kind === 'ImageUpdater') {
    return way === 'ignore'
      ? ignoreTagInUpdater(text, object, image, tags.badTag)
      : setInUpdater(text, object, image, ['commonUpdateSettings', 'allowTags'], { text: pinPattern(tags.goodTag) });
  }
  if (way === 'ignore') return ignoreTagEdits(text, object, image, tags.badTag);
  return setValue(text, object.source, ['metadata', 'annotations', allowTagsKey(image)], {
    text: pinPattern(tags.goodTag),
  });
}

/** Annotation keys of an image; without an alias those for all images. */
const keyOf = ({ alias }: Pick<UpdaterImage, 'alias'>, name: string): string =>
  `${annotationPrefix}${alias === undefined ? '' : `${alias.replaceAll('/', '_')}.`}${name}`;
export const allowTagsKey = (image: Pick<UpdaterImage, 'alias'>): string => keyOf(image, 'allow-tags');
export const ignoreTagsKey = (image: Pick<UpdaterImage, 'alias'>): string => keyOf(image, 'ignore-tags');
