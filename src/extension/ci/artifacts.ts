import * as vscode from 'vscode';
import type { CiArtifact, CiRun } from '../../engine/ci/index.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { CiSource } from './ciSource.ts';
import type { CiSources } from './ciSources.ts';

/** Lets the person choose artifacts of a run and a folder, and unpacks them there; the progress can be cancelled. */
export async function downloadArtifacts(
  sources: CiSources,
  system: System,
  { source, run }: { readonly source: CiSource; readonly run: CiRun },
): Promise<void> {
  const client = await source.connected();
  const found = await client.artifacts(run.id, AbortSignal.timeout(60_000));
  const kept = found.filter(({ isExpired }) => !isExpired);
  if (kept.length === 0) {
    throw new SlipwayError({
      reason: 'usage',
      code: 'ci.no-artifacts',
      message:
        found.length === 0
          ? vscode.l10n.t('Run #{0} left nothing behind.', run.number)
          : vscode.l10n.t('What run #{0} left behind has expired.', run.number),
    });
  }
  const title = vscode.l10n.t('Artifacts of Run #{0}', run.number);
  const chosen = await vscode.window.showQuickPick(
    kept.map((artifact) => ({ label: artifact.name, description: size(artifact), artifact })),
    { title, canPickMany: true, placeHolder: vscode.l10n.t('What to fetch') },
  );
  if (chosen === undefined || chosen.length === 0) throw new CancelledError();
  const [folder] =
    (await vscode.window.showOpenDialog({
      title,
      openLabel: vscode.l10n.t('Unpack Here'),
      canSelectFiles: false,
      canSelectFolders: true,
      defaultUri: vscode.Uri.file(source.folder),
    })) ?? [];
  if (folder === undefined) throw new CancelledError();
  const { saveArtifact } = await sources.engine();
  const saved = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const stop = new AbortController();
      token.onCancellationRequested(() => stop.abort());
      const all = [];
      for (const { artifact } of chosen) {
        progress.report({ message: artifact.name, increment: 100 / chosen.length });
        all.push(await saveArtifact(system, client, artifact, folder.fsPath, stop.signal));
      }
      return all;
    },
  );
  const show = vscode.l10n.t('Show Folder');
  const count = saved.reduce((sum, { files }) => sum + files.length, 0);
  const answer = await vscode.window.showInformationMessage(
    vscode.l10n.t('{0} files of {1} are in {2}.', count, saved.map(({ name }) => name).join(', '), folder.fsPath),
    show,
  );
  const [first] = saved;
  if (answer === show && first !== undefined)
    await vscode.commands.executeCommand('revealFileInOS', vscode.Uri.file(first.folder));
}

const size = ({ bytes }: CiArtifact): string =>
  bytes === undefined ? '' : vscode.l10n.t('{0} KiB', Math.ceil(bytes / 1024));
