/** What an Application ran before: Argo CD's history, with the versions that git says each revision held. */
import type { Application, HistoryEntry } from '../argocd/index.ts';
import type { ObjectRef } from '../events/index.ts';
import { type ImageVersion, type UpdaterOfApplication, versionText } from '../gitops/index.ts';
import { isCancelled } from '../problems/index.ts';
import type { ArgoCdDeploy } from '../project/model.ts';
import type { System } from '../system/index.ts';
import type { ClusterAccess } from './access.ts';
import { imagesOfCommits, openSource, type WrittenSource } from './argocdGit.ts';
import { liveUpdater } from './argocdPlaces.ts';
import type { RevisionView, WayBack, WayBackOptions } from './deployer.ts';
import type { ImageToDeploy } from './images.ts';

/** Revisions that were rolled out and smoke-tested, newest first, as JSON on the Application. */
export const VERIFIED = 'slipway.dev/verified-revisions';

export interface HistoryOptions {
  readonly system: System;
  readonly access: ClusterAccess;
  readonly config: ArgoCdDeploy;
  /** Empty = those that the Application runs. */
  readonly images: readonly ImageToDeploy[];
}

export class ArgoCdHistory {
  readonly #o: HistoryOptions;

  constructor(options: HistoryOptions) {
    this.#o = options;
  }

  /** Newest first. */
  async views(app: Application, signal: AbortSignal): Promise<readonly RevisionView[]> {
    const verified = verifiedOf(app);
    const versions = await this.versionsOf(app, signal);
    return Promise.all(
      app.history.map(async (entry, index): Promise<RevisionView> => {
        const revision = entry.revisions[0] ?? String(entry.id);
        const images = await versions(revision);
        return {
          revision,
          ...(entry.deployedAt !== undefined && { at: entry.deployedAt }),
          isLive: index === 0,
          isVerified: verified.includes(revision),
          description:
            [...images].map(([name, version]) => `${name} ${versionText(version)}`).join(', ') ||
            'images not known here',
        };
      }),
    );
  }

  /** Reads what a commit ran; empty where git cannot tell. */
  async versionsOf(
    app: Application,
    signal: AbortSignal,
  ): Promise<(revision: string) => Promise<ReadonlyMap<string, ImageVersion>>> {
    const { system, config, access } = this.#o;
    const updater = await liveUpdater(app, access, signal);
    let source: WrittenSource;
    try {
      source = await openSource(system, config, app);
    } catch (error) {
      if (isCancelled(error)) throw error;
      return async () => new Map();
    }
    const images = this.knownImages(app, updater);
    return imagesOfCommits({ ...source, app, updater, images, signal });
  }

  /** A rollback by command names no images: then those that the Application runs are the ones. */
  knownImages(app: Application, updater: UpdaterOfApplication | undefined): readonly ImageToDeploy[] {
    const { images } = this.#o;
    if (images.length > 0) return images;
    const repositories = new Set([
      ...(updater?.images.map(({ image }) => image) ?? []),
      ...app.images.map((reference) => reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '')),
    ]);
    return [...repositories].map((repository) => ({
      name: repository.split('/').at(-1) ?? repository,
      repository,
      tag: '',
    }));
  }

  async wayBack(
    app: Application,
    targets: readonly ObjectRef[],
    { from, previous, wanted, signal }: WayBackOptions,
  ): Promise<WayBack> {
    const versions = await this.versionsOf(app, signal);
    const live = await versions(from ?? app.sync.revisions[0] ?? '');
    const verified = verifiedOf(app);
    const candidates =
      wanted === undefined
        ? [
            ...new Set([
              ...(previous === null ? [] : [previous]),
              ...verified,
              ...app.history.flatMap(({ revisions }) => revisions.slice(0, 1)),
            ]),
          ]
        : [wantedRevision(app.history, verified, wanted)];
    for (const revision of candidates) {
      if (revision === undefined || (wanted === undefined && revision === from)) continue;
      const then = await versions(revision);
      if (then.size === 0 || isSame(then, live)) continue;
      const isVerified = verified.includes(revision);
      // By itself a run goes back only to what served: what was live before, or is known to be good.
      if (wanted === undefined && !isVerified && revision !== previous && from !== null) continue;
      const images = this.knownImages(app, undefined);
      return {
        kind: 'revision',
        revision,
        trust: isVerified ? 'verified' : 'served',
        images: [...then].flatMap(([name, version]) => {
          const repository = images.find((image) => image.name === name)?.repository;
          return repository === undefined ? [] : [`${repository}${tail(version)}`];
        }),
        targets,
      };
    }
    return {
      kind: 'none',
      why:
        wanted === undefined
          ? 'No earlier revision of this Application with other images is known.'
          : `There is no revision ${wanted} with other images than now.`,
    };
  }
}

export function verifiedOf(app: Application): readonly string[] {
  try {
    const value: unknown = JSON.parse(app.object.metadata.annotations?.[VERIFIED] ?? '[]');
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
  } catch {
    return [];
  }
}

/** By the id of the history, or by a revision or its beginning. */
function wantedRevision(
  history: readonly HistoryEntry[],
  verified: readonly string[],
  wanted: string,
): string | undefined {
  const byId = history.find(({ id }) => String(id) === wanted)?.revisions[0];
  if (byId !== undefined) return byId;
  const all = [...history.flatMap(({ revisions }) => revisions), ...verified];
  return all.find((revision) => revision.startsWith(wanted)) ?? (/^[0-9a-f]{40}$/.test(wanted) ? wanted : undefined);
}

const isSame = (a: ReadonlyMap<string, ImageVersion>, b: ReadonlyMap<string, ImageVersion>): boolean =>
  [...a].every(([name, version]) => versionText(version) === versionText(b.get(name) ?? {}));

const tail = ({ tag, digest }: ImageVersion): string =>
  `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
