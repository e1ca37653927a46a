/** The git side of a deploy through Argo CD: which branch it reads, writing versions there, and what older commits ran. */
import { type Application, type ApplicationSource, isSameRepository } from '../argocd/index.ts';
import {
  applyEdits,
  chooseTag,
  holdEdits,
  type ImagePlace,
  type ImageVersion,
  readImageAt,
  readObjects,
  type UpdaterImage,
  type UpdaterOfApplication,
  versionText,
  writeImageAt,
} from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { ArgoCdDeploy } from '../project/model.ts';
import { openGit } from '../system/git.ts';
import { type BranchHead, type Pushed, RemoteBranch } from '../system/gitPush.ts';
import type { System } from '../system/index.ts';
import { findPlaces, updaterImage } from './argocdPlaces.ts';
import type { ImageToDeploy } from './images.ts';

/** The part of an Application that this checkout's remote holds. */
export interface WrittenSource {
  readonly branch: RemoteBranch;
  readonly source: ApplicationSource;
}

/**
 * The source whose repository is the checkout's remote, and the branch that Argo CD reads of it. Throws SlipwayError
 * `config` when no source is of this repository, or when a source follows a tag or a commit.
 */
export async function openSource(system: System, config: ArgoCdDeploy, app: Application): Promise<WrittenSource> {
  const git = await openGit(system, config.repository);
  const url = (await git?.raw('config', '--get', `remote.${config.remote}.url`).catch(() => ''))?.trim() ?? '';
  const own = app.sources.filter(({ repoUrl, chart }) => chart === undefined && isSameRepository(repoUrl, url));
  const source = own.find(({ path }) => path !== undefined) ?? own[0];
  const clean = (text: string): string => text.replace(/\/\/[^@/]+@/, '//');
  if (source === undefined || git === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'argocd.repository',
      message: `${app.namespace}/${app.name} reads ${app.sources.map(({ repoUrl }) => clean(repoUrl)).join(', ')}, but the remote ${config.remote} of ${config.repository} is ${url === '' ? 'not there' : clean(url)}.`,
      fix: 'Clone the repository that Argo CD reads, and name the clone under `deploy.argocd.repository` (and its remote under `remote`).',
    });
  }
  if (app.isHydrated) {
    throw new SlipwayError({
      reason: 'config',
      code: 'argocd.hydrated',
      message: `${app.namespace}/${app.name} syncs a rendered branch (sourceHydrator), which is not where a version is written.`,
      fix: 'Deploy by Image Updater or by hand into the dry source; this run cannot.',
    });
  }
  const wanted = source.targetRevision;
  const name = wanted === '' || wanted === 'HEAD' ? await defaultBranch(git, config.remote) : wanted;
  const isBranch =
    name !== undefined &&
    (await git.raw('ls-remote', '--heads', config.remote, `refs/heads/${name}`))
      .split('\n')
      .some((line) => line !== '');
  if (name === undefined || !isBranch) {
    throw new SlipwayError({
      reason: 'config',
      code: 'argocd.not-a-branch',
      message: `${app.namespace}/${app.name} follows ${wanted || 'HEAD'}, which is no branch of the repository: a commit on top of it would not be seen.`,
      fix: 'Let targetRevision name a branch, or move the tag it follows.',
    });
  }
  return { branch: await RemoteBranch.open(system, config.repository, config.remote, name), source };
}

async function defaultBranch(
  git: { raw(...args: readonly string[]): Promise<string> },
  remote: string,
): Promise<string | undefined> {
  const answer = await git.raw('ls-remote', '--symref', remote, 'HEAD').catch(() => '');
  return /^ref: refs\/heads\/(\S+)\s+HEAD/m.exec(answer)?.[1];
}

export interface WriteRequest extends WrittenSource {
  readonly app: Application;
  readonly updater: UpdaterOfApplication | undefined;
  readonly images: readonly ImageToDeploy[];
  /** The run's id, for the commit's trailers. */
  readonly run: string;
  /** `Deploy` or `Roll back`. */
  readonly verb: string;
  readonly signal: AbortSignal;
  /** Tags that Image Updater must not take again, by repository, and how it is kept from it. */
  readonly hold?: Hold;
}

export interface Hold {
  readonly way: 'ignore' | 'pin';
  readonly badTags: ReadonlyMap<string, string>;
}

export interface WrittenImages extends Pushed {
  /** Image name → what stood there before. */
  readonly previous: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** One commit with the versions of all images of the environment; nothing is pushed when git holds them already. */
export async function writeImages(request: WriteRequest): Promise<WrittenImages> {
  const { app, branch, images, run, verb, signal, hold } = request;
  let previous: Record<string, string> = {};
  let notes: string[] = [];
  const edit = async (head: BranchHead) => {
    previous = {};
    notes = [];
    const texts = new Map<string, string>();
    const read = async (file: string): Promise<string | undefined> => texts.get(file) ?? head.read(file);
    for (const image of images) {
      for (const place of await findPlaces({ ...request, head }, image)) {
        const before = await read(place.file);
        previous[image.name] ??= versionText(readImageAt(place, before) ?? {});
        texts.set(place.file, writeImageAt(place, before, versionOf(image, request.updater)));
      }
      const bad = hold?.badTags.get(image.repository);
      if (bad !== undefined) notes.push(...(await holdInGit(request, head, texts, image, bad)));
    }
    const changed: { path: string; text: string }[] = [];
    for (const [path, text] of texts) if ((await head.read(path)) !== text) changed.push({ path, text });
    return changed;
  };
  const message = messageOf(app, images, verb, run);
  const pushed = await branch.commit({ message, edit, signal });
  return { ...pushed, previous, notes };
}

/** Where Image Updater writes tags, a digest of ours would stay behind when it writes the next tag. */
function versionOf(image: ImageToDeploy, updater: UpdaterOfApplication | undefined): ImageVersion {
  const managed = updaterImage(updater, image.repository);
  const isTagOnly = managed !== undefined && managed.strategy !== 'digest';
  return { tag: image.tag, ...(image.digest !== undefined && !isTagOnly && { digest: image.digest }) };
}

function messageOf(app: Application, images: readonly ImageToDeploy[], verb: string, run: string): string {
  const list = images.map(({ name, tag }) => `${name} ${tag}`).join(', ');
  return [
    `${verb} ${list} (${app.name})`,
    '',
    ...images.map(({ repository, tag }) => `Image: ${repository}:${tag}`),
    `Application: ${app.namespace}/${app.name}`,
    `Run-Id: ${run}`,
    '',
  ].join('\n');
}

/**
 * What commits of the branch say about the images, by image name; one that they do not name is left out. The places are
 * those of today, looked for once: a repository that was rebuilt since has no way back by its files.
 */
export async function imagesOfCommits(
  request: Omit<WriteRequest, 'run' | 'verb' | 'hold'>,
): Promise<(commit: string) => Promise<ReadonlyMap<string, ImageVersion>>> {
  const { branch, images } = request;
  const head: BranchHead = await branch.head();
  const places = new Map<string, readonly ImagePlace[]>();
  for (const image of images) {
    const found = await findPlaces({ ...request, head }, image).catch((error: unknown) => {
      if (SlipwayError.is(error, 'config')) return [];
      throw error;
    });
    places.set(image.name, found);
  }
  return async (commit) => {
    const versions = new Map<string, ImageVersion>();
    for (const [name, list] of places) {
      for (const place of list) {
        const text =
          commit === head.commit
            ? await head.read(place.file)
            : await branch.readAt(commit, place.file).catch(() => undefined);
        const version = readImageAt(place, text);
        if (version !== undefined && versionText(version) !== '') versions.set(name, version);
      }
    }
    return versions;
  };
}

/** Whether Image Updater, seeing both tags, would write the bad one again. */
export function rollsForward(image: UpdaterImage | undefined, badTag: string, goodTag: string): boolean {
  if (image === undefined || badTag === goodTag) return false;
  // The bad one was built later; that is why it was deployed after the good one.
  return (
    chooseTag(image, [
      { tag: goodTag, created: 1 },
      { tag: badTag, created: 2 },
    ]).tag === badTag
  );
}

/** The Application or ImageUpdater in this repository leaves the bad tag out; nothing when it is not among the files. */
async function holdInGit(
  { app, updater, hold }: WriteRequest,
  head: BranchHead,
  texts: Map<string, string>,
  { repository, tag: goodTag }: ImageToDeploy,
  badTag: string,
): Promise<readonly string[]> {
  const image = updaterImage(updater, repository);
  if (image === undefined || updater === undefined || hold === undefined) return [];
  const wanted = updater.updater === undefined ? 'Application' : 'ImageUpdater';
  const name = updater.updater?.name ?? app.name;
  for (const file of await head.filesWith(['argoproj.io/'])) {
    const text = texts.get(file) ?? (await head.read(file)) ?? '';
    for (const object of readObjects(text, file)) {
      if (object.kind !== wanted || object.name !== name) continue;
      if (object.namespace !== undefined && object.namespace !== app.namespace) continue;
      if (object.kind !== 'Application' && object.kind !== 'ImageUpdater') continue;
      const edits = holdEdits(hold.way, text, object, image, { badTag, goodTag });
      if (edits === undefined) continue;
      texts.set(file, applyEdits(text, edits));
      return [
        `Image Updater ${hold.way === 'pin' ? `takes only ${goodTag}` : `leaves ${badTag} alone`} from now on (${file}).`,
      ];
    }
  }
  return [];
}
