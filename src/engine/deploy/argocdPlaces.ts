/** Where the version of an image is written in the repository that an Application reads. */
import { posix } from 'node:path';
import type { Application, ApplicationSource } from '../argocd/index.ts';
import {
  type ApplicationObject,
  type ImagePlace,
  type ImageUpdaterObject,
  readObjects,
  readSourceOverride,
  runsImage,
  sourceFileName,
  type UpdaterImage,
  type UpdaterOfApplication,
  updaterOf,
  writtenFile,
} from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import { imagesOfValues } from '../project/index.ts';
import type { BranchHead } from '../system/gitPush.ts';
import { readYamlDocuments } from '../yaml/index.ts';
import type { ClusterAccess } from './access.ts';
import { type ImageToDeploy, normalRepository } from './images.ts';

/** The live Application as files have it: JSON is YAML, so the one reader does for both. */
export function asFileObject(app: Application): ApplicationObject {
  const object = readObjects(JSON.stringify(app.object), 'application.json')[0];
  if (object?.kind === 'Application') return object;
  throw new SlipwayError({
    reason: 'internal',
    code: 'argocd.unreadable',
    message: `The Application ${app.namespace}/${app.name} could not be read.`,
  });
}

/** What Image Updater of either generation does for the Application; asks the cluster for ImageUpdater objects. */
export async function liveUpdater(
  app: Application,
  access: ClusterAccess,
  signal: AbortSignal,
): Promise<UpdaterOfApplication | undefined> {
  const objects = await access
    .list({ apiVersion: UPDATER_API, kind: 'ImageUpdater', namespace: app.namespace }, signal)
    // Many may read Applications and not these; annotations are then all there is to go by.
    .catch((error: unknown) => {
      if (SlipwayError.is(error) && error.code === 'api.Forbidden') return [];
      throw error;
    });
  const updaters = objects
    .flatMap((object) => readObjects(JSON.stringify(object), `${object.metadata.name}.json`))
    .filter((object): object is ImageUpdaterObject => object.kind === 'ImageUpdater');
  return updaterOf(asFileObject(app), updaters);
}

export const UPDATER_API = 'argocd-image-updater.argoproj.io/v1alpha1';

export const updaterImage = (updater: UpdaterOfApplication | undefined, repository: string): UpdaterImage | undefined =>
  updater?.images.find(({ image }) => normalRepository(image) === normalRepository(repository));

export interface PlaceRequest {
  readonly app: Application;
  /** The source whose repository is the one at hand. */
  readonly source: ApplicationSource;
  readonly updater: UpdaterOfApplication | undefined;
  readonly head: BranchHead;
}

const KUSTOMIZATIONS = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];

/**
 * The places of one image: where Image Updater writes it, else the kustomization, the chart's values or the manifests of
 * the source. Throws SlipwayError `config` when there is none, or when something else overrides it.
 */
export async function findPlaces(request: PlaceRequest, image: ImageToDeploy): Promise<readonly ImagePlace[]> {
  const { source, updater, head } = request;
  const base = (source.path ?? '.').replace(/^\.?\/+/, '') || '.';
  const inside = (path: string): string => posix.normalize(posix.join(base, path));
  const kustomization = await firstOf(head, KUSTOMIZATIONS.map(inside));
  const isChart = (await head.read(inside('Chart.yaml'))) !== undefined;
  const managed = updaterImage(updater, image.repository);
  if (managed !== undefined && updater?.writeBack.method.startsWith('git') === true) {
    return [updaterPlace(request, managed, updater, kustomization !== undefined)];
  }
  if (kustomization !== undefined) {
    await refuseShadows(request, image, []);
    return [{ kind: 'kustomization', file: kustomization, repository: image.repository }];
  }
  if (isChart || source.tool === 'helm') return chartPlaces(request, image, inside);
  const candidates = await head.filesWith([image.repository]);
  const found: ImagePlace[] = [];
  for (const file of candidates.filter((path) => base === '.' || path.startsWith(`${base}/`))) {
    if (runsImage((await head.read(file)) ?? '', file, image.repository))
      found.push({ kind: 'manifests', file, repository: image.repository });
  }
  if (found.length > 0) return found;
  throw new SlipwayError({
    reason: 'config',
    code: 'argocd.no-place',
    message: `Nothing below ${base} at ${head.commit.slice(0, 8)} runs ${image.repository}, so there is no place to write ${image.name}.`,
    fix: 'Write the image there once by hand, or take it out of this environment.',
  });
}

async function firstOf(head: BranchHead, paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if ((await head.read(path)) !== undefined) return path;
  return undefined;
}

function updaterPlace(
  { app, source }: PlaceRequest,
  image: UpdaterImage,
  { writeBack }: UpdaterOfApplication,
  isKustomize: boolean,
): ImagePlace {
  const file = writtenFile(asFileObject(app), writeBack.target);
  const repository = image.image;
  if (writeBack.target?.startsWith('kustomization') === true) return { kind: 'kustomization', file, repository };
  if (writeBack.target?.startsWith('helmvalues') === true) return { kind: 'updater-values', file, repository, image };
  return {
    kind: 'override',
    file,
    repository,
    image,
    tool: isKustomize || source.tool === 'kustomize' ? 'kustomize' : 'helm',
    specParameters: source.parameters,
    specImages: source.kustomizeImages,
  };
}

/** Values files from the strongest down; a key is written where it is set already, else in the strongest. */
async function chartPlaces(
  request: PlaceRequest,
  image: ImageToDeploy,
  inside: (path: string) => string,
): Promise<readonly ImagePlace[]> {
  const { source, head, app } = request;
  // `$values/…` is a file of another source of the same Application.
  const named = source.valueFiles
    .filter((file) => !/^[a-z]+:\/\//.test(file))
    .map((file) => (file.startsWith('$') ? file.replace(/^\$[^/]+\//, '') : inside(file)));
  const files = [...new Set([...named.toReversed(), inside('values.yaml')])];
  for (const file of files) {
    const text = await head.read(file);
    const root = text === undefined ? undefined : readYamlDocuments(text, file).documents[0];
    const found = (root === undefined ? [] : imagesOfValues(root)).filter(
      ({ repository }) => normalRepository(repository) === normalRepository(image.repository),
    );
    if (found.length === 0) continue;
    // A stronger file may set only the tag of what this one names.
    const places: ImagePlace[] = [];
    for (const { key, shape } of found) {
      const stronger = await strongerFile(head, files.slice(0, files.indexOf(file)), key, shape);
      places.push({ kind: 'values', file: stronger ?? file, repository: image.repository, key, shape });
    }
    await refuseShadows(
      request,
      image,
      found.flatMap(({ key }) => [key, `${key}.tag`, `${key}.digest`]),
    );
    return places;
  }
  throw new SlipwayError({
    reason: 'config',
    code: 'argocd.no-place',
    message: `No values file of ${app.name} (${files.join(', ')}) names ${image.repository}.`,
    fix: 'Set repository and tag of the image in the values, so that there is a place to write the version.',
  });
}

async function strongerFile(
  head: BranchHead,
  files: readonly string[],
  key: string,
  shape: 'map' | 'text',
): Promise<string | undefined> {
  for (const file of files) {
    const text = await head.read(file);
    const root = text === undefined ? undefined : readYamlDocuments(text, file).documents[0];
    const path = shape === 'map' ? [...key.split('.'), 'tag'] : key.split('.');
    if (root?.at(...path) !== undefined) return file;
  }
  return undefined;
}

/** Parameters of the Application and override files beat what lies in git: an edit below them would change nothing. */
async function refuseShadows(
  { app, source, head }: PlaceRequest,
  image: ImageToDeploy,
  keys: readonly string[],
): Promise<void> {
  const base = (source.path ?? '.').replace(/^\.?\/+/, '') || '.';
  const isOurs = (entry: string): boolean => {
    const name = entry.slice(entry.indexOf('=') + 1).replace(/@.*$/, '');
    return name === image.repository || name.startsWith(`${image.repository}:`);
  };
  const overrides = ['.argocd-source.yaml', sourceFileName(app)].map((file) => posix.normalize(posix.join(base, file)));
  for (const file of [undefined, ...overrides]) {
    const text = file === undefined ? undefined : await head.read(file);
    const found =
      file === undefined
        ? { parameters: source.parameters, images: source.kustomizeImages }
        : text === undefined
          ? undefined
          : readSourceOverride(text, file);
    const parameter = found?.parameters.find(({ name }) => keys.includes(name))?.name;
    const entry = found?.images.find(isOurs);
    if (parameter === undefined && entry === undefined) continue;
    const where = file ?? `the Application ${app.namespace}/${app.name} itself`;
    throw new SlipwayError({
      reason: 'config',
      code: 'argocd.shadowed',
      message: `${parameter ?? entry ?? ''} in ${where} beats what git says about ${image.repository}, so a new version in the repository would change nothing.`,
      fix: `Take it out of ${where}, or let Image Updater write with write-back-method git.`,
      ...(file !== undefined && { place: { file } }),
    });
  }
}
