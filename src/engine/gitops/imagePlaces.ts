/**
 * Where a repository says which version of an image runs, and edits of it that leave every other byte alone: Kustomize's
 * `images`, containers of plain manifests, values of a chart, and the forms that Argo CD Image Updater writes. Pure.
 */
import { SlipwayError } from '../problems/index.ts';
import { readSourceOverride, type SourceOverride, setOverride } from './argocd.ts';
import { applyEdits, type TextEdit } from './edit.ts';
import { fieldOf } from './file.ts';
import type { MappingNode, Node, ScalarNode } from './goyaml/nodes.ts';
import type { UpdaterImage } from './imageUpdater.ts';
import { splitReference } from './reference.ts';
import { formatScalar, readYamlObjects, removeKey, setInside, setValue, textAt, type YamlObject } from './yaml.ts';

export type ImagePlace = {
  /** From the root of the repository. */
  readonly file: string;
  /** Image without tag, as it is written in that place. */
  readonly repository: string;
} & (
  | { readonly kind: 'kustomization' }
  | { readonly kind: 'manifests' }
  /** `map`: `tag` and perhaps `digest` below the key; `text`: the whole reference at the key. */
  | { readonly kind: 'values'; readonly key: string; readonly shape: 'map' | 'text' }
  /** The values file that Image Updater writes (`write-back-target: helmvalues`). */
  | { readonly kind: 'updater-values'; readonly image: UpdaterImage }
  /** `.argocd-source-<app>.yaml`. */
  | {
      readonly kind: 'override';
      readonly tool: 'helm' | 'kustomize';
      readonly image: UpdaterImage;
      readonly specParameters: SourceOverride['parameters'];
      readonly specImages: readonly string[];
    }
);

export interface ImageVersion {
  readonly tag?: string;
  readonly digest?: string;
}

export const versionText = ({ tag, digest }: ImageVersion): string =>
  `${tag ?? ''}${digest === undefined ? '' : `@${digest}`}`;

/** The version that a file says now; undefined when the file says none. */
export function readImageAt(place: ImagePlace, text: string | undefined): ImageVersion | undefined {
  if (text === undefined) return undefined;
  switch (place.kind) {
    case 'kustomization': {
      const entry = kustomizeEntry(text, place);
      return entry === undefined ? undefined : entryVersion(entry.node);
    }
    case 'manifests':
      return versionOf(containerImages(text, place)[0]?.node.value);
    case 'values': {
      const [object] = readYamlObjects(text, place.file);
      const path = place.key.split('.');
      if (place.shape === 'text') return versionOf(textAt(object?.root, path));
      const tag = textAt(object?.root, [...path, 'tag']);
      const digest = textAt(object?.root, [...path, 'digest']);
      if (tag === undefined && digest === undefined) return undefined;
      return { ...tagVersion(tag), ...(digest !== undefined && { digest }) };
    }
    case 'updater-values': {
      const { spec, tag } = place.image.helm;
      const [object] = readYamlObjects(text, place.file);
      if (spec !== undefined) return versionOf(dotted(object, spec));
      return tagVersion(dotted(object, tag ?? 'image.tag'));
    }
    case 'override': {
      const override = readSourceOverride(text, place.file);
      if (place.tool === 'kustomize') {
        const name = place.image.kustomizeName ?? place.image.image;
        const entry = override.images.find((one) => nameOfEntry(one) === name);
        return versionOf(entry?.slice(entry.indexOf('=') + 1));
      }
      const { spec, tag } = place.image.helm;
      const value = override.parameters.find(({ name }) => name === (spec ?? tag ?? 'image.tag'))?.value;
      return spec === undefined ? tagVersion(value) : versionOf(value);
    }
  }
}

function nameOfEntry(entry: string): string {
  const equals = entry.indexOf('=');
  return equals === -1 ? splitReference(entry).name : entry.slice(0, equals);
}

function versionOf(reference: string | undefined): ImageVersion | undefined {
  if (reference === undefined) return undefined;
  const { tag, digest } = splitReference(reference);
  return { ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** Image Updater's digest strategy writes `tag@sha256:…` where a tag stands. */
function tagVersion(text: string | undefined): ImageVersion {
  const [tag, digest] = (text ?? '').split('@');
  return { ...(tag !== '' && tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/**
 * The file's text with the version written. The digest goes in where one is written already, and where the tag stays the
 * same, as otherwise nothing would change; elsewhere the tag says it, as people and Image Updater write it.
 * Throws SlipwayError `config` when the file has no place for it, or is written so that it cannot be edited in one spot.
 */
export function writeImageAt(place: ImagePlace, text: string | undefined, wanted: ImageVersion): string {
  const before = readImageAt(place, text);
  const version = chosenVersion(before, wanted);
  const after = write(place, text, version);
  const found = readImageAt(place, after);
  if (found === undefined || versionText(found) !== versionText(version)) throw cannotEdit(place);
  return after;
}

function chosenVersion(before: ImageVersion | undefined, { tag, digest }: ImageVersion): ImageVersion {
  const needsDigest =
    digest !== undefined && (before?.digest !== undefined || before?.tag === tag || tag === undefined);
  return { ...(tag !== undefined && { tag }), ...(needsDigest && { digest }) };
}

function write(place: ImagePlace, text: string | undefined, version: ImageVersion): string {
  switch (place.kind) {
    case 'kustomization':
      return writeKustomization(place, text, version);
    case 'manifests': {
      if (text === undefined) throw cannotEdit(place);
      const edits = containerImages(text, place).map(({ node, object }): TextEdit => {
        const reference = `${splitReference(node.value).name}${referenceTail(version)}`;
        const start = object.toOffset(node.start);
        const end = object.toOffset(node.end);
        return { start, end, text: quoted(reference, node) };
      });
      if (edits.length === 0) throw cannotEdit(place);
      return applyEdits(text, edits);
    }
    case 'values':
      return writeValues(place, text, version);
    case 'updater-values':
      return writeUpdaterValues(place, text, version);
    case 'override':
      return setOverride({
        text,
        file: place.file,
        image: place.image,
        version: version.tag === undefined ? `@${version.digest ?? ''}` : versionText(version),
        specParameters: place.specParameters,
        specImages: place.specImages,
        tool: place.tool,
      });
  }
}

const referenceTail = ({ tag, digest }: ImageVersion): string =>
  `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;

function quoted(value: string, node: ScalarNode): string {
  if (node.style === 'single') return `'${value.replaceAll("'", "''")}'`;
  return node.style === 'double' ? JSON.stringify(value) : formatScalar(value);
}

export const cannotEdit = ({ file, repository }: ImagePlace): SlipwayError =>
  new SlipwayError({
    reason: 'config',
    code: 'gitops.no-place',
    message: `${file} has no place for the version of ${repository} that can be edited without rewriting the file.`,
    fix: 'Write the image there once by hand, on a line of its own.',
    place: { file },
  });

interface Entry {
  readonly node: MappingNode;
  readonly object: YamlObject;
}

const isSame = (a: string, b: string): boolean => normal(a) === normal(b);
const normal = (name: string): string => name.replace(/^(index\.)?docker\.io\/(library\/)?/, '');

export function kustomizeEntry(text: string, { file, repository }: ImagePlace): Entry | undefined {
  const [object] = readYamlObjects(text, file);
  const images = fieldOf(object?.root, 'images');
  if (object === undefined || images?.kind !== 'sequence') return undefined;
  for (const node of images.items) {
    if (node.kind !== 'mapping') continue;
    const name = textAt(node, ['newName']) ?? textAt(node, ['name']) ?? '';
    if (isSame(name, repository)) return { node, object };
  }
  return undefined;
}

function entryVersion(node: MappingNode): ImageVersion {
  const tag = textAt(node, ['newTag']);
  const digest = textAt(node, ['digest']);
  return { ...tagVersion(tag), ...(digest !== undefined && { digest }) };
}

function writeKustomization(place: ImagePlace, text: string | undefined, version: ImageVersion): string {
  if (text === undefined) throw cannotEdit(place);
  let current = text;
  let entry = kustomizeEntry(current, place);
  if (entry === undefined) {
    current = addKustomizeEntry(place, current, version);
    entry = kustomizeEntry(current, place);
    if (entry === undefined) throw cannotEdit(place);
  }
  const put = (key: string, value: string | undefined): void => {
    const found = kustomizeEntry(current, place);
    if (found === undefined) throw cannotEdit(place);
    if (value === undefined) {
      // A digest that stays would win over the new tag.
      current = applyEdits(current, removeKey(current, { ...found.object, root: found.node }, [key]));
      return;
    }
    const edits = setInside(current, found.object, found.node, [key], { text: value });
    if (edits === undefined) throw cannotEdit(place);
    current = applyEdits(current, edits);
  };
  if (textAt(entry.node, ['newTag']) !== version.tag) put('newTag', version.tag);
  if (textAt(entry.node, ['digest']) !== version.digest) put('digest', version.digest);
  return current;
}

function addKustomizeEntry(place: ImagePlace, text: string, version: ImageVersion): string {
  const [object] = readYamlObjects(text, place.file);
  if (object === undefined) throw cannotEdit(place);
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n';
  const fields = [
    `name: ${formatScalar(place.repository)}`,
    ...(version.tag === undefined ? [] : [`newTag: ${formatScalar(version.tag)}`]),
    ...(version.digest === undefined ? [] : [`digest: ${version.digest}`]),
  ];
  const images = fieldOf(object.root, 'images');
  const last = images?.kind === 'sequence' && images.style === 'block' ? images.items.at(-1) : undefined;
  if (last?.kind === 'mapping' && last.style === 'block') {
    const start = object.toOffset(last.start);
    const lineStart = Math.max(text.lastIndexOf('\n', start - 1), text.lastIndexOf('\r', start - 1)) + 1;
    const lead = /^(\s*)-(\s+)$/.exec(text.slice(lineStart, start));
    const end = lastOffset(last, object);
    if (lead === null) throw cannotEdit(place);
    const [, outer = '', inner = ' '] = lead;
    const lines = fields.map((field, index) =>
      index === 0 ? `${outer}-${inner}${field}` : `${outer} ${' '.repeat(inner.length)}${field}`,
    );
    const rest = text.slice(end).search(/[\r\n]/);
    const at = rest === -1 ? text.length : end + rest;
    return applyEdits(text, [{ start: at, end: at, text: lines.map((line) => lineBreak + line).join('') }]);
  }
  if (images !== undefined && !(images.kind === 'scalar' && images.start === images.end)) throw cannotEdit(place);
  const PLACEHOLDER = 'slipway-image-entry';
  const edits = setValue(text, object, ['images'], { bare: PLACEHOLDER });
  if (edits === undefined) throw cannotEdit(place);
  const lines = fields.map((field, index) => `${lineBreak}${index === 0 ? '  - ' : '    '}${field}`).join('');
  return applyEdits(text, edits).replace(` ${PLACEHOLDER}`, lines);
}

/** Offset after the last scalar of a node. */
function lastOffset(node: Node, object: YamlObject): number {
  switch (node.kind) {
    case 'scalar':
    case 'alias':
      return object.toOffset(node.end);
    case 'sequence':
      return Math.max(object.toOffset(node.end), ...node.items.map((item) => lastOffset(item, object)));
    case 'mapping':
      return Math.max(
        object.toOffset(node.end),
        ...node.entries.flatMap(({ key, value }) => [lastOffset(key, object), lastOffset(value, object)]),
      );
  }
}

/** The image tokens of containers that run the repository, in every readable document. */
export function containerImages(
  text: string,
  { file, repository }: Pick<ImagePlace, 'file' | 'repository'>,
): readonly { readonly node: ScalarNode; readonly object: YamlObject }[] {
  const found: { node: ScalarNode; object: YamlObject }[] = [];
  const walk = (node: Node, object: YamlObject): void => {
    if (node.kind === 'sequence') for (const item of node.items) walk(item, object);
    if (node.kind !== 'mapping') return;
    for (const { key, value } of node.entries) {
      const name = key.kind === 'scalar' ? key.value : '';
      if ((name === 'containers' || name === 'initContainers') && value.kind === 'sequence') {
        for (const item of value.items) {
          const image = fieldOf(item, 'image');
          const isOurs = image?.kind === 'scalar' && isSame(splitReference(image.value).name, repository);
          if (isOurs && image.block === undefined) found.push({ node: image, object });
        }
      } else walk(value, object);
    }
  };
  for (const object of readYamlObjects(text, file)) walk(object.root, object);
  return found;
}

/** Whether some container of the file runs the repository. */
export const runsImage = (text: string, file: string, repository: string): boolean =>
  containerImages(text, { file, repository }).length > 0;

function writeValues(
  place: ImagePlace & { readonly kind: 'values' },
  text: string | undefined,
  version: ImageVersion,
): string {
  const path = place.key.split('.');
  if (place.shape === 'text') return set(place, text ?? '', path, `${place.repository}${referenceTail(version)}`);
  const [object] = readYamlObjects(text ?? '', place.file);
  const hasDigest = fieldAt(object, [...path, 'digest']);
  const tag = hasDigest || version.digest === undefined ? version.tag : versionText(version);
  const tagged = tag === undefined ? (text ?? '') : set(place, text ?? '', [...path, 'tag'], tag);
  return hasDigest ? set(place, tagged, [...path, 'digest'], version.digest ?? '') : tagged;
}

function fieldAt(object: YamlObject | undefined, path: readonly string[]): boolean {
  let node: Node | undefined = object?.root;
  for (const key of path) node = fieldOf(node, key);
  return node !== undefined;
}

function set(place: ImagePlace, text: string, path: readonly string[], value: string): string {
  const [object] = readYamlObjects(text, place.file);
  if (object === undefined) {
    const lines = path.map((key, index) => `${'  '.repeat(index)}${key}:`).join('\n');
    return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${lines} ${formatScalar(value)}\n`;
  }
  const edits = setValue(text, object, path, value === '' ? { bare: '""' } : { text: value });
  if (edits === undefined) throw cannotEdit(place);
  return applyEdits(text, edits);
}

/** Keys may be literal with dots, or paths. */
function dotted(object: YamlObject | undefined, key: string): string | undefined {
  return textAt(object?.root, [key]) ?? textAt(object?.root, key.split('.'));
}

function writeUpdaterValues(
  place: ImagePlace & { readonly kind: 'updater-values' },
  text: string | undefined,
  version: ImageVersion,
): string {
  const { name, tag, spec } = place.image.helm;
  const put = (current: string, key: string, value: string): string => {
    if (/\[\d+\]/.test(key)) throw cannotEdit(place);
    const [object] = readYamlObjects(current, place.file);
    const isLiteral = textAt(object?.root, [key]) !== undefined;
    return set(place, current, isLiteral ? [key] : key.split('.'), value);
  };
  if (spec !== undefined) return put(text ?? '', spec, `${place.image.image}${referenceTail(version)}`);
  const named = put(text ?? '', name ?? 'image.name', place.image.image);
  return put(named, tag ?? 'image.tag', versionText(version));
}
