// The buttons, links and lists of the rollout page.
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Report } from '../suite.ts';
import type { Stage } from './stage.ts';

export async function buttonCases(report: Report, stage: Stage): Promise<void> {
  const { window, depot } = stage;
  const image = () => depot.kubectl('get', 'deployment', 'web', '-o', 'jsonpath={..image}');

  await report.test('Run again runs it again, and skips what is unchanged', async () => {
    const view = await stage.runs(() => stage.button('Run again').click());
    assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
    await stage.shows(view.id, 'succeeded');
    assert.ok(view.steps.some(({ kind, state }) => kind === 'build' && state === 'skipped'));
  });

  await report.test('Cancel run and Resume on the page: the run goes on where it was', async () => {
    depot.nextVersion();
    writeFileSync(depot.hold, '');
    const dev = window.sectionRow('Pipelines', 'dev');
    const run = await stage.starts(() => window.rowAction(dev, 'Run Pipeline'));
    await stage.shows(run, 'running');
    await stage.page.locator('.step.state-running', { hasText: 'hold' }).waitFor({ timeout: 120_000 });
    await window.screenshot('actions-running');
    const ended = await stage.clicks('Cancel run', () => stage.ends(run));
    assert.equal(ended.state, 'cancelled');
    await stage.shows(run, 'cancelled');
    rmSync(depot.hold, { force: true });
    await stage.clicks('Resume', () => stage.resumes(run));
    await stage.shows(run, 'succeeded');
  });

  await report.test('the history leads to earlier runs, by mouse and by keyboard', async () => {
    const bars = stage.page.locator('.history [role=option]');
    const count = await bars.count();
    const newest = (await stage.page.locator('main').getAttribute('data-run')) ?? '';
    await bars.nth(count - 2).click();
    await stage.page.locator(`main:not([data-run="${newest}"])`).waitFor();
    await stage.page.locator('.history [role=option][aria-selected=true]').press('ArrowRight');
    await stage.page.locator(`main[data-run="${newest}"]`).waitFor();
  });

  await report.test('a step shows its log, which opens as a document', async () => {
    await stage.page.locator('.step', { hasText: 'hold' }).click();
    await stage.page.getByText('let go').first().waitFor();
    await stage.button('Open as document').click();
    await window.page.locator('.view-lines').getByText('let go').first().waitFor();
    await window.command('View: Close Editor');
  });

  await report.test('Roll back… on the page goes to the version one picks', async () => {
    const before = image();
    const view = await stage.runs(async () => {
      await stage.button('Roll back…').click();
      await window.page.locator('.quick-input-titlebar', { hasText: 'Roll Back dev' }).waitFor();
      await window.page.locator('.quick-input-list .monaco-list-row', { hasText: 'last verified' }).first().click();
    });
    assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
    await stage.shows(view.id, 'succeeded');
    assert.notEqual(image(), before);
  });

  await report.test('a version that cannot start is undone; the page has the cause, Diagnose and the log', async () => {
    const before = image();
    depot.nextVersion(() =>
      depot.write('web.Dockerfile', 'FROM scratch\nCOPY bin/web /web\nCOPY note.txt /note.txt\nENTRYPOINT ["/wbe"]\n'),
    );
    const view = await stage.ship();
    assert.equal(view.state, 'failed');
    assert.equal(view.rolledBack, true);
    await stage.shows(view.id, 'rolled back');
    await stage.page.locator('.outcome', { hasText: '/wbe' }).waitFor();
    assert.equal(image(), before, 'the version before serves again');
    await window.screenshot('actions-crash');
    await stage.page.locator('.outcome vscode-button', { hasText: /^\s*Log of/ }).click();
    await stage.page.getByRole('heading', { name: /^Log of/ }).waitFor();
    await stage.button('Diagnose').click();
    await stage.page.getByRole('tab', { name: 'Diagnosis', selected: true }).waitFor();
    await stage.page.getByRole('heading', { name: 'Recognised', exact: true }).waitFor();
    await window.screenshot('actions-diagnosis');
    assert.ok(!existsSync(depot.hold));
  });
}
