// Delivery for an app that has none: the changes are shown first, and what is written the API server takes by the real kinds.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { sampleWorkspace } from '../samples/workspace.ts';
import type { EditorServer } from '../server.ts';
import { eventually, type Report } from '../suite.ts';
import { EditorWindow } from '../window.ts';

interface Place {
  readonly browser: Browser;
  readonly server: EditorServer;
  readonly env: NodeJS.ProcessEnv;
}

export async function initCases(report: Report, { browser, server, env }: Place): Promise<void> {
  const workspace = sampleWorkspace({ 'slipway.yaml': slipwayYaml });
  const file = (path: string) => join(workspace.path, path);
  const window = await EditorWindow.open(browser, server, { open: workspace.path, size: { width: 1500, height: 950 } });
  const { page } = window;
  page.setDefaultTimeout(20_000);
  try {
    await report.test('Add GitOps Delivery… shows every change before it is made', async () => {
      await window.command('Slipway: Add GitOps Delivery…');
      await window.pick('Flux');
      await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Write these 3 files' }).waitFor();
      const shown = await eventually(
        'the diff',
        async () => (await page.locator('.editor-instance .view-lines').last().innerText()).replaceAll('\u00a0', ' '),
        (text) => text.includes('+++ clusters/dev/shop-delivery.yaml'),
      );
      assert.match(shown, /--- \(new\)/);
      await window.screenshot('gitops-init-preview');
      assert.equal(existsSync(file('clusters/dev/shop-delivery.yaml')), false);
      assert.doesNotMatch(readFileSync(file('deploy/api.yaml'), 'utf8'), /imagepolicy/);
    });

    await report.test('what is agreed to is written, and Flux’s own kinds take it', async () => {
      await page.locator('.quick-input-list .monaco-list-row', { hasText: 'Write these 3 files' }).click();
      await eventually(
        'the marker',
        () => readFileSync(file('deploy/api.yaml'), 'utf8'),
        (text) => /image: registry\.example\/shop-api:main-0000000 # \{"\$imagepolicy": "flux-system:\S+"\}/.test(text),
      );
      const objects = readFileSync(file('clusters/dev/shop-delivery.yaml'), 'utf8');
      const taken = spawnSync(
        'kubectl',
        ['apply', '--server-side', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-'],
        { env, input: objects, encoding: 'utf8' },
      );
      assert.equal(taken.status, 0, taken.stderr);
      assert.match(taken.stdout, /imageupdateautomation/);
      await window.screenshot('gitops-init-written');
    });
  } finally {
    await window.close();
    workspace.remove();
  }
}

const slipwayYaml = `version: 1
name: shop
images:
  api: { context: ., dockerfile: docker/api.Dockerfile, repository: registry.example/shop-api }
tags: ["{branch}-{commits}-{sha}"]
environments:
  dev: { context: example, namespace: shop, deploy: { manifests: { paths: [deploy] } } }
`;
