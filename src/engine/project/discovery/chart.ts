import { posix } from 'node:path';
import { readYamlDocuments, type YamlNode } from '../../yaml/index.ts';
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
    images: root === undefined ? [] : imagesOfValues(root),
    values: valuesFiles(folder, paths).map((each) => ({ ...each, place: { file: absolute(each.path) } })),
  };
}

/**
 * Where values carry images: a map with `repository` (and perhaps `registry`, `tag`, `digest`), or a text under a key
 * named image. Other texts are not taken, however much they look like a reference.
 */
export function imagesOfValues(root: YamlNode): readonly ValuesImage[] {
  const found: ValuesImage[] = [];
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
