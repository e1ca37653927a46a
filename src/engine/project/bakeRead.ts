import { join } from 'node:path';
import type { System } from '../system/index.ts';
import { type BakeText, bakeSets, isBakeFile, readBakeSet } from './discovery/bakeFile.ts';
import { isComposeFile, readCompose } from './discovery/compose.ts';
import type { BuildFinding } from './discovery/findings.ts';
import type { ImageConfig, Project } from './model.ts';

/** Bake's own order; a later file is laid over the earlier ones. */
const DEFAULT_FILES = [
  'compose.yaml',
  'compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'docker-bake.json',
  'docker-bake.hcl',
  'docker-bake.override.json',
  'docker-bake.override.hcl',
];

/**
 * Context and Dockerfile of the images that name a bake target, as far as reading the files tells them: before a plan is made,
 * findings and lenses have their lines this way. What a plan works out takes their place. Reads files only.
 */
export async function readBakes(system: System, project: Project): Promise<Project> {
  if (project.images.every(({ bake }) => bake === undefined)) return project;
  const known = new Map<string, Promise<readonly BuildFinding[]>>();
  const images = await Promise.all(
    project.images.map(async (image): Promise<ImageConfig> => {
      const { bake } = image;
      if (bake === undefined) return image;
      const builds = known.get(bake.file ?? '') ?? buildsOf(system, project.root, bake.file);
      known.set(bake.file ?? '', builds);
      const build = (await builds).find(({ name, inline }) => name === bake.target && inline === undefined);
      if (build === undefined) return image;
      const [context, dockerfile] = [join(project.root, build.context), join(project.root, build.dockerfile)];
      return (await system.files.stat(dockerfile)) === undefined ? image : { ...image, context, dockerfile };
    }),
  );
  return { ...project, images };
}

async function buildsOf(system: System, root: string, file: string | undefined): Promise<readonly BuildFinding[]> {
  const texts: BakeText[] = [];
  for (const path of file === undefined ? DEFAULT_FILES : [file]) {
    const text = await system.files.readText(join(root, path));
    if (text !== undefined) texts.push({ path, text, file: join(root, path) });
  }
  const composed = texts.filter(({ path }) => isComposeFile(path));
  const baked = texts.filter(({ path }) => isBakeFile(path) || (file !== undefined && /\.(hcl|json)$/.test(path)));
  return [
    ...bakeSets(baked).flatMap((set) => readBakeSet(set, () => true).builds),
    ...composed.flatMap(({ path, text, file }) => readCompose(text, path, file).builds),
  ];
}
