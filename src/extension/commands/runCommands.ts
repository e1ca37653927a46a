import * as vscode from 'vscode';
import type { PlanRequest } from '../../engine/main.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import type { SelectedEnvironment } from '../actions/selectedEnvironment.ts';
import type { RolloutPanels } from '../rollout/panels.ts';
import type { Runner } from '../run/runner.ts';
import type { PipelinesTree } from '../views/pipelinesTree.ts';
import { causeOf } from '../words.ts';
import type { Root, Workspace } from '../workspace.ts';
import { confirmByName } from './confirmByName.ts';
import type { CommandSpec } from './register.ts';
import { pickEnvironment, pickRoot, pickRun, targetOf } from './target.ts';

export interface RunCommandParts {
  readonly workspace: Workspace;
  readonly runner: Runner;
  readonly panels: RolloutPanels;
  readonly tree: PipelinesTree;
  readonly selected: SelectedEnvironment;
}

export function runCommands(parts: RunCommandParts): readonly CommandSpec[] {
  const { workspace, runner } = parts;
  return [
    {
      id: 'slipway.run',
      needs: 'trusted',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const root = await pickRoot(workspace, given);
        const environment = await pickEnvironment(root, given, vscode.l10n.t('Run Pipeline'), parts.selected.of(root));
        await startRun(parts, root, environment, scopeOf(argument));
      },
    },
    {
      id: 'slipway.cancel',
      needs: 'nothing',
      run: async (argument) => {
        const { root, entry } = await pickRun(
          workspace,
          targetOf(argument, workspace),
          vscode.l10n.t('Cancel Run'),
          ({ isLive }) => isLive,
        );
        runner.cancel(root, entry.view);
      },
    },
    {
      id: 'slipway.resume',
      needs: 'trusted',
      run: async (argument) => {
        const { root, entry } = await pickRun(
          workspace,
          targetOf(argument, workspace),
          vscode.l10n.t('Resume Run'),
          ({ view, isLive }) => view.state !== 'succeeded' && !isLive,
        );
        const { environment } = entry.view;
        await confirmProtected(root, environment);
        await watchRun(parts, root, environment, runner.resume(root, entry.view.id, environment));
      },
    },
  ];
}

type Scope = Pick<PlanRequest, 'images' | 'until'>;

/** `{ "images": ["api"], "until": "scan" }` of a lens, a keybinding or a task: a part of the pipeline. */
function scopeOf(argument: unknown): Scope {
  if (typeof argument !== 'object' || argument === null) return {};
  const { images, until } = argument as { readonly images?: unknown; readonly until?: unknown };
  const stage = (['test', 'build', 'scan', 'publish', 'deploy', 'smoke'] as const).find((known) => known === until);
  return {
    ...(Array.isArray(images) && { images: images.filter((name) => typeof name === 'string') }),
    ...(stage !== undefined && { until: stage }),
  };
}

/** Saves, asks for a protected environment, shows the page, and runs all or a part of the pipeline to the end. */
export async function startRun(
  parts: RunCommandParts,
  root: Root,
  environment: EnvironmentConfig | null,
  part: PlanRequest = {},
): Promise<void> {
  await confirmProtected(root, environment?.name ?? null);
  // A build takes what is on the disk; what is on the screen is what the person means.
  await saveAll(root);
  const request = { ...part, ...(environment !== null && { environment: environment.name }) };
  await watchRun(parts, root, environment?.name ?? null, parts.runner.run(root, request, environment));
}

/** A failure is told by notification only when nothing on screen shows it. */
export async function watchRun(
  { runner, panels, tree }: RunCommandParts,
  root: Root,
  environment: string | null,
  work: ReturnType<Runner['run']>,
): Promise<void> {
  const started = runner.onDidStart(({ root: of, run }) => {
    if (of !== root || root.runs.get(run)?.view.environment !== environment) return;
    started.dispose();
    panels.follow(root, run);
    // The steps are what one looks at now; a tree that nobody has open stays as it is.
    if (tree.isVisible) tree.reveal(root, environment).then(undefined, () => {});
    if (vscode.workspace.getConfiguration('slipway').get('openRolloutOnRun', true)) panels.show(root, run);
  });
  try {
    const view = await work;
    if (view.state !== 'failed' || tree.isVisible || panels.isShowing(view.id)) return;
    const show = vscode.l10n.t('Show Rollout');
    const text = vscode.l10n.t(
      'Slipway run for {0} failed: {1}.',
      environment ?? vscode.l10n.t('images'),
      causeOf(view) ?? vscode.l10n.t('no cause was given'),
    );
    // Not awaited: the command has ended, whether or not somebody reads this.
    void vscode.window.showErrorMessage(text, show).then((chosen) => {
      if (chosen === show) panels.show(root, view.id);
    });
  } finally {
    started.dispose();
  }
}

export async function saveAll(root: Root): Promise<void> {
  if (!vscode.workspace.getConfiguration('slipway', root.folder.uri).get('saveBeforeRun', true)) return;
  const dirty = vscode.workspace.textDocuments.filter(
    (document) => document.isDirty && !document.isUntitled && document.uri.fsPath.startsWith(root.path),
  );
  await Promise.all(dirty.map((document) => document.save()));
}

export async function confirmProtected(
  root: Root,
  name: string | null,
  what: 'deploy' | 'roll back' = 'deploy',
): Promise<void> {
  const environment = root.project?.environments.find((known) => known.name === name);
  if (environment?.isProtected !== true) return;
  await confirmByName(
    environment.name,
    what === 'deploy'
      ? vscode.l10n.t('Deploy to the protected environment {0}', environment.name)
      : vscode.l10n.t('Roll back the protected environment {0}', environment.name),
    [
      vscode.l10n.t('Namespace: {0}', environment.namespace),
      vscode.l10n.t('Context: {0}', environment.context ?? vscode.l10n.t('the current one of the kubeconfig')),
      vscode.l10n.t('By: {0}', environment.deploy.kind),
    ],
  );
}

/** Before a protected environment is changed by something that is no run. `what` names the change. */
export async function confirmChange(environment: EnvironmentConfig, what: string): Promise<void> {
  if (!environment.isProtected) return;
  await confirmByName(environment.name, vscode.l10n.t('{0} on the protected environment {1}', what, environment.name), [
    vscode.l10n.t('Namespace: {0}', environment.namespace),
  ]);
}
