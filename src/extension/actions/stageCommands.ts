// Commands that run a part of the pipeline. Each is a run like any other: journal, tree, page, cancel and resume.
import * as vscode from 'vscode';
import type { PlanRequest } from '../../engine/main.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig, Stage } from '../../engine/project/model.ts';
import type { CommandSpec } from '../commands/register.ts';
import { type RunCommandParts, startRun } from '../commands/runCommands.ts';
import { pickEnvironment, pickRoot, projectOf, type Target, targetOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root } from '../workspace.ts';
import { pickTag } from './pickTag.ts';
import type { SelectedEnvironment } from './selectedEnvironment.ts';

export function stageCommands(parts: RunCommandParts & { readonly loader: EngineLoader }): readonly CommandSpec[] {
  const { workspace } = parts;
  const onImages = (id: 'slipway.build' | 'slipway.scan' | 'slipway.push', request: PlanRequest, title: string) =>
    ({
      id,
      needs: 'trusted',
      run: async (argument: unknown) => {
        const root = await pickRoot(workspace, targetOf(argument, workspace));
        const images = await pickImages(root, argument, title);
        await startRun(parts, root, null, { ...request, ...(images !== undefined && { images }) });
      },
    }) satisfies CommandSpec;
  const onEnvironment = async (argument: unknown, title: string) => {
    const given = targetOf(argument, workspace);
    const root = await pickRoot(workspace, given);
    const environment = await pickDeployable(root, given, title, parts.selected);
    return { root, environment };
  };
  return [
    // Scans and publishes look at builds: an unchanged build is skipped, a changed one is made first.
    onImages('slipway.build', { only: ['build'] }, vscode.l10n.t('Build Images')),
    onImages('slipway.scan', { only: ['build', 'scan'] }, vscode.l10n.t('Scan Images')),
    onImages('slipway.push', { until: 'publish' }, vscode.l10n.t('Push Images')),
    {
      id: 'slipway.smoke',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await onEnvironment(argument, vscode.l10n.t('Smoke Test'));
        await startRun(parts, root, environment, { only: ['smoke'] });
      },
    },
    {
      id: 'slipway.deploy',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await onEnvironment(argument, vscode.l10n.t('Deploy'));
        const tag = await pickTag(parts.loader, root, argument, environment);
        await startRun(parts, root, environment, tag === null ? { only: ['deploy', 'smoke'] } : { tag });
      },
    },
    {
      id: 'slipway.runStep',
      needs: 'trusted',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const root = await pickRoot(workspace, given);
        const environment = await pickEnvironment(root, given, vscode.l10n.t('Run Step'), parts.selected.of(root));
        const request = await pickStage(root, environment, given.step);
        await startRun(parts, root, environment, request);
      },
    },
  ];
}

/** An environment; the selected one comes first. Throws CancelledError, and SlipwayError where nothing is deployed. */
export async function pickDeployable(
  root: Root,
  given: Partial<Target>,
  title: string,
  selected: SelectedEnvironment,
  isFit: (environment: EnvironmentConfig) => boolean = () => true,
): Promise<EnvironmentConfig> {
  const environments = (await projectOf(root)).environments.filter(isFit);
  const [only] = environments;
  if (only === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'environment.none',
      message: vscode.l10n.t('This project deploys nowhere: slipway.yaml has no environment.'),
      fix: vscode.l10n.t('Add one under "environments".'),
    });
  }
  if (typeof given.environment === 'string') {
    const found = await pickEnvironment(root, given, title);
    if (found !== null) return found;
  }
  if (environments.length === 1) return only;
  const first = selected.of(root);
  const items = [...environments]
    .sort((a, b) => Number(b.name === first) - Number(a.name === first))
    .map((environment) => ({
      label: environment.name,
      description: environment.name === first ? vscode.l10n.t('selected') : '',
      detail: `${environment.deploy.kind}, namespace ${environment.namespace}${environment.isProtected ? ', protected' : ''}`,
      iconPath: new vscode.ThemeIcon(environment.isProtected ? 'shield' : 'server-environment'),
      environment,
    }));
  const picked = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: vscode.l10n.t('Environment'),
    // A page that gets the focus back from the palette, a moment late, must not close the question.
    ignoreFocusOut: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.environment;
}

/** Undefined: all of them. `{ "images": ["api"] }` of a keybinding is taken as it is. */
async function pickImages(root: Root, argument: unknown, title: string): Promise<readonly string[] | undefined> {
  const { images } = await projectOf(root);
  const given = (argument as { readonly images?: unknown } | undefined)?.images;
  if (Array.isArray(given)) return given.filter((name) => typeof name === 'string');
  // From the title of an editor: the images of that Dockerfile.
  if (argument instanceof vscode.Uri) {
    const own = images.filter(({ dockerfile }) => dockerfile === argument.fsPath).map(({ name }) => name);
    if (own.length > 0) return own;
  }
  if (images.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'images.none',
      message: vscode.l10n.t('This project builds no image.'),
      fix: vscode.l10n.t('Add one under "images" in slipway.yaml.'),
    });
  }
  if (images.length === 1) return undefined;
  const picked = await vscode.window.showQuickPick(
    images.map(({ name, repository, platforms }) => ({
      label: name,
      description: repository,
      detail: platforms.join(', '),
      picked: true,
    })),
    { title, canPickMany: true, placeHolder: vscode.l10n.t('Images'), ignoreFocusOut: true },
  );
  if (picked === undefined || picked.length === 0) throw new CancelledError();
  return picked.length === images.length ? undefined : picked.map(({ label }) => label);
}

const stageWords: Readonly<Record<Stage, string>> = {
  test: 'the tests of the app',
  build: 'images, for all platforms',
  scan: 'the gate of known vulnerabilities',
  publish: 'images under their tags, after tests and gate',
  deploy: 'what has been published, with the verdict on the rollout',
  smoke: 'the smoke checks of what is live',
};

/** One stage of the pipeline, or everything up to it. A step of the tree names its stage. */
async function pickStage(
  root: Root,
  environment: EnvironmentConfig | null,
  step: string | undefined,
): Promise<PlanRequest> {
  const outline = root.outline(environment?.name ?? null) ?? [];
  const kinds = new Set(outline.map(({ kind }) => kind));
  const stages = (Object.keys(stageWords) as Stage[]).filter((stage) => kinds.has(stage));
  const ofStep = stages.find((stage) => step?.startsWith(`${stage}:`));
  if (ofStep !== undefined) return requestOf(ofStep);
  const picked = await vscode.window.showQuickPick(
    stages.map((stage) => ({
      label: stage.charAt(0).toUpperCase() + stage.slice(1),
      description: stageWords[stage],
      stage,
    })),
    {
      title: vscode.l10n.t('Run Step'),
      placeHolder: vscode.l10n.t('What is unchanged is skipped'),
      ignoreFocusOut: true,
    },
  );
  if (picked === undefined) throw new CancelledError();
  return requestOf(picked.stage);
}

/** Publishing takes its gates along; the others stand on what earlier runs left. */
const requestOf = (stage: Stage): PlanRequest =>
  stage === 'publish' ? { until: 'publish' } : stage === 'scan' ? { only: ['build', 'scan'] } : { only: [stage] };
