/**
 * The files that Argo CD reads beside an Application's source: `.argocd-source.yaml` and `.argocd-source-<app>.yaml`, and
 * edits of them in the form that Image Updater writes.
 */
import { posix } from 'node:path';
import { applyEdits, type TextEdit } from './edit.ts';
import { fieldOf } from './file.ts';
import type { MappingNode, Node } from './goyaml/nodes.ts';
import { annotationPrefix, splitImage, type UpdaterImage } from './imageUpdater.ts';
import type { ApplicationObject, ImageUpdaterObject } from './objects.ts';
import { splitReference } from './reference.ts';
import { formatScalar, type NewValue, readYamlObjects, setInside, setValue, textAt, type YamlObject } from './yaml.ts';

/** Name of the override file that belongs to one Application. `controllerNamespace` is where Argo CD runs. */
export function sourceFileName(
  app: { readonly name: string; readonly namespace: string | undefined },
  controllerNamespace = 'argocd',
): string {
  const isElsewhere = app.namespace !== undefined && app.namespace !== controllerNamespace;
  return `.argocd-source-${isElsewhere ? `${app.namespace}_` : ''}${app.name}.yaml`;
}

/** The file that Image Updater writes with a git method, from the root of the repository. */
export function writtenFile(app: ApplicationObject, target: string | undefined): string {
  const base = (app.path ?? '.').replace(/^\.?\/+/, '') || '.';
  const inside = (path: string): string =>
    posix.normalize(path.startsWith('/') ? path.slice(1) : posix.join(base, path));
  const colon = target?.indexOf(':') ?? -1;
  const kind = colon === -1 ? target : target?.slice(0, colon);
  const rest = colon === -1 ? '' : (target?.slice(colon + 1) ?? '');
  if (kind === 'kustomization') return posix.join(inside(rest || '.'), 'kustomization.yaml');
  return inside(kind === 'helmvalues' ? rest || 'values.yaml' : sourceFileName(app));
}

/** What an override file sets. Argo CD reads its keys without regard to case. */
export interface SourceOverride {
  readonly parameters: readonly { readonly name: string; readonly value: string; readonly forceString: boolean }[];
  readonly images: readonly string[];
}

export function readSourceOverride(text: string, file: string): SourceOverride {
  const [object] = readYamlObjects(text, file);
  const parameters = childNode(object?.root, ['helm', 'parameters']);
  const images = childNode(object?.root, ['kustomize', 'images']);
  return {
    parameters:
      parameters?.kind === 'sequence'
        ? parameters.items.map((item) => ({
            name: textOf(childNode(item, ['name'])),
            value: textOf(childNode(item, ['value'])),
            forceString: textOf(childNode(item, ['forceString'])).toLowerCase() === 'true',
          }))
        : [],
    images: images?.kind === 'sequence' ? images.items.map(textOf) : [],
  };
}

const textOf = (node: Node | undefined): string => (node?.kind === 'scalar' ? node.value : '');

/** As `nodeAt`, without regard to the case of keys. */
function childNode(node: Node | undefined, path: readonly string[]): Node | undefined {
  let current = node;
  for (const step of path) {
    if (current?.kind !== 'mapping') return undefined;
    current = current.entries.find(
      ({ key }) => key.kind === 'scalar' && key.value.toLowerCase() === step.toLowerCase(),
    )?.value;
  }
  return current;
}

export interface OverrideRequest {
  /** The file's current text; undefined when there is none yet. */
  readonly text: string | undefined;
  readonly file: string;
  readonly image: UpdaterImage;
  /** `tag`, `tag@digest` or `@digest`. */
  readonly version: string;
  /** Helm parameters of the Application's own spec: an override list replaces them, so they must be repeated. */
  readonly specParameters?: SourceOverride['parameters'];
  readonly specImages?: readonly string[];
  readonly tool: 'helm' | 'kustomize';
}

/** The override file's new text with one image set to a version; everything else keeps its bytes. */
export function setOverride({ text, file, image, version, specParameters, specImages, tool }: OverrideRequest): string {
  const [object] = text === undefined ? [] : readYamlObjects(text, file);
  if (tool === 'helm') {
    const wanted = helmParameters(image, version);
    if (text === undefined || object === undefined) {
      const kept = (specParameters ?? []).filter(({ name }) => !wanted.some((one) => one.name === name));
      return join(text, ['helm:', '  parameters:', ...[...kept, ...wanted].flatMap(parameterLines)]);
    }
    return setParameters(text, object, wanted, specParameters ?? []);
  }
  const entry = kustomizeImage(image, version);
  const name = image.kustomizeName ?? image.image;
  if (text === undefined || object === undefined) {
    const kept = (specImages ?? []).filter((one) => nameOfImage(one) !== name);
    return join(text, ['kustomize:', '  images:', ...[...kept, entry].map((one) => `  - ${formatScalar(one)}`)]);
  }
  const old = childNode(object.root, ['kustomize', 'images']);
  const list = old?.kind === 'sequence' ? old.items.map(textOf) : [...(specImages ?? [])];
  const index = list.findIndex((one) => nameOfImage(one) === name);
  const next = index === -1 ? [...list, entry] : list.map((one, at) => (at === index ? entry : one));
  const edits = setValue(text, object, ['kustomize', 'images'], { list: next });
  return edits === undefined ? text : applyEdits(text, edits);
}

const join = (text: string | undefined, lines: readonly string[]): string => {
  const before = text === undefined || text.trim() === '' ? '' : text.endsWith('\n') ? text : `${text}\n`;
  return `${before}${lines.join('\n')}\n`;
};

function helmParameters({ image, helm }: UpdaterImage, version: string): SourceOverride['parameters'] {
  const parameter = (name: string, value: string): SourceOverride['parameters'][number] => ({
    name,
    value,
    forceString: true,
  });
  if (helm.spec !== undefined)
    return [parameter(helm.spec, version.startsWith('@') ? image + version : `${image}:${version}`)];
  return [parameter(helm.name ?? 'image.name', image), parameter(helm.tag ?? 'image.tag', version.replace(/^@/, ''))];
}

const parameterLines = ({ name, value, forceString }: SourceOverride['parameters'][number]): readonly string[] => [
  `  - name: ${formatScalar(name)}`,
  `    value: ${formatScalar(value)}`,
  ...(forceString ? ['    forcestring: true'] : []),
];

function setParameters(
  text: string,
  object: YamlObject,
  wanted: SourceOverride['parameters'],
  specParameters: SourceOverride['parameters'],
): string {
  const list = childNode(object.root, ['helm', 'parameters']);
  if (list?.kind !== 'sequence' || list.items.length === 0) {
    const kept = specParameters.filter(({ name }) => !wanted.some((one) => one.name === name));
    return appendParameters(text, object, [...kept, ...wanted]);
  }
  const edits: TextEdit[] = [];
  const missing: SourceOverride['parameters'][number][] = [];
  for (const one of wanted) {
    const item = list.items.find((node) => textOf(childNode(node, ['name'])) === one.name);
    const value = childNode(item, ['value']);
    if (value?.kind !== 'scalar' || value.start === value.end) missing.push(one);
    else if (value.value !== one.value) {
      const quoted =
        value.style === 'double'
          ? JSON.stringify(one.value)
          : value.style === 'single'
            ? `'${one.value.replaceAll("'", "''")}'`
            : formatScalar(one.value);
      edits.push({ start: object.toOffset(value.start), end: object.toOffset(value.end), text: quoted });
    }
  }
  const edited = applyEdits(text, edits);
  const [again] = readYamlObjects(edited, object.file);
  return missing.length === 0 || again === undefined ? edited : appendParameters(edited, again, missing);
}

/** Puts parameters behind the last one, in the indentation of the list that is there. */
function appendParameters(text: string, object: YamlObject, parameters: SourceOverride['parameters']): string {
  const list = childNode(object.root, ['helm', 'parameters']);
  const lastItem = list?.kind === 'sequence' ? list.items.at(-1) : undefined;
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n';
  if (lastItem?.kind === 'mapping') {
    const end = endOfItem(lastItem, object, text);
    const start = object.toOffset(lastItem.start);
    const lineStart = Math.max(text.lastIndexOf('\n', start - 1), text.lastIndexOf('\r', start - 1)) + 1;
    const lead = /^(\s*)-(\s+)/.exec(text.slice(lineStart, start)) ?? ['', '  ', ' '];
    const [, outer = '  ', inner = ' '] = lead;
    const lines = parameters.flatMap((one) =>
      parameterLines(one).map(
        (line, index) =>
          (index === 0 ? `${outer}-${inner}` : `${outer} ${' '.repeat(inner.length)}`) + line.trim().replace(/^- /, ''),
      ),
    );
    return applyEdits(text, [{ start: end, end, text: lines.map((line) => lineBreak + line).join('') }]);
  }
  const helm: MappingNode | undefined = (() => {
    const node = fieldOf(object.root, 'helm');
    return node?.kind === 'mapping' && node.style === 'block' ? node : undefined;
  })();
  const lines = parameters.flatMap(parameterLines);
  if (helm === undefined) return join(text, ['helm:', '  parameters:', ...lines]);
  const first = object.toOffset(helm.start);
  const column = first - (Math.max(text.lastIndexOf('\n', first - 1), text.lastIndexOf('\r', first - 1)) + 1);
  const pad = ' '.repeat(Math.max(column - 2, 0));
  const block = ['  parameters:', ...lines].map((line) => pad + line).join(lineBreak);
  const lineStart = first - column;
  return applyEdits(text, [{ start: lineStart, end: lineStart, text: block + lineBreak }]);
}

function endOfItem(item: MappingNode, object: YamlObject, text: string): number {
  const last = item.entries.at(-1)?.value;
  const at = object.toOffset(last?.kind === 'scalar' ? last.end : item.start);
  const end = text.slice(at).search(/[\r\n]/);
  return end === -1 ? text.length : at + end;
}

/** `name:tag`, or `old=new:tag` when Kustomize knows the image by another name. */
function kustomizeImage({ image, kustomizeName }: UpdaterImage, version: string): string {
  const full = version.startsWith('@') ? image + version : `${image}:${version}`;
  return kustomizeName === undefined ? full : `${kustomizeName}=${full}`;
}

function nameOfImage(entry: string): string {
  const equals = entry.indexOf('=');
  return equals === -1 ? splitReference(entry).name : entry.slice(0, equals);
}

/**
 * Edits of an Application that make Image Updater 0.x leave a tag alone: the tag joins `<alias>.ignore-tags`, or
 * `ignore-tags` for an image without an alias.
 */
export function ignoreTagEdits(
  text: string,
  app: ApplicationObject,
  image: Pick<UpdaterImage, 'alias' | 'ignoreTags'>,
  tag: string,
): readonly TextEdit[] | undefined {
  const key = `${annotationPrefix}${image.alias === undefined ? '' : `${image.alias.replaceAll('/', '_')}.`}ignore-tags`;
  const own = textAt(app.source.root, ['metadata', 'annotations', key]);
  // A key of its own hides the one for all images, so what that one ignores is repeated.
  const old = own === undefined ? image.ignoreTags : own.split(',').map((part) => part.trim());
  // `*`, `?`, `[` and `\` are glob characters; tags hold none of them.
  if (old.includes(tag)) return [];
  return setValue(text, app.source, ['metadata', 'annotations', key], { text: [...old, tag].join(',') });
}

/**
 * The same for Image Updater 1.x: the tag joins `ignoreTags` of the image itself, as inner settings win over outer ones.
 * Undefined when the object does not list the image, or is written so that it cannot be edited in one spot.
 */
export function ignoreTagInUpdater(
  text: string,
  updater: ImageUpdaterObject,
  image: Pick<UpdaterImage, 'alias' | 'image' | 'ignoreTags'>,
  tag: string,
): readonly TextEdit[] | undefined {
  if (image.ignoreTags.includes(tag)) return [];
  return setInUpdater(text, updater, image, ['commonUpdateSettings', 'ignoreTags'], {
    list: [...image.ignoreTags, tag],
  });
}

/** Sets a field of the entry that an ImageUpdater has for an image; undefined when it lists none, or cannot be edited. */
export function setInUpdater(
  text: string,
  updater: ImageUpdaterObject,
  image: Pick<UpdaterImage, 'alias' | 'image'>,
  path: readonly string[],
  value: NewValue,
): readonly TextEdit[] | undefined {
  const references = childNode(updater.source.root, ['spec', 'applicationRefs']);
  if (references?.kind !== 'sequence') return undefined;
  for (const reference of references.items) {
    const images = childNode(reference, ['images']);
    if (images?.kind !== 'sequence') continue;
    for (const node of images.items) {
      if (node.kind !== 'mapping' || textOf(childNode(node, ['alias'])) !== (image.alias ?? '')) continue;
      if (splitImage(textOf(childNode(node, ['imageName']))).image !== image.image) continue;
      return setInside(text, updater.source, node, path, value);
    }
  }
  return undefined;
}

/** Whether an override beside the source defeats a value in a values file: Helm parameters beat values files. */
export function shadowingParameters(override: SourceOverride, names: readonly string[]): readonly string[] {
  return override.parameters.filter(({ name }) => names.includes(name)).map(({ name }) => name);
}
