// Tags of a registry that cannot be reached: what is known stays, with its age, and the way to it is not closed.
import assert from 'node:assert/strict';
import { type Fleet, REFUSED } from '../samples/fleet.ts';
import { eventually, type Report } from '../suite.ts';
import type { EditorWindow } from '../window.ts';
import { clickLens, goToLine, lenses, pickRows, saveOpen } from './editor.ts';

const FILE = 'offline/app.yaml';

export async function offlineCases(report: Report, window: EditorWindow, fleet: Fleet): Promise<void> {
  await report.test(
    'while the registry refuses, the lens says what would be written and how old the tags are',
    async () => {
      await window.openFile(FILE);
      const texts = await lenses(window, (found) => found.some((text) => text.includes('1.0.0 → 1.1.0')));
      assert.match(texts.join(' '), /1\.0\.0 → 1\.1\.0 by semver 1\.x \(tags from 2 h ago\)/);
    },
  );

  await report.test('asking it says why there is nothing new, and what was known stays', async () => {
    await clickLens(window, 'Pick tag…');
    await pickRows(window, '1.1.0').first().waitFor();
    const text = (await pickRows(window, '1.1.0').first().innerText()).replaceAll('\n', ' ');
    assert.match(text, /linux\/amd64 · signed · abababababab/);
    await window.page.locator('.quick-input-widget .action-label[aria-label^="Fetch the tags"]').click();
    const holder = () => window.quickInput.getAttribute('placeholder');
    await eventually(
      'answer of the registry',
      holder,
      (words) => /127\.0\.0\.1:9/.test(words ?? '') && !/2 h ago/.test(words ?? ''),
    );
    assert.match((await holder()) ?? '', /refused|cannot be reached|not reach|ECONNREFUSED/i);
    assert.equal(await pickRows(window, '2.0.0').count(), 1);
    await window.screenshot('gitops-offline');
    await window.page.keyboard.press('Escape');
    await lenses(window, (found) => found.some((one) => one.includes('(tags from 2 h ago)')));
  });

  await report.test('Bump writes by the known tags', async () => {
    await clickLens(window, 'Bump');
    await lenses(window, (found) => found.some((text) => text.includes('1.1.0 is the latest')));
    await saveOpen(window, 'app.yaml');
    assert.match(fleet.read(FILE), /offline:1\.1\.0 # /);
  });

  await report.test(
    'a policy that no marker names is a problem, and its fix puts markers behind the uses of its image',
    async () => {
      const app = `image: ${REFUSED}:2.0.0\n`;
      fleet.write('offline/other.yaml', app);
      await window.openFile('offline/unused.yaml');
      await window.command('Problems: Focus on Problems View');
      const problem = window.page.locator('.markers-panel .monaco-list-row', {
        hasText: `No marker names the policy ${fleet.namespace}:unused`,
      });
      await problem.first().waitFor();
      await window.page.locator('.editor-instance .view-line').first().click();
      await goToLine(window, 4);
      await window.page.keyboard.press('End');
      await window.page.keyboard.press('Control+.');
      await window.page
        .locator('.action-widget .monaco-list-row', { hasText: `Put markers behind the uses of ${REFUSED}` })
        .first()
        .click();
      await problem.first().waitFor({ state: 'detached' });
      await window.openFile('offline/other.yaml');
      await saveOpen(window, 'other.yaml');
      assert.equal(
        fleet.read('offline/other.yaml'),
        app.replace('\n', ` # {"$imagepolicy": "${fleet.namespace}:unused"}\n`),
      );
    },
  );
}
