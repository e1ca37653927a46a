import * as vscode from 'vscode';
import type { TextEdit, WantedValue } from '../../engine/markers/index.ts';
import { SlipwayError } from '../../engine/problems/index.ts';
import type { Repository } from './repository.ts';

/** Puts edits of a text (UTF-16 offsets of that document) into a workspace edit. */
export function addEdits(edit: vscode.WorkspaceEdit, document: vscode.TextDocument, edits: readonly TextEdit[]): void {
  for (const { start, end, text } of edits) {
    const range = new vscode.Range(document.positionAt(start), document.positionAt(end));
    edit.replace(document.uri, range, text);
  }
}

export interface ValuesOfFile {
  readonly file: string;
  readonly wanted: readonly WantedValue[];
}

/**
 * Writes references behind markers, one token each, as one step of undo. `open`: the files stay unsaved, for the person to
 * look at; `saved`: files without other unsaved changes are saved, as after a rename.
 */
export async function writeValues(
  repository: Repository,
  files: readonly ValuesOfFile[],
  after: 'open' | 'saved',
): Promise<void> {
  const edit = new vscode.WorkspaceEdit();
  for (const { file, wanted } of files) {
    const document = await vscode.workspace.openTextDocument(repository.uriOf(file));
    addEdits(edit, document, repository.markers.editsForValues(document.getText(), file, wanted));
  }
  await apply(edit, after);
}

export async function apply(edit: vscode.WorkspaceEdit, after: 'open' | 'saved'): Promise<void> {
  if (edit.size === 0) return;
  if (await vscode.workspace.applyEdit(edit, { isRefactoring: after === 'saved' })) return;
  throw new SlipwayError({
    reason: 'io',
    code: 'editor.edit-refused',
    message: vscode.l10n.t(
      'The editor did not take the change, because the file changed in the meantime or is read-only.',
    ),
    fix: vscode.l10n.t('Try again.'),
  });
}

/** One replacement that turns the document into the new text, as small as it can be. */
export function addNewText(edit: vscode.WorkspaceEdit, document: vscode.TextDocument, after: string): void {
  const before = document.getText();
  if (before === after) return;
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  addEdits(edit, document, [{ start: head, end: before.length - tail, text: after.slice(head, after.length - tail) }]);
}
