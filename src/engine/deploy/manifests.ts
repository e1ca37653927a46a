import { join } from 'node:path';
import { SlipwayError } from '../problems/index.ts';
import type { ManifestsDeploy } from '../project/model.ts';
import type { Files } from '../system/index.ts';
import { type PlacedObject, parseObjects } from './objects.ts';

/** Objects of files and folders in the order they are named; a folder gives its YAML and JSON files by name. */
export async function loadManifests(files: Files, config: ManifestsDeploy): Promise<readonly PlacedObject[]> {
  const objects: PlacedObject[] = [];
  for (const path of config.paths) {
    for (const file of await filesOf(files, path)) {
      const text = await files.readText(file);
      if (text !== undefined) objects.push(...parseObjects(text, file));
    }
  }
  return objects;
}

async function filesOf(files: Files, path: string): Promise<readonly string[]> {
  const stat = await files.stat(path);
  if (stat === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'manifest.missing',
      message: `${path} does not exist.`,
      fix: 'Correct the path under `deploy.manifests`.',
      place: { file: path },
    });
  }
  if (!stat.isFolder) return [path];
  const entries = (await files.list(path)) ?? [];
  return (
    entries
      .filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name))
      // A kustomization in the folder is an instruction to another tool, not an object of the cluster.
      .filter((entry) => !/^kustomization\.ya?ml$/.test(entry.name))
      .map((entry) => join(path, entry.name))
      .sort()
  );
}
