// The CI view against a host that speaks GitHub's protocol: what a person sees, does, and that nothing is asked while it is hidden.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FakeRun, startFakeHost } from '../ci/fakeHost.ts';
import { zipOf } from '../ci/zip.ts';
import { ciRowCases } from './ciRowCases.ts';
import { type EditorOptions, trusted, withEditor } from './editor.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

const REPORTS = zipOf([{ name: 'unit/junit.xml', text: '<testsuites/>\n' }]);
/** In no source file as a whole: files are searched for it. */
const TOKEN = `ci-token-${process.pid}-of-the-editor-test`;

const WORKFLOW = '.github/workflows/build.yml';
const workflowText = (web: string): string => `name: Build
on:
  push:
    branches: [main]
    paths: ['docker/**']
  workflow_dispatch:
    inputs:
      greeting: { description: what to say, required: true }
jobs:
  image:
    runs-on: ubuntu-latest
    steps:
      - uses: ${web}acme/setup@v1
      - uses: aquasecurity/trivy-action@v0.36.0
        with:
          image-ref: ghcr.io/acme/shop:1
          severity: CRITICAL
`;

/** Files below a folder that hold a text, small ones as well as logs. */
function filesWith(folder: string, text: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => existsSync(file) && readFileSync(file).includes(text));
}

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
    artifacts: [{ id: 5, name: 'reports', size: 300, zip: REPORTS }],
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
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: workspace.path });
    workspace.write(WORKFLOW, workflowText(host.repository.web));
    git('init', '-q', '-b', 'main');
    git('remote', 'add', 'origin', `${host.repository.web}acme/shop.git`);
    git('remote', 'add', 'github', 'https://github.com/acme/shop.git');
    git('add', '.');
    git('commit', '-qm', 'one');
    git('update-ref', 'refs/remotes/origin/main', 'HEAD');
    host.refs = {
      'refs/heads/main': 'b'.repeat(40),
      'refs/tags/v1': 'a'.repeat(40),
      'refs/tags/v1.4.2': 'a'.repeat(40),
    };
    const options: EditorOptions = {
      settings: {
        ...trusted,
        'files.autoSave': 'off',
        'slipway.ci.hosts': { [host.repository.host]: 'github' },
      },
      remove: async () => {
        await host.close();
        workspace.remove();
      },
    };
    await withEditor(options, async ({ server, open }) => {
      const window = await open({ open: workspace.path });
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

      if (report.isTrial) await ciRowCases(report, window, host, rows);

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

      await report.test('starts a workflow with its inputs, and cancels the run', async () => {
        await window.command('Slipway: Start CI Workflow');
        await window.pick('build');
        await window.answer('Branch or tag');
        await window.answer('greeting: what to say', 'hello');
        const id = String(9_000_000_008);
        await eventually('the new run', rows, (list) => list.some((row) => row.includes(`Run ${id}`)));
        assert.deepEqual(host.dispatched.at(-1)?.body, {
          ref: 'main',
          inputs: { greeting: 'hello' },
          return_run_details: true,
        });
        await window.command('Slipway: Cancel CI Run');
        await window.pick(`#${id}`);
        await eventually('its end', rows, (list) => list.some((row) => new RegExp(`Run ${id}.*cancelled`).test(row)));
        host.runs.shift();
        await window.command('Slipway: Refresh CI');
        await eventually('one run again', rows, (list) => !list.some((row) => row.includes(`Run ${id}`)));
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

      const signedOut = () => window.page.locator('.pane-body', { hasText: 'Sign In' }).first().waitFor();
      const asked = () => host.seen.filter((line) => line.includes('/actions/runs?')).at(-1) ?? '';

      await report.test('takes a token into the secret storage, and shows the runs with it', async () => {
        host.tokens.add(TOKEN);
        await window.command('Slipway: Sign In to CI Host');
        await window.answer('Token for', `  ${TOKEN} `);
        await eventually('runs behind the token', rows, (list) => list.some((row) => row.includes('Run 7')));
        assert.match(asked(), / (200|304)$/);
      });

      // That it outlives a restart of the window is seen in the suite gitea.
      await report.test('keeps the token in no file and no log', async () => {
        assert.deepEqual([...filesWith(join(server.data, 'data'), TOKEN), ...filesWith(workspace.path, TOKEN)], []);
        assert.ok(!server.output().includes(TOKEN));
        assert.deepEqual(
          window.console.filter((line) => line.includes(TOKEN)),
          [],
        );
      });

      await report.test('a host that fails is a row above what was seen last, and no notification', async () => {
        host.faults.push({ match: /actions\/runs/, status: 503, times: 999 });
        await window.command('Slipway: Refresh CI');
        const shown = await eventually('the row', rows, (list) => list.some((row) => /^Not up to date/.test(row)));
        assert.match(shown.join('\n'), /Not up to date, .*failed with status 503/);
        assert.match(shown.join('\n'), /Run 7/);
        assert.deepEqual(await window.notifications(), []);
        await window.screenshot('ci-stale');
        host.faults.length = 0;
        await window.command('Slipway: Refresh CI');
        await eventually('all is well again', rows, (list) => !list.some((row) => /^Not up to date/.test(row)));
      });

      await report.test('a token that has expired is said, with the way to another one', async () => {
        host.tokens.delete(TOKEN);
        await window.command('Slipway: Refresh CI');
        await eventually('the way', rows, (list) => list.length === 1 && /^Sign In to /.test(list[0] ?? ''));
        await pane.getByText('it has expired, was revoked').waitFor();
        const before = host.seen.length;
        host.tokens.add(TOKEN);
        assert.equal(host.seen.length, before, 'nobody asks with a token that was refused');
        await window.command('Slipway: Refresh CI');
        await eventually('runs again', rows, (list) => list.some((row) => row.includes('Run 7')));
      });

      await report.test('a spent limit is said with the time, and nothing is asked before it', async () => {
        const reset = String(Math.floor(Date.now() / 1000) + 3600);
        const headers = { 'x-ratelimit-limit': '60', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset };
        host.faults.push({ match: /actions\/runs/, status: 403, headers });
        await window.command('Slipway: Refresh CI');
        await eventually('the row', rows, (list) =>
          list.some((row) => /^Not up to date, .*limits how often.*nothing more before \d\d:\d\d UTC/.test(row)),
        );
        const before = host.seen.length;
        await window.command('Slipway: Refresh CI');
        await window.command('Slipway: Show Output');
        assert.equal(host.seen.length, before);
        assert.deepEqual(await window.notifications(), []);
      });

      await report.test('forgets the token', async () => {
        await window.command('Slipway: Forget Token of CI Host');
        await signedOut();
        await eventually('a request without it', asked, (line) => line.endsWith(' 404'));
        host.tokens.clear();
        await window.command('Slipway: Refresh CI');
        await eventually('runs for everybody', rows, (list) => list.some((row) => row.includes('Run 7')));
      });

      await report.test('fetches and unpacks what a run left behind', async () => {
        await window.command('Slipway: Download CI Artifacts');
        await window.pick('#7 ');
        await window.pick('reports');
        await window.answer('Artifacts of Run #7');
        // The simple dialog starts in the folder of the workspace.
        await window.page
          .locator('.quick-input-widget .monaco-button', { hasText: /Unpack Here|OK/ })
          .first()
          .click();
        const file = join(workspace.path, 'reports/unit/junit.xml');
        await eventually(
          'the file',
          () => existsSync(file),
          (is) => is,
        );
        assert.equal(readFileSync(file, 'utf8'), '<testsuites/>\n');
        assert.equal(host.stored.at(-1)?.authorization, undefined);
      });

      const lens = () => window.page.locator('.editor-instance .codelens-decoration').allInnerTexts();
      await report.test('says above the triggers whether a push would start it, and why', async () => {
        await window.openFile(WORKFLOW);
        // The folder that was just unpacked is no file of docker/.
        await eventually('no', lens, (texts) =>
          texts.join().includes('does not start it: no changed file matches paths'),
        );
        workspace.write('docker/api.Dockerfile', 'FROM scratch\nCOPY . /srv\n');
        git('add', 'docker');
        await eventually('yes', lens, (texts) => texts.join().includes('starts it: a changed file matches paths'));
        await window.page.locator('.view-line', { hasText: /^on:$/ }).locator('span').last().hover();
        await window.page.locator('.monaco-hover-content', { hasText: 'docker/api.Dockerfile' }).first().waitFor();
        await window.screenshot('ci-push');
      });

      const asksForOtherFiles = () =>
        report.test('asked for other files, the answer is theirs, and leads to the workflow', async () => {
          await window.command('Slipway: Would a Push Start CI?');
          await window.answer('Would a push start CI?');
          // The second box has the same title.
          await window.page.locator('.quick-input-message', { hasText: 'Changed files' }).waitFor();
          await window.answer('Would a push start CI?', 'README.md');
          const row = window.page.locator('.quick-input-list .monaco-list-row', { hasText: 'no changed file matches' });
          await row.waitFor();
          await row.click();
          await window.page.locator('.statusbar', { hasText: 'Ln 2' }).waitFor();
        });
      if (report.isTrial) await asksForOtherFiles();

      const quickFix = async (line: string, title: string) => {
        await window.page.keyboard.press('Escape');
        await window.page.locator('.view-line', { hasText: line }).locator('span').last().click();
        const offer = window.page.locator('.action-widget .monaco-list-row', { hasText: title });
        await eventually(
          title,
          async () => {
            await window.page.keyboard.press('Control+.');
            return offer.waitFor({ timeout: 2_000 }).then(
              () => true,
              () => window.page.keyboard.press('Escape').then(() => false),
            );
          },
          (is) => is,
        );
        await offer.first().click();
      };
      const saved = async (part: string) => {
        await window.page.locator('.view-line', { hasText: part }).first().waitFor();
        await window.page.keyboard.press('Control+s');
        await eventually(
          'saved',
          () => readFileSync(join(workspace.path, WORKFLOW), 'utf8'),
          (text) => text.includes(part),
        );
      };

      await report.test('lets a scan fail the job by a quick fix', async () => {
        await quickFix('aquasecurity/trivy-action', 'Let the scan fail the job');
        await saved("          exit-code: '1'");
      });

      await report.test('pins an action by its commit, with the version behind it', async () => {
        await quickFix('acme/setup@v1', 'by its commit');
        await saved(`acme/setup@${'a'.repeat(40)} # v1.4.2`);
        const text = readFileSync(join(workspace.path, WORKFLOW), 'utf8');
        const before = workflowText(host.repository.web);
        assert.equal(
          text.replace(` # v1.4.2`, '').replace('a'.repeat(40), 'v1').replace("\n          exit-code: '1'", ''),
          before,
        );
      });

      await report.test("goes VS Code's own way to a GitHub account", async () => {
        // Nobody looks, so github.com is not asked.
        await header.click();
        await eventually('collapsed', rows, (list) => list.length === 0);
        workspace.write('.vscode/settings.json', '{ "slipway.ci.remote": "github" }\n');
        const choice = window.page.locator('.label-name', { hasText: 'Use a GitHub account of VS Code' });
        await eventually(
          'the choice',
          async () => {
            await window.page.keyboard.press('Escape');
            await window.command('Slipway: Sign In to CI Host');
            return choice.waitFor({ timeout: 3_000 }).then(
              () => true,
              () => false,
            );
          },
          (is) => is,
        );
        await choice.click();
        const dialog = window.page.locator('.monaco-dialog-box', { hasText: 'GitHub' });
        await dialog.waitFor();
        assert.match((await dialog.innerText()).replaceAll('\u00a0', ' '), /Slipway.*wants to sign in using GitHub/s);
        await window.screenshot('ci-github-account');
        await dialog.getByRole('button', { name: 'Cancel' }).click();
        await dialog.waitFor({ state: 'detached' });
      });
      await window.close();
    });
  },
};
