// The CI view against a real Gitea: the workspace is a clone of its repository, the token is real, and the runs are played by a
// runner over Gitea's own protocol, from the push to the rollout of what they published.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { bundledCli } from '../bundle.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { GiteaAccount } from '../pipeline/support/giteaAccount.ts';
import { GiteaRunner } from '../pipeline/support/giteaRunner.ts';
import { startServer } from './server.ts';
import { eventually, type Suite } from './suite.ts';
import { beginning, EditorWindow, launchBrowser } from './window.ts';

/** A job with its build, publish and rollout. */
const JOB_MS = 240_000;

const BY_HAND = `name: by hand
on:
  workflow_dispatch:
    inputs:
      greeting: { description: what to say, required: true }
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - name: Greet
        run: |
          echo "greeting is \${{ inputs.greeting }}"
          echo "::error file=Dockerfile,line=2,title=Greeting::not friendly enough"
          echo "\${{ inputs.greeting }}" > note.txt
      - name: Keep
        uses: actions/upload-artifact@v4
        with: { name: greeting, path: note.txt }
      - name: Judge
        run: test "\${{ inputs.greeting }}" = friendly
`;

const manifest = (image: string): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: app }
spec:
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: app
          image: ${image}
          ports: [{ containerPort: 8000 }]
          readinessProbe: { httpGet: { path: /, port: 8000 }, periodSeconds: 1 }
`;

export const giteaSuite: Suite = {
  name: 'gitea',
  lab: ['core', 'gitea'],
  run: async (report) => {
    const lab = labEnvironment();
    const account = new GiteaAccount(lab.env, `window-${process.pid}`);
    const { url, host, user } = account;
    const namespace = `ci-window-${process.pid}`;
    const work = mkdtempSync(join(tmpdir(), 'slipway-window-gitea-'));
    const app = join(work, 'app');
    const env = { ...process.env, ...lab.env, HOME: work, DOCKER_CONFIG: join(work, 'docker'), CI: '1' };
    const git = (folder: string, ...args: readonly string[]): string =>
      execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', '-C', folder, ...args], {
        encoding: 'utf8',
        env,
      }).trim();
    const runner = new GiteaRunner(url, env);
    await account.create();
    const token = await account.token('full', ['write:repository', 'write:package']);
    await account.api('POST', 'user/repos', { name: 'app', private: true });
    await account.api('PUT', `repos/${user}/app/actions/secrets/KUBECONFIG_DEV`, {
      data: readFileSync(lab.env.KUBECONFIG ?? '', 'utf8'),
    });
    execFileSync('docker', ['login', host, '--username', user, '--password-stdin'], { env, input: token });
    project(work, { host, user, namespace, base: `${lab.registry}/base/django:3.2` });
    execFileSync(
      process.execPath,
      [bundledCli(), '-C', join(work, 'first'), 'init', '--ci', 'gitea', '--package', './tools'],
      { env },
    );
    const first = join(work, 'first');
    git(first, 'init', '-q', '-b', 'main');
    git(first, 'add', '-A');
    git(first, 'commit', '-qm', 'First version');
    git(first, 'push', '-q', account.pushUrl('app', token), 'main');
    git(work, 'clone', '-q', account.pushUrl('app', token), app);
    git(app, 'remote', 'set-url', 'origin', `${url}/${user}/app.git`);
    const head = git(app, 'rev-parse', 'HEAD');
    const tag = head.slice(0, 7);
    const server = await startServer({
      settings: {
        'security.workspace.trust.enabled': false,
        'workbench.colorTheme': 'Dark 2026',
        'files.autoSave': 'off',
      },
      env: { ...lab.env, HOME: work, DOCKER_CONFIG: join(work, 'docker') },
    });
    const browser = await launchBrowser();
    try {
      const size = { width: 1400, height: 1000 };
      // The key that the page keeps secrets under: code-server's front end mints it, the server below it does not.
      const key = randomBytes(32);
      const secrets = async (context: BrowserContext) => {
        await context.route('**/mint-key', (route) =>
          route.fulfill({ body: key, contentType: 'application/octet-stream' }),
        );
      };
      const window = await EditorWindow.open(browser, server, { open: app, size, prepare: secrets });
      const header = window.page.locator('.sidebar .pane-header[aria-label^="CI "]');
      const pane = window.page
        .locator('.sidebar .pane')
        .filter({ has: window.page.locator('.pane-header[aria-label^="CI "]') });
      const rows = () => window.sectionRows('CI');
      const until = (what: string, shown: RegExp, limitMs?: number) =>
        eventually(what, rows, (list) => list.some((row) => shown.test(row)), limitMs);
      // By its own name: the row of a run tells the name of the job that failed.
      const rowOf = (label: string) =>
        pane
          .locator('.monaco-list-row')
          .filter({ has: window.page.locator('.label-name', { hasText: beginning(label) }) })
          .first();

      /** A row that is drawn anew takes no click: until it says that it is open. */
      const expand = (label: string) =>
        eventually(
          `${label} expanded`,
          async () => {
            const isOpen = async () => (await rowOf(label).getAttribute('aria-expanded')) === 'true';
            if (await isOpen()) return true;
            const twistie = rowOf(label).locator('.monaco-tl-twistie');
            await twistie.click({ timeout: 3_000 }).catch(() => {});
            return isOpen();
          },
          (isOpen) => isOpen,
        );

      await report.test('a host without a known name is asked what it is, when the person says so', async () => {
        await window.activity('Slipway');
        await window.row('app').waitFor();
        for (const view of ['Runs', 'Workloads', 'Images & Policies', 'Pipelines']) await window.collapse(view);
        await header.click();
        await pane.getByText('Ask the Host', { exact: true }).click();
        await until('the way to sign in', new RegExp(`^Sign In to ${host}`));
        await pane.getByText('it is private').waitFor();
        await window.screenshot('gitea-sign-in');
      });

      await report.test('with a token of the host the push is a run that waits for a runner', async () => {
        await rowOf('Sign In to').click();
        await window.answer('Token for', token);
        await until('the run', /Run 1, First version, queued/);
        await expand('#1 First version');
        await until('why it waits', /Job pipeline, queued.*no runner with ubuntu-latest has taken it/);
        await window.screenshot('gitea-queued');
      });

      await report.test('its job, its steps and its log are followed while the runner works', async () => {
        await runner.register(await account.registration('app'), ['ubuntu-latest']);
        let goOn: () => void = () => {};
        const isSeen = new Promise<void>((resolve) => {
          goOn = resolve;
        });
        // Stands still in the middle until the window has shown what is there.
        runner.onLine = async (line) => {
          if (/publish/i.test(line)) await isSeen;
        };
        const working = runner.work(1);
        // A job that ended before anybody was let on has failed.
        const early = working.then((results) => Promise.reject(new Error(`the job ended too soon: ${results}`)));
        early.catch(() => {});
        const meanwhile = <T>(work: Promise<T>): Promise<T> => Promise.race([work, early]);
        try {
          await meanwhile(until('the job runs', /Job pipeline, running/, JOB_MS));
          await rowOf('pipeline').click();
          const log = window.page.locator('.editor-instance .view-lines').first();
          const shown = async () => ((await log.count()) === 0 ? '' : log.innerText());
          await meanwhile(eventually('the log so far', shown, (text) => /checkout/.test(text), JOB_MS));
          assert.doesNotMatch(await shown(), /Succeeded/);
          await meanwhile(expand('pipeline'));
          await meanwhile(
            until('a step that runs', /(Test, build, gate, publish|actions\/checkout.*), (running|succeeded)/),
          );
          await window.screenshot('gitea-running');
          goOn();
          assert.deepEqual(await working, ['RESULT_SUCCESS']);
          await window.page.keyboard.press('Control+End');
          await eventually(
            'the end of the log',
            async () => {
              await log.click();
              await window.page.keyboard.press('Control+End');
              return shown();
            },
            (text) => /Succeeded/.test(text.replaceAll('\u00a0', ' ')),
          );
        } finally {
          goOn();
          runner.onLine = async () => {};
        }
      });

      await report.test(
        'the deploy that the generated workflow asks for runs on the cluster, and the run ends well',
        async () => {
          assert.deepEqual(await runner.work(1), ['RESULT_SUCCESS']);
          await until('the good end', /Run 1, First version, succeeded/);
          await until('both jobs', /Job deploy-dev, succeeded/);
          const image = execFileSync(
            'kubectl',
            ['-n', namespace, 'get', 'deployment', 'app', '-o', 'jsonpath={..containers[0].image}'],
            { encoding: 'utf8', env },
          );
          assert.match(image, new RegExp(`^${host}/${user}/app:${tag}(@sha256:|$)`));
        },
      );

      await report.test('what the pipeline reports is kept with the run', async () => {
        await window.command('Slipway: Download CI Artifacts');
        await window.pick('#1 ');
        await window.pick('slipway-reports');
        await window.answer('Artifacts of Run #1');
        await window.page
          .locator('.quick-input-widget .monaco-button', { hasText: /Unpack Here|OK/ })
          .first()
          .click();
        const folder = join(app, 'slipway-reports');
        await eventually(
          'the reports',
          () => (existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String) : []),
          (files) =>
            [/test-unit-unit\.xml$/, /scan-app.*\.json$/, /sbom-app.*\.cdx\.json$/].every((wanted) =>
              files.some((file) => wanted.test(file)),
            ),
        );
        rmSync(folder, { recursive: true });
      });

      await report.test('from the commit of a run to its image and the environment where it is live', async () => {
        await expand('Images and environments of');
        await until('the image', new RegExp(`Image app, ${host}/${user}/app:${tag}, in the registry`));
        await window.command('Slipway: Deploy…');
        await window.pick('This commit');
        await until('the environment', /Environment dev, ready, .*the newest deploy/, JOB_MS);
        await window.screenshot('gitea-story');
      });

      await report.test('a workflow is started with its input, fails, and says where', async () => {
        await window.command('Slipway: Start CI Workflow');
        await window.pick('by hand');
        await window.answer('Branch or tag');
        await window.answer('greeting: what to say', 'hello');
        await until('the run', /Run 2, .*queued/);
        assert.deepEqual(await runner.work(1), ['RESULT_FAILURE']);
        await expand('#2 ');
        await until('its end with the cause', /Run 2, .*failed: greet/);
        await expand('greet');
        await until('the step that failed', /Step Judge, failed/);
        await until('the step before', /Step Greet, succeeded/);
        await window.command('Problems: Focus on Problems View');
        await window.page.locator('.markers-panel-container', { hasText: 'not friendly enough' }).waitFor();
        await window.screenshot('gitea-failed');
      });

      await report.test('its failed jobs run again, in a second attempt', async () => {
        await window.command('Slipway: Run Failed CI Jobs Again');
        await window.pick('#2 ');
        await until('the second attempt', /Run 2, .*queued/);
        assert.deepEqual(await runner.work(1), ['RESULT_FAILURE']);
        await until('its end', /Run 2, .*failed/);
      });

      await report.test(
        'what this server cannot do is said once, with the way to the page where it can be done',
        async () => {
          await window.command('Slipway: Cancel CI Run');
          await window.pick('#2 ');
          const said = window.page.locator('.notification-list-item', { hasText: 'cannot cancel a run over its API' });
          await said.first().waitFor();
          assert.match(await said.first().innerText(), /Open Page of the Run/);
          await window.screenshot('gitea-cancel');
          await window.command('Notifications: Clear All Notifications');
        },
      );

      await report.test('the token outlives a restart of the window: nobody signs in again', async () => {
        await window.restart();
        await window.activity('Slipway');
        await header.waitFor();
        if ((await header.getAttribute('aria-expanded')) !== 'true') await header.click();
        await until('the runs, behind the token', /Run 1, First version, succeeded/);
        await window.screenshot('gitea-restarted');
      });

      await report.test('the token is in no file, no log and no address', async () => {
        assert.deepEqual([...filesWith(join(server.data, 'data'), token), ...filesWith(app, token)], []);
        assert.ok(!server.output().includes(token));
        assert.deepEqual(
          window.console.filter((line) => line.includes(token)),
          [],
        );
      });
      await window.close();
    } finally {
      await browser.close();
      await server.stop();
      runner.dispose();
      await account.remove();
      execFileSync('kubectl', ['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found'], { env });
      rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  },
};

/** An app that a job can test, build, scan, publish and deploy here. */
function project(
  work: string,
  names: { readonly host: string; readonly user: string; readonly namespace: string; readonly base: string },
): void {
  const { host, user, namespace, base } = names;
  const files: Readonly<Record<string, string>> = {
    Dockerfile: `FROM ${base}\nCMD ["python3", "-m", "http.server", "8000"]\n`,
    'k8s/app.yaml': manifest(`${host}/${user}/app:none`),
    'check.py': 'open("unit.xml", "w").write(\'<testsuite><testcase name="answers"/></testsuite>\')\n',
    'slipway.yaml': `version: 1
name: app
images:
  app: { repository: ${host}/${user}/app, platforms: [linux/amd64], sbom: cyclonedx }
tags: ["{sha}"]
test:
  - name: unit
    run: [python3, check.py]
    junit: [unit.xml]
scan: { severity: [CRITICAL], ignoreUnfixed: true }
environments:
  dev:
    namespace: ${namespace}
    deploy: { manifests: { paths: [k8s] } }
`,
    '.gitignore': 'unit.xml\n.slipway/\n',
    '.gitea/workflows/by-hand.yml': BY_HAND,
    // What CI installs instead of a published package: a command that is this checkout's.
    'tools/package.json': JSON.stringify({
      name: 'slipway-of-the-test',
      version: '1.0.0',
      bin: { slipway: 'slipway.sh' },
    }),
  };
  for (const [name, text] of Object.entries(files)) {
    const path = join(work, 'first', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const command = `#!/bin/sh\nexec "${process.execPath}" "${bundledCli()}" "$@"\n`;
  writeFileSync(join(work, 'first', 'tools', 'slipway.sh'), command, { mode: 0o755 });
}

/** Files below a folder that hold a text, small ones as well as logs. */
function filesWith(folder: string, text: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => existsSync(file) && readFileSync(file).includes(text));
}
