// What became of the commits that CI ran: joined with this workspace's journal and, when asked, the registry.
import { type CiRun, type CommitStory, joinCommits, type RegistryTag } from './ci/index.ts';
import { listTags } from './images/tags.ts';
import { isCancelled } from './problems/index.ts';
import { loadProject } from './project/index.ts';
import { listRuns, project, readEvents } from './run/index.ts';
import type { System } from './system/index.ts';

/** Runs of the journal that are looked at, and tags of each image. */
const MOST_RUNS = 100;
const MOST_TAGS = 20;

/** `registry`: also ask the registries of the project which image says that it was built from which commit. */
export async function commitStories(
  system: System,
  root: string,
  runs: readonly CiRun[],
  options: { readonly registry: 'ask' | 'leave'; readonly signal: AbortSignal },
): Promise<readonly CommitStory[]> {
  const ids = (await listRuns(system.files, root)).slice(0, MOST_RUNS);
  const views = await Promise.all(ids.map(async (id) => project(await readEvents(system.files, root, id))));
  const journal = views.filter((view) => view !== undefined);
  return joinCommits(runs, journal, options.registry === 'ask' ? await tagsOf(system, root, options.signal) : []);
}

async function tagsOf(system: System, root: string, signal: AbortSignal): Promise<readonly RegistryTag[]> {
  const { images } = await loadProject(system, root);
  const lists = await Promise.all(
    images.map(async ({ name, repository }) => {
      try {
        const tags = await listTags(system, repository, { most: MOST_TAGS, signal });
        return tags.map(({ tag, digest, revision }) => ({
          image: name,
          repository,
          tag,
          digest,
          ...(revision !== undefined && { revision }),
        }));
      } catch (error) {
        // A registry that cannot be asked takes away only what it would have added.
        if (isCancelled(error)) throw error;
        return [];
      }
    }),
  );
  return lists.flat();
}
