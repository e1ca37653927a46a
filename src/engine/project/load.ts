import { join } from 'node:path';
import type { Diagnostic } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import { CONFIG_FILES, readConfig } from './config.ts';
import { discover } from './discovery.ts';
import type { Project } from './model.ts';

/**
 * The project of a workspace folder: from slipway.yaml (or the file given, absolute), else discovered from what lies
 * there. Reads the workspace only. Mistakes come as diagnostics of the project.
 */
export async function loadProject(system: System, root: string, configFile?: string): Promise<Project> {
  const candidates = configFile === undefined ? CONFIG_FILES.map((name) => join(root, name)) : [configFile];
  for (const file of candidates) {
    const text = await system.files.readText(file);
    if (text === undefined) continue;
    const project = readConfig(text, file, root);
    return { ...project, diagnostics: [...project.diagnostics, ...(await missingFiles(system, project))] };
  }
  if (configFile !== undefined) {
    const missing: Diagnostic = {
      severity: 'error',
      code: 'config.absent',
      message: `There is no file ${configFile}.`,
      place: { file: configFile },
      fix: 'Correct the path given by --config.',
    };
    return { ...(await discover(system, root)), diagnostics: [missing] };
  }
  return discover(system, root);
}

/** Files that the configuration names and that are not there. */
async function missingFiles(system: System, project: Project): Promise<readonly Diagnostic[]> {
  const wanted: { readonly path: string; readonly what: string; readonly place: Diagnostic['place'] }[] = [];
  for (const image of project.images) {
    if (/^(https?|git|ssh):\/\/|^git@/.test(image.context)) continue;
    wanted.push({ path: image.context, what: `The build context of image "${image.name}"`, place: image.place });
    wanted.push({ path: image.dockerfile, what: `The Dockerfile of image "${image.name}"`, place: image.place });
  }
  for (const { name, deploy, place } of project.environments) {
    if (deploy.kind === 'helm') {
      if (!/^(oci|https?):\/\//.test(deploy.chart))
        wanted.push({ path: deploy.chart, what: `The chart of "${name}"`, place });
      for (const path of deploy.values) wanted.push({ path, what: `A values file of "${name}"`, place });
    } else if (deploy.kind === 'manifests') {
      for (const path of deploy.paths) wanted.push({ path, what: `A manifest path of "${name}"`, place });
    } else if (deploy.kind === 'kustomize')
      wanted.push({ path: deploy.path, what: `The kustomization of "${name}"`, place });
  }
  const found = await Promise.all(wanted.map(({ path }) => system.files.stat(path)));
  return wanted.flatMap(({ path, what, place }, index): Diagnostic[] =>
    found[index] === undefined
      ? [
          {
            severity: 'error',
            code: 'config.missing-file',
            message: `${what} does not exist: ${path}.`,
            place,
            fix: 'Correct the path, which is relative to slipway.yaml.',
          },
        ]
      : [],
  );
}
