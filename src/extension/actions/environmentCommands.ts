// Commands about an environment that are not runs of its pipeline.
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { LiveState, RevisionView } from '../../engine/main.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { asking } from '../commands/asking.ts';
import type { CommandSpec } from '../commands/register.ts';
import { confirmProtected, type RunCommandParts, watchRun } from '../commands/runCommands.ts';
import { pickRoot, targetOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { age, conditionOf } from '../words.ts';
import type { Root } from '../workspace.ts';
import { deployDiffText, environmentText } from './compareText.ts';
import { pickWay } from './rollbackWay.ts';
import { pickDeployable } from './stageCommands.ts';
import type { TextDocuments } from './textDocuments.ts';

export interface EnvironmentCommandParts extends RunCommandParts {
  readonly loader: EngineLoader;
  readonly texts: TextDocuments;
}

export function environmentCommands(parts: EnvironmentCommandParts): readonly CommandSpec[] {
  const { workspace, loader, texts, selected } = parts;
  const target = async (argument: unknown, title: string) => {
    const given = targetOf(argument, workspace);
    const root = await pickRoot(workspace, given);
    return { root, environment: await pickDeployable(root, given, title, selected) };
  };
  return [
    {
      id: 'slipway.rollBack',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await target(argument, vscode.l10n.t('Roll Back'));
        const to = await pickRevision(loader, root, environment, argument);
        const how = await pickWay(parts, root, environment, to, argument);
        await confirmProtected(root, environment.name, 'roll back');
        await watchRun(parts, root, environment.name, parts.runner.rollBack(root, environment.name, { to, how }));
      },
    },
    {
      id: 'slipway.diagnose',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await target(argument, vscode.l10n.t('Diagnose'));
        const title = vscode.l10n.t('Slipway: collecting what there is to see of {0}', environment.name);
        const { folder, files } = await asking(title, async (signal) =>
          (await loader.engine(root.path)).diagnose(environment.name, signal),
        );
        // Without a run there is no page; the report itself is shown.
        if (parts.panels.showDiagnosis(root, environment.name, folder)) return;
        const report = vscode.Uri.file(join(folder, files[0] ?? ''));
        await vscode.commands.executeCommand('markdown.showPreview', report);
      },
    },
    {
      id: 'slipway.unlock',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await target(argument, vscode.l10n.t('Unlock Release'));
        const title = vscode.l10n.t('Slipway: looking for a lock on {0}', environment.name);
        const done = await asking(title, async (signal) =>
          (await loader.engine(root.path)).unlock(environment.name, signal),
        );
        const text = done ?? vscode.l10n.t('Nothing of {0} is locked.', environment.name);
        void vscode.window.showInformationMessage(text);
      },
    },
    {
      id: 'slipway.previewDeploy',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment } = await target(argument, vscode.l10n.t('Preview Deploy'));
        const title = vscode.l10n.t('Slipway: comparing with what is live on {0}', environment.name);
        const diffs = await asking(title, async (signal) =>
          (await loader.engine(root.path)).diff({ environment: environment.name }, signal),
        );
        await texts.show(`deploy to ${environment.name}.diff`, deployDiffText(environment.name, diffs));
      },
    },
    {
      id: 'slipway.compare',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment: left } = await target(argument, vscode.l10n.t('Compare Environments: first'));
        const right = await pickOther(root, left);
        const title = vscode.l10n.t('Slipway: comparing {0} with {1}', left.name, right.name);
        const [a, b] = await asking(title, (signal) =>
          Promise.all([left, right].map((one) => liveOnce(loader, root, one.name, signal))),
        );
        await vscode.commands.executeCommand(
          'vscode.diff',
          texts.put(`${left.name}.live.txt`, environmentText(left, a?.workloads ?? [])),
          texts.put(`${right.name}.live.txt`, environmentText(right, b?.workloads ?? [])),
          vscode.l10n.t('{0} ↔ {1} (live)', left.name, right.name),
        );
      },
    },
    {
      id: 'slipway.selectEnvironment',
      needs: 'nothing',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const root = await pickRoot(workspace, given);
        const environment = await pickDeployable(root, given, vscode.l10n.t('Select Environment'), selected);
        await selected.select(root, environment.name);
      },
    },
    { id: 'slipway.environmentMenu', needs: 'nothing', run: () => environmentMenu(parts) },
  ];
}

/** What the status bar item offers for its environment. */
async function environmentMenu({ selected }: EnvironmentCommandParts): Promise<void> {
  const current = selected.current();
  if (current === undefined) {
    await vscode.commands.executeCommand('slipway.init');
    return;
  }
  const { root, environment } = current;
  const entry = root.runs.latest(environment);
  const item = (icon: string, label: string, command: string) => ({
    label: `$(${icon}) ${label}`,
    command,
  });
  const condition = entry === undefined ? undefined : conditionOf(entry.view, entry.isLive);
  const resume = [item('debug-continue', vscode.l10n.t('Resume the run'), 'slipway.resume')];
  const isInterrupted = condition === 'interrupted';
  const picked = await vscode.window.showQuickPick(
    [
      ...(isInterrupted ? resume : []),
      ...(condition === 'running'
        ? [item('debug-stop', vscode.l10n.t('Cancel the run'), 'slipway.cancel')]
        : [item('play', vscode.l10n.t('Run the pipeline'), 'slipway.run')]),
      ...(condition === undefined || isInterrupted || condition === 'running' || condition === 'succeeded'
        ? []
        : resume),
      ...(entry === undefined ? [] : [item('preview', vscode.l10n.t('Show the rollout'), 'slipway.showRollout')]),
      ...(entry !== undefined && entry.view.endpoints.length > 0
        ? [item('link-external', vscode.l10n.t('Open the app'), 'slipway.openEndpoint')]
        : []),
      item('cloud-upload', vscode.l10n.t('Deploy a version…'), 'slipway.deploy'),
      item('beaker', vscode.l10n.t('Run the smoke checks'), 'slipway.smoke'),
      item('discard', vscode.l10n.t('Roll back…'), 'slipway.rollBack'),
      item('search', vscode.l10n.t('Diagnose'), 'slipway.diagnose'),
      item('server-environment', vscode.l10n.t('Select another environment…'), 'slipway.selectEnvironment'),
    ],
    { title: `${root.project?.name ?? root.folder.name}: ${environment}` },
  );
  if (picked === undefined) return;
  const isChoice = picked.command === 'slipway.selectEnvironment';
  await vscode.commands.executeCommand(picked.command, isChoice ? { root } : { root, environment });
}

/** Undefined = the last verified version, which the engine knows. `{ "to": "7" }` of a keybinding is taken as it is. */
async function pickRevision(
  loader: EngineLoader,
  root: Root,
  environment: EnvironmentConfig,
  argument: unknown,
): Promise<string | undefined> {
  const given = (argument as { readonly to?: unknown } | undefined)?.to;
  if (typeof given === 'string') return given;
  const title = vscode.l10n.t('Slipway: what {0} can go back to', environment.name);
  const revisions = await asking(title, async (signal) =>
    (await loader.engine(root.path)).revisions(environment.name, signal),
  );
  const others = revisions.filter(({ isLive }) => !isLive);
  if (others.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'rollback.none',
      message: vscode.l10n.t('{0} has no earlier version to go back to.', environment.name),
      fix: vscode.l10n.t('Deploy another version with Slipway: Deploy.'),
    });
  }
  const live = revisions.find(({ isLive }) => isLive);
  const last = others.find(({ isVerified }) => isVerified);
  const picked = await vscode.window.showQuickPick(
    others.map((revision) => revisionItem(revision, revision === last)),
    {
      title: vscode.l10n.t('Roll Back {0}', environment.name),
      ignoreFocusOut: true,
      placeHolder:
        live === undefined
          ? vscode.l10n.t('Version to go back to')
          : vscode.l10n.t('Live: {0}. Version to go back to', live.description),
      matchOnDescription: true,
      matchOnDetail: true,
    },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.revision;
}

function revisionItem(revision: RevisionView, isLastVerified: boolean) {
  return {
    label: vscode.l10n.t('Revision {0}', revision.revision),
    description: [
      ...(revision.isVerified ? [isLastVerified ? vscode.l10n.t('last verified') : vscode.l10n.t('verified')] : []),
      ...(revision.at === undefined ? [] : [age(revision.at, Date.now())]),
      ...(revision.status === undefined ? [] : [revision.status]),
    ].join(', '),
    detail: revision.description,
    iconPath: new vscode.ThemeIcon(revision.isVerified ? 'verified' : 'history'),
    revision: revision.revision,
  };
}

async function pickOther(root: Root, left: EnvironmentConfig): Promise<EnvironmentConfig> {
  const others = (root.project?.environments ?? []).filter(({ name }) => name !== left.name);
  const [only] = others;
  if (only === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'compare.one',
      message: vscode.l10n.t('{0} is the only environment of this project.', left.name),
      fix: vscode.l10n.t('Add another one under "environments" in slipway.yaml.'),
    });
  }
  if (others.length === 1) return only;
  const picked = await vscode.window.showQuickPick(
    others.map((environment) => ({ label: environment.name, description: environment.namespace, environment })),
    { title: vscode.l10n.t('Compare {0} with', left.name), ignoreFocusOut: true },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.environment;
}

/** What runs now; the watch ends with the first answer. */
async function liveOnce(
  loader: EngineLoader,
  root: Root,
  environment: string,
  signal: AbortSignal,
): Promise<LiveState | undefined> {
  const stop = new AbortController();
  let seen: LiveState | undefined;
  const engine = await loader.engine(root.path);
  try {
    await engine.watch(environment, (state) => (seen = state), AbortSignal.any([signal, stop.signal]));
    return seen;
  } finally {
    stop.abort();
  }
}
