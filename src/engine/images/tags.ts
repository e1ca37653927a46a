import type { Secrets } from '../events/secrets.ts';
import { SlipwayError } from '../problems/index.ts';
import type { SbomFormat } from '../project/model.ts';
import type { System } from '../system/index.ts';
import { platformsOf } from './manifest.ts';
import { describeImage, type ImageFacts } from './publishStep.ts';
import { isHelperTag, parseReference, type Reference } from './reference.ts';
import { Registry } from './registry.ts';
import { hasSignature, sbomsOf, taggedSboms } from './sboms.ts';

export interface TagView {
  readonly tag: string;
  readonly digest: string;
  /** Empty when the image names none. */
  readonly platforms: readonly string[];
  /** ISO time from the image; absent for reproducible builds. */
  readonly created?: string;
  /** Commit it was built from, by its label. */
  readonly revision?: string;
  readonly isSigned: boolean;
  /** Formats of the SBOMs it carries. */
  readonly sboms: readonly SbomFormat[];
}

/** At most so many look-ups at once: registries throttle by connection. */
const PARALLEL = 8;
/** Tags whose date is asked for, where nothing else is said. */
const LOOKED_AT = 200;
/** Docker Hub counts each manifest that is read against the pulls it allows. */
const LOOKED_AT_ON_HUB = 30;

interface TagsOptions {
  readonly most: number;
  /** How many tags' dates are asked for, the highest by name first; Infinity for all. */
  readonly look?: number;
  /** Only tags that fit. */
  readonly isWanted?: (tag: string) => boolean;
  /** Told when not all were looked at, so that a newer one may be among the others. */
  readonly onCut?: (looked: number, all: number) => void;
  readonly signal: AbortSignal;
  readonly secrets?: Secrets;
}

/**
 * The tags of a repository with what can be told of them, newest first by the date of the image, then by version. Registries
 * list tags by name, so all of them are listed (page by page), the dates of `look` of them are asked for, two small requests
 * for each content, and the rest only of the `most` newest. Throws SlipwayError `usage` when there is no such repository.
 */
export async function listTags(system: System, repository: string, options: TagsOptions): Promise<readonly TagView[]> {
  const registry = new Registry(system, options.secrets);
  const reference = parseReference(repository);
  const listed = await registry.tags(reference.registry, reference.repository, options.signal);
  if (listed === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'registry.not-found',
      message: `${repository} does not exist, or you may not see it.`,
      fix: 'Check the name; log in with docker login if it is private.',
    });
  }
  const all = listed.filter((tag) => !isHelperTag(tag) && options.isWanted?.(tag) !== false);
  const isHub = /(^|\.)docker\.io$/.test(reference.registry);
  const look = Math.max(options.look ?? (isHub ? LOOKED_AT_ON_HUB : LOOKED_AT), options.most);
  const looked = newestByName(all).slice(0, look);
  if (looked.length < all.length) options.onCut?.(looked.length, all.length);
  const isAll = looked.length <= options.most;
  const newest = isAll ? looked : await newestByDate(registry, reference, looked, options.signal);
  const views = await describeTags(registry, reference, newest.slice(0, options.most), listed, options.signal);
  return views.toSorted((a, b) => (b.created ?? '').localeCompare(a.created ?? '') || byVersion.compare(b.tag, a.tag));
}

/** Each content is looked at once: tags that move name what others name. */
async function newestByDate(
  registry: Registry,
  reference: Reference,
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const dates = new Map<string, Promise<string>>();
  const dated = new Map<string, string>();
  const waiting = [...tags];
  const dateOf = (digest: string): Promise<string> =>
    describeImage(registry, reference, digest, signal).then(
      ({ created }) => created ?? '',
      () => '',
    );
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let tag = waiting.shift(); tag !== undefined; tag = waiting.shift()) {
        const digest = await registry.digestOf({ ...reference, tag }, signal);
        if (digest === undefined) continue;
        const date = dates.get(digest) ?? dateOf(digest);
        dates.set(digest, date);
        dated.set(tag, await date);
      }
    }),
  );
  signal.throwIfAborted();
  return [...dated]
    .toSorted(([a, one], [b, other]) => other.localeCompare(one) || byVersion.compare(b, a))
    .map(([tag]) => tag);
}

const byVersion = new Intl.Collator('en', { numeric: true });

/** Tags by the order of their names as versions, the highest first. */
export const newestByName = (tags: readonly string[]): readonly string[] =>
  tags.toSorted((a, b) => byVersion.compare(b, a));

/** An index says its platforms; of a single image its own configuration does. */
function platformsFrom(listed: Readonly<Record<string, unknown>>, facts: ImageFacts): readonly string[] {
  const names = Object.keys(listed);
  return names.length === 0 && facts.platform !== undefined ? [facts.platform] : names;
}

/** What can be told of the tags; those that are gone by now are left out. `listed` are all tags of the repository. */
export async function describeTags(
  registry: Registry,
  reference: Reference,
  wanted: readonly string[],
  listed: readonly string[],
  signal: AbortSignal,
): Promise<readonly TagView[]> {
  const signatures = new Set(
    listed.filter((tag) => /\.sig$/.test(tag)).map((tag) => tag.replace(/\.sig$/, '').replace('-', ':')),
  );
  const all = new Set(listed);
  const views: TagView[] = [];
  const waiting = [...wanted];
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let tag = waiting.shift(); tag !== undefined; tag = waiting.shift()) {
        const manifest = await registry.manifest({ ...reference, tag }, signal);
        if (manifest === undefined) continue;
        const facts = await describeImage(registry, reference, manifest.digest, signal).catch((): ImageFacts => ({}));
        const referrers = await registry
          .referrers(reference.registry, reference.repository, manifest.digest, signal)
          .catch(() => []);
        const sboms = await Promise.all([
          sbomsOf(registry, manifest, referrers, reference, signal),
          taggedSboms(registry, reference, manifest.digest, signal, all),
        ])
          .then((found) => found.flat())
          .catch(() => []);
        views.push({
          tag,
          digest: manifest.digest,
          platforms: platformsFrom(platformsOf(manifest), facts),
          ...(facts.created !== undefined && { created: facts.created }),
          ...(facts.revision !== undefined && { revision: facts.revision }),
          isSigned:
            signatures.has(manifest.digest) ||
            (await hasSignature(registry, referrers, reference, signal).catch(() => false)),
          sboms: [...new Set(sboms.map(({ format }) => format))],
        });
      }
    }),
  );
  return views;
}
