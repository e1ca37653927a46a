// The rollout page inside the real VS Code: what it shows, what its links open, that it survives a reload.
import assert from 'node:assert/strict';
import type { Browser } from 'playwright-core';
import { axeViolations } from './axe.ts';
import { trusted, withEditor } from './editor.ts';
import { focusView, walkTo } from './keyboardCases.ts';
import { writeDiagnosis } from './samples/diagnosis.ts';
import { gatedRun, rolledBackRun, runningRun, succeededRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Report, type Suite } from './suite.ts';
import { themeColors, themes } from './themes/index.ts';
import { type EditorWindow, launchBrowser } from './window.ts';

export const rolloutSuite: Suite = {
  name: 'rollout',
  run: async (report) => {
    const browser = await launchBrowser();
    try {
      await behaviour(browser, report);
      await looks(browser, report);
    } finally {
      await browser.close();
    }
  },
};

async function behaviour(browser: Browser, report: Report): Promise<void> {
  const workspace = sampleWorkspace();
  workspace.write('docker/api.Dockerfile', 'FROM scratch\n\n\nCOPY . /app\nCMD ["/app/api"]\n');
  writeRun(workspace.path, succeededRun());
  const settings = { ...trusted, 'workbench.colorTheme': 'Light 2026' };
  await withEditor({ browser, settings, remove: workspace.remove }, async ({ open }) => {
    const window = await open({
      open: workspace.path,
    });
    const page = window.webview();

    await report.test('a step of the tree opens its run with the log of the step', async () => {
      await window.activity('Slipway');
      await window.row('dev').click();
      await window.row('Build api').click();
      await page.getByRole('heading', { name: 'Log of Build api' }).waitFor();
      assert.match(await page.locator('.pill').innerText(), /Succeeded/);
      await page.getByText('package-399 ', { exact: false }).waitFor();
    });

    await report.test('a newer run of the environment can be picked in its history', async () => {
      const failed = rolledBackRun();
      writeDiagnosis(workspace.path, failed.id);
      writeRun(workspace.path, failed);
      const bars = page.locator('.history [role=option]');
      await eventually(
        'history',
        () => bars.count(),
        (count) => count === 2,
      );
      await bars.last().click();
      await page.getByText('Revision 6 serves again', { exact: false }).first().waitFor();
      assert.match(await page.locator('.outcome .headline').innerText(), /does not exist in the registry/);
    });

    await report.test('what was collected when it failed is there, and opens as a document', async () => {
      await page.getByRole('tab', { name: 'Diagnosis' }).click();
      await page.getByText('could not translate host name "postgres"', { exact: false }).first().waitFor();
      await page.locator('vscode-button', { hasText: 'Open as document' }).click();
      await window.page.locator('.tab', { hasText: 'Preview' }).waitFor();
      await window.command('View: Close Editor');
      // The page was hidden meanwhile: it asks its host again and shows the same.
      await page.getByRole('tab', { name: 'Diagnosis', selected: true }).waitFor();
      await page.getByRole('tab', { name: 'Run' }).click();
    });

    await report.test('the page breaks no policy and leaves no error', async () => {
      const problems = window.console.filter(
        (line) => /Content Security Policy|Uncaught/.test(line) && /rollout|slipway/.test(line),
      );
      assert.deepEqual(problems, []);
    });

    await report.test('opens the log as a document', async () => {
      await page.locator('vscode-button', { hasText: 'Open as document' }).click();
      const tab = window.page.locator('.tab', { hasText: '.log' });
      await tab.waitFor();
      await window.page.locator('.view-lines').getByText('Collecting').first().waitFor();
      await window.command('View: Close Editor');
    });

    await report.test('comes back with the run and the step after a reload of the window', async () => {
      // The editor in a browser writes down which tabs are open every few seconds only: what it does not know, nobody restores.
      await eventually(
        'the page as it is, and nothing else, in the stored layout',
        () => storedLayout(window),
        // As it is on screen: what was written down before would bring back a document in front of it, or its other tab.
        (text) =>
          text.includes('slipway.rollout') &&
          text.includes('build:api') &&
          !/markdown\.preview|fileEditorInput|diagnosis/.test(text),
      );
      await window.page.reload();
      await window.page.locator('.monaco-workbench').waitFor();
      await page.getByRole('heading', { name: 'Log of Build api' }).waitFor({ timeout: 60_000 });
      assert.match(await page.locator('.pill').innerText(), /Rolled back/);
    });

    await report.test('axe finds nothing in the webview: failed, what was collected, ready, running', async () => {
      const isClean = async (what: string) => {
        const frame = await window.webviewFrame();
        await frame.evaluate(() => document.fonts.ready);
        assert.deepEqual(await axeViolations(frame), [], what);
      };
      await isClean('failed');
      await page.getByRole('tab', { name: 'Diagnosis' }).click();
      await page.getByRole('heading', { name: 'Recognised', exact: true }).waitFor();
      await isClean('diagnosis');
      const bars = page.locator('.history [role=option]');
      await bars.first().click();
      await page.locator('.pill', { hasText: 'Succeeded' }).waitFor();
      await isClean('ready');
      writeRun(workspace.path, runningRun());
      await eventually(
        'history',
        () => bars.count(),
        (count) => count === 3,
      );
      await bars.last().click();
      await page.locator('.pill', { hasText: 'Running' }).waitFor();
      await isClean('running');
    });

    if (report.isTrial) {
      await report.test(
        'links of the page: finding, advisory, report, app; and another version to deploy',
        async () => {
          const gated = gatedRun('20261121T101500Z-0b0b0b');
          writeRun(workspace.path, gated);
          workspace.write(`.slipway/runs/${gated.id}/reports/api.linux-amd64.trivy.json`, '{"found": 3}\n');
          const bars = page.locator('.history [role=option]');
          await eventually(
            'history',
            () => bars.count(),
            (count) => count === 4,
          );
          await bars.last().click();
          await page.locator('.pill', { hasText: 'Failed' }).waitFor();
          await page.locator('.finding .link', { hasText: 'Dockerfile line 4' }).first().click();
          await window.page.locator('.tab.active', { hasText: 'api.Dockerfile' }).waitFor();
          await window.page.locator('.statusbar', { hasText: 'Ln 4' }).waitFor();
          await window.command('View: Close Editor');
          const advisory = await window.outside(() => page.locator('.finding .link').first().click());
          assert.match(advisory, /cve-/i);
          await page.locator('tr', { hasText: 'api' }).filter({ hasText: 'linux/amd64' }).locator('.link').click();
          await window.page.locator('.tab.active', { hasText: 'api.linux-amd64.trivy.json' }).waitFor();
          await window.command('View: Close Editor');
          await bars.first().click();
          await page.locator('.pill', { hasText: 'Succeeded' }).waitFor();
          const app = await window.outside(() => page.locator('.endpoints .link').click());
          assert.match(app, /http:\/\/10\.244\.0\.1:30080/);
          await bars.nth(1).click();
          await page.locator('.pill', { hasText: 'Rolled back' }).waitFor();
          await page.locator('vscode-button', { hasText: 'Deploy another version…' }).click();
          await window.page.locator('.quick-input-titlebar', { hasText: 'Deploy to dev' }).waitFor();
          await window.page.locator('.quick-input-list .label-name', { hasText: 'main-4f2a9c1' }).first().waitFor();
          await window.page.keyboard.press('Escape');
        },
      );

      await report.test('by keyboard from the row into the page, to a step, its log, back, and out again', async () => {
        await window.activity('Slipway');
        await focusView(window, 'Pipelines');
        await window.page.keyboard.press('Home');
        await walkTo(window, /^Build worker/);
        await window.page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Log of Build worker' }).waitFor();
        // The row keeps the focus; this is how one goes to the editor from anywhere.
        await window.page.keyboard.press('Control+1');
        const held = () => page.locator(':focus').evaluateAll(([one]) => one?.textContent?.trim() ?? '');
        for (let stop = 0; stop < 20 && !(await held()).startsWith('Build worker'); stop += 1) {
          const before = await held();
          await window.page.keyboard.press('Tab');
          await eventually('the next stop', held, (words) => words !== before);
        }
        await window.page.keyboard.press('ArrowUp');
        await eventually('the step above', held, (words) => words.startsWith('Build api'));
        await window.page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'Log of Build api' }).waitFor();
        await window.page.keyboard.press('Escape');
        await page.locator('.section.log').waitFor({ state: 'detached' });
        await eventually('the step again', held, (words) => words.startsWith('Build api'));
        await window.page.keyboard.press('F6');
        await eventually(
          'the focus in the next part of the window',
          () => window.page.evaluate(() => document.activeElement?.tagName),
          (tag) => tag !== 'IFRAME',
        );
      });
    }
    await window.close();
  });
}

/** What VS Code in a browser has stored of the editor area, as text. */
function storedLayout(window: EditorWindow): Promise<string> {
  return window.page.evaluate(async () => {
    const answerOf = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    let text = '';
    for (const { name = '' } of await indexedDB.databases()) {
      if (!name.startsWith('vscode-web-state-db')) continue;
      const database = await answerOf(indexedDB.open(name));
      const table = database.transaction('ItemTable').objectStore('ItemTable');
      text += JSON.stringify((await answerOf(table.get('memento/workbench.parts.editor'))) ?? '');
      database.close();
    }
    return text;
  });
}

/** One window that changes its theme: the page follows without being opened anew. */
async function looks(browser: Browser, report: Report): Promise<void> {
  const workspace = sampleWorkspace();
  const run = rolledBackRun(undefined, new Date(Date.now() - 4 * 60_000).toISOString());
  writeRun(workspace.path, succeededRun());
  writeRun(workspace.path, run);
  const settings = { 'security.workspace.trust.enabled': false };
  await withEditor({ browser, settings, remove: workspace.remove }, async ({ open }) => {
    const window = await open({
      open: workspace.path,
      size: { width: 1500, height: 900 },
    });
    await window.activity('Slipway');
    await window.row('Roll out on dev').waitFor();
    await window.row('Roll out on dev').click();
    for (const theme of themes) {
      await report.test(`looks right in ${theme.name}`, async () => {
        workspace.write('.vscode/settings.json', JSON.stringify({ 'workbench.colorTheme': theme.label }));
        await window.waitForTheme(theme.name);
        await eventually(
          'theme of the page',
          () => window.webview().locator('body').getAttribute('class'),
          (kinds) =>
            themeColors(theme.name)
              .kind.split(' ')
              .every((kind) => (kinds ?? '').split(' ').includes(kind)),
        );
        await window.webview().getByText('Revision 6 serves again', { exact: false }).first().waitFor();
        await window.screenshot(`editor-rolled-back-${theme.name}`);
        assert.deepEqual(await window.notifications(), []);
      });
    }
    await window.close();
  });
}
