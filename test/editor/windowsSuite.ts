// Several windows on one folder, and what a window leaves behind when it closes.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commit, git } from '../lab/examples.ts';
import { trusted, withEditor } from './editor.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';
import type { EditorWindow } from './window.ts';

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
  qa: { context: none, namespace: shop-qa, deploy: { manifests: { paths: [deploy] } } }
`;

/** A name that is there has its content: it is renamed to when it is written. */
const WAIT = `const fs = require('fs');
fs.mkdirSync('pids', { recursive: true });
fs.writeFileSync('pids/.new-' + process.pid, '');
fs.renameSync('pids/.new-' + process.pid, 'pids/' + process.pid);
setInterval(() => {}, 1000);
`;

export const windowsSuite: Suite = {
  name: 'windows',
  run: async (report) => {
    const workspace = sampleWorkspace({ 'slipway.yaml': WAITING, 'wait.js': WAIT, '.gitignore': 'pids/\n' });
    git(workspace.path, ['init', '-q', '-b', 'main']);
    commit(workspace.path, 'First version');
    const pids = join(workspace.path, 'pids');
    const started = () => (existsSync(pids) ? readdirSync(pids).filter((name) => /^\d+$/.test(name)) : []);
    const isAlive = (pid: string) => existsSync(`/proc/${pid}`);
    const run = async (window: EditorWindow, environment: string) => {
      const before = started();
      await window.command('Slipway: Run Pipeline');
      await window.pick(environment);
      const now = await eventually('the step runs', started, (names) => names.length > before.length);
      return now.find((name) => !before.includes(name)) ?? '';
    };
    const rowIs = (window: EditorWindow, name: string, words: RegExp) =>
      eventually(
        `row of ${name}`,
        () => window.row(name).textContent(),
        (text) => words.test(text ?? ''),
      );
    const says = (window: EditorWindow, words: RegExp) =>
      eventually(
        'notification',
        () => window.notifications(),
        (texts) => texts.some((text) => words.test(text)),
      );
    await withEditor({ settings: trusted, remove: workspace.remove }, async (editor) => {
      const { server } = editor;
      const open = async () => {
        const window = await editor.open({ open: workspace.path });
        await window.activity('Slipway');
        await window.row('dev').waitFor();
        return window;
      };
      const [first, second] = await Promise.all([open(), open()]);
      let ofFirst = '';
      let ofSecond = '';

      await report.test('a run of one window is live in the other, through the journal', async () => {
        ofFirst = await run(first, 'dev');
        await rowIs(second, 'dev', /wait/i);
        assert.doesNotMatch((await second.row('dev').textContent()) ?? '', /interrupted/);
        await second.screenshot('second-window');
      });

      await report.test('the other window does not cancel what is not its own, and says where it can be', async () => {
        await second.command('Slipway: Cancel Run');
        await says(second, /was started in another window/);
        assert.ok(isAlive(ofFirst));
      });

      await report.test(
        'nor does it deploy into what is in use: it names the run that holds the environment',
        async () => {
          await second.command('Slipway: Run Pipeline');
          await second.pick('dev');
          await says(second, /Environment dev is in use by run \S+ \(process \d+/);
          assert.deepEqual(started(), [ofFirst]);
          assert.ok(isAlive(ofFirst));
          await second.command('Notifications: Clear All Notifications');
        },
      );

      await report.test('both run at once in environments of their own, and each shows both', async () => {
        ofSecond = await run(second, 'qa');
        for (const window of [first, second]) {
          await rowIs(window, 'dev', /wait/i);
          await rowIs(window, 'qa', /wait/i);
        }
      });

      await report.test('a window that closes leaves no process, and the run of the other goes on', async () => {
        await first.close();
        await eventually('the child', () => isAlive(ofFirst), isGone);
        await rowIs(second, 'dev', /cancelled|interrupted/);
        assert.ok(isAlive(ofSecond));
        assert.ok((await second.commandsFor('Slipway: Resume Run')).length > 0);
      });

      await report.test('the last window leaves no process either, not even its extension host', async () => {
        assert.notDeepEqual(extensionHosts(server.pid), []);
        await second.close();
        await eventually('the child', () => isAlive(ofSecond), isGone);
        await eventually(
          'extension hosts',
          () => extensionHosts(server.pid),
          (left) => left.length === 0,
        );
      });

      await report.test('the journal is whole, and the next window offers to go on', async () => {
        const runs = join(workspace.path, '.slipway', 'runs');
        const ends = readdirSync(runs).map((name) => {
          const lines = readFileSync(join(runs, name, 'events.jsonl'), 'utf8')
            .trim()
            .split('\n');
          const events = lines.map((line) => JSON.parse(line) as { readonly seq: number; readonly outcome?: string });
          assert.deepEqual(
            events.map(({ seq }) => seq),
            events.map((_event, index) => index + 1),
          );
          return events.at(-1)?.outcome;
        });
        assert.deepEqual(ends, ['cancelled', 'cancelled']);
        const third = await open();
        await rowIs(third, 'dev', /interrupted: the window was closed/);
        await rowIs(third, 'qa', /interrupted: the window was closed/);
        await third.command('Slipway: Resume Run');
        const rows = third.page.locator('.quick-input-list .monaco-list-row');
        await eventually(
          'what can be resumed',
          () => rows.allInnerTexts(),
          (texts) => /dev/.test(texts.join('\n')) && /qa/.test(texts.join('\n')),
        );
        await third.screenshot('resume-offered');
        await third.close();
      });
    });
  },
};

const isGone = (isThere: boolean): boolean => !isThere;

/** The extension hosts that a server has started and that still live, as command lines. */
function extensionHosts(server: number): readonly string[] {
  const table = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return [{ pid, parent, words }];
      } catch {
        // It ended while we looked.
        return [];
      }
    });
  return table
    .filter(({ parent, words }) => parent === String(server) && /type=extensionHost/.test(words))
    .map(({ pid, words }) => `${pid} ${words}`);
}
