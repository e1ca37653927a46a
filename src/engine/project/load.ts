import { join, posix, resolve } from 'node:path';
import type { Diagnostic } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { readYaml } from '../yaml/index.ts';
import { readBakes } from './bakeRead.ts';
import { CONFIG_FILES, readConfig } from './config.ts';
import { discover, type FindOptions } from './discovery.ts';
import type { Path } from './language/shapes.ts';
import type { Project } from './model.ts';
import { suggest } from './suggest.ts';

/**
 * The project of a workspace folder: from slipway.yaml (or the file given, absolute), else discovered from what lies
 * there. Reads the workspace only, unless buildx may be asked of bake files. Mistakes come as diagnostics of the project.
 */
export async function loadProject(
  system: System,
  root: string,
  configFile?: string,
  options: FindOptions = {},
): Promise<Project> {
  const candidates = configFile === undefined ? CONFIG_FILES.map((name) => join(root, name)) : [configFile];
  for (const file of candidates) {
    const text = await system.files.readText(file);
    if (text !== undefined) return readBakes(system, await checkConfig(system, text, file, root));
  }
  if (configFile !== undefined) {
    const missing: Diagnostic = {
      severity: 'error',
      code: 'config.absent',
      message: `There is no file ${configFile}.`,
      place: { file: configFile },
      fix: 'Correct the path given by --config.',
    };
    return { ...(await discover(system, root, options)), diagnostics: [missing] };
  }
  return discover(system, root, options);
}

/** The project that a text of slipway.yaml means, saved or not, with all its mistakes; files it names are looked for. */
export async function checkConfig(system: System, text: string, file: string, root: string): Promise<Project> {
  const project = readConfig(text, file, root);
  return { ...project, diagnostics: [...project.diagnostics, ...(await missingFiles(system, project, text, file))] };
}

interface Wanted {
  /** As written, or the default. */
  readonly path: string;
  readonly what: string;
  readonly at: Path;
}

/** Files that the configuration names and that are not there, with the name that is near when there is one. */
async function missingFiles(
  system: System,
  project: Project,
  text: string,
  file: string,
): Promise<readonly Diagnostic[]> {
  const yaml = readYaml(text, file);
  const wanted = filesOf(project);
  const found = await Promise.all(wanted.map(({ path }) => system.files.stat(path)));
  const missing = wanted.filter((_each, index) => found[index] === undefined);
  return Promise.all(
    missing.map(async ({ path, what, at }): Promise<Diagnostic> => {
      const written = valueAt(yaml.value, at);
      const near = typeof written === 'string' ? await nearFile(system, project.root, written) : undefined;
      return {
        severity: 'error',
        code: 'config.missing-file',
        message: `${what} does not exist: ${path}.${near === undefined ? '' : ` Did you mean "${near}"?`}`,
        place: yaml.placeOf(at),
        ...(near === undefined
          ? { fix: 'Correct the path, which is relative to slipway.yaml.' }
          : { fix: `Write "${near}".`, replacement: near }),
      };
    }),
  );
}

function filesOf(project: Project): readonly Wanted[] {
  const wanted: Wanted[] = [];
  for (const { name, context, dockerfile, bake } of project.images) {
    if (bake !== undefined) {
      const { file } = bake;
      if (file !== undefined)
        wanted.push({
          path: join(project.root, file),
          what: `The bake file of image "${name}"`,
          at: ['images', name, 'bake', 'file'],
        });
      continue;
    }
    if (/^(https?|git|ssh):\/\/|^git@/.test(context)) continue;
    wanted.push({ path: context, what: `The build context of image "${name}"`, at: ['images', name, 'context'] });
    wanted.push({ path: dockerfile, what: `The Dockerfile of image "${name}"`, at: ['images', name, 'dockerfile'] });
  }
  for (const { name, deploy } of project.environments) {
    const at = ['environments', name, 'deploy', deploy.kind];
    const each = (paths: readonly string[], what: string, key: string) => {
      for (const [index, path] of paths.entries()) wanted.push({ path, what, at: [...at, key, index] });
    };
    if (deploy.kind === 'helm') {
      if (!/^(oci|https?):\/\//.test(deploy.chart))
        wanted.push({ path: deploy.chart, what: `The chart of "${name}"`, at: [...at, 'chart'] });
      each(deploy.values, `A values file of "${name}"`, 'values');
    } else if (deploy.kind === 'manifests') each(deploy.paths, `A manifest path of "${name}"`, 'paths');
    else if (deploy.kind === 'kustomize')
      wanted.push({ path: deploy.path, what: `The kustomization of "${name}"`, at: [...at, 'path'] });
  }
  return wanted;
}

/** One text stands for a list of one, so an index too far down is the text itself. */
function valueAt(value: unknown, path: Path): unknown {
  let here = value;
  for (const part of path) {
    if (typeof here === 'string' && typeof part === 'number') return here;
    here = typeof here === 'object' && here !== null ? (here as Record<string | number, unknown>)[part] : undefined;
  }
  return here;
}

/** The first part of the path that is not there, corrected by what lies beside it; undefined when nothing is near. */
async function nearFile(system: System, root: string, written: string): Promise<string | undefined> {
  const parts = written.split('/');
  for (let length = 1; length <= parts.length; length += 1) {
    const known = parts.slice(0, length - 1).join('/');
    const name = parts[length - 1] ?? '';
    if (name === '' || name === '.' || name === '..') continue;
    if ((await system.files.stat(resolve(root, known, name))) !== undefined) continue;
    const beside = (await system.files.list(resolve(root, known))) ?? [];
    const near = suggest(
      name,
      beside.map((entry) => entry.name),
    );
    if (near === undefined) return undefined;
    const mended = posix.join(known, near, ...parts.slice(length));
    const isThere = (await system.files.stat(resolve(root, mended))) !== undefined;
    return isThere ? mended : undefined;
  }
  return undefined;
}
