import { join, resolve } from 'node:path';
import type { Place, Position } from '../../problems/index.ts';
import type { System } from '../../system/index.ts';
import { readYaml } from '../../yaml/index.ts';
import { readDockerfile } from '../discovery/dockerfile.ts';
import { valueAt } from './complete.ts';
import { type Spot, spotAt } from './outline.ts';
import type { Path } from './shapes.ts';

/** Files that are what a folder is known by. */
const FOLDER_FILES = ['Chart.yaml', 'kustomization.yaml', 'kustomization.yml', 'Kustomization', 'Dockerfile'];

const FILE_KEYS: readonly RegExp[] = [
  /^images\.[^.]+\.(context|dockerfile)$/,
  /^images\..+\.secrets\..+\.file$/,
  /^images\..+\.sign\.(key|publicKey)$/,
  /^test\.(cwd|envFile)$/,
  /^commands\.cwd$/,
  /^scan\.ignoreFile$/,
  /^environments\..+\.kubeconfig$/,
  /^environments\..+\.deploy\.(helm\.(chart|values)|manifests\.paths|kustomize\.path)$/,
  /^environments\..+\.smoke\.cwd$/,
];

/**
 * Where the word at a position of slipway.yaml leads: the file it names, the image it means, the stage of a Dockerfile,
 * the key of a values file. Undefined when it leads nowhere or what it names is not there.
 */
export async function definitionAt(
  system: System,
  text: string,
  position: Position,
  { file, root }: { readonly file: string; readonly root: string },
): Promise<(Place & { readonly from: Spot['range'] }) | undefined> {
  const spot = spotAt(text, position);
  if (spot === undefined) return undefined;
  const place = await follow(system, spot, text, { file, root });
  return place === undefined ? undefined : { ...place, from: spot.range };
}

async function follow(
  system: System,
  spot: Spot,
  text: string,
  { file, root }: { readonly file: string; readonly root: string },
): Promise<Place | undefined> {
  const keys = spot.path.filter((part) => typeof part === 'string').join('.');
  const imagePlace = (name: string) => {
    const isKnown = valueAt(spot.value, ['images', name]) !== undefined;
    return isKnown ? readYaml(text, file).placeOfKey(['images', name]) : undefined;
  };
  if (spot.part === 'key') {
    return /\.deploy\.helm\.images\.[^.]+$/.test(keys) ? imagePlace(spot.text) : undefined;
  }
  if (FILE_KEYS.some((pattern) => pattern.test(keys))) return filePlace(system, root, spot.text);
  if (keys === 'test.container' && spot.text.startsWith('image:')) return imagePlace(spot.text.slice('image:'.length));
  if (/\.deploy\.(manifests|kustomize)\.images$/.test(keys)) return imagePlace(spot.text);
  if (/^images\.[^.]+\.target$/.test(keys)) return stagePlace(system, root, spot);
  return /\.deploy\.helm\.images\.[^.]+$/.test(keys) ? valuesPlace(system, root, spot) : undefined;
}

async function filePlace(system: System, root: string, written: string): Promise<Place | undefined> {
  if (/^[a-z0-9+]+:\/\//i.test(written)) return undefined;
  const path = resolve(root, written);
  const stat = await system.files.stat(path);
  if (stat === undefined) return undefined;
  if (!stat.isFolder) return { file: path };
  for (const name of FOLDER_FILES) {
    if ((await system.files.stat(join(path, name))) !== undefined) return { file: join(path, name) };
  }
  const first = ((await system.files.list(path)) ?? []).find((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name));
  return first === undefined ? undefined : { file: join(path, first.name) };
}

async function stagePlace(system: System, root: string, { path, value, text }: Spot): Promise<Place | undefined> {
  const image = path.slice(0, -1);
  const named = valueAt(value, [...image, 'dockerfile']);
  const context = valueAt(value, [...image, 'context']);
  const file =
    typeof named === 'string'
      ? resolve(root, named)
      : resolve(root, typeof context === 'string' ? context : '.', 'Dockerfile');
  const source = await system.files.readText(file);
  return source === undefined
    ? undefined
    : readDockerfile(source, file, file)?.stages.find(({ name }) => name === text)?.place;
}

/** `api.image` of a chart: the key in its values.yaml. */
async function valuesPlace(system: System, root: string, { path, value, text }: Spot): Promise<Place | undefined> {
  const chart = valueAt(value, [...path.slice(0, -2), 'chart']);
  if (typeof chart !== 'string') return undefined;
  const file = resolve(root, chart, 'values.yaml');
  const source = await system.files.readText(file);
  if (source === undefined) return undefined;
  const key: Path = text.split('.');
  const yaml = readYaml(source, file);
  return valueAt(yaml.value, key) === undefined ? undefined : yaml.placeOfKey(key);
}
