// A protected environment is deployed to only when its name has been typed: another name, or none, changes nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commit, git } from '../lab/examples.ts';
import { environment as labEnvironment } from '../lab/lab.ts';
import { pushActor } from '../pipeline/support/actor.ts';
import { trusted, withEditor } from './editor.ts';
import { eventually, type Report } from './suite.ts';

const DEPLOY_MS = 120_000;

export async function protectedEnvironment(report: Report): Promise<void> {
  const lab = labEnvironment();
  const env = { ...process.env, ...lab.env };
  const namespace = `editor-protected-${process.pid}`;
  const repository = `${lab.registry}/editor/protected`;
  await pushActor(env, repository, '1.0.0');
  const path = mkdtempSync(join(tmpdir(), 'slipway-protected-'));
  writeFileSync(join(path, 'Dockerfile'), 'FROM scratch\n');
  mkdirSync(join(path, 'k8s'));
  writeFileSync(
    join(path, 'k8s', 'web.yaml'),
    `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: ${repository}:none
          readinessProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: 1 }
`,
  );
  writeFileSync(
    join(path, 'slipway.yaml'),
    `version: 1
images:
  web: { repository: ${repository} }
tags: ["{sha}"]
environments:
  live: { protected: true, namespace: ${namespace}, deploy: { manifests: { paths: k8s } } }
`,
  );
  git(path, ['init', '-q', '-b', 'main']);
  commit(path, 'An app with a protected environment');
  const options = {
    settings: trusted,
    env: lab.env,
    remove: () => {
      spawnSync('kubectl', ['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false'], { env });
      rmSync(path, { recursive: true, force: true });
    },
  };
  await withEditor(options, async ({ open }) => {
    const window = await open({ open: path });
    await window.activity('Slipway');
    await window.row('live').waitFor();
    const box = window.page.locator('.quick-input-widget');
    const message = box.locator('.quick-input-message');
    const ask = async () => {
      await window.command('Slipway: Deploy…');
      await window.accept('1.0.0');
      await box.locator('.quick-input-titlebar', { hasText: 'Deploy to the protected environment live' }).waitFor();
    };
    const untouched = () => {
      assert.equal(existsSync(join(path, '.slipway', 'runs')), false, 'a run was begun');
      assert.equal(spawnSync('kubectl', ['get', 'namespace', namespace], { env }).status, 1);
    };

    await report.test('a protected environment: leaving the question changes nothing', async () => {
      await ask();
      assert.match(await message.innerText(), new RegExp(`Namespace: ${namespace}.*Type live`));
      await window.screenshot('lab-protected');
      await window.page.keyboard.press('Escape');
      await box.waitFor({ state: 'hidden' });
      untouched();
      assert.deepEqual(await window.notifications(), []);
    });

    await report.test('a protected environment: another name is refused and asked again, its own deploys', async () => {
      await ask();
      for (const wrong of ['', 'dev', 'Live']) {
        await window.quickInput.fill(wrong);
        await window.quickInput.press('Enter');
        await message.filter({ hasText: 'The environment is called live. Nothing has been changed.' }).waitFor();
      }
      untouched();
      await window.quickInput.fill('live');
      await window.quickInput.press('Enter');
      await box.waitFor({ state: 'hidden' });
      const row = await eventually(
        'row of live',
        async () => (await window.row('live').textContent()) ?? '',
        (text) => /succeeded|failed/.test(text),
        DEPLOY_MS,
      );
      assert.match(row, /succeeded/);
      const image = ['get', 'deployment', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'];
      const { stdout } = spawnSync('kubectl', ['-n', namespace, ...image], { encoding: 'utf8', env });
      assert.match(stdout, /editor\/protected:1\.0\.0/);
    });
  });
}
