// Commit → run → image → environment: what the CI host knows, joined with what the journal and the registry know. Pure.
import type { CiRun } from './model.ts';

/** What a run of Slipway recorded, as far as it matters here. */
export interface JournalRun {
  readonly id: string;
  readonly state: string;
  readonly environment: string | null;
  readonly startedAt: string;
  readonly commit?: string;
  readonly isDirty?: boolean;
  readonly rolledBack: boolean;
  readonly published: readonly {
    readonly image: string;
    readonly repository: string;
    readonly tags: readonly string[];
    readonly digest: string;
  }[];
  readonly deployed?: { readonly environment: string };
  readonly verdict?: { readonly state: string; readonly message: string };
}

/** A tag in a registry whose image says which commit it was built from (`org.opencontainers.image.revision`). */
export interface RegistryTag {
  readonly image: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly revision?: string;
}

export interface CommitStory {
  readonly commit: string;
  readonly runs: readonly CiRun[];
  readonly images: readonly {
    readonly image: string;
    readonly reference: string;
    readonly digest: string;
    /** `journal`: published from this workspace; `registry`: the image names the commit. */
    readonly from: 'journal' | 'registry';
  }[];
  readonly environments: readonly {
    readonly name: string;
    readonly journalRun: string;
    readonly at: string;
    readonly state: string;
    /** The newest deploy of that environment in the journal is this one. */
    readonly isNewest: boolean;
  }[];
}

/** One story per commit, newest run first. A run with uncommitted changes tells nothing about its commit. */
export function joinCommits(
  runs: readonly CiRun[],
  journal: readonly JournalRun[],
  tags: readonly RegistryTag[] = [],
): readonly CommitStory[] {
  const newest = new Map<string, JournalRun>();
  for (const entry of journal) {
    if (entry.deployed === undefined) continue;
    const known = newest.get(entry.deployed.environment);
    if (known === undefined || known.startedAt < entry.startedAt) newest.set(entry.deployed.environment, entry);
  }
  const commits = [...new Set(runs.map(({ commit }) => commit).filter((commit) => commit !== ''))];
  return commits.map((commit): CommitStory => {
    const own = journal.filter((entry) => isSame(entry.commit, commit) && entry.isDirty !== true);
    const published = own.flatMap((entry) =>
      entry.published.map(({ image, repository, tags: names, digest }) => ({
        image,
        reference: `${repository}:${names[0] ?? ''}`,
        digest,
        from: 'journal' as const,
      })),
    );
    const known = new Set(published.map(({ digest }) => digest));
    const built = tags
      .filter(({ revision, digest }) => isSame(revision, commit) && !known.has(digest))
      .map(({ image, repository, tag, digest }) => ({
        image,
        reference: `${repository}:${tag}`,
        digest,
        from: 'registry' as const,
      }));
    const images = [
      ...new Map([...published, ...built].map((each) => [`${each.image} ${each.digest}`, each])).values(),
    ];
    const environments = own
      .flatMap((entry) =>
        entry.deployed === undefined
          ? []
          : [
              {
                name: entry.deployed.environment,
                journalRun: entry.id,
                at: entry.startedAt,
                state: entry.rolledBack ? 'rolled back' : (entry.verdict?.state ?? entry.state),
                isNewest: newest.get(entry.deployed.environment) === entry,
              },
            ],
      )
      .toSorted((a, b) => (a.at < b.at ? 1 : -1));
    return { commit, runs: runs.filter((run) => run.commit === commit), images, environments };
  });
}

/** Labels may hold a short sha. */
const isSame = (given: string | undefined, commit: string): boolean =>
  given !== undefined && given.length >= 7 && (commit.startsWith(given) || given.startsWith(commit));
