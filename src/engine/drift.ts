// Where what runs differs from what the files of the workspace say. Asks the cluster, where something looks different with a dry run; writes nothing.
import { join } from 'node:path';
import type { FieldChange, ImageToDeploy, ObjectDiff } from './deploy/index.ts';
import { openedFor } from './environments.ts';
import type { ObjectRef } from './events/index.ts';
import type { Secrets } from './events/secrets.ts';
import type { DeployConfig, EnvironmentConfig, Project } from './project/model.ts';
import type { RunView } from './run/index.ts';
import type { System } from './system/index.ts';

export interface Drift {
  readonly object: ObjectRef;
  /** `missing`: in the files and not in the cluster. */
  readonly kind: 'changed' | 'missing';
  /** `before` is live, `after` is what the files say; values of Secrets are not shown. */
  readonly changes: readonly FieldChange[];
  /** Absolute path of the file that says so: the object's own, or where its values are set. */
  readonly file: string;
}

/**
 * What a deploy of the versions that were deployed last would create or change. Empty where GitOps deploys: its controllers
 * compare with git themselves. `deployed`: image name → reference; undefined when nobody knows, then images say nothing.
 */
export async function driftOf(
  { project, environment, deployed }: { project: Project; environment: EnvironmentConfig; deployed: Deployed },
  asking: { readonly system: System; readonly secrets: Secrets; readonly signal: AbortSignal },
): Promise<readonly Drift[]> {
  const { deploy: config } = environment;
  if (config.kind === 'flux' || config.kind === 'argocd') return [];
  const { deploy, access } = await openedFor(environment, asking);
  const images = Object.entries(deployed ?? {}).map(([name, reference]): ImageToDeploy => {
    const { repository, tag = 'latest', digest } = deploy.splitReference(reference);
    return { name, repository, tag, ...(digest !== undefined && { digest }) };
  });
  const deployer = deploy.createDeployer({ ...asking, access, request: { environment, images } });
  const { objects } = await deployer.render(asking.signal);
  const diffs = await deploy.liveDifferences(
    objects.map(({ object }) => object),
    access,
    asking.signal,
  );
  const files = new Map(
    objects.flatMap(({ object, place }) => (place === undefined ? [] : [[idOf(object), place.file]])),
  );
  const own = new Set(deployed === undefined ? project.images.map(({ repository }) => repository) : []);
  const isOwnImage = (value: unknown): boolean =>
    typeof value === 'string' && own.has(deploy.splitReference(value).repository);
  return driftsIn(diffs, isOwnImage, ({ kind, namespace, name }) => {
    const file = files.get(idOf({ kind, metadata: { name, ...(namespace !== undefined && { namespace }) } }));
    return file ?? sourceOf(config, environment.place.file);
  });
}

/** Image name → reference. */
export type Deployed = Readonly<Record<string, string>> | undefined;

/** What the runs say is live, newest first; undefined when the last that wrote went back by command, or none did. */
export function deployedBy(runs: readonly RunView[], environment: string): Deployed {
  for (const view of runs) {
    if (view.environment !== environment) continue;
    if (view.state === 'succeeded' && view.deployed !== undefined) return view.deployed.images;
    if (view.state === 'failed' && view.rolledBack && view.deployed !== undefined) continue;
    if (view.deployed !== undefined || view.rollback !== undefined) return undefined;
  }
  return undefined;
}

/** Pure: what is said of the differences. An environment of which nothing is there is not deployed, and has not drifted. */
export function driftsIn(
  diffs: readonly ObjectDiff[],
  isUnknownImage: (value: unknown) => boolean,
  fileOf: (object: ObjectRef) => string,
): readonly Drift[] {
  if (diffs.every(({ action }) => action === 'create')) return [];
  return diffs.flatMap(({ object, action, changes }): readonly Drift[] => {
    if (action === 'none') return [];
    const told = changes.filter(
      ({ path, before, after }) => !(path.endsWith('.image') && (isUnknownImage(before) || isUnknownImage(after))),
    );
    if (action === 'change' && told.length === 0) return [];
    return [{ object, kind: action === 'change' ? 'changed' : 'missing', changes: told, file: fileOf(object) }];
  });
}

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const idOf = ({ kind, metadata }: Named): string => `${kind}/${metadata.namespace ?? ''}/${metadata.name}`;

/** Where a person would look when the objects do not say which file they are from. */
function sourceOf(config: DeployConfig, otherwise: string): string {
  if (config.kind === 'kustomize') return join(config.path, 'kustomization.yaml');
  if (config.kind === 'helm') {
    return config.values.at(-1) ?? (config.chart.includes('://') ? otherwise : join(config.chart, 'values.yaml'));
  }
  return otherwise;
}
