// Several windows on one folder, and what a window leaves behind when it closes.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commit, git } from '../lab/examples.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { startServer } from './server.ts';
import { eventually, type Suite } from './suite.ts';
import { EditorWindow, launchBrowser } from './window.ts';

const settings = { 'security.workspace.trust.enabled': false, 'workbench.colorTheme': 'Dark 2026' };

/** A step that goes on until it is ended, and says who it is. */
const WAITING = `version: 1
name: waiting
images:
  api: { repository: registry.invalid/api, dockerfile: docker/api.Dockerfile }
tags: ["{branch}-{sha}"]
commands:
  - { name: wait, run: [node, wait.js], before: build }
environments:
  dev: { context: none, namespace: shop, deploy: { manifests: { paths: [deploy] } } }
`;

export const windowsSuite: Suite = {
  name: 'windows',
  run: async (report) => {
    const browser = await launchBrowser();
    const server = await startServer({ settings });
    const workspace = sampleWorkspace({
      'slipway.yaml': WAITING,
      'wait.js': "require('fs').writeFileSync('pid.txt', String(process.pid)); setInterval(() => {}, 1000);\n",
      '.gitignore': 'pid.txt\n',
    });
    git(workspace.path, ['init', '-q', '-b', 'main']);
    commit(workspace.path, 'First version');
    const pidFile = join(workspace.path, 'pid.txt');
    const isAlive = (pid: number) => existsSync(`/proc/${pid}`);
    try {
      const first = await EditorWindow.open(browser, server, { open: workspace.path });
      const second = await EditorWindow.open(browser, server, { open: workspace.path });
      for (const window of [first, second]) {
        await window.activity('Slipway');
        await window.row('dev').waitFor();
      }
      let pid = 0;

      await report.test('a run of one window is live in the other, through the journal', async () => {
        await first.command('Slipway: Run Pipeline');
        await first.pick('dev');
        await eventually(
          'the step runs',
          () => existsSync(pidFile),
          (is) => is,
        );
        pid = Number(readFileSync(pidFile, 'utf8'));
        const text = await eventually(
          'row of dev in the second window',
          () => second.row('dev').textContent(),
          (row) => /wait/i.test(row ?? ''),
        );
        assert.doesNotMatch(text ?? '', /interrupted/);
        await second.screenshot('second-window');
      });

      await report.test('the other window does not cancel what is not its own, and says where it can be', async () => {
        await second.command('Slipway: Cancel Run');
        const [text] = await eventually(
          'notification',
          () => second.notifications(),
          (texts) => texts.length > 0,
        );
        assert.match(text ?? '', /was started in another window/);
        assert.ok(isAlive(pid));
      });

      await report.test('a window that closes leaves no process, and the other offers to go on', async () => {
        await first.close();
        await eventually(
          'the child is gone',
          () => isAlive(pid),
          (is) => !is,
        );
        await eventually(
          'row of dev',
          () => second.row('dev').textContent(),
          (row) => /cancelled|interrupted/.test(row ?? ''),
        );
        assert.ok((await second.commandsFor('Slipway: Resume Run')).length > 0);
      });
      await second.close();
    } finally {
      workspace.remove();
      await server.stop();
      await browser.close();
    }
  },
};
