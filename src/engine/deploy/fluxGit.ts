// The marked values of a branch, and the commits that change them.
import { at, textOf } from '../cluster/index.ts';
import { applyPolicies, cleanPath, coversFile, type ImageRef, MarkerIndex, type PolicyRefs } from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { FluxDeploy } from '../project/model.ts';
import { type BranchHead, type NewText, RemoteBranch } from '../system/gitPush.ts';
import type { System } from '../system/index.ts';
import type { DeployRequest } from './deployer.ts';
import type { FluxView, PolicyView } from './fluxPlan.ts';

/** Opens the branch that Flux reads. Throws SlipwayError `config` when this checkout is of another repository. */
export async function openBranch(
  system: System,
  config: FluxDeploy,
  view: FluxView,
  request: DeployRequest,
): Promise<RemoteBranch> {
  const branch = await RemoteBranch.open(system, config.repository, config.remote, view.branch);
  const reference = ['tag', 'semver', 'commit', 'name'].find(
    (key) => textOf(at(view.source, 'spec', 'ref', key)) !== undefined,
  );
  if (reference !== undefined && config.branch === undefined) {
    throw new SlipwayError({
      reason: 'config',
      code: 'flux.fixed-source',
      message: `GitRepository ${view.source.metadata.name} follows a ${reference}, so a commit on a branch changes nothing.`,
      fix: 'Let it follow a branch (spec.ref.branch).',
      place: request.environment.place,
    });
  }
  const theirs = textOf(at(view.source, 'spec', 'url')) ?? '';
  const ours = await branch.url();
  if (repositoryPath(theirs) === repositoryPath(ours)) return branch;
  throw new SlipwayError({
    reason: 'config',
    code: 'flux.other-repository',
    message: `Flux reads ${theirs}, and ${config.remote} of ${config.repository} is ${ours}.`,
    fix: 'Name a checkout of the repository that Flux reads under `deploy.flux.repository`, or the right `remote`.',
    place: request.environment.place,
  });
}

/** `acme/fleet` of https, ssh and scp-like addresses: hosts differ between a cluster and a desk. */
export function repositoryPath(url: string): string {
  const path = /^[a-z+]+:\/\/[^/]*\/(.*)$/i.exec(url)?.[1] ?? /^[^/:]+:(.*)$/.exec(url)?.[1] ?? url;
  return path
    .replace(/^\/+|\/+$/g, '')
    .replace(/\.git$/, '')
    .toLowerCase();
}

/** Markers and objects of the branch as it is at its remote. */
export async function indexOf(head: BranchHead): Promise<{
  readonly index: MarkerIndex;
  readonly texts: ReadonlyMap<string, string>;
}> {
  const files = await head.filesWith(['$imagepolicy', 'toolkit.fluxcd.io/', 'kustomize.config.k8s.io']);
  const index = new MarkerIndex();
  const texts = new Map<string, string>();
  for (const file of files) {
    const text = await head.read(file);
    if (text === undefined) continue;
    texts.set(file, text);
    index.update(file, text);
  }
  return { index, texts };
}

/** Files that hold a marker of the policy and lie where its automations write; without an automation, everywhere. */
export function markerFiles(index: MarkerIndex, view: PolicyView): readonly string[] {
  const paths = view.automations.map((automation) => cleanPath(textOf(at(automation, 'spec', 'update', 'path'))));
  return index.filesWithMarkers.filter(
    (file) =>
      (paths.length === 0 || paths.some((path) => coversFile(path, file))) &&
      index.markersOf(file).markers.some(({ setter }) => `${setter.namespace}:${setter.policy}` === view.key),
  );
}

/** The new texts with the references behind the markers; one token a marker changes, not one other byte. */
export function writeRefs(
  { index, texts }: Awaited<ReturnType<typeof indexOf>>,
  wanted: readonly { readonly view: PolicyView; readonly ref: ImageRef }[],
  request: DeployRequest,
): readonly NewText[] {
  const refs: PolicyRefs = new Map(wanted.map(({ view, ref }) => [view.key, ref]));
  const files = new Set<string>();
  for (const { view } of wanted) {
    const own = markerFiles(index, view);
    if (own.length === 0) {
      throw new SlipwayError({
        reason: 'config',
        code: 'flux.no-marker',
        message: `No file of the branch has a marker of the policy ${view.key} where Flux would write it.`,
        fix: `Put # {"$imagepolicy": "${view.key}"} behind the image; \`slipway policies\` says what is wrong with those there are.`,
        place: request.environment.place,
      });
    }
    for (const file of own) files.add(file);
  }
  return [...files].flatMap((file) => {
    const before = texts.get(file) ?? '';
    const { text } = applyPolicies(before, file, refs);
    return text === before ? [] : [{ path: file, text }];
  });
}

/** The tag behind the first marker of a policy. */
export function tagInGit(index: MarkerIndex, view: PolicyView): string | undefined {
  for (const file of markerFiles(index, view)) {
    for (const { setter, parts } of index.markersOf(file).markers) {
      if (`${setter.namespace}:${setter.policy}` === view.key && parts.tag !== undefined) return parts.tag;
    }
  }
  return undefined;
}
