// What one does with a workload that runs: logs, shell, restart, scale, port-forward, describe.
import * as vscode from 'vscode';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import type { SelectedEnvironment } from '../actions/selectedEnvironment.ts';
import { pickDeployable } from '../actions/stageCommands.ts';
import type { TextDocuments } from '../actions/textDocuments.ts';
import type { CommandSpec } from '../commands/register.ts';
import { confirmChange } from '../commands/runCommands.ts';
import { pickRoot, targetOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root, Workspace } from '../workspace.ts';
import { descriptionText } from './descriptionText.ts';
import type { Forwards } from './forwards.ts';
import type { ScaleUndo } from './scaleUndo.ts';
import { LogsTerminal, ShellTerminal } from './terminals.ts';

export interface WorkloadCommandParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly selected: SelectedEnvironment;
  readonly texts: TextDocuments;
  readonly forwards: Forwards;
  readonly scaled: ScaleUndo;
}

interface Chosen {
  readonly root: Root;
  readonly environment: EnvironmentConfig;
  /** As the engine finds it: `deployment/web`. */
  readonly named: string;
}

export function workloadCommands(parts: WorkloadCommandParts): readonly CommandSpec[] {
  const { loader, texts, forwards, scaled } = parts;
  const operations = async (root: Root) => (await loader.engine(root.path)).operations();
  return [
    {
      id: 'slipway.logs',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Logs'));
        const pty = new LogsTerminal(await operations(root), { environment: environment.name, named });
        const name = vscode.l10n.t('Logs {0}', named);
        vscode.window.createTerminal({ name, pty, iconPath: new vscode.ThemeIcon('output') }).show();
      },
    },
    {
      id: 'slipway.exec',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Exec'));
        await confirmChange(environment, vscode.l10n.t('Open a shell in {0}', named));
        const pty = new ShellTerminal(await operations(root), { environment: environment.name, named });
        vscode.window.createTerminal({ name: named, pty, iconPath: new vscode.ThemeIcon('terminal') }).show();
      },
    },
    {
      id: 'slipway.restart',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Restart'));
        await confirmChange(environment, vscode.l10n.t('Restart {0}', named));
        const work = await operations(root);
        await changing(vscode.l10n.t('Slipway: restarting {0}', named), (signal, report) =>
          work
            .restart({ environment: environment.name }, named, { signal, onEvent: report })
            // It is over by then; the engine says what it began.
            .then((done) => ({ ...done, message: vscode.l10n.t('{0} was restarted and is ready.', named) })),
        );
      },
    },
    {
      id: 'slipway.scale',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Scale'));
        const replicas = await pickReplicas(argument, named);
        await confirmChange(environment, vscode.l10n.t('Scale {0} to {1}', named, replicas));
        await scaleTo(parts, { root, environment, named }, replicas);
      },
    },
    {
      id: 'slipway.undoScale',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Undo Scale'));
        const last = scaled.get({ folder: root.path, environment: environment.name, named });
        if (last === undefined) {
          throw new SlipwayError({
            reason: 'usage',
            code: 'scale.nothing-to-undo',
            message: vscode.l10n.t('{0} was not scaled in this window.', named),
            fix: vscode.l10n.t('Give the number with Slipway: Scale.'),
          });
        }
        await confirmChange(environment, vscode.l10n.t('Scale {0} back to {1}', named, last.before));
        await scaleTo(parts, { root, environment, named }, last.before);
        // Undone is undone: the row must not offer to undo the undoing.
        scaled.forget({ folder: root.path, environment: environment.name, named });
      },
    },
    {
      id: 'slipway.portForward',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Port-Forward'));
        const given = (argument as { readonly port?: unknown } | undefined)?.port;
        const stop = new AbortController();
        const forward = await (await operations(root)).forward(
          { environment: environment.name },
          { to: named, ...(typeof given === 'string' && { port: given }) },
          { signal: stop.signal },
        );
        forwards.add({ forward, environment: environment.name, stop });
        const open = vscode.l10n.t('Open in Browser');
        const text = vscode.l10n.t('{0} leads to {1} on {2}.', forward.url, forward.target, environment.name);
        // Not awaited: the forward is there, whether or not somebody reads this.
        void vscode.window.showInformationMessage(text, open).then((chosen) => {
          if (chosen === open) void vscode.env.openExternal(vscode.Uri.parse(forward.url, true));
        });
      },
    },
    { id: 'slipway.stopForward', needs: 'nothing', run: () => stopForward(forwards) },
    {
      id: 'slipway.describe',
      needs: 'trusted',
      run: async (argument) => {
        const { root, environment, named } = await choose(parts, argument, vscode.l10n.t('Describe'));
        const place = { environment: environment.name };
        const description = await (await operations(root)).describe(place, named, new AbortController().signal);
        await texts.show(`${named.replace('/', ' ')} on ${environment.name}.yaml`, descriptionText(description));
      },
    },
  ];
}

/** The workload or pod of a tree row; `{ "environment": "dev", "workload": "deploy/web" }` of a keybinding; or one picked. */
async function choose(parts: WorkloadCommandParts, argument: unknown, title: string): Promise<Chosen> {
  const { workspace, loader, selected } = parts;
  const given = targetOf(argument, workspace);
  const root = await pickRoot(workspace, given);
  const environment = await pickDeployable(root, given, title, selected);
  const named = namedOf(argument);
  if (named !== undefined) return { root, environment, named };
  const operations = await (await loader.engine(root.path)).operations();
  const workloads = await operations.workloads({ environment: environment.name }, new AbortController().signal);
  if (workloads.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'workload.none',
      message: vscode.l10n.t('Nothing of {0} is deployed.', environment.name),
      fix: vscode.l10n.t('Deploy it with Slipway: Run Pipeline.'),
    });
  }
  const items = workloads.map(({ kind, name }) => ({
    label: name,
    description: kind,
    named: `${kind.toLowerCase()}/${name}`,
  }));
  const [only] = items;
  if (only !== undefined && items.length === 1) return { root, environment, named: only.named };
  const picked = await vscode.window.showQuickPick(items, {
    title,
    placeHolder: vscode.l10n.t('Workload'),
    // The picker before it gives the focus back, on a slow machine while this one is already there.
    ignoreFocusOut: true,
  });
  if (picked === undefined) throw new CancelledError();
  return { root, environment, named: picked.named };
}

function namedOf(argument: unknown): string | undefined {
  if (typeof argument !== 'object' || argument === null) return undefined;
  const node = argument as { readonly ref?: unknown; readonly pod?: unknown; readonly workload?: unknown };
  if (typeof node.workload === 'string') return node.workload;
  if (typeof node.pod === 'string') return `pod/${node.pod}`;
  const ref = node.ref as { readonly kind?: unknown; readonly name?: unknown } | undefined;
  return typeof ref?.kind === 'string' && typeof ref.name === 'string'
    ? `${ref.kind.toLowerCase()}/${ref.name}`
    : undefined;
}

/** Remembers what it was before; also of a scale whose pods do not come up, which is when one wants to go back. */
async function scaleTo({ loader, scaled }: WorkloadCommandParts, chosen: Chosen, replicas: number): Promise<void> {
  const { root, environment, named } = chosen;
  const work = await (await loader.engine(root.path)).operations();
  await changing(vscode.l10n.t('Slipway: scaling {0} to {1}', named, replicas), async (signal, report) => {
    const done = await work.scale({ environment: environment.name }, named, replicas, { signal, onEvent: report });
    if (done.before !== undefined) {
      const workload = { folder: root.path, environment: environment.name, named };
      scaled.remember(workload, { before: done.before, after: replicas });
    }
    return done;
  });
}

async function pickReplicas(argument: unknown, named: string): Promise<number> {
  const given = (argument as { readonly replicas?: unknown } | undefined)?.replicas;
  if (typeof given === 'number' && Number.isInteger(given) && given >= 0) return given;
  const typed = await vscode.window.showInputBox({
    title: vscode.l10n.t('Scale {0}', named),
    prompt: vscode.l10n.t('Replicas'),
    ignoreFocusOut: true,
    validateInput: (text) => (/^\d{1,4}$/.test(text) ? undefined : vscode.l10n.t('A number from 0 to 9999.')),
  });
  if (typed === undefined) throw new CancelledError();
  return Number(typed);
}

type Watched = { readonly message: string; readonly verdict?: { readonly state: string; readonly message: string } };

/** Shows how the change goes on; a bad end is an error with its cause. */
async function changing(
  title: string,
  work: (
    signal: AbortSignal,
    report: (event: { readonly type: string; readonly workloads?: readonly { readonly message: string }[] }) => void,
  ) => Promise<Watched>,
): Promise<void> {
  const done = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      return work(stop.signal, (event) => {
        const message = event.workloads?.[0]?.message;
        if (message !== undefined) progress.report({ message });
      });
    },
  );
  const { verdict } = done;
  if (verdict !== undefined && verdict.state !== 'ready') {
    throw new SlipwayError({ reason: 'rollout', code: `change.${verdict.state}`, message: verdict.message });
  }
  vscode.window.setStatusBarMessage(`$(pass) ${done.message}`, 8_000);
}

async function stopForward(forwards: Forwards): Promise<void> {
  const picked = await vscode.window.showQuickPick(
    forwards.list.map((open) => ({
      label: open.forward.url,
      description: `${open.forward.target}, ${open.environment}`,
      open,
    })),
    { title: vscode.l10n.t('Stop Port-Forward'), placeHolder: vscode.l10n.t('Port-forward') },
  );
  picked?.open.stop.abort();
}
