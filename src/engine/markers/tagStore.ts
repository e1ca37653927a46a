import { createHash } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { Secrets } from '../events/secrets.ts';
import { describeTags, isHelperTag, newestByName, parseReference, Registry } from '../images/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { folderOf, prepareFolder } from '../run/index.ts';
import type { System } from '../system/index.ts';

/** What is known of one tag beyond its name. */
export interface TagDetail {
  readonly digest: string;
  /** Empty when the image names none. */
  readonly platforms: readonly string[];
  /** ISO time from the image; absent for reproducible builds. */
  readonly created?: string | undefined;
  /** Commit it was built from, by its label. */
  readonly revision?: string | undefined;
  readonly isSigned: boolean;
  /** Formats of the SBOMs it carries; absent in what older versions stored. */
  readonly sboms?: readonly ('cyclonedx' | 'spdx')[] | undefined;
}

/** The tags of one image as they were when somebody last asked the registry. */
export interface TagList {
  /** As `spec.image` writes it. */
  readonly image: string;
  /** ISO time. */
  readonly fetchedAt: string;
  /** All of them, those of signatures too: Flux's policies see them as well. */
  readonly tags: readonly string[];
  /** Of the newest tags and of those that were asked for. */
  readonly details: Readonly<Record<string, TagDetail>>;
}

const detailSchema = v.object({
  digest: v.string(),
  platforms: v.fallback(v.array(v.string()), []),
  created: v.optional(v.string()),
  revision: v.optional(v.string()),
  isSigned: v.fallback(v.boolean(), false),
  sboms: v.fallback(v.optional(v.array(v.picklist(['cyclonedx', 'spdx']))), undefined),
});
const listSchema = v.object({
  image: v.string(),
  fetchedAt: v.pipe(v.string(), v.isoTimestamp()),
  tags: v.array(v.string()),
  details: v.fallback(v.record(v.string(), detailSchema), {}),
});

/** Tags that a fetch looks at closely, at most. */
const MOST_DETAILS = 40;

export const tagsFolder = (root: string): string => join(folderOf(root), 'tags');

/**
 * Tag lists of images, kept in `.slipway/tags` so that windows and terminals of one workspace share them. Only
 * {@link TagStore.fetch} contacts a registry.
 */
export class TagStore {
  readonly folder: string;
  readonly #system: System;
  readonly #root: string;
  readonly #lists = new Map<string, TagList>();

  constructor(system: System, root: string) {
    this.#system = system;
    this.#root = root;
    this.folder = tagsFolder(root);
  }

  /** Reads what was stored; a file that cannot be read counts as never fetched. True when something changed. */
  async load(): Promise<boolean> {
    let isChanged = false;
    for (const entry of (await this.#system.files.list(this.folder)) ?? []) {
      if (!entry.isFile() || !entry.name.endsWith('.json')) continue;
      const text = await this.#system.files.readText(join(this.folder, entry.name));
      const list = text === undefined ? undefined : readList(text);
      if (list === undefined) continue;
      const known = this.#lists.get(list.image);
      if (known !== undefined && known.fetchedAt >= list.fetchedAt) continue;
      this.#lists.set(list.image, list);
      isChanged = true;
    }
    return isChanged;
  }

  of(image: string): TagList | undefined {
    return this.#lists.get(image);
  }

  get lists(): readonly TagList[] {
    return [...this.#lists.values()];
  }

  /**
   * Asks the registry for all tags, and for more about the newest ones and those in `wanted`. Throws SlipwayError
   * `registry`, `untrusted`, or `usage` when the repository does not exist; then what was known stays.
   */
  async fetch(image: string, wanted: readonly string[], signal: AbortSignal): Promise<TagList> {
    if (!this.#system.isTrusted()) {
      throw new SlipwayError({
        reason: 'untrusted',
        message: `The registry of ${image} was not asked: this workspace is not trusted.`,
        fix: 'Trust the workspace, then try again.',
      });
    }
    const reference = parseReference(image);
    const registry = new Registry(this.#system, new Secrets());
    const tags = await registry.tags(reference.registry, reference.repository, signal);
    if (tags === undefined) {
      throw new SlipwayError({
        reason: 'usage',
        code: 'registry.not-found',
        message: `${image} does not exist, or you may not see it.`,
        fix: 'Check the name; log in with docker login if it is private.',
      });
    }
    const present = new Set(tags);
    const newest = newestByName(tags.filter((tag) => !isHelperTag(tag)));
    const chosen = [...new Set([...wanted.filter((tag) => present.has(tag)), ...newest])].slice(0, MOST_DETAILS);
    const views = await describeTags(registry, reference, chosen, tags, signal);
    const details = Object.fromEntries(views.map(({ tag, ...detail }) => [tag, detail]));
    const list: TagList = { image, fetchedAt: new Date(this.#system.clock.now()).toISOString(), tags, details };
    this.#lists.set(image, list);
    await prepareFolder(this.#system.files, this.#root);
    await this.#system.files.writeAtomic(this.#fileOf(image), `${JSON.stringify(list)}\n`);
    return list;
  }

  /** The digest of a tag now. Throws SlipwayError `registry`; `usage` when the tag is not there. */
  async digestOf(image: string, tag: string, signal: AbortSignal): Promise<string> {
    const reference = parseReference(`${image}:${tag}`);
    const digest = await new Registry(this.#system, new Secrets()).digestOf(reference, signal);
    if (digest !== undefined) return digest;
    throw new SlipwayError({
      reason: 'usage',
      code: 'tag.missing',
      message: `${image} has no tag "${tag}" any more.`,
      fix: 'Fetch the tags again.',
    });
  }

  #fileOf(image: string): string {
    return join(this.folder, `${createHash('sha256').update(image).digest('hex').slice(0, 16)}.json`);
  }
}

function readList(text: string): TagList | undefined {
  try {
    const parsed = v.safeParse(listSchema, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
