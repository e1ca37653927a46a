// The CI view against a host that speaks GitHub's protocol: what a person sees, does, and that nothing is asked while it is hidden.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeRun, startFakeHost } from '../ci/fakeHost.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { startServer } from './server.ts';
import { eventually, type Suite } from './suite.ts';
import { EditorWindow, launchBrowser } from './window.ts';

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

function failedRun(): FakeRun {
  return {
    id: 9_000_000_007,
    number: 7,
    title: 'Prices in euro',
    workflow: 'build.yml',
    event: 'push',
    branch: 'main',
    sha: 'abcdef0'.padEnd(40, '0'),
    status: 'completed',
    conclusion: 'failure',
    created_at: minutesAgo(12),
    updated_at: minutesAgo(9),
    jobs: [
      {
        id: 71,
        name: 'lint',
        status: 'completed',
        conclusion: 'failure',
        started_at: minutesAgo(12),
        completed_at: minutesAgo(11),
        steps: [
          {
            name: 'Checkout',
            status: 'completed',
            conclusion: 'success',
            started_at: minutesAgo(12),
            completed_at: minutesAgo(12),
          },
          {
            name: 'Lint',
            status: 'completed',
            conclusion: 'failure',
            started_at: minutesAgo(12),
            completed_at: minutesAgo(11),
          },
        ],
        log: `${minutesAgo(12)} ##[group]Run lint\n${minutesAgo(12)} checking 12 files\n${minutesAgo(12)} ##[error]no any here\n`,
        annotations: [
          {
            path: 'docker/api.Dockerfile',
            start_line: 2,
            end_line: 2,
            annotation_level: 'failure',
            title: 'lint',
            message: 'COPY takes too much',
            blob_href: '',
          },
        ],
      },
      {
        id: 72,
        name: 'test',
        status: 'completed',
        conclusion: 'success',
        started_at: minutesAgo(12),
        completed_at: minutesAgo(10),
      },
    ],
  };
}

export const ciSuite: Suite = {
  name: 'ci',
  run: async (report) => {
    const host = await startFakeHost('github');
    host.runs.push(failedRun());
    const workspace = sampleWorkspace();
    const git = join(workspace.path, '.git');
    mkdirSync(git);
    writeFileSync(join(git, 'HEAD'), 'ref: refs/heads/main\n');
    writeFileSync(join(git, 'config'), `[remote "origin"]\n\turl = ${host.repository.web}acme/shop.git\n`);
    const server = await startServer({
      settings: {
        'security.workspace.trust.enabled': false,
        'workbench.colorTheme': 'Dark 2026',
        'slipway.ci.hosts': { [host.repository.host]: 'github' },
      },
    });
    const browser = await launchBrowser();
    try {
      const window = await EditorWindow.open(browser, server, { open: workspace.path });
      // "Policies" contains the same letters, so the header is found by its label for screen readers.
      const header = window.page.locator('.sidebar .pane-header[aria-label^="CI "]');
      const pane = window.page
        .locator('.sidebar .pane')
        .filter({ has: window.page.locator('.pane-header[aria-label^="CI "]') });
      // All at one moment: rows asked one by one are gone when the list is redrawn in between.
      const rows = () =>
        pane
          .locator('.monaco-list-row')
          .evaluateAll((elements) => elements.map((element) => element.getAttribute('aria-label') ?? ''));

      await report.test('asks nobody before the view is opened', async () => {
        await window.activity('Slipway');
        await window.row('shop').waitFor();
        assert.deepEqual(host.seen, []);
      });

      await report.test('shows the runs of the repository with state, branch and age', async () => {
        await header.click();
        const seen = await eventually('rows of CI', rows, (list) =>
          list.some((row) => row.includes('Run 7, Prices in euro')),
        );
        const row = seen.find((text) => text.includes('Run 7')) ?? '';
        assert.match(row, /failed/);
        assert.match(row, /main abcdef0/);
        // The run was 12 minutes old when the test began.
        assert.match(row, /1\d min ago/);
        await window.screenshot('ci-runs');
      });

      await report.test('names the job that failed, and shows jobs and steps', async () => {
        await window.row('#7 Prices in euro').click();
        await eventually(
          'jobs',
          rows,
          (list) => list.some((row) => /lint.*failed/.test(row)) && list.some((row) => /test.*succeeded/.test(row)),
        );
        await eventually('the cause in the row of the run', rows, (list) =>
          list.some((row) => /Run 7.*failed: lint/.test(row)),
        );
      });

      await report.test('opens the log of a job at its first error', async () => {
        await window.row('lint').click();
        await window.page.locator('.view-line', { hasText: 'no any here' }).waitFor();
        await window.screenshot('ci-log');
      });

      await report.test('puts remarks among the Problems', async () => {
        await window.command('Problems: Focus on Problems View');
        await window.page.locator('.markers-panel-container', { hasText: 'COPY takes too much' }).waitFor();
        await window.screenshot('ci-problems');
      });

      await report.test('runs the failed jobs again and follows them', async () => {
        await window.command('Slipway: Run Failed CI Jobs Again');
        await window.pick('#7 Prices in euro');
        await eventually('the run again', rows, (list) => list.some((row) => /Run 7.*queued/.test(row)));
        assert.ok(host.seen.some((line) => line.startsWith('POST') && line.includes('rerun-failed-jobs')));
        Object.assign(host.runs[0] ?? {}, {
          status: 'completed',
          conclusion: 'success',
          updated_at: new Date().toISOString(),
        });
        await window.command('Slipway: Refresh CI');
        await eventually('the good end', rows, (list) => list.some((row) => /Run 7.*succeeded/.test(row)));
      });

      await report.test('is silent while it is hidden', async () => {
        await header.click();
        await eventually('collapsed', rows, (list) => list.length === 0);
        const before = host.seen.length;
        Object.assign(host.runs[0] ?? {}, { title: 'Changed while hidden' });
        await window.command('Slipway: Show Output');
        assert.equal(host.seen.length, before);
      });

      await report.test('says that the host wants a sign-in', async () => {
        host.tokens.add('a-token-that-nobody-gave');
        await header.click();
        await window.page.locator('.pane-body', { hasText: 'Sign In' }).first().waitFor();
        await window.screenshot('ci-sign-in');
      });
      await window.close();
    } finally {
      await browser.close();
      await server.stop();
      await host.close();
      workspace.remove();
    }
  },
};
