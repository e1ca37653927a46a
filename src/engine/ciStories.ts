// What became of the commits that CI ran: joined with this workspace's journal and, when asked, the registry.
import { type CiRun, type CommitStory, joinCommits, type RegistryTag } from './ci/index.ts';
import { listTags } from './images/tags.ts';
import { isCancelled, toFailure } from './problems/index.ts';
import { loadProject } from './project/index.ts';
import { listRuns, project, readEvents } from './run/index.ts';
import type { System } from './system/index.ts';

/** Runs of the journal that are looked at, and tags of each image. */
const MOST_RUNS = 100;
const MOST_TAGS = 20;

export interface StoryOptions {
  /** `ask`: also ask the registries of the project which image says that it was built from which commit. */
  readonly registry: 'ask' | 'leave';
  /** Called for a registry that could not be asked: it takes away only what it would have added. */
  readonly onUnread?: (message: string) => void;
  readonly signal: AbortSignal;
}

/** What became of the commits of these runs, newest first. */
export async function commitStories(
  system: System,
  root: string,
  runs: readonly CiRun[],
  options: StoryOptions,
): Promise<readonly CommitStory[]> {
  const ids = (await listRuns(system.files, root)).slice(0, MOST_RUNS);
  const views = await Promise.all(ids.map(async (id) => project(await readEvents(system.files, root, id))));
  const journal = views.filter((view) => view !== undefined);
  return joinCommits(runs, journal, options.registry === 'ask' ? await tagsOf(system, root, options) : []);
}

async function tagsOf(
  system: System,
  root: string,
  { signal, onUnread }: StoryOptions,
): Promise<readonly RegistryTag[]> {
  const { images } = await loadProject(system, root);
  const lists = await Promise.all(
    images.map(async ({ name, repository }) => {
      try {
        const tags = await listTags(system, repository, { most: MOST_TAGS, look: MOST_TAGS, signal });
        return tags.map(({ tag, digest, revision }) => ({
          image: name,
          repository,
          tag,
          digest,
          ...(revision !== undefined && { revision }),
        }));
      } catch (error) {
        if (isCancelled(error)) throw error;
        onUnread?.(toFailure(error).message);
        return [];
      }
    }),
  );
  return lists.flat();
}
