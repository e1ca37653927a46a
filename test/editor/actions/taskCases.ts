// Runs as tasks: to the end, with problems in the Problems panel, and the run's id as a link.
import assert from 'node:assert/strict';
import { eventually, type Report } from '../suite.ts';
import type { Stage } from './stage.ts';

export async function taskCases(report: Report, stage: Stage): Promise<void> {
  const { window, depot } = stage;
  const { page } = window;
  const lines = page.locator('.terminal-wrapper.active .xterm-rows');
  const task = async (name: string) => {
    await window.command('Tasks: Run Task');
    await window.accept(name);
  };

  await report.test('a task that fails leaves a problem at the line, and its terminal says why', async () => {
    depot.nextVersion(() =>
      depot.write('web.Dockerfile', 'FROM scratch\nCOPY bin/web /web\nCOPY nothing.txt /note.txt\n'),
    );
    const view = await stage.runs(() => task('slipway: run dev'));
    assert.equal(view.state, 'failed');
    await eventually(
      'terminal',
      () => lines.innerText(),
      (text) => /run \S+ failed in/.test(text) && text.includes('web.Dockerfile:3'),
    );
    await window.screenshot('actions-task-failed');
    await window.command('Problems: Focus on Problems View');
    const rows = page.locator('.markers-panel .monaco-list-row');
    await rows
      .filter({ hasText: /nothing\.txt/ })
      .first()
      .waitFor();
    await rows
      .filter({ hasText: /nothing\.txt/ })
      .first()
      .dblclick();
    await page.locator('.tab[data-resource-name="web.Dockerfile"]').waitFor();
    await page.locator('.statusbar', { hasText: 'Ln 3' }).waitFor();
    await window.command('View: Close Editor');
    await window.command('Terminal: Focus Terminal');
    await followLink(stage, view.id);
    await stage.shows(view.id, 'failed');
    await stage.button('Open web.Dockerfile, line 3').click();
    await page.locator('.tab.active[data-resource-name="web.Dockerfile"]').waitFor();
    await page.locator('.statusbar', { hasText: 'Ln 3' }).waitFor();
    await window.command('View: Close Editor');
  });

  await report.test(
    'slipway: run dev goes to its end, the problem is gone, and the id of the run leads to its page',
    async () => {
      depot.nextVersion(() =>
        depot.write(
          'web.Dockerfile',
          'FROM scratch\nCOPY bin/web /web\nCOPY note.txt /note.txt\nENTRYPOINT ["/web"]\n',
        ),
      );
      const view = await stage.runs(() => task('slipway: run dev'));
      assert.equal(view.state, 'succeeded', JSON.stringify(view.failure));
      await eventually(
        'terminal',
        () => lines.innerText(),
        (text) => text.includes(`run ${view.id} succeeded in`),
      );
      await window.command('Problems: Focus on Problems View');
      await eventually(
        'Problems of the task',
        () => page.locator('.markers-panel .monaco-list-row', { hasText: 'nothing.txt' }).count(),
        (count) => count === 0,
      );
      await window.command('Terminal: Focus Terminal');
      await window.screenshot('actions-task');
      await followLink(stage, view.id);
      await stage.shows(view.id, 'succeeded');
      await window.command('Terminal: Kill All Terminals');
    },
  );
}

/** Points at the text in the terminal, and clicks it with Ctrl once the terminal shows that it is a link. */
async function followLink({ window }: Stage, text: string): Promise<void> {
  const { page } = window;
  const row = page.locator('.terminal-wrapper.active .xterm-rows > div').filter({ hasText: text }).first();
  const spot = await row.evaluate((line, wanted) => {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      const at = (node.textContent ?? '').indexOf(wanted);
      if (at === -1) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      const box = range.getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    }
    return undefined;
  }, text);
  assert.ok(spot !== undefined, `${text} in one piece of a line`);
  // A word is a link in the terminal while Ctrl is held over it.
  await page.keyboard.down('Control');
  await page.mouse.move(spot.x - 20, spot.y);
  await page.mouse.move(spot.x, spot.y, { steps: 5 });
  await page.locator('.terminal-wrapper.active .xterm-cursor-pointer').waitFor();
  await page.mouse.click(spot.x, spot.y);
  await page.keyboard.up('Control');
}
