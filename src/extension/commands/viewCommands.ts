import { isAbsolute, join } from 'node:path';
import * as vscode from 'vscode';
import { SlipwayError } from '../../engine/problems/index.ts';
import type { RolloutPanels } from '../rollout/panels.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import { logUri } from '../run/logDocuments.ts';
import type { Root, Workspace } from '../workspace.ts';
import type { CommandSpec } from './register.ts';
import { pickRoot, pickRun, targetOf } from './target.ts';

export interface ViewCommandParts {
  readonly workspace: Workspace;
  readonly panels: RolloutPanels;
  readonly loader: EngineLoader;
  readonly log: vscode.LogOutputChannel;
}

export function viewCommands({ workspace, panels, loader, log }: ViewCommandParts): readonly CommandSpec[] {
  return [
    {
      id: 'slipway.showRollout',
      needs: 'nothing',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const { root, entry } = await pickRun(workspace, given, vscode.l10n.t('Show Rollout'));
        panels.show(root, entry.view.id, given.step);
      },
    },
    {
      id: 'slipway.openLog',
      needs: 'nothing',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const { root, entry } = await pickRun(workspace, given, vscode.l10n.t('Open Step Log'));
        const step = given.step ?? (await pickStep(entry.view.steps));
        if (step !== undefined) await openLog(root, entry.view.id, step);
      },
    },
    {
      id: 'slipway.openReport',
      needs: 'nothing',
      run: async (argument) => {
        const { root, entry } = await pickRun(
          workspace,
          targetOf(argument, workspace),
          vscode.l10n.t('Open Scan Report'),
          ({ view }) => view.scans.some(({ reports }) => reports.length > 0),
        );
        const reports = entry.view.scans.flatMap((scan) =>
          scan.reports.map((path) => ({
            label: path.split('/').at(-1) ?? path,
            description: `${scan.image}, ${scan.platform}`,
            path,
          })),
        );
        const picked =
          reports.length === 1
            ? reports[0]
            : await vscode.window.showQuickPick(reports, { title: vscode.l10n.t('Open Scan Report') });
        if (picked !== undefined) await openReport(root, entry.view.id, picked.path);
      },
    },
    {
      id: 'slipway.openEndpoint',
      needs: 'nothing',
      run: async (argument) => {
        const { entry } = await pickRun(
          workspace,
          targetOf(argument, workspace),
          vscode.l10n.t('Open App in Browser'),
          ({ view }) => view.endpoints.length > 0,
        );
        const { endpoints } = entry.view;
        const picked =
          endpoints.length === 1
            ? endpoints[0]
            : await vscode.window.showQuickPick(
                endpoints.map(({ title, url }) => ({ label: title, description: url, url })),
                { title: vscode.l10n.t('Open App in Browser') },
              );
        if (picked !== undefined && /^https?:/.test(picked.url)) {
          await vscode.env.openExternal(vscode.Uri.parse(picked.url, true));
        }
      },
    },
    {
      id: 'slipway.openConfiguration',
      needs: 'nothing',
      run: async (argument) => {
        const given = targetOf(argument, workspace);
        const root = await pickRoot(workspace, given);
        const project = root.project ?? (await root.read());
        if (project.configFile === undefined) {
          await vscode.commands.executeCommand('slipway.init', argument);
          return;
        }
        const range = project.environments.find(({ name }) => name === given.environment)?.place.range;
        const at = range === undefined ? undefined : new vscode.Position(range.start.line, range.start.character);
        await vscode.window.showTextDocument(vscode.Uri.file(project.configFile), {
          ...(at !== undefined && { selection: new vscode.Range(at, at) }),
        });
      },
    },
    {
      id: 'slipway.init',
      needs: 'nothing',
      run: async (argument) => {
        const root = await pickRoot(workspace, targetOf(argument, workspace));
        const proposal = await (await loader.engine(root.path)).propose();
        if (proposal.existing !== undefined) {
          await vscode.window.showTextDocument(vscode.Uri.file(proposal.file));
          return;
        }
        // The person looks at it and saves it; nothing is written for them, and closing it undoes it.
        const uri = vscode.Uri.file(proposal.file).with({ scheme: 'untitled' });
        const editor = await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri));
        if (editor.document.getText() === '') {
          await editor.edit((edit) => edit.insert(new vscode.Position(0, 0), proposal.text));
        }
      },
    },
    { id: 'slipway.refresh', needs: 'nothing', run: () => workspace.refresh() },
    { id: 'slipway.showOutput', needs: 'nothing', run: () => log.show(true) },
  ];
}

export async function openLog(root: Root, run: string, step: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(logUri(root, run, step));
  await vscode.window.showTextDocument(document, { preview: true });
}

/** Opens a report of the run. Throws SlipwayError `io` when it is gone or lies elsewhere. */
export async function openReport(root: Root, run: string, path: string): Promise<void> {
  const file = isAbsolute(path) ? undefined : root.runs.pathIn(run, join('.', path));
  if (file === undefined) {
    throw new SlipwayError({
      reason: 'io',
      code: 'report.outside',
      message: vscode.l10n.t('The report {0} does not lie in the folder of its run.', path),
    });
  }
  await vscode.window.showTextDocument(vscode.Uri.file(file), { preview: true });
}

async function pickStep(steps: readonly { readonly id: string; readonly title: string; readonly state: string }[]) {
  const picked = await vscode.window.showQuickPick(
    steps
      .filter(({ state }) => state !== 'waiting')
      .map(({ id, title, state }) => ({ label: title, description: state, id })),
    { title: vscode.l10n.t('Open Step Log') },
  );
  return picked?.id;
}
