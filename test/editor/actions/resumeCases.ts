// A window that is closed in the middle of a run, and the next one.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import type { EditorServer } from '../server.ts';
import { eventually, type Report } from '../suite.ts';
import { Stage } from './stage.ts';

export async function resumeCases(report: Report, first: Stage, browser: Browser, server: EditorServer): Promise<void> {
  const { depot } = first;
  // Helm keeps ten; the number of the newest goes on.
  const revision = () =>
    Math.max(
      ...depot
        .kubectl('get', 'secrets', '-l', 'owner=helm,name=depot', '-o', 'jsonpath={.items[*].metadata.labels.version}')
        .split(' ')
        .map(Number),
    );

  await report.test('no notification for what the views show', async () => {
    // What was asked of Flux just now says so until its answer is there.
    await eventually(
      'notifications',
      () => first.window.notifications(),
      (texts) => texts.length === 0,
    );
  });

  await report.test(
    'a window closed during a run: the next one offers to resume it, and nothing is done twice',
    async () => {
      const before = revision();
      depot.nextVersion();
      writeFileSync(depot.hold, '');
      const run = await first.starts(() => first.press('Control+Alt+d'));
      await eventually(
        'the run waits before its deploy',
        () => depot.view(run)?.steps.find(({ id }) => id.startsWith('command:hold'))?.state,
        (state) => state === 'running',
        180_000,
      );
      await first.window.leave();
      const ended = await first.ends(run);
      assert.deepEqual([ended.state, ended.hostEnded], ['cancelled', true]);
      assert.equal(ended.published.length, 1);
      rmSync(depot.hold);

      const next = await Stage.open(browser, server, depot);
      await eventually(
        'status bar',
        async () => (await next.status.getAttribute('aria-label')) ?? '',
        (words) => /dev, interrupted .*can be resumed/.test(words),
      );
      await next.rowSays('dev', /interrupted: the window was closed/);
      await next.window.screenshot('actions-resume-offered');
      assert.deepEqual(await next.window.notifications(), []);
      await next.status.click();
      await next.window.page.locator('.quick-input-list .monaco-list-row', { hasText: 'Resume the run' }).waitFor();
      await next.window.page.keyboard.press('Escape');
      await next.window.rowAction(next.window.sectionRow('Pipelines', 'dev'), 'Resume Run');
      await eventually(
        'the resumed run',
        () => depot.view(run)?.state,
        (state) => state === 'succeeded',
        180_000,
      );
      await next.rowSays('dev', /succeeded/);
      const done = await next.ends(run);
      assert.equal(done.hostEnded, undefined);
      assert.deepEqual(done.published, ended.published, 'published once');
      assert.equal(revision() - before, 1, 'deployed once');
      await next.window.close();
    },
  );
}
