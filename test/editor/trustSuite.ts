// Restricted Mode: everything a run would start or contact is a trap here. A trusted window falls into it, which shows that
// it works; an untrusted one must not.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { commit, git } from '../lab/examples.ts';
import { type EditorOptions, trusted, withEditor } from './editor.ts';
import { succeededRun, writeRun } from './samples/runs.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';
import { type EditorWindow, launchBrowser } from './window.ts';

interface Trap {
  readonly env: Readonly<Record<string, string>>;
  /** Registry address that leads into the trap. */
  readonly registry: string;
  /** Programs that were started and connections that were made. */
  readonly caught: () => readonly string[];
  readonly close: () => Promise<void>;
}

async function setTrap(): Promise<Trap> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-trap-'));
  const calls = join(folder, 'calls');
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const tool of [
    'docker',
    'kubectl',
    'helm',
    'trivy',
    'kustomize',
    'flux',
    'cosign',
    'python3',
    'grype',
    'cluster-login',
  ]) {
    writeFileSync(join(bin, tool), `#!/bin/sh\necho "${tool} $*" >> ${calls}\nexit 1\n`);
    chmodSync(join(bin, tool), 0o755);
  }
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    `apiVersion: v1
kind: Config
current-context: example
clusters: [{ name: trap, cluster: { server: "http://127.0.0.1:${port}" } }]
users: [{ name: trap, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: cluster-login } } }]
contexts: [{ name: example, context: { cluster: trap, user: trap } }]
`,
  );
  return {
    env: {
      PATH: `${bin}:${process.env.PATH ?? ''}`,
      DOCKER_HOST: `tcp://127.0.0.1:${port}`,
      KUBECONFIG: kubeconfig,
    },
    registry: `127.0.0.1:${port}`,
    caught: () => [
      ...(existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []),
      ...Array.from({ length: connections }, () => 'a connection'),
    ],
    close: async () => {
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export const trustSuite: Suite = {
  name: 'trust',
  run: async (report) => {
    const browser = await launchBrowser();
    try {
      await report.test('a trusted window that runs falls into the trap: the trap works', () =>
        inWindow(browser, 'trusted', async (window, trap) => {
          await window.command('Slipway: Run Pipeline');
          await window.pick('dev');
          await eventually(
            'row of dev',
            () => window.row('dev').textContent(),
            (text) => /failed/.test(text ?? ''),
          );
          assert.notDeepEqual(trap.caught(), []);
        }),
      );

      await report.test('Restricted Mode shows projects and earlier runs, and starts and contacts nothing', () =>
        inWindow(browser, 'restricted', async (window, trap) => {
          await window.row('prod').waitFor();
          assert.match((await window.row('dev').textContent()) ?? '', /succeeded/);
          await window.row('dev').click();
          await window.row('Build api').click();
          await window.webview().locator('.pill').waitFor();
          assert.equal(
            await window.webview().locator('.top vscode-button').count(),
            0,
            'the page offers nothing to do',
          );
          await window.command('Slipway: Refresh');
          await window.screenshot('restricted-mode');
          assert.deepEqual(trap.caught(), []);
        }),
      );

      await report.test('Restricted Mode refuses to run, says why, and leads to the way out', () =>
        inWindow(browser, 'restricted', async (window, trap) => {
          await window.command('Slipway: Run Pipeline');
          const [text] = await eventually(
            'notification',
            () => window.notifications(),
            (texts) => texts.length > 0,
          );
          assert.match(text ?? '', /Restricted Mode, so Slipway starts no program and contacts nothing/);
          await window.page.getByRole('button', { name: 'Manage Workspace Trust' }).waitFor();
          await window.screenshot('restricted-mode-refusal');
          assert.deepEqual(trap.caught(), []);
        }),
      );

      await report.test(
        'a virtual workspace: slipway.yaml is checked against its own files; the rest says why not',
        () =>
          inMemory(browser, async (window, trap) => {
            await window.activity('Slipway');
            await window.page.locator('.pane-body', { hasText: 'not on a disk' }).first().waitFor();
            await window.screenshot('virtual-workspace');
            await window.activity('Explorer');
            await window.row('slipway.yaml').dblclick();
            await window.page.locator('.tab[data-resource-name="slipway.yaml"]').waitFor();
            await window.command('Problems: Focus on Problems View');
            const problems = window.page.locator('.markers-panel .monaco-list-row');
            await problems.filter({ hasText: 'docker/gone.Dockerfile' }).waitFor();
            assert.equal(await problems.filter({ hasText: '[Ln ' }).count(), 1, 'the other files are found');
            assert.deepEqual(await window.notifications(), []);
            await window.command('Slipway: Run Pipeline');
            const [text] = await eventually(
              'notification',
              () => window.notifications(),
              (texts) => texts.length > 0,
            );
            assert.match(
              text ?? '',
              /not on a disk, so nothing can be built or deployed from it. Clone the repository/,
            );
            await window.screenshot('virtual-workspace-problems');
            assert.deepEqual(trap.caught(), []);
            assert.deepEqual(
              window.console.filter(
                (line) => /slipway\.slipway/.test(line) && /\berr(or)?\b/i.test(line) && !/not on a disk/.test(line),
              ),
              [],
            );
          }),
      );
    } finally {
      await browser.close();
    }
  },
};

/** A folder that an extension of the test holds in memory. */
async function inMemory(browser: Browser, work: (window: EditorWindow, trap: Trap) => Promise<void>): Promise<void> {
  const trap = await setTrap();
  const options: EditorOptions = {
    browser,
    settings: trusted,
    env: trap.env,
    extensions: [join(import.meta.dirname, 'samples', 'memory')],
    remove: trap.close,
  };
  await withEditor(options, async ({ open }) => {
    const window = await open({ open: 'slipway-memory:/shop' });
    await work(window, trap);
    await window.close();
  });
}

async function inWindow(
  browser: Browser,
  trust: 'trusted' | 'restricted',
  work: (window: EditorWindow, trap: Trap) => Promise<void>,
): Promise<void> {
  const trap = await setTrap();
  const workspace = sampleWorkspace();
  workspace.write(
    'slipway.yaml',
    readFileSync(join(workspace.path, 'slipway.yaml'), 'utf8').replaceAll('registry.example', trap.registry),
  );
  git(workspace.path, ['init', '-q', '-b', 'main']);
  commit(workspace.path, 'First version');
  if (trust === 'restricted') writeRun(workspace.path, succeededRun());
  const options: EditorOptions = {
    browser,
    settings:
      trust === 'trusted'
        ? trusted
        : { 'workbench.colorTheme': 'Dark 2026', 'security.workspace.trust.startupPrompt': 'never' },
    env: trap.env,
    remove: async () => {
      workspace.remove();
      await trap.close();
    },
  };
  await withEditor(options, async ({ open }) => {
    const window = await open({ open: workspace.path });
    await window.activity('Slipway');
    await window.row('dev').waitFor();
    await work(window, trap);
    await window.close();
  });
}
