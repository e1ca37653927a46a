// Through the views without a mouse: the command that gives a view the focus, arrows, Enter, and the context menu by Shift+F10.
import assert from 'node:assert/strict';
import { eventually, type Report } from './suite.ts';
import type { EditorWindow } from './window.ts';

interface Focused {
  /** What a screen reader says of the row with the focus. */
  readonly label: string;
  /** `expanded`, `collapsed` or empty for a row without children. */
  readonly fold: string;
  /** The row is drawn with an outline: where one is can be seen. */
  readonly isSeen: boolean;
}

/** Gives a view the focus by its command, without a click. What opens at this moment may take it once more. */
export async function focusView(window: EditorWindow, view: string): Promise<void> {
  const { page } = window;
  const command = `Slipway: Focus on ${view} View`;
  const row = page
    .locator('.quick-input-list .monaco-list-row.focused')
    .filter({ has: page.locator('.label-name', { hasText: command }) });
  // A view that has no rows yet takes the focus itself; what can be walked is its list.
  const holder = () =>
    page.evaluate(() => {
      const list = document.activeElement?.closest('.monaco-list');
      return list?.closest('.pane')?.querySelector('.pane-header')?.textContent ?? '';
    });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await page.keyboard.press('F1');
      await window.quickInput.fill(`>${command}`, { timeout: 3_000 });
      await row.waitFor({ timeout: 3_000 });
      await page.keyboard.press('Enter');
      await eventually(`the focus in ${view}`, holder, (title) => title.trim().startsWith(view), 5_000);
      return;
    } catch (error) {
      if (attempt === 8) throw error;
      await page.keyboard.press('Escape');
    }
  }
}

/** The row that has the focus in the view that has it. */
export const focused = (window: EditorWindow): Promise<Focused> =>
  window.page.evaluate(() => {
    const list = document.activeElement;
    const row = document.getElementById(list?.getAttribute('aria-activedescendant') ?? '');
    const { outlineStyle = 'none', outlineWidth = '0px' } = row === null ? {} : getComputedStyle(row);
    const fold = row?.getAttribute('aria-expanded');
    return {
      label: row?.getAttribute('aria-label') ?? '',
      fold: fold === 'true' ? 'expanded' : fold === 'false' ? 'collapsed' : '',
      isSeen: outlineStyle !== 'none' && outlineWidth !== '0px',
    };
  });

/** Presses the key until the row is the one that is meant. Throws when the list ends before. */
export async function walkTo(window: EditorWindow, wanted: RegExp, key = 'ArrowDown'): Promise<Focused> {
  let last: Focused | undefined;
  for (let step = 0; step < 40; step += 1) {
    const now = await focused(window);
    if (wanted.test(now.label)) {
      assert.ok(now.isSeen, `the focus on "${now.label}" can be seen`);
      return now;
    }
    await window.page.keyboard.press(key);
    const moved = await eventually(
      'the next row',
      () => focused(window),
      (row) => row.label !== now.label,
      5_000,
    ).catch(() => now);
    if (moved.label === now.label && last?.label === now.label) break;
    last = now;
  }
  throw new Error(`no row ${wanted} by ${key}; at "${(await focused(window)).label}"`);
}

/** The titles of the context menu that Shift+F10 opens; it is closed again, and the row has the focus as before. */
export async function menuByKeyboard(window: EditorWindow): Promise<readonly string[]> {
  const { page } = window;
  const before = await focused(window);
  await page.keyboard.press('Shift+F10');
  const items = page.locator('.monaco-menu .action-item:not(.disabled) .action-label');
  await items.first().waitFor();
  const titles = await items.evaluateAll((all) => all.map((item) => item.getAttribute('aria-label') ?? ''));
  await page.keyboard.press('Escape');
  await items.first().waitFor({ state: 'hidden' });
  await eventually(
    'the focus back on the row',
    () => focused(window),
    (row) => row.label === before.label,
  );
  return titles.filter((title) => title !== '');
}

export async function keyboardCases(report: Report, window: EditorWindow): Promise<void> {
  const { page } = window;
  const press = (key: string) => page.keyboard.press(key);
  const folds = (state: Focused['fold']) =>
    eventually(
      `a row that is ${state}`,
      () => focused(window),
      ({ fold }) => fold === state,
    );

  await report.test('by keyboard: Pipelines unfolds, opens a run, and offers what the mouse is offered', async () => {
    await focusView(window, 'Pipelines');
    await press('Home');
    await walkTo(window, /^Project shop/);
    await walkTo(window, /^dev, rolled back/);
    await press('ArrowLeft');
    await folds('collapsed');
    await press('ArrowRight');
    await folds('expanded');
    const titles = await menuByKeyboard(window);
    for (const title of ['Run Pipeline', 'Resume Run', 'Deploy…', 'Roll Back…', 'Diagnose', 'Open Scan Report']) {
      assert.ok(titles.includes(title), `${title} among ${titles.join(', ')}`);
    }
    await walkTo(window, /^Build api, succeeded/);
    await press('Enter');
    await window.webview().getByRole('heading', { name: 'Log of Build api' }).waitFor();
  });

  await report.test('by keyboard: Runs goes through the history, and Enter shows the run', async () => {
    await focusView(window, 'Runs');
    await press('Home');
    await walkTo(window, /^dev, rolled back/);
    const titles = await menuByKeyboard(window);
    for (const title of ['Show Rollout', 'Resume Run', 'Run Pipeline']) {
      assert.ok(titles.includes(title), `${title} among ${titles.join(', ')}`);
    }
    await walkTo(window, /^dev, succeeded/);
    await press('Enter');
    await window.webview().locator('.pill', { hasText: 'Succeeded' }).waitFor();
  });

  if (!report.isTrial) return;
  await report.test('by keyboard: Workloads and Images & Policies', async () => {
    await focusView(window, 'Workloads');
    await press('Home');
    await walkTo(window, /^dev, not looked at yet/);
    const ofEnvironment = await menuByKeyboard(window);
    for (const title of ['Deploy…', 'Diagnose', 'Compare Environments']) {
      assert.ok(ofEnvironment.includes(title), `${title} among ${ofEnvironment.join(', ')}`);
    }
    await focusView(window, 'Images & Policies');
    await press('Home');
    await walkTo(window, /api/);
    assert.ok((await menuByKeyboard(window)).includes('Fetch Tags'));
    await window.command('View: Close All Editors');
    for (const view of ['Workloads', 'Images & Policies']) await window.collapse(view);
  });
}
