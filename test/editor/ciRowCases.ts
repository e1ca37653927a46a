// What rows and the title of the CI view offer, by keyboard and by mouse, on a run whose job `lint` failed.
import assert from 'node:assert/strict';
import type { FakeHost } from '../ci/fakeHost.ts';
import { focusView, menuByKeyboard, walkTo } from './keyboardCases.ts';
import { eventually, type Report } from './suite.ts';
import type { EditorWindow } from './window.ts';

export async function ciRowCases(
  report: Report,
  window: EditorWindow,
  host: FakeHost,
  rows: () => Promise<readonly string[]>,
): Promise<void> {
  const { page } = window;
  const run = window.row('#7 Prices in euro');

  await report.test('by keyboard: runs, jobs, steps, and what can be done with each', async () => {
    await focusView(window, 'CI');
    await page.keyboard.press('Home');
    await walkTo(window, /^Run 7/);
    const ofRun = await menuByKeyboard(window);
    for (const title of [
      'Run Failed CI Jobs Again',
      'Run CI Again',
      'Open CI Run in Browser',
      'Download CI Artifacts…',
    ]) {
      assert.ok(ofRun.includes(title), `${title} among ${ofRun.join(', ')}`);
    }
    await walkTo(window, /lint, failed/);
    await page.keyboard.press('ArrowRight');
    await walkTo(window, /Checkout/);
    assert.ok((await menuByKeyboard(window)).includes('Open CI Log'));
  });

  await report.test('the log of a step from its row', async () => {
    await window.contextMenu(window.row('Checkout'), 'Open CI Log');
    await page.locator('.tab.active', { hasText: 'Checkout' }).waitFor();
    await window.command('View: Close Editor');
  });

  await report.test('a run opens on the page of its host', async () => {
    const opened = page.waitForEvent('popup');
    await window.rowAction(run, 'Open CI Run in Browser');
    const popup = await opened;
    assert.match(decodeURIComponent(popup.url()), /acme\/shop\/actions\/runs\/9000000007/);
    await popup.close();
  });

  await report.test('all jobs again from the row; the title of the view asks the host anew', async () => {
    await window.contextMenu(run, 'Run CI Again');
    await eventually('the run again', rows, (list) => list.some((row) => /Run 7.*queued/.test(row)));
    assert.ok(host.seen.some((line) => line.startsWith('POST') && /\/rerun\b/.test(line)));
    Object.assign(host.runs[0] ?? {}, {
      status: 'completed',
      conclusion: 'failure',
      updated_at: new Date().toISOString(),
    });
    await window.viewAction('CI', 'Refresh CI');
    await eventually('its end', rows, (list) => list.some((row) => /Run 7.*failed/.test(row)));
  });
}
