// Delivery of an app by Flux or Argo CD, added to its repository: shown as a diff first, as `slipway init --flux` does.
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { DeliveryKind } from '../../engine/main.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { TextDocuments } from '../actions/textDocuments.ts';
import type { CommandSpec } from '../commands/register.ts';
import { saveAll } from '../commands/runCommands.ts';
import { pickRoot, projectOf, targetOf } from '../commands/target.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Root, Workspace } from '../workspace.ts';

interface InitParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly system: System;
  readonly texts: TextDocuments;
}

export function initDeliveryCommand({ workspace, loader, system, texts }: InitParts): CommandSpec {
  return {
    id: 'slipway.initDelivery',
    needs: 'nothing',
    run: async (argument) => {
      const root = await pickRoot(workspace, targetOf(argument, workspace));
      const kind = await pickKind(argument);
      const name = nameOf(kind);
      // The proposal is made from what is on disk.
      await saveAll(root);
      const { proposeDelivery, proposedDiff, writeDelivery } = await loader.module();
      const proposal = await proposeDelivery(system, await projectOf(root), kind);
      const { files, notes } = proposal;
      const text = [...files.flatMap((file) => [...proposedDiff(file), '']), ...notes.map((note) => `# ${note}`), ''];
      await texts.show(`add delivery by ${name}.diff`, text.join('\n'));
      const write = {
        label: vscode.l10n.t('$(check) Write these {0} files', files.length),
        detail: files.map(({ path }) => path).join(', '),
      };
      const picked = await vscode.window.showQuickPick([write], {
        title: vscode.l10n.t('Add delivery by {0}', name),
        placeHolder: vscode.l10n.t('The changes are in the editor below; Escape writes nothing'),
        ignoreFocusOut: true,
      });
      if (picked === undefined) throw new CancelledError();
      refuseUnsaved(
        root,
        files.map(({ path }) => join(root.path, path)),
      );
      await writeDelivery(system, root.path, proposal);
      const [first] = files;
      if (first === undefined) return;
      await vscode.window.showTextDocument(vscode.Uri.file(join(root.path, first.path)), { preview: true });
      vscode.window.setStatusBarMessage(
        vscode.l10n.t('$(pass) Delivery by {0} was added: commit it to use it.', name),
        8_000,
      );
    },
  };
}

/** A file that is changed on the screen only would be written over, or win over what is written. */
function refuseUnsaved(root: Root, paths: readonly string[]): void {
  const dirty = vscode.workspace.textDocuments.find(({ isDirty, uri }) => isDirty && paths.includes(uri.fsPath));
  if (dirty === undefined) return;
  throw new SlipwayError({
    reason: 'refused',
    code: 'init.changed',
    message: vscode.l10n.t(
      '{0} has unsaved changes; nothing was written.',
      dirty.uri.fsPath.slice(root.path.length + 1),
    ),
    fix: vscode.l10n.t('Save it, then do this again.'),
  });
}

const nameOf = (kind: DeliveryKind): string => (kind === 'flux' ? 'Flux' : 'Argo CD');

async function pickKind(argument: unknown): Promise<DeliveryKind> {
  const given = (argument as { readonly by?: unknown } | undefined)?.by;
  if (given === 'flux' || given === 'argocd') return given;
  const items: readonly (vscode.QuickPickItem & { readonly tool: DeliveryKind })[] = [
    {
      label: 'Flux',
      description: vscode.l10n.t('image policy, marker, automation, and a path filter for CI'),
      tool: 'flux',
    },
    {
      label: 'Argo CD',
      description: vscode.l10n.t('Application and Image Updater objects, and a path filter for CI'),
      tool: 'argocd',
    },
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('Add GitOps Delivery'),
    placeHolder: vscode.l10n.t('What brings changes of this repository into the cluster?'),
    ignoreFocusOut: true,
  });
  if (picked === undefined) throw new CancelledError();
  return picked.tool;
}
