// What the cases do in an editor again and again.
import { eventually } from '../suite.ts';
import type { EditorWindow } from '../window.ts';

/** Waits until the lenses of the open editor are as wanted, and gives them. */
export const lenses = (window: EditorWindow, isRight: (texts: readonly string[]) => boolean) =>
  eventually(
    'lenses',
    () => window.page.locator('.editor-instance .codelens-decoration').allInnerTexts(),
    isRight,
    30_000,
  );

/** Lenses are drawn anew when something changes: a click that met one of them just then is made again. */
export async function clickLens(window: EditorWindow, text: string): Promise<void> {
  await window.page.locator('.editor-instance .codelens-decoration a', { hasText: text }).first().click();
}

export const pickRows = (window: EditorWindow, text: string | RegExp) =>
  window.page.locator('.quick-input-list .monaco-list-row', { hasText: text });

export async function saveOpen(window: EditorWindow, name: string): Promise<void> {
  await window.page.keyboard.press('Control+s');
  await window.page.locator(`.tab.active:not(.dirty)[data-resource-name="${name}"]`).waitFor();
}

/** Puts the cursor at the beginning of a line of the active editor. */
export async function goToLine(window: EditorWindow, line: number): Promise<void> {
  await window.page.keyboard.press('Control+g');
  await window.quickInput.waitFor();
  await window.quickInput.fill(`:${line}`);
  await window.page.keyboard.press('Enter');
  await window.page.locator('.statusbar-item', { hasText: new RegExp(`^Ln ${line},`) }).waitFor();
}
