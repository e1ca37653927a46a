import * as vscode from 'vscode';
import { CancelledError } from '../../engine/problems/index.ts';

/**
 * Before a protected environment is changed, its name is typed, as in the terminal: a click is made too fast. Another name
 * keeps the box open and says so; leaving it throws CancelledError.
 *
 * @param change what happens, as a title: `Deploy to the protected environment prod`
 * @param details where it happens, in short words
 */
export async function confirmByName(name: string, change: string, details: readonly string[]): Promise<void> {
  const box = vscode.window.createInputBox();
  try {
    box.title = change;
    box.placeholder = name;
    box.prompt = vscode.l10n.t('{0}. Type {1} and press Enter to go on.', details.join(', '), name);
    // What takes the focus meanwhile (a terminal, another window) is no answer.
    box.ignoreFocusOut = true;
    const isAgreed = await new Promise<boolean>((resolve) => {
      box.onDidChangeValue(() => {
        box.validationMessage = undefined;
      });
      box.onDidAccept(() => {
        if (box.value.trim() === name) resolve(true);
        else {
          box.validationMessage = vscode.l10n.t('The environment is called {0}. Nothing has been changed.', name);
        }
      });
      box.onDidHide(() => resolve(false));
      box.show();
    });
    if (!isAgreed) throw new CancelledError();
  } finally {
    box.dispose();
  }
}
