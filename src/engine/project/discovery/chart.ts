import { posix } from 'node:path';
import { readYamlDocuments, type YamlNode } from '../../yaml/index.ts';
import { parseImageKeys } from '../imageKeys.ts';
import { type ChartText, readTemplateImages, type TemplateImage } from './chartTemplates.ts';
import type { ChartFinding, RelativePath, ValuesImage } from './findings.ts';
import { environmentOfPath, folderOf, isBelow, knownEnvironment, repositoryOf, tagOf } from './paths.ts';

export const isChartFile = (path: string): boolean => /(^|\/)Chart\.ya?ml$/.test(path);

export function readChart(
  text: string,
  path: RelativePath,
  file: string,
  values: { readonly text: string; readonly file: string } | undefined,
  paths: readonly RelativePath[],
  absolute: (path: RelativePath) => string,
  templates: readonly ChartText[] = [],
): ChartFinding | undefined {
  const chart = readYamlDocuments(text, file).documents[0];
  const name = chart?.string('name');
  if (chart === undefined || name === undefined) return undefined;
  const folder = folderOf(path);
  const root = values === undefined ? undefined : readYamlDocuments(values.text, values.file).documents[0];
  return {
    folder,
    name,
    isLibrary: chart.string('type') === 'library',
    place: chart.get('name')?.place ?? chart.place,
    ...chartImages(root, templates),
    values: valuesFiles(folder, paths).map((each) => ({ ...each, place: { file: absolute(each.path) } })),
  };
}

/** By the values alone, put right by what the templates do with them. */
function chartImages(
  root: YamlNode | undefined,
  templates: readonly ChartText[],
): Pick<ChartFinding, 'images' | 'unmapped'> {
  const plain = root === undefined ? [] : imagesOfValues(root);
  const composed = new Map<string, ValuesImage>();
  const unmapped: ChartFinding['unmapped'][number][] = [];
  const useless = new Set<string>();
  const textAt = (key: string): string | undefined => root?.at(...key.split('.'))?.text();
  for (const image of readTemplateImages(templates)) {
    const found = keysOf(image, textAt);
    if ('why' in found) {
      unmapped.push({ written: image.written, why: found.why, place: image.place });
      for (const key of found.keys) useless.add(key.split('.').slice(0, -1).join('.'));
      continue;
    }
    const node = root?.at(...found.at.split('.'));
    composed.set(found.key, {
      key: found.key,
      repository: found.repository,
      shape: found.shape,
      place: node?.place ?? image.place,
    });
  }
  const isBetter = (key: string): boolean =>
    [...composed.values()].some((each) => each.shape === 'composed' && each.key.includes(`{${key}.`));
  // What only a template without a tag from the values reads would be set and change nothing.
  const kept = plain.filter(({ key }) => !isBetter(key) && (!useless.has(key) || composed.has(key)));
  const added = [...composed.values()].filter(
    ({ key, repository }) => repository !== '' && !kept.some((each) => each.key === key),
  );
  return { images: [...kept, ...added], unmapped };
}

/** The values keys of a template's image, or why no value carries all of it, with those that carry a part. */
function keysOf(
  { ways }: TemplateImage,
  textAt: (key: string) => string | undefined,
):
  | (Pick<ValuesImage, 'key' | 'repository' | 'shape'> & { readonly at: string })
  | { readonly why: string; readonly keys: readonly string[] } {
  const whole = ways.filter((way) => way.every((part) => !('open' in part)));
  if (whole.length === 0) {
    const part = ways.flat().find((each) => 'open' in each);
    return {
      why: `it is made by ${part !== undefined && 'open' in part ? part.open : 'a template'}, which cannot be followed without rendering`,
      keys: [],
    };
  }
  const texts = whole.map((way) =>
    way.map((part) => ('key' in part ? `{${part.key}}` : 'text' in part ? part.text : '')).join(''),
  );
  const read = texts.map((text) => /^(.*?)(?::([^:/@]*(?:\{[^}]*\})?[^:/@]*))?(?:@(.*))?$/.exec(text) ?? []);
  const keyIn = (text: string | undefined): string | undefined => /\{([^}]+)\}/.exec(text ?? '')?.[1];
  // A value of the chart's own wins over one for all charts, where that one is empty.
  const rank = (text: string): number =>
    [...text.matchAll(/\{global\.([^}]+)\}/g)].filter(([, key]) => !textAt(`global.${key}`)).length;
  const [repository = ''] = read
    .map(([, text = '']) => text)
    .filter((text) => text.includes('{'))
    .toSorted((a, b) => rank(a) - rank(b) || keysIn(b) - keysIn(a));
  const tag = read.map(([, , text]) => keyIn(text)).find((key) => key !== undefined);
  const digest = read.map(([, , , text]) => keyIn(text)).find((key) => key !== undefined);
  const first = keyIn(repository);
  if (first === undefined) return { why: 'the chart itself writes its repository, and no value carries it', keys: [] };
  const known = repository.replace(/\{([^}]+)\}\/?/g, (part, key: string) => {
    const text = textAt(key) ?? '';
    return text === '' ? '' : `${text.replace(/\/$/, '')}${part.endsWith('/') ? '/' : ''}`;
  });
  const keys = [...repository.matchAll(/\{([^}]+)\}/g)].map(([, key = '']) => key);
  const parents = new Set(
    [...keys, tag, digest].flatMap((key) => (key === undefined ? [] : [key.split('.').slice(0, -1).join('.')])),
  );
  const [parent = ''] = parents;
  const isMap =
    parents.size === 1 &&
    parent !== '' &&
    [...keys, tag, digest].every((key) => key === undefined || /\.(registry|repository|name|tag|digest)$/.test(key));
  if (tag === undefined && digest === undefined) {
    // One value that is the whole reference.
    if (repository === `{${first}}` && whole.length === 1 && !/:/.test(texts[0] ?? ''))
      return { key: first, repository: repositoryOf(known), shape: 'text', at: first };
    return {
      why: `its tag is ${texts.some((text) => text.includes('\0')) ? "the chart's version" : 'written in the template'}, and no value carries it`,
      keys,
    };
  }
  if (isMap) return { key: parent, repository: known, shape: 'map', at: parent };
  const key = `${repository}${tag === undefined ? '' : `:{${tag}}`}${digest === undefined ? '' : `@{${digest}}`}`;
  const wrong = parseImageKeys(key);
  return typeof wrong === 'string'
    ? { why: wrong, keys }
    : { key, repository: known, shape: 'composed', at: keys.at(-1) ?? first };
}

const keysIn = (text: string): number => text.split('{').length;

/** One value carries it. */
type PlainImage = ValuesImage & { readonly shape: 'map' | 'text' };

/**
 * Where values carry images: a map with `repository` (and perhaps `registry`, `tag`, `digest`), or a text under a key
 * named image. Other texts are not taken, however much they look like a reference.
 */
export function imagesOfValues(root: YamlNode): readonly PlainImage[] {
  const found: PlainImage[] = [];
  const walk = (node: YamlNode, path: readonly string[]): void => {
    if (path.length > 8) return;
    for (const { key, value } of node.entries()) {
      const here = [...path, key];
      if (value.kind === 'map') {
        const repository = value.string('repository') ?? (isImageKey(key) ? value.string('name') : undefined);
        const isImage =
          repository !== undefined && repository !== '' && (isImageKey(key) || value.get('tag') !== undefined);
        if (isImage && !/^(https?|oci|git):/.test(repository)) {
          const registry = value.string('registry');
          const tag = value.string('tag');
          found.push({
            key: here.join('.'),
            repository: registry === undefined || registry === '' ? repository : `${registry}/${repository}`,
            ...(tag !== undefined && tag !== '' && { tag }),
            shape: 'map',
            place: value.get('repository')?.place ?? value.place,
          });
        } else walk(value, here);
      } else if (isImageKey(key)) {
        const text = value.text() ?? '';
        if (!/^[\w.-]+(:\d+)?(\/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/.test(text)) continue;
        const tag = tagOf(text);
        found.push({
          key: here.join('.'),
          repository: repositoryOf(text),
          ...(tag !== undefined && { tag }),
          shape: 'text',
          place: value.place,
        });
      }
    }
  };
  walk(root, []);
  return found;
}

const isImageKey = (key: string): boolean => /^image$|Image$|_image$|-image$/.test(key);

/** `values-dev.yaml` in the chart or beside it, `env/dev.yaml`, `environments/dev/values.yaml` below the chart's parent. */
function valuesFiles(
  chart: RelativePath,
  paths: readonly RelativePath[],
): readonly { readonly environment: string; readonly path: RelativePath }[] {
  const parent = posix.dirname(chart);
  const name = posix.basename(chart);
  const found: { readonly environment: string; readonly path: RelativePath }[] = [];
  for (const path of paths) {
    if (!/\.ya?ml$/.test(path) || path.includes('/templates/')) continue;
    const isInside = isBelow(path, chart);
    const base = posix.basename(path).replace(/\.ya?ml$/, '');
    const folder = posix.dirname(path);
    const isNear =
      isInside ||
      folder === parent ||
      folder === '.' ||
      (isBelow(path, parent) && !paths.includes(posix.join(folder, 'Chart.yaml')));
    if (!isNear) continue;
    const [, middle] = /^(?:values|helm-values)[._-](.+)$/.exec(base) ?? /^(.+)[._-]values$/.exec(base) ?? [];
    if (middle !== undefined) {
      // `values-shop-dev` beside several charts is for the one it names.
      const word = middle.startsWith(`${name}-`) ? middle.slice(name.length + 1) : middle;
      const environment = knownEnvironment(word) ?? environmentOfPath(word);
      if (environment !== undefined) found.push({ environment, path });
      continue;
    }
    const below = isInside ? path.slice(chart.length + 1) : parent === '.' ? path : path.slice(parent.length + 1);
    const isInFolder = /^(?:.*\/)?(env|envs|environments?|values)\/[^/]+(\/values)?\.ya?ml$/.test(below);
    if (!isInFolder) continue;
    const word = base === 'values' ? posix.basename(folder) : base;
    const environment = knownEnvironment(word);
    if (environment !== undefined) found.push({ environment, path });
  }
  return found;
}
