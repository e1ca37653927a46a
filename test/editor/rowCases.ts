// What rows and titles of the Pipelines and Runs views offer, by mouse: on a folder whose newest run was rolled back and
// whose history has one that succeeded.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Editor } from './editor.ts';
import { succeededRun } from './samples/runs.ts';
import { type SampleWorkspace, sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Report } from './suite.ts';
import type { EditorWindow } from './window.ts';

export async function rowCases(report: Report, window: EditorWindow, workspace: SampleWorkspace): Promise<void> {
  const { page } = window;
  const tab = (words: string) => page.locator('.tab.active', { hasText: words });
  const closeEditor = () => window.command('View: Close All Editors');
  const { id } = succeededRun();
  // The oldest stands last.
  const earlier = window.rows('Runs').and(page.locator('[aria-label^="dev, succeeded"]')).last();

  await report.test('rows lead to the page, to the log of a step and to slipway.yaml', async () => {
    await window.rowAction(window.sectionRow('Pipelines', 'dev'), 'Show Rollout');
    await window.webview().locator('.pill', { hasText: 'Rolled back' }).waitFor();
    await window.rowAction(window.sectionRow('Pipelines', 'Build api'), 'Open Step Log');
    await tab('.log').waitFor();
    await page.locator('.view-lines').getByText('Collecting').first().waitFor();
    await window.rowAction(window.sectionRow('Pipelines', 'shop'), 'Open slipway.yaml');
    await tab('slipway.yaml').waitFor();
    await window.contextMenu(window.sectionRow('Pipelines', 'prod'), 'Open slipway.yaml');
    await page.locator('.statusbar', { hasText: `Ln ${lineOf(workspace, '  prod:')}` }).waitFor();
    await closeEditor();
  });

  await report.test('a run of the history leads to its page, its log, its reports and the app', async () => {
    workspace.write(`.slipway/runs/${id}/reports/api.linux-amd64.trivy.json`, '{"found": "nothing"}\n');
    await earlier.click();
    await window.webview().locator('.pill', { hasText: 'Succeeded' }).waitFor();
    await window.contextMenu(earlier, 'Open Scan Report');
    await window.pick('api.linux-amd64.trivy.json');
    await tab('api.linux-amd64.trivy.json').waitFor();
    await window.contextMenu(earlier, 'Open Step Log');
    await window.pick('Test unit');
    await page.locator('.view-lines').getByText('Ran 42 tests').first().waitFor();
    const asked = await window.outside(() => window.contextMenu(earlier, 'Open App in Browser'));
    assert.match(asked, /http:\/\/10\.244\.0\.1:30080/);
    await closeEditor();
  });

  if (!report.isTrial) return;
  await report.test('the title of the view reads again, and leads to file and output', async () => {
    await window.viewAction('Pipelines', 'Refresh');
    await window.viewMenu('Pipelines', 'Open slipway.yaml');
    await tab('slipway.yaml').waitFor();
    await window.viewMenu('Pipelines', 'Show Output');
    await page.locator('.part.panel .view-line', { hasText: 'command slipway.showOutput' }).first().waitFor();
    await closeEditor();
    await window.command('View: Hide Panel');
  });
}

/** A folder with Dockerfiles and manifests, but no slipway.yaml yet. */
export async function initCases(report: Report, { open }: Editor): Promise<void> {
  await report.test('a folder without slipway.yaml: what is proposed is the file once it is saved', async () => {
    const workspace = sampleWorkspace({ 'slipway.yaml': undefined });
    try {
      const window = await open({ open: workspace.path });
      await window.activity('Slipway');
      const project = window.page.locator('.sidebar .monaco-list-row[aria-label*="discovered"]').first();
      await project.waitFor();
      await window.rowAction(project, 'Open slipway.yaml');
      await window.page.locator('.tab.active', { hasText: 'slipway.yaml' }).waitFor();
      await window.page.locator('.view-lines').getByText('docker/api.Dockerfile').first().waitFor();
      const file = join(workspace.path, 'slipway.yaml');
      assert.ok(!existsSync(file), 'nothing is written for the person');
      await window.screenshot('init-proposed');
      await window.page.locator('.editor-instance .view-line').first().click();
      await window.page.keyboard.press('Control+s');
      await eventually(
        'the file',
        () => existsSync(file) && readFileSync(file, 'utf8').includes('docker/worker.Dockerfile'),
        (is) => is,
      );
      await project.waitFor({ state: 'hidden' });
      assert.deepEqual(await window.notifications(), []);
      await window.close();
    } finally {
      workspace.remove();
    }
  });
}

function lineOf(workspace: SampleWorkspace, text: string): number {
  return readFileSync(join(workspace.path, 'slipway.yaml'), 'utf8').split('\n').indexOf(text) + 1;
}
