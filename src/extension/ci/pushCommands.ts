import { basename } from 'node:path';
import * as vscode from 'vscode';
import { CancelledError, SlipwayError } from '../../engine/problems/index.ts';
import type { System } from '../../engine/system/index.ts';
import type { CommandSpec } from '../commands/register.ts';
import type { EngineLoader } from '../run/engineLoader.ts';
import type { Workspace } from '../workspace.ts';
import { type PushAnswers, type Question, refOf, rootOfWorkflow, words } from './pushAnswers.ts';

export function pushCommands(parts: {
  readonly answers: PushAnswers;
  readonly workspace: Workspace;
  readonly system: System;
  readonly loader: EngineLoader;
}): readonly CommandSpec[] {
  return [
    { id: 'slipway.ci.askPush', needs: 'trusted', run: (argument) => askPush(parts, argument) },
    { id: 'slipway.ci.pin', needs: 'trusted', run: (argument) => pin(parts, argument) },
  ];
}

/** "Would this push start it": for the branch or tag and the files that the person names. */
async function askPush(
  { answers, workspace }: { readonly answers: PushAnswers; readonly workspace: Workspace },
  argument: unknown,
): Promise<void> {
  const active = vscode.window.activeTextEditor?.document.uri.fsPath;
  const given = (argument as { readonly root?: unknown } | undefined)?.root;
  const root =
    (typeof given === 'string' ? given : undefined) ??
    (active === undefined ? undefined : rootOfWorkflow(active)) ??
    workspace.roots[0]?.path;
  if (root === undefined) {
    throw new SlipwayError({ reason: 'usage', message: vscode.l10n.t('No folder is open.') });
  }
  const here = await answers.ask(root);
  const title = vscode.l10n.t('Would a push start CI?');
  const ref = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Branch, or tag NAME for a tag'),
    value: refOf(here.question),
    validateInput: (text) => (/^(tag )?\S+$/.test(text.trim()) ? undefined : vscode.l10n.t('Name a branch or tag.')),
  });
  if (ref === undefined) throw new CancelledError();
  const files = await vscode.window.showInputBox({
    title,
    prompt: vscode.l10n.t('Changed files from the root, with commas between them'),
    value: here.question.files.join(', '),
  });
  if (files === undefined) throw new CancelledError();
  const tag = /^tag (\S+)$/.exec(ref.trim())?.[1];
  const question: Question = {
    files: files.split(',').flatMap((file) => (file.trim() === '' ? [] : [file.trim().replaceAll('\\', '/')])),
    ref: tag === undefined ? { branch: ref.trim() } : { tag },
  };
  const { check } = await answers.ask(root, question);
  const picked = await vscode.window.showQuickPick(
    check.answers.map((answer) => ({
      label: basename(answer.workflow),
      description: answer.workflow,
      detail: words(answer, refOf(question)),
      answer,
    })),
    { title, placeHolder: vscode.l10n.t('Choose a workflow to open it'), matchOnDetail: true },
  );
  if (picked === undefined) throw new CancelledError();
  const { file, range } = picked.answer.place;
  const line = range?.start.line ?? 0;
  await vscode.window.showTextDocument(vscode.Uri.file(file), { selection: new vscode.Range(line, 0, line, 0) });
}

/** What the quick fix of an unpinned action hands over. */
export interface PinRequest {
  readonly file: string;
  /** From 0. */
  readonly line: number;
  readonly uses: string;
}

async function pin(
  { system, loader }: { readonly system: System; readonly loader: EngineLoader },
  argument: unknown,
): Promise<void> {
  const { file, line, uses } = argument as PinRequest;
  const root = rootOfWorkflow(file);
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(file));
  if (root === undefined || line >= document.lineCount) throw new CancelledError();
  const editor = await (await loader.module()).loadWorkflowEditor();
  const pinned = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('Asking for the commit of {0}', uses) },
    () => editor.pinAction(system, root, uses),
  );
  // The text may have changed while the host was asked: the line is read anew.
  const text = document.lineAt(line).text;
  const at = text.indexOf(uses);
  if (at === -1) throw new CancelledError();
  const edit = new vscode.WorkspaceEdit();
  const behind = text.slice(at + uses.length);
  const comment = /^['"]?\s*$/.test(behind) ? ` # ${pinned.version}` : '';
  edit.replace(document.uri, new vscode.Range(line, at, line, at + uses.length), pinned.uses);
  if (comment !== '') edit.insert(document.uri, new vscode.Position(line, text.trimEnd().length), comment);
  await vscode.workspace.applyEdit(edit);
}
