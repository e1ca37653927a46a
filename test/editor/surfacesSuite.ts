// Where Slipway shows up in VS Code's own places: status bar, Problems, tasks, walkthrough, palette, editor titles.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { commit, git } from '../lab/examples.ts';
import { trusted, withEditor } from './editor.ts';
import { gatedRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Report, type Suite } from './suite.ts';
import type { EditorWindow } from './window.ts';

/** What an extension that speaks for a model gets: it reads freely, and the person is asked before anything changes. */
async function agentCases(report: Report, window: EditorWindow, folder: string): Promise<void> {
  const { page } = window;
  const dialog = page.locator('.monaco-dialog-box');
  const call = async (tool: string, input: Readonly<Record<string, unknown>>) => {
    await window.command('Agent: Call Tool');
    await window.answer('Tool', tool);
    await window.answer('Input', JSON.stringify(input));
  };
  const says = async (words: string) => {
    await page.locator('.editor-instance .view-lines', { hasText: words }).first().waitFor();
    assert.equal(await dialog.count(), 0);
    await window.command('View: Revert and Close Editor');
  };
  const runs = () => readdirSync(join(folder, '.slipway', 'runs'));

  await report.test('a tool of a language model that only reads asks nobody', async () => {
    await call('slipway_project', {});
    await says('slipway_project answer: {');
  });

  await report.test('a tool that would run asks first, says what, and a No is a No', async () => {
    const before = runs();
    await call('slipway_run', { environment: 'dev' });
    await dialog.waitFor();
    assert.match((await dialog.innerText()).replaceAll('\u00a0', ' '), /dev/);
    await window.screenshot('agent-asks');
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await says('slipway_run refused: Cancel');
    assert.deepEqual(runs(), before);
  });

  await report.test('a protected environment is asked about once more, by Slipway itself', async () => {
    const before = runs();
    await call('slipway_run', { environment: 'prod' });
    await dialog.waitFor();
    await dialog.locator('.monaco-button:not(.secondary)').first().click();
    await page.locator('.quick-input-titlebar', { hasText: 'This environment is protected' }).waitFor();
    await page.keyboard.press('Escape');
    await says('slipway_run refused: Cancel');
    assert.deepEqual(runs(), before);
  });
}

export const surfacesSuite: Suite = {
  name: 'surfaces',
  run: async (report) => {
    const workspace = sampleWorkspace({
      'docker/api.Dockerfile': 'FROM scratch\n\n\nCOPY . /app\nCMD ["/app/api"]\n',
      '.gitignore': '.slipway/\n',
    });
    git(workspace.path, ['init', '-q', '-b', 'main']);
    commit(workspace.path, 'First version');
    writeRun(workspace.path, gatedRun());
    const extensions = report.isTrial ? [join(import.meta.dirname, 'samples', 'agent')] : [];
    await withEditor({ settings: trusted, extensions, remove: workspace.remove }, async ({ open }) => {
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
        if (!report.isTrial) return;
        await page.getByText('Choose where to ship').first().click();
        await page.locator('.getting-started-step .monaco-button', { hasText: 'Select Environment' }).click();
        await page.locator('.quick-input-list .label-name', { hasText: /^prod$/ }).waitFor();
        await page.keyboard.press('Escape');
        await window.command('View: Close Editor');
      });

      if (report.isTrial) await agentCases(report, window, workspace.path);

      const reportsAnIssue = () =>
        report.test('Report Issue… hands over what a maintainer asks first, without names', async () => {
          await window.command('Slipway: Report Issue…');
          // This build of VS Code has no reporter: the text comes as a document.
          const words = await eventually(
            'what is known',
            async () => (await page.locator('.editor-instance .view-lines').allInnerTexts()).join('\n'),
            (text) => /newest run: failed/.test(text.replaceAll('\u00a0', ' ')),
          );
          const text = words.replaceAll('\u00a0', ' ');
          assert.match(text, /^Slipway \d+\.\d+\.\d+/);
          assert.match(text, /, server$/m);
          assert.match(text, /slipway\.yaml; 2 images for 2 platforms; deploys by manifests/);
          assert.match(text, /scan: failed in 2600 ms, gate gate\.findings/);
          assert.doesNotMatch(text, /registry\.example|127\.0\.0\.1|shop/);
          await window.command('View: Revert and Close Editor');
        });
      if (report.isTrial) await reportsAnIssue();

      await report.test('no notification for any of it', async () => {
        assert.deepEqual(await window.notifications(), []);
      });
    });
  },
};
