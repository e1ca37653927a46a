import { join } from 'node:path';
import {
  applyEdits,
  type CiHost,
  type ImagePlace,
  ignoreFolderFix,
  pushStartsWorkflow,
  readPushTrigger,
  runsImage,
} from '../gitops/index.ts';
import { SlipwayError } from '../problems/index.ts';
import type { System } from '../system/index.ts';
import type { Findings } from './discovery/findings.ts';
import { environmentOfPath, repositoryOf } from './discovery/paths.ts';
import { findEverything } from './discovery.ts';
import { proposeCi } from './initCi.ts';
import type { CiKind } from './initCiPlan.ts';
import { argocdDelivery } from './initDeliveryArgocd.ts';
import { fluxDelivery } from './initDeliveryFlux.ts';
import {
  commonFolder,
  type DeliveredImage,
  type DeliveryPlan,
  type DeliveryProposal,
  type ProposedFile,
} from './initDeliveryPlan.ts';
import type { ImageConfig, Project } from './model.ts';

export type DeliveryKind = 'flux' | 'argocd';

export interface DeliveryOptions {
  /** Name of the objects. Default: the project's. */
  readonly app?: string;
  /** Folder for Flux's or Argo CD's objects, relative to the root. Default: where such objects lie, else `clusters` or `argocd`. */
  readonly folder?: string;
  readonly environment?: string;
  readonly branch?: string;
}

/**
 * Delivery for an app whose manifests lie in this repository: the objects of Flux or Argo CD, markers or an image list,
 * and a workflow that does not start for the bot's own commits. Reads files only. Throws SlipwayError `usage` or `config`
 * when there is nothing to deliver or when tags have no order.
 */
export async function proposeDelivery(
  system: System,
  project: Project,
  kind: DeliveryKind,
  options: DeliveryOptions = {},
): Promise<DeliveryProposal> {
  const plan = await planDelivery(system, project, options);
  const { files, notes, botFiles } = await (kind === 'flux' ? fluxDelivery(plan) : argocdDelivery(plan));
  const workflows = await workflowFiles(system, plan, kind, botFiles);
  return { files: [...files, ...workflows.files], notes: [...notes, ...workflows.notes] };
}

async function planDelivery(system: System, project: Project, options: DeliveryOptions): Promise<DeliveryPlan> {
  const { root } = project;
  const findings = await findEverything(system, root);
  const environment =
    options.environment === undefined
      ? (project.environments.find(({ isProtected }) => !isProtected) ?? project.environments[0])
      : project.environments.find(({ name }) => name === options.environment);
  const read = (path: string): Promise<string | undefined> => system.files.readText(join(root, path));
  const images: DeliveredImage[] = [];
  for (const image of project.images) {
    const all = await placesOf(findings, image, read);
    // Overlays of other environments follow rules of their own.
    const own = all.filter(({ file }) => environment !== undefined && environmentOfPath(file) === environment.name);
    const places = own.length > 0 ? own : all;
    const template = environment?.tags?.[0] ?? project.tags[0] ?? '{semver}';
    if (places.length > 0) images.push({ image, places, template });
  }
  if (images.length === 0) {
    throw new SlipwayError({
      reason: 'config',
      code: 'init.nothing-to-deliver',
      message:
        project.images.length === 0
          ? 'Nothing is built here, so there is nothing to deliver.'
          : `No manifest, kustomization or chart here runs ${project.images.map(({ repository }) => repository).join(' or ')}.`,
      fix: 'Write the manifests of the app first (a Deployment that names the image), then run this again.',
    });
  }
  return {
    app: options.app ?? project.name,
    root,
    findings,
    project,
    environment,
    namespace: environment?.namespace ?? options.app ?? project.name,
    branch: options.branch ?? (await headBranch(system, root)),
    folder: options.folder?.replaceAll('\\', '/').replace(/^\.\//, '').replace(/\/+$/, ''),
    images,
    host: hostOf(findings),
    read,
  };
}

/** A kustomization sets images for what it takes in, so it comes first; then the chart, then plain manifests. */
async function placesOf(
  findings: Findings,
  image: ImageConfig,
  read: (path: string) => Promise<string | undefined>,
): Promise<readonly ImagePlace[]> {
  const { repository } = image;
  const entries = findings.kustomizations.filter(({ images }) =>
    images.some(({ name, newName }) => (newName ?? name) === repository),
  );
  if (entries.length > 0) {
    return entries.flatMap(({ place }) => {
      const file = findings.paths.find((path) => join(findings.root, path) === place.file);
      return file === undefined ? [] : [{ kind: 'kustomization' as const, file, repository }];
    });
  }
  const charts = findings.charts.flatMap((chart) =>
    chart.images.flatMap(({ key, shape, ...each }) =>
      // A marker stands behind one value.
      each.repository !== repository || shape === 'composed'
        ? []
        : [
            {
              kind: 'values' as const,
              file: chart.folder === '.' ? 'values.yaml' : `${chart.folder}/values.yaml`,
              repository,
              key,
              shape,
            },
          ],
    ),
  );
  if (charts.length > 0) return charts;
  const files = new Set(
    findings.objects
      .filter(({ images }) => images.some(({ reference }) => repositoryOf(reference) === repository))
      .map(({ path }) => path),
  );
  const places: ImagePlace[] = [];
  for (const file of files) {
    if (runsImage((await read(file)) ?? '', file, repository)) places.push({ kind: 'manifests', file, repository });
  }
  return places;
}

function hostOf(findings: Findings): CiHost {
  const [pipeline] = findings.pipelines;
  if (pipeline !== undefined) return pipeline.workflow.host;
  const url = findings.remoteUrl ?? '';
  if (/github\.com[:/]|\.ghe\.com[:/]/.test(url)) return 'github';
  return /gitlab/.test(url) ? 'gitlab' : url === '' ? 'github' : 'gitea';
}

async function headBranch(system: System, root: string): Promise<string> {
  const read = async (path: string): Promise<string> =>
    (await system.files.readText(join(root, '.git', path)).catch(() => undefined)) ?? '';
  const remote = /^ref: refs\/remotes\/origin\/(\S+)/.exec(await read('refs/remotes/origin/HEAD'))?.[1];
  return remote ?? /^ref: refs\/heads\/(\S+)/.exec(await read('HEAD'))?.[1] ?? 'main';
}

/** A path filter for workflows that the bot's commits would start; a new workflow where there is none. */
async function workflowFiles(
  system: System,
  plan: DeliveryPlan,
  kind: DeliveryKind,
  written: readonly string[],
): Promise<DeliveryProposal> {
  const { findings, branch, project, host } = plan;
  const folder = commonFolder(written);
  const files: ProposedFile[] = [];
  const notes: string[] = [];
  const filtered = (text: string, path: string, ofHost: CiHost): string | undefined => {
    if (ofHost === 'gitlab') return undefined;
    const trigger = readPushTrigger(text, path);
    if (trigger === undefined || folder === '') return undefined;
    if (pushStartsWorkflow(trigger, { ref: { branch }, files: written }, ofHost).runs === 'no') return undefined;
    const fix = ignoreFolderFix(text, path, folder);
    return fix === undefined ? undefined : applyEdits(text, fix.edits);
  };
  for (const { path, workflow } of findings.pipelines) {
    const text = await plan.read(path);
    if (text === undefined) continue;
    const next = filtered(text, path, workflow.host);
    if (next === undefined) continue;
    files.push({ path, change: 'edit', text: next, existing: text });
    notes.push(
      `${path} no longer starts for pushes that change only ${folder}: the bot's commits would start it again and again. Hand edits there start nothing either.`,
    );
  }
  if (findings.pipelines.length === 0) {
    const ci = await proposeCi(system, project, host as CiKind);
    const path = ci.file.slice(plan.root.length + 1).replaceAll('\\', '/');
    const text = filtered(ci.text, path, host) ?? ci.text;
    files.push({ path, change: 'new', text, ...(ci.existing !== undefined && { existing: ci.existing }) });
  }
  if (folder === '' && written.length > 0) {
    notes.push(
      'The files that the bot writes lie at the root, so no path filter can tell its commits from yours: move the manifests into a folder of their own.',
    );
  }
  if (host === 'gitlab' && kind === 'argocd') {
    notes.push(
      `Image Updater has no push option for GitLab: add a rule to .gitlab-ci.yml that leaves out ${folder === '' ? 'its commits' : `${folder}/**/*`} (see slipway lint --loops).`,
    );
  }
  return { files, notes };
}

/**
 * Writes the proposal, edits first. Throws SlipwayError `refused` before anything is written when a new file is there
 * already (unless it is to be replaced) or an edited file has changed since it was read.
 */
export async function writeDelivery(
  system: System,
  root: string,
  proposal: DeliveryProposal,
  existing: 'keep' | 'replace' = 'keep',
): Promise<void> {
  for (const { path, change, existing: before, text } of proposal.files) {
    const now = await system.files.readText(join(root, path));
    const isThere = now !== undefined && now !== text;
    if (change === 'new' && isThere && existing === 'keep') {
      throw new SlipwayError({
        reason: 'refused',
        code: 'init.exists',
        message: `${path} exists; nothing was changed.`,
        place: { file: join(root, path) },
        fix: 'See what would change with --dry-run, or replace it with --force.',
      });
    }
    if (change === 'edit' && now !== before) {
      throw new SlipwayError({
        reason: 'refused',
        code: 'init.changed',
        message: `${path} has changed since it was read; nothing was written.`,
        fix: 'Run it again.',
      });
    }
  }
  for (const { path, text } of proposal.files) await system.files.writeAtomic(join(root, path), text);
}
