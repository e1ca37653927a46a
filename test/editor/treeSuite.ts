// The Pipelines tree as a person sees it, fed by journals that somebody else writes.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventsFile } from '../../src/engine/run/journal.ts';
import { trusted, withEditor } from './editor.ts';
import { keyboardCases } from './keyboardCases.ts';
import { initCases, rowCases } from './rowCases.ts';
import { rolledBackRun, runningRun, succeededRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';

export const treeSuite: Suite = {
  name: 'tree',
  run: async (report) => {
    const workspace = sampleWorkspace();
    await withEditor({ settings: trusted, remove: workspace.remove }, async (editor) => {
      const { open } = editor;
      const window = await open({
        open: workspace.path,
        size: { width: 1280, height: 1100 },
      });
      const textOf = async (row: string) => (await window.row(row).textContent()) ?? '';

      await report.test('shows the project, its environments and what a run would do', async () => {
        await window.activity('Slipway');
        await window.row('shop').waitFor();
        assert.match(await textOf('dev'), /not run yet/);
        assert.match(await textOf('prod'), /protected/);
        // Rows below the edge are not in the document.
        for (const view of ['Images & Policies', 'CI']) await window.collapse(view);
        await window.row('dev').click();
        await window.row('Deploy to dev').waitFor();
        await window.screenshot('tree-before-the-first-run');
      });

      await report.test('shows a run of a terminal from its first event on', async () => {
        const run = runningRun();
        writeRun(workspace.path, run);
        await eventually(
          'row of dev',
          () => textOf('dev'),
          (text) => text.includes('Roll out on dev'),
        );
        await window.row('Roll out on dev').waitFor();
        assert.match(await textOf('Roll out on dev'), /1 of 2 pods/);
        await window.screenshot('tree-running');
        const end = { v: 1, run: run.id, seq: 1000, time: new Date().toISOString() };
        appendFileSync(
          eventsFile(workspace.path, run.id),
          `${JSON.stringify({ ...end, type: 'run.finished', outcome: 'succeeded', exitCode: 0, durationMs: 32_000 })}\n`,
        );
        await eventually(
          'row of dev',
          () => textOf('dev'),
          (text) => text.includes('succeeded'),
        );
      });

      await report.test('names cause and rollback of a failed run in the row', async () => {
        writeRun(workspace.path, {
          ...rolledBackRun(),
          id: '20261121T110512Z-77be01',
          events: rolledBackRun('20261121T110512Z-77be01').events,
        });
        const text = await eventually(
          'row of dev',
          () => textOf('dev'),
          (row) => row.includes('rolled back'),
        );
        assert.match(text, /does not exist in the registry/);
        await window.screenshot('tree-rolled-back');
      });

      await report.test('an earlier run that appears late does not displace the newest', async () => {
        writeRun(workspace.path, succeededRun());
        await window.command('Slipway: Refresh');
        assert.match(await textOf('dev'), /rolled back/);
      });

      await report.test('the Runs view has the history: cause, time and who started it, newest first', async () => {
        await window.section('Runs').click();
        await eventually(
          'rows of Runs',
          () => window.sectionRows('Runs'),
          (texts) => texts.length === 3,
        );
        const [newest, , oldest] = await window.sectionRows('Runs');
        assert.match(newest ?? '', /rolled back: .*does not exist in the registry.* 31 s.*from a terminal/);
        assert.match(oldest ?? '', /succeeded/);
        await window.screenshot('runs-history');
      });

      await rowCases(report, window, workspace);
      await keyboardCases(report, window);
      if (report.isTrial) await initCases(report, editor);

      await report.test('several folders: each has its project and its runs', async () => {
        const other = sampleWorkspace();
        const file = join(other.path, 'two.code-workspace');
        other.write(
          'slipway.yaml',
          readFileSync(join(other.path, 'slipway.yaml'), 'utf8').replace('name: shop', 'name: cellar'),
        );
        other.write(
          'two.code-workspace',
          JSON.stringify({ folders: [{ path: workspace.path }, { path: other.path }] }),
        );
        writeRun(other.path, succeededRun());
        try {
          const both = await open({ open: file, size: { width: 1280, height: 1100 } });
          // A window that is slow to restore opens the Explorer over what was clicked before.
          await eventually(
            'the projects of both folders',
            async () => {
              await both.activity('Slipway');
              // Where the run is read before the row is drawn, its steps are unfolded and the second project may lie below the
              // edge, where rows are not in the document.
              for (const view of ['Workloads', 'Images & Policies', 'CI']) await both.collapse(view);
              return (await both.row('shop').isVisible()) && (await both.row('cellar').isVisible());
            },
            (isShown) => isShown,
          );
          await both.section('Runs').click();
          await eventually(
            'rows of Runs',
            () => both.sectionRows('Runs'),
            (rows) => rows.filter((row) => /slipway-shop-/.test(row)).length === 2,
          );
          await both.command('Slipway: Run Pipeline');
          await both.page.locator('.quick-input-list .monaco-list-row', { hasText: 'cellar' }).waitFor();
          await both.screenshot('two-folders');
          await both.close();
        } finally {
          other.remove();
        }
      });

      await report.test('shows no notification for what the view shows', async () => {
        assert.deepEqual(await window.notifications(), []);
      });
    });
  },
};
