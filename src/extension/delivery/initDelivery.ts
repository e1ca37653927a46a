// Delivery of an app by Flux or Argo CD, added to its repository: shown as a diff first, as `slipway init --flux` does.
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { DeliveryKind } from '../../engine/main.ts';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import { saveAll } from '../commands/runCommands.ts';
import { pickRoot, projectOf, targetOf } from '../commands/target.ts';
import { addNewText } from '../markers/edits.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';

interface InitParts {
  readonly workspace: Workspace;
  readonly loader: EngineLoader;
  readonly system: System;
}

export function initDeliveryCommand({ workspace, loader, system }: InitParts): CommandSpec {
  return {
    id: 'slipway.initDelivery',
    needs: 'nothing',
    run: async (argument) => {
      const root = await pickRoot(workspace, targetOf(argument, workspace));
      const { proposeDelivery } = await loader.module();
      const kind = await pickKind(argument);
      await saveAll(root);
      const { files, notes } = await proposeDelivery(system, await projectOf(root), kind);
      const [first] = files;
      if (first === undefined) {
        throw new SlipwayError({
          reason: 'usage',
          code: 'init.nothing-new',
          message: vscode.l10n.t('All of it is in this repository already.'),
        });
      }
      const edit = new vscode.WorkspaceEdit();
      // The editor shows what it would do and waits for the person.
      const metadata = { needsConfirmation: true, label: vscode.l10n.t('Add delivery by {0}', nameOf(kind)) };
      for (const { path, change, text, existing } of files) {
        const uri = vscode.Uri.file(join(root.path, path));
        if (existing === undefined) {
          edit.createFile(uri, { contents: new TextEncoder().encode(text), ignoreIfExists: false }, metadata);
        } else {
          if (change === 'new' && existing !== text) await confirmReplace(path);
          const document = await vscode.workspace.openTextDocument(uri);
          refuseUnsaved(document, existing, path);
          addNewText(edit, document, withoutMark(text), metadata);
        }
      }
      if (!(await vscode.workspace.applyEdit(edit, { isRefactoring: true }))) throw new CancelledError();
      await vscode.window.showTextDocument(vscode.Uri.file(join(root.path, first.path)), { preview: true });
      const show = notes.length === 0 ? [] : [notes.map((note) => `• ${note}`).join('\n')];
      const text = vscode.l10n.t('Delivery by {0} was added. Look at it, then commit it.', nameOf(kind));
      void vscode.window.showInformationMessage([text, ...show].join('\n'));
    },
  };
}

const withoutMark = (text: string): string => text.replace(/^\ufeff/, '');

/** The proposal is made from what is on disk; changes that are not saved would be undone by it. */
function refuseUnsaved(document: vscode.TextDocument, existing: string, path: string): void {
  if (document.getText() === withoutMark(existing)) return;
  throw new SlipwayError({
    reason: 'refused',
    code: 'init.changed',
    message: vscode.l10n.t('{0} has unsaved changes; nothing was written.', path),
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

async function confirmReplace(path: string): Promise<void> {
  const replace = vscode.l10n.t('Show the Changes');
  const chosen = await vscode.window.showWarningMessage(
    vscode.l10n.t('{0} is there already and would be replaced.', path),
    { modal: true },
    replace,
  );
  if (chosen !== replace) throw new CancelledError();
}
