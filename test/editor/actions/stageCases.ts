// Parts of the pipeline: Build, Scan, Push, Deploy…, Smoke Test, Run Step…, Run Pipeline, Init, reports and endpoints.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../pipeline/support/actor.ts';
import type { Report } from '../suite.ts';
import { ran, type Stage } from './stage.ts';

export async function stageCases(report: Report, stage: Stage): Promise<void> {
  const { window, depot } = stage;

  await report.test('Build asks which images, and builds only these', async () => {
    const view = await stage.runs(async () => {
      await window.command('Slipway: Build');
      await window.untick('job');
      await window.answer('Build Images');
    });
    assert.deepEqual([view.state, ran(view)], ['succeeded', ['build:web']]);
    await stage.shows(view.id, 'succeeded');
    await stage.rowSays('Images only', /succeeded/);
    assert.equal(await digestOf(depot.repository, view.tag ?? ''), undefined, 'nothing was published');
  });

  await report.test('a keybinding with arguments builds without asking', async () => {
    const view = await stage.runs(() => stage.press('Control+Alt+b'));
    assert.deepEqual([view.state, ran(view)], ['succeeded', ['build:job']]);
  });

  await report.test('Scan scans what is built, and Open Scan Report opens what it found', async () => {
    const view = await stage.runs(async () => {
      await window.command('Slipway: Scan');
      await window.untick('job');
      await window.answer('Scan Images');
    });
    assert.equal(view.state, 'succeeded');
    assert.deepEqual(
      view.scans.map(({ image, outcome }) => [image, outcome]),
      [['web', 'clean']],
    );
    await stage.shows(view.id, 'succeeded');
    await stage.page.locator('.section.scans', { hasText: 'passed' }).waitFor();
    await window.command('Slipway: Open Scan Report');
    const name = (view.scans[0]?.reports[0] ?? '').split('/').at(-1) ?? '';
    await window.page.locator('.tab', { hasText: name }).first().waitFor();
    await window.command('View: Close Editor');
  });

  await report.test('Push takes tests and gate along, and the registry has the tag', async () => {
    const view = await stage.runs(async () => {
      await window.command('Slipway: Push');
      await window.answer('Push Images');
    });
    assert.equal(view.state, 'succeeded');
    assert.ok(ran(view).includes('publish:web'), ran(view).join());
    await stage.rowSays('Images only', /succeeded/);
    assert.notEqual(await digestOf(depot.repository, view.tag ?? ''), undefined);
  });

  await report.test('Deploy… offers what is published, and brings this commit to a verdict', async () => {
    const view = await stage.runs(async () => {
      await window.command('Slipway: Deploy…');
      await window.pick('dev');
      const tag = window.page.locator('.quick-input-list .label-name', { hasText: /^main-/ });
      await tag.first().waitFor();
      await window.pick('This commit');
    });
    assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
    assert.equal(view.verdict?.state, 'ready');
    await stage.shows(view.id, 'succeeded');
    await stage.rowSays('dev', /succeeded/);
    const image = depot.kubectl('get', 'deployment', 'web', '-o', 'jsonpath={..image}');
    assert.equal(image, `${depot.repository}:${view.tag}`);
    await window.screenshot('actions-deployed');
  });

  await report.test('Smoke Test checks what is live, and changes nothing', async () => {
    const before = depot.kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.metadata.generation}');
    const view = await stage.runs(async () => {
      await window.command('Slipway: Smoke Test');
      await window.pick('dev');
    });
    assert.deepEqual(
      view.smoke.map(({ isOk }) => isOk),
      [true],
    );
    await stage.shows(view.id, 'succeeded');
    await stage.page.locator('.section.smoke .section-head', { hasText: '1 of 1 passed' }).waitFor();
    assert.equal(depot.kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.metadata.generation}'), before);
  });

  await report.test('runCommands in a keybinding saves the files, then runs the checks', async () => {
    const view = await stage.runs(() => stage.press('Control+Alt+u'));
    assert.deepEqual([view.state, view.smoke.length], ['succeeded', 1]);
  });

  await report.test('Run Step… runs one stage: asked for, and on the row of a step', async () => {
    const asked = await stage.runs(async () => {
      await window.command('Slipway: Run Step…');
      await window.pick('dev');
      await window.pick('Test');
    });
    assert.deepEqual([asked.state, asked.steps.map(({ id }) => id)], ['succeeded', ['test:unit']]);
    await stage.rowSays('dev', /succeeded/);
    await window.expand(window.sectionRow('Pipelines', 'dev'));
    const ofRow = await stage.runs(() => window.contextMenu(window.sectionRow('Pipelines', 'Test unit'), 'Run Step…'));
    assert.deepEqual([ofRow.state, ofRow.steps.map(({ id }) => id)], ['succeeded', ['test:unit']]);
  });

  await report.test('the title and the lens of a Dockerfile build and scan its image', async () => {
    await window.openFile('web.Dockerfile');
    const built = await stage.runs(() => window.editorAction('Build'));
    assert.deepEqual([built.state, built.steps.map(({ id }) => id)], ['succeeded', ['build:web']]);
    await window.openFile('web.Dockerfile');
    const scanned = await stage.runs(() => window.lens('Build & scan web'));
    assert.equal(scanned.state, 'succeeded');
    const images = scanned.steps.flatMap(({ kind, image }) => (kind === 'scan' ? [image] : []));
    assert.deepEqual(images, ['web']);
    await window.openFile('web.Dockerfile');
    await window.lens(/no findings/);
    await window.page.locator('.tab.active', { hasText: 'Images' }).waitFor();
  });

  await report.test('the title of slipway.yaml runs the pipeline; its row opens the app in the browser', async () => {
    await window.openFile('slipway.yaml');
    const view = await stage.runs(async () => {
      await window.editorAction('Run Pipeline');
      await window.pick('dev');
    });
    assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
    const url = view.endpoints[0]?.url ?? '';
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    await stage.shows(view.id, 'succeeded');
    await stage.page.locator('.outcome .endpoints', { hasText: url }).waitFor();
    const asked = await window.outside(() =>
      window.rowAction(window.sectionRow('Pipelines', 'dev'), 'Open App in Browser'),
    );
    assert.ok(asked.includes(new URL(url).host), asked);
    await window.command('View: Close All Editors');
  });

  await report.test('a check that fails says why, and Check again on the page checks again', async () => {
    const config = readFileSync(join(depot.path, 'slipway.yaml'), 'utf8');
    depot.write('slipway.yaml', config.replace('contains: ok, timeout: 10s', 'contains: never said, timeout: 1s'));
    const smoke = () => window.contextMenu(window.sectionRow('Pipelines', 'dev'), 'Smoke Test');
    const failed = await stage.runs(smoke);
    assert.deepEqual([failed.state, failed.failure?.reason], ['failed', 'smoke']);
    await stage.shows(failed.id, 'failed');
    depot.write('slipway.yaml', config);
    const again = await stage.runs(() => stage.button('Check again').click());
    assert.equal(again.state, 'succeeded', JSON.stringify(again.failure));
    await stage.shows(again.id, 'succeeded');
  });

  await report.test('Propose slipway.yaml leaves the file that is there alone, and shows it', async () => {
    await window.command('Slipway: Propose slipway.yaml');
    await window.page.locator('.tab[data-resource-name="slipway.yaml"]').waitFor();
    await window.command('View: Close Editor');
  });
}
