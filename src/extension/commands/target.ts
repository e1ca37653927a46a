import * as vscode from 'vscode';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig, Project } from '../../engine/project/model.ts';
import type { RunEntry } from '../run/runStore.ts';
import { age, conditionOf } from '../words.ts';
import type { Root, Workspace } from '../workspace.ts';

/** What a command is about: from the tree node or the keybinding's argument, else asked. */
export interface Target {
  readonly root: Root;
  readonly environment: string | null;
  readonly step?: string;
  readonly run?: string;
}

/** Reads a tree node, `{ "environment": "dev", "folder": "shop" }` of a keybinding or task, or the file of an editor. */
export function targetOf(argument: unknown, workspace: Workspace): Partial<Target> {
  if (argument instanceof vscode.Uri) {
    const root = workspace.rootOf(argument);
    return root === undefined ? {} : { root };
  }
  if (typeof argument !== 'object' || argument === null) return {};
  const given = argument as Readonly<Record<string, unknown>>;
  const root =
    workspace.roots.find((known) => known === given.root) ??
    workspace.roots.find(({ folder }) => folder.name === given.folder || folder.uri.fsPath === given.folder);
  return {
    ...(root !== undefined && { root }),
    ...((typeof given.environment === 'string' || given.environment === null) && { environment: given.environment }),
    ...(typeof given.step === 'string' && { step: given.step }),
    ...(typeof given.run === 'string' && { run: given.run }),
  };
}

/** The one root with a project, or the one the person picks. Throws SlipwayError when there is none. */
export async function pickRoot(workspace: Workspace, given: Partial<Target>): Promise<Root> {
  await workspace.show();
  if (given.root !== undefined) return given.root;
  const roots = workspace.roots.filter(({ project }) => project !== undefined);
  const [only] = roots;
  if (only === undefined && workspace.roots.length === 0 && (vscode.workspace.workspaceFolders ?? []).length > 0) {
    throw new SlipwayError({
      reason: 'refused',
      code: 'workspace.virtual',
      message: vscode.l10n.t(
        'The files of this workspace are not on a disk, so nothing can be built or deployed from it.',
      ),
      fix: vscode.l10n.t('Clone the repository and open its folder.'),
    });
  }
  if (only === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'workspace.no-project',
      message: vscode.l10n.t(
        'There is nothing to build or deploy in this workspace: no slipway.yaml, Dockerfile, chart or manifest was found.',
      ),
      fix: vscode.l10n.t('Open a folder with a Dockerfile, or add a slipway.yaml.'),
    });
  }
  if (roots.length === 1) return only;
  const picked = await vscode.window.showQuickPick(
    roots.map((root) => ({ label: root.project?.name ?? root.folder.name, description: root.path, root })),
    { title: vscode.l10n.t('Project') },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.root;
}

export async function projectOf(root: Root): Promise<Project> {
  return root.project ?? (await root.read());
}

/** An environment of the root, or null for images only; asks, with `first` on top. */
export async function pickEnvironment(
  root: Root,
  given: Partial<Target>,
  title: string,
  first?: string,
): Promise<EnvironmentConfig | null> {
  const project = await projectOf(root);
  if (given.environment === null) return null;
  if (given.environment !== undefined) {
    const found = project.environments.find(({ name }) => name === given.environment);
    if (found !== undefined) return found;
    throw new SlipwayError({
      reason: 'usage',
      code: 'plan.unknown-environment',
      message: vscode.l10n.t('There is no environment "{0}".', given.environment),
      fix: vscode.l10n.t('Use one of {0}.', project.environments.map(({ name }) => name).join(', ')),
    });
  }
  const now = Date.now();
  const items = [
    ...[...project.environments]
      .sort((a, b) => Number(b.name === first) - Number(a.name === first))
      .map((environment) => ({
        label: environment.name,
        description: lastRun(root.runs.latest(environment.name), now),
        detail: [
          `${environment.deploy.kind}, namespace ${environment.namespace}`,
          ...(environment.context === undefined ? [] : [`context ${environment.context}`]),
          ...(environment.isProtected ? ['protected'] : []),
        ].join(', '),
        iconPath: new vscode.ThemeIcon(environment.isProtected ? 'shield' : 'server-environment'),
        environment: environment as EnvironmentConfig | null,
      })),
    ...(project.images.length === 0
      ? []
      : [
          {
            label: vscode.l10n.t('Images only'),
            description: lastRun(root.runs.latest(null), now),
            detail: vscode.l10n.t('test, build, scan and publish; deploy nowhere'),
            iconPath: new vscode.ThemeIcon('package'),
            environment: null,
          },
        ]),
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: vscode.l10n.t('Environment'),
    matchOnDetail: true,
    // A page that gets the focus back from the palette, a moment late, must not close the question.
    ignoreFocusOut: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.environment;
}

/** A run: the one given, the newest of the given environment, or the one picked. Throws when nothing was run yet. */
export async function pickRun(
  workspace: Workspace,
  given: Partial<Target>,
  title: string,
  isWanted: (entry: RunEntry) => boolean = () => true,
): Promise<{ readonly root: Root; readonly entry: RunEntry }> {
  await workspace.show();
  if (given.root !== undefined) {
    const entry =
      given.run !== undefined
        ? given.root.runs.get(given.run)
        : given.environment !== undefined
          ? given.root.runs.latest(given.environment)
          : undefined;
    if (entry !== undefined && isWanted(entry)) return { root: given.root, entry };
  }
  const candidates = (given.root === undefined ? workspace.roots : [given.root])
    .flatMap((root) => root.runs.list().map((entry) => ({ root, entry })))
    .filter(
      ({ entry }) =>
        isWanted(entry) && (given.environment === undefined || entry.view.environment === given.environment),
    )
    .sort((a, b) => (a.entry.view.id < b.entry.view.id ? 1 : -1));
  const [only] = candidates;
  if (only === undefined) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'runs.none',
      message: vscode.l10n.t('There is no run for this.'),
      fix: vscode.l10n.t('Start one with Slipway: Run Pipeline.'),
    });
  }
  if (candidates.length === 1) return only;
  const now = Date.now();
  const picked = await vscode.window.showQuickPick(
    candidates.map((candidate) => ({
      label: candidate.entry.view.environment ?? vscode.l10n.t('Images only'),
      description: lastRun(candidate.entry, now),
      detail: [candidate.entry.view.tag, candidate.entry.view.id].filter((text) => text !== undefined).join(', '),
      candidate,
    })),
    { title },
  );
  if (picked === undefined) throw new CancelledError();
  return picked.candidate;
}

const lastRun = (entry: RunEntry | undefined, now: number): string =>
  entry === undefined
    ? vscode.l10n.t('not run yet')
    : `${conditionOf(entry.view, entry.isLive)}, ${age(entry.view.finishedAt ?? entry.view.startedAt, now)}`;
