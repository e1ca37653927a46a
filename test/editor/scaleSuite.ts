// A thousand workloads of a real cluster in the real tree: how long the extension host takes for their rows, that the list
// scrolls, and that one change draws one row. Figures are printed; `npm run bench -- editor --tree` holds them to the budget.
import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import type { Locator } from 'playwright-core';
import { environment as labEnvironment } from '../lab/lab.ts';
import { logOf } from './commandUse.ts';
import { type EditorOptions, trusted, withEditor } from './editor.ts';
import { sampleWorkspace } from './samples/workspace.ts';
import { eventually, type Suite } from './suite.ts';
import type { EditorWindow } from './window.ts';

const COUNT = 1_000;
const nameOf = (index: number) => `web-${String(index).padStart(4, '0')}`;

/** Paused, without replicas: objects in the API server, and hardly any work for anybody else. */
const deployment = (name: string) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 0
  paused: true
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec: { containers: [{ name: web, image: "registry.example/web:1.0" }] }
`;

const config = (context: string, namespace: string) => `version: 1
name: many
environments:
  dev: { context: "${context}", namespace: ${namespace}, deploy: { manifests: { paths: [deploy] } } }
`;

export const scaleSuite: Suite = {
  name: 'scale',
  lab: ['core'],
  run: async (report) => {
    const lab = labEnvironment();
    const env = { ...process.env, ...lab.env };
    const namespace = `editor-many-${process.pid}`;
    const kubectl = (...args: readonly string[]): SpawnSyncReturns<string> =>
      spawnSync('kubectl', ['-n', namespace, ...args], { encoding: 'utf8', env });
    const names = Array.from({ length: COUNT }, (_, index) => nameOf(index));
    const context = lab.context ?? kubectl('config', 'current-context').stdout.trim();
    const parts = [0, 1, 2, 3].map((part) => names.filter((_, index) => index % 4 === part));
    const workspace = sampleWorkspace({
      'slipway.yaml': config(context, namespace),
      'deploy/api.yaml': names.map(deployment).join('---\n'),
    });
    const options: EditorOptions = {
      settings: trusted,
      env: lab.env,
      remove: () => {
        kubectl('delete', 'namespace', namespace, '--wait=false');
        workspace.remove();
      },
    };
    await withEditor(options, async ({ server, open }) => {
      kubectl('create', 'namespace', namespace);
      await Promise.all(parts.map((some) => create(some.map(deployment).join('---\n'), namespace, env)));
      const window = await open({ open: workspace.path });
      const rows = () => window.sectionRows('Workloads');
      const rowOf = (name: string) => window.sectionRow('Workloads', name);
      const times = () =>
        [...logOf(server.data).matchAll(new RegExp(`Workloads of dev: ${COUNT} rows in ([\\d.]+) ms`, 'g'))].map(
          ([, ms]) => Number(ms),
        );
      await window.activity('Slipway');
      await window.row('dev').first().waitFor();
      for (const view of ['Pipelines', 'Runs', 'Images & Policies', 'CI']) await window.collapse(view);
      await window.section('Workloads').click();

      await report.test(`${COUNT} workloads of the cluster are rows of the view`, async () => {
        const clicked = Date.now();
        await rowOf('dev').click();
        await rowOf(nameOf(0)).waitFor();
        const shown = Date.now() - clicked;
        assert.equal(await rowOf(nameOf(0)).getAttribute('aria-setsize'), String(COUNT));
        const [first] = await eventually('the time in the log', times, (found) => found.length > 0);
        console.log(
          `     first: ${first} ms for the rows in the extension host; ${shown} ms from click to screen, cluster included`,
        );
        await window.screenshot('scale-first');
      });

      await report.test('the list scrolls to its end, drawing only what is on screen', async () => {
        await rowOf(nameOf(0)).click();
        await startFrames(window);
        for (let page = 0; page < 10; page += 1) await window.page.keyboard.press('PageDown');
        await rowOf(nameOf(0)).waitFor({ state: 'hidden' });
        await window.page.keyboard.press('End');
        await rowOf(nameOf(COUNT - 1)).waitFor();
        const frames = await endFrames(window);
        console.log(`     scrolling: ${frames.count} frames, median ${frames.median} ms, longest ${frames.longest} ms`);
        assert.ok((await rows()).length < 100);
        await window.screenshot('scale-scrolled');
      });

      await report.test(
        'a change in the cluster draws its row anew, and says that it differs from the files',
        async () => {
          const last = nameOf(COUNT - 1);
          kubectl('set', 'image', `deployment/${last}`, 'web=registry.example/web:2.0');
          await eventually(
            `row of ${last}`,
            () => rowOf(last).getAttribute('aria-label'),
            (text) => /differs from the files.*\b2\.0\b/.test(text ?? ''),
          );
          await eventually(
            'mark of the row',
            () => markOf(rowOf(last)),
            (mark) => mark.includes('≠'),
          );
          await rowOf(last).hover();
          await window.page
            .locator('.monaco-hover', { hasText: 'live registry.example/web:2.0, files registry.example/web:1.0' })
            .first()
            .waitFor();
          await window.screenshot('drift-row');
        },
      );

      await report.test('so does the file in the Explorer, until the cluster is as the files say', async () => {
        await window.activity('Explorer');
        await window.row('deploy').click();
        const file = window.row('api.yaml');
        await eventually(
          'mark of the file',
          () => markOf(file),
          (mark) => mark.includes('≠'),
        );
        await window.screenshot('drift-explorer');
        kubectl('set', 'image', `deployment/${nameOf(COUNT - 1)}`, 'web=registry.example/web:1.0');
        await eventually(
          'mark of the file',
          () => markOf(file),
          (mark) => !mark.includes('≠'),
        );
        await window.activity('Slipway');
      });

      await report.test('collapsed and expanded again it needs no second look at the cluster', async () => {
        const before = times().length;
        await rowOf(nameOf(0)).waitFor();
        await rowOf('dev').click();
        await eventually('collapsed', rows, (texts) => texts.length === 1);
        const clicked = Date.now();
        await rowOf('dev').click();
        await rowOf(nameOf(0)).waitFor();
        const shown = Date.now() - clicked;
        await eventually('the time in the log', times, (found) => found.length >= before);
        console.log(`     again: ${times().at(-1)} ms in the extension host; ${shown} ms from click to screen`);
        assert.doesNotMatch((await rowOf('dev').getAttribute('aria-label')) ?? '', /connecting/);
      });
      await window.close();
    });
  },
};

function create(text: string, namespace: string, env: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('kubectl', ['-n', namespace, 'create', '-f', '-'], { env, stdio: ['pipe', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString('utf8');
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(errors))));
    child.stdin.end(text);
  });
}

/** The badge of a decoration: VS Code draws it by style. */
const markOf = (row: Locator): Promise<string> =>
  row
    .locator('.monaco-icon-label')
    .first()
    .evaluate((label) =>
      [label, ...label.querySelectorAll('*')].map((element) => getComputedStyle(element, '::after').content).join(' '),
    );

/** Notes the time of every frame the window draws. */
async function startFrames(window: EditorWindow): Promise<void> {
  await window.page.evaluate(() => {
    const frames: number[] = [];
    Object.assign(globalThis, { slipwayFrames: frames });
    const next = (time: number): void => {
      frames.push(time);
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
}

async function endFrames(window: EditorWindow) {
  const times = await window.page.evaluate(
    () => (globalThis as unknown as { readonly slipwayFrames: readonly number[] }).slipwayFrames,
  );
  const gaps = times
    .slice(1)
    .map((time, index) => time - (times[index] ?? time))
    .sort((a, b) => a - b);
  const rounded = (value: number | undefined) => Math.round((value ?? 0) * 10) / 10;
  return { count: times.length, median: rounded(gaps[gaps.length >> 1]), longest: rounded(gaps.at(-1)) };
}
