// Where Slipway shows up in VS Code's own places: status bar, Problems, tasks, walkthrough, palette, editor titles.
import assert from 'node:assert/strict';
import { trusted, withEditor } from './editor.ts';
import { gatedRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';

export const surfacesSuite: Suite = {
  name: 'surfaces',
  run: async (report) => {
    const workspace = sampleWorkspace({ 'docker/api.Dockerfile': 'FROM scratch\n\n\nCOPY . /app\nCMD ["/app/api"]\n' });
    writeRun(workspace.path, gatedRun());
    await withEditor({ settings: trusted, remove: workspace.remove }, async ({ open }) => {
      const window = await open({ open: workspace.path });
      const { page } = window;
      const status = page.locator('.statusbar-item[id="slipway.slipway.slipway.environment"]');
      const statusWords = async () => (await status.getAttribute('aria-label')) ?? '';

      await report.test(
        'the status bar names the environment and how it stands, before any view is opened',
        async () => {
          await status.waitFor({ timeout: 60_000 });
          assert.match(await statusWords(), /Slipway environment dev, failed/);
        },
      );

      await report.test('another environment can be selected', async () => {
        await window.command('Slipway: Select Environment');
        await window.pick('prod');
        await eventually('status bar', statusWords, (words) => /environment prod, not run yet/.test(words));
        await window.command('Slipway: Select Environment');
        await window.pick('dev');
        await eventually('status bar', statusWords, (words) => /environment dev/.test(words));
      });

      await report.test('its menu leads to what one does with an environment', async () => {
        await status.click();
        const rows = page.locator('.quick-input-list .monaco-list-row');
        const offers = ['Run the pipeline', 'Show the rollout', 'Deploy a version', 'Roll back', 'Diagnose'];
        // The rows of the list before stand there until VS Code has closed it.
        await eventually(
          'the rows of the menu',
          async () => (await rows.allInnerTexts()).join('\n'),
          (words) => offers.every((word) => words.includes(word)),
        );
        await window.screenshot('status-bar-menu');
        await page.keyboard.press('Escape');
      });

      await report.test(
        'findings that stop a run are problems of the Dockerfile, at the line that brought them',
        async () => {
          await window.command('Problems: Focus on Problems View');
          const rows = page.locator('.markers-panel .monaco-list-row');
          await rows.filter({ hasText: 'PyYAML 5.3.1: CRITICAL' }).first().waitFor();
          await rows.filter({ hasText: 'PyYAML 5.3.1: CRITICAL' }).first().dblclick();
          await page.locator('.tab', { hasText: 'api.Dockerfile' }).waitFor();
          await window.screenshot('problems');
          assert.match((await page.locator('.statusbar').innerText()) ?? '', /Ln 4/);
        },
      );

      await report.test('the editor of a Dockerfile offers to build it', async () => {
        await page.locator('.editor-actions .action-label[aria-label^="Build"]').first().waitFor();
      });

      await report.test('runs are tasks', async () => {
        await window.command('Tasks: Run Task');
        await window.pick('slipway');
        const rows = page.locator('.quick-input-list .monaco-list-row');
        await rows.filter({ hasText: 'run dev' }).first().waitFor();
        const words = (await rows.allInnerTexts()).join('\n');
        assert.match(words, /slipway: run dev/);
        assert.match(words, /slipway: run prod/);
        await page.keyboard.press('Escape');
      });

      await report.test('the palette has every command under one name', async () => {
        const titles = await window.commandsFor('Slipway: ');
        for (const title of [
          'Build',
          'Scan',
          'Push',
          'Deploy…',
          'Roll Back…',
          'Smoke Test',
          'Diagnose',
          'Compare Environments',
          'Run Step…',
          'Preview Deploy',
        ]) {
          const found = titles.length >= 8 ? titles : [];
          if (!found.some((one) => one.includes(title))) {
            const narrowed = await window.commandsFor(`Slipway: ${title}`);
            assert.ok(
              narrowed.some((one) => one.includes(title)),
              `${title}: ${narrowed.join(', ')}`,
            );
          }
        }
      });

      await report.test(
        'a cluster that cannot be asked is a row with the cause, and nobody was asked before',
        async () => {
          await window.activity('Slipway');
          await window.section('Workloads').click();
          await eventually(
            'rows of Workloads',
            () => window.sectionRows('Workloads'),
            (rows) => rows.length === 2,
          );
          const [dev] = await window.sectionRows('Workloads');
          assert.match(dev ?? '', /dev, not looked at yet/);
          await window.sectionRow('Workloads', 'dev').click();
          const rows = await eventually(
            'rows of Workloads',
            () => window.sectionRows('Workloads'),
            (texts) => texts.length > 2,
          );
          assert.match(rows.join('\n'), /example|kubeconfig/i);
          await window.screenshot('workloads-unreachable');
        },
      );

      await report.test('the walkthrough teaches the way to a shipped app', async () => {
        await window.command('Welcome: Open Walkthrough');
        await window.quickInput.fill('Ship an app');
        await window.pick('Ship an app with Slipway');
        await page.getByText('Look at slipway.yaml', { exact: true }).first().waitFor();
        await window.screenshot('walkthrough');
      });

      await report.test('no notification for any of it', async () => {
        assert.deepEqual(await window.notifications(), []);
      });
    });
  },
};
