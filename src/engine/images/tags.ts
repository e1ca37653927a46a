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
const PARALLEL = 5;

/**
 * The tags of a repository with what can be told of them, newest first. Registries list tags by name, so all of them are
 * listed and the last `most` by name order of versions are looked at. Throws SlipwayError `usage` when there is none.
 */
export async function listTags(
  system: System,
  repository: string,
  options: { readonly most: number; readonly signal: AbortSignal; readonly secrets?: Secrets },
): Promise<readonly TagView[]> {
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
  const wanted = newestByName(listed.filter((tag) => !isHelperTag(tag))).slice(0, options.most);
  const views = await describeTags(registry, reference, wanted, listed, options.signal);
  return views.toSorted((a, b) => (b.created ?? '').localeCompare(a.created ?? '') || byVersion.compare(b.tag, a.tag));
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
