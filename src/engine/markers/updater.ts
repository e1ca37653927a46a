/**
 * Argo CD Image Updater in the editor: the images it looks after, by annotations (0.x) or ImageUpdater objects (1.x), what it
 * would choose from the tags known so far, and the edit it would commit.
 */
import {
  type ApplicationObject,
  applyEdits,
  chooseTag,
  formatScalar,
  imagesOfApplication,
  type MarkerIndex,
  nodeAt,
  readSourceOverride,
  readYamlObjects,
  referencesOf,
  setOverride,
  setValue,
  sourceFileName,
  splitReference,
  takesApplication,
  textAt,
  type UpdaterChoice,
  type UpdaterImage,
  type WriteBack,
  writeBackOfApplication,
  type YamlObject,
} from '../gitops/index.ts';
import type { Range } from '../problems/index.ts';
import type { TagList } from './tagStore.ts';

/** An image of one Application that Image Updater looks after. */
export interface UpdaterTarget {
  /** Path of the file that says so, relative as in the index. */
  readonly file: string;
  /** The image in that file. */
  readonly range: Range;
  readonly app: ApplicationObject;
  readonly image: UpdaterImage;
  readonly writeBack: WriteBack;
  readonly current: CurrentVersion | undefined;
}

export interface CurrentVersion {
  readonly tag: string;
  /** The file that holds it. */
  readonly file: string;
}

/** Text of a file by its path in the index; undefined when there is none. */
export type ReadFile = (file: string) => Promise<string | undefined>;

const imageList = 'argocd-image-updater.argoproj.io/image-list';

/** The images that the objects of one file tell Image Updater to look after. `toFile` turns places' paths into the index's. */
export async function updaterTargets(
  index: MarkerIndex,
  file: string,
  toFile: (absolute: string) => string,
  read: ReadFile,
): Promise<readonly UpdaterTarget[]> {
  const applications = index.objectsOf('Application');
  const found: Omit<UpdaterTarget, 'current'>[] = [];
  for (const app of applications) {
    if (toFile(app.source.file) !== file) continue;
    const writeBack = writeBackOfApplication(app);
    for (const image of imagesOfApplication(app)) {
      const range = rangeOfListed(app.source, image, await read(file));
      if (range !== undefined) found.push({ file, range, app, image, writeBack });
    }
  }
  for (const updater of index.objectsOf('ImageUpdater')) {
    if (toFile(updater.source.file) !== file) continue;
    for (const [at, reference] of referencesOf(updater).entries()) {
      const apps = applications.filter((app) => takesApplication(updater, app));
      const [first] = apps;
      if (first === undefined) continue;
      for (const [number, image] of reference.images.entries()) {
        const node = nodeAt(updater.source.root, ['spec', 'applicationRefs', at, 'images', number, 'imageName']);
        if (node?.kind !== 'scalar') continue;
        const { source } = updater;
        const range = source.lines.rangeAt(source.toOffset(node.start), source.toOffset(node.end));
        found.push({ file, range, app: first, image, writeBack: reference.writeBack });
      }
    }
  }
  return Promise.all(
    found.map(
      async (target): Promise<UpdaterTarget> => ({ ...target, current: await currentOf(target, toFile, read) }),
    ),
  );
}

function rangeOfListed({ root, toOffset, lines }: YamlObject, image: UpdaterImage, text = ''): Range | undefined {
  const node = nodeAt(root, ['metadata', 'annotations', imageList]);
  if (node?.kind !== 'scalar') return undefined;
  const [start, end] = [toOffset(node.start), toOffset(node.end)];
  const words = `${image.alias === undefined ? '' : `${image.alias}=`}${image.image}`;
  const at = text.slice(start, end).indexOf(words);
  return at === -1 ? lines.rangeAt(start, end) : lines.rangeAt(start + at, start + at + words.length);
}

/** What Image Updater would choose from a tag list. */
export const updaterChoice = (image: UpdaterImage, { tags, details }: TagList): UpdaterChoice =>
  chooseTag(
    image,
    tags.map((tag) => {
      const created = details[tag]?.created;
      return created === undefined ? { tag } : { tag, created: Date.parse(created) };
    }),
  );

/** Where the version is written: a file of Git, or only the Application in the cluster. */
export type WriteTarget =
  | { readonly kind: 'override' | 'kustomization' | 'helm-values'; readonly file: string }
  | { readonly kind: 'cluster' }
  /** Git, but in another repository or behind a template. */
  | { readonly kind: 'elsewhere'; readonly reason: string };

export function writeTarget({ app, writeBack }: Pick<UpdaterTarget, 'app' | 'writeBack'>): WriteTarget {
  if (!writeBack.method.startsWith('git')) return { kind: 'cluster' };
  if (writeBack.repository !== undefined)
    return { kind: 'elsewhere', reason: `it is written to the repository ${writeBack.repository}` };
  if (app.path === undefined) return { kind: 'elsewhere', reason: 'the Application names no path in a repository' };
  const [kind = '', place] = (writeBack.target ?? '').split(/:(.*)/s);
  const below = (path: string): string => {
    const parts: string[] = [];
    const whole = path.startsWith('/') ? path : `${app.path}/${path}`;
    for (const part of whole.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return parts.join('/');
  };
  if (kind === 'kustomization') return { kind, file: below(`${place ?? '.'}/kustomization.yaml`) };
  if (kind === 'helmvalues') return { kind: 'helm-values', file: below(place ?? 'values.yaml') };
  if (kind !== '') return { kind: 'elsewhere', reason: `"${writeBack.target}" is no write-back target` };
  return { kind: 'override', file: below(sourceFileName(app)) };
}

const toolOf = ({ app, image }: Pick<UpdaterTarget, 'app' | 'image'>): 'helm' | 'kustomize' => {
  const source = nodeAt(app.source.root, ['spec', 'source']);
  const hasHelm = nodeAt(source, ['helm']) !== undefined || nodeAt(source, ['chart']) !== undefined;
  const namesHelm = Object.keys(image.helm).length > 0;
  return hasHelm || namesHelm ? 'helm' : 'kustomize';
};

async function currentOf(
  target: Omit<UpdaterTarget, 'current'>,
  toFile: (absolute: string) => string,
  read: ReadFile,
): Promise<CurrentVersion | undefined> {
  const place = writeTarget(target);
  const { image, app } = target;
  if ('file' in place) {
    const text = await read(place.file);
    const tag = text === undefined ? undefined : versionIn(place, text, image);
    if (tag !== undefined) return { tag, file: place.file };
    if (place.kind !== 'override') return undefined;
  }
  const tag = versionInSpec(app, image);
  return tag === undefined ? undefined : { tag, file: toFile(app.source.file) };
}

const nameOf = (image: UpdaterImage): string => image.kustomizeName ?? image.image;

function tagOfList(images: readonly string[], image: UpdaterImage): string | undefined {
  for (const entry of images) {
    const [old, next] = entry.includes('=') ? entry.split('=', 2) : [splitReference(entry).name, entry];
    if (old === nameOf(image)) return splitReference(next ?? '').tag;
  }
  return undefined;
}

function tagOfParameters(
  parameters: readonly { readonly name: string; readonly value: string }[],
  { helm }: UpdaterImage,
): string | undefined {
  const value = (name: string): string | undefined => parameters.find((one) => one.name === name)?.value;
  return helm.spec === undefined ? value(helm.tag ?? 'image.tag') : splitReference(value(helm.spec) ?? '').tag;
}

function versionInSpec({ source: { root } }: ApplicationObject, image: UpdaterImage): string | undefined {
  const images = nodeAt(root, ['spec', 'source', 'kustomize', 'images']);
  const listed = images?.kind === 'sequence' ? images.items.flatMap((item) => textAt(item, []) ?? []) : [];
  const parameters = nodeAt(root, ['spec', 'source', 'helm', 'parameters']);
  const set =
    parameters?.kind === 'sequence'
      ? parameters.items.map((item) => ({ name: textAt(item, ['name']) ?? '', value: textAt(item, ['value']) ?? '' }))
      : [];
  return tagOfList(listed, image) ?? tagOfParameters(set, image);
}

function versionIn(
  { kind, file }: Extract<WriteTarget, { readonly file: string }>,
  text: string,
  image: UpdaterImage,
): string | undefined {
  if (kind === 'override') {
    const { images, parameters } = readSourceOverride(text, file);
    return tagOfList(images, image) ?? tagOfParameters(parameters, image);
  }
  const [object] = readYamlObjects(text, file);
  if (kind === 'kustomization') {
    const node = newTagNode(object, image);
    return node?.value;
  }
  const { helm } = image;
  return helm.spec === undefined
    ? textAt(object?.root, (helm.tag ?? 'image.tag').split('.'))
    : splitReference(textAt(object?.root, helm.spec.split('.')) ?? '').tag;
}

function newTagNode(object: YamlObject | undefined, image: UpdaterImage) {
  const images = nodeAt(object?.root, ['images']);
  if (images?.kind !== 'sequence') return undefined;
  const item = images.items.find((one) => textAt(one, ['name']) === nameOf(image));
  const node = nodeAt(item, ['newTag']);
  return node?.kind === 'scalar' ? node : undefined;
}

export interface FileChange {
  readonly file: string;
  /** Undefined when the file does not exist yet. */
  readonly before: string | undefined;
  readonly after: string;
}

/**
 * The change Image Updater would commit for a tag; undefined with the reason when it writes nothing to this repository, or
 * when the file is written so that the value cannot be set on its own.
 */
export async function updaterEdit(
  target: UpdaterTarget,
  tag: string,
  read: ReadFile,
): Promise<FileChange | { readonly reason: string }> {
  const place = writeTarget(target);
  if (place.kind === 'elsewhere') return { reason: place.reason };
  if (place.kind === 'cluster') {
    return { reason: 'its write-back-method is argocd: Image Updater sets it in the cluster, and no file changes' };
  }
  const { file } = place;
  const before = await read(file);
  const { image } = target;
  if (place.kind === 'override') {
    const source = target.app.source.root;
    const images = nodeAt(source, ['spec', 'source', 'kustomize', 'images']);
    const after = setOverride({
      text: before,
      file,
      image,
      version: tag,
      tool: toolOf(target),
      ...(images?.kind === 'sequence' && { specImages: images.items.flatMap((item) => textAt(item, []) ?? []) }),
    });
    return { file, before, after };
  }
  if (before === undefined) return { reason: `${file} does not exist` };
  const [object] = readYamlObjects(before, file);
  const unable = { reason: `the value is written in ${file} so that it cannot be set on its own` };
  if (object === undefined) return unable;
  if (place.kind === 'kustomization') {
    const node = newTagNode(object, image);
    if (node === undefined) return { reason: `${file} has no newTag for ${nameOf(image)}` };
    const text =
      node.style === 'double' ? JSON.stringify(tag) : node.style === 'single' ? `'${tag}'` : formatScalar(tag);
    const edit = { start: object.toOffset(node.start), end: object.toOffset(node.end), text };
    return node.block === undefined ? { file, before, after: applyEdits(before, [edit]) } : unable;
  }
  const path = (image.helm.spec ?? image.helm.tag ?? 'image.tag').split('.');
  const value = image.helm.spec === undefined ? tag : `${image.image}:${tag}`;
  const edits = setValue(before, object, path, { text: value });
  return edits === undefined ? unable : { file, before, after: applyEdits(before, edits) };
}
