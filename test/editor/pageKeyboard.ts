// The rollout page by the Tab key alone: in which order it goes, that the focus is always to be seen, and Escape.
import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import type { ToView } from '../../src/extension/rollout/protocol.ts';
import { linesOf, PageHarness, stateOf } from './pageHarness.ts';
import { rolledBackRun, runningRun, type SampleRun, succeededRun } from './samples/runs.ts';
import { eventually, type Report } from './suite.ts';

interface Stop {
  readonly words: string;
  /** An outline or a ring is drawn, by the element or by one inside of it. */
  readonly isSeen: boolean;
}

/** What has the focus, in words, and whether that can be seen. Without words: nothing of the page has it. */
const focusOf = (page: Page): Promise<Stop> =>
  page.evaluate(() => {
    const outer = document.activeElement;
    if (outer === null || outer === document.body) return { words: '', isSeen: true };
    const within = [outer, ...(outer.shadowRoot?.querySelectorAll('*') ?? [])];
    const probe = document.createElement('i');
    probe.style.setProperty('color', 'var(--vscode-focusBorder)');
    document.body.append(probe);
    const { color: ring } = getComputedStyle(probe);
    probe.remove();
    const isSeen = within.some((element) => {
      const { outlineStyle, outlineWidth, outlineColor, borderTopColor } = getComputedStyle(element);
      const isOutlined = outlineStyle !== 'none' && outlineWidth !== '0px' && outlineColor === ring;
      return isOutlined || borderTopColor === ring;
    });
    const text = outer.getAttribute('aria-label') ?? outer.getAttribute('label') ?? outer.textContent ?? '';
    const kinds: readonly (readonly [string, string])[] = [
      ['.history', 'history'],
      ['[role=tab]', 'tab'],
      ['.step-list', 'step'],
      ['.endpoints', 'link'],
    ];
    const kind = kinds.find(([selector]) => outer.closest(selector) !== null)?.[1];
    return { words: `${kind === undefined ? '' : `${kind} `}${text.trim().replace(/\s+/g, ' ')}`, isSeen };
  });

/** Every stop of the Tab key from the top of the page until it leaves it. */
async function tabThrough(page: Page): Promise<readonly Stop[]> {
  const stops: Stop[] = [];
  for (let count = 0; count < 80; count += 1) {
    await page.keyboard.press('Tab');
    const stop = await focusOf(page);
    if (stop.words === '') return stops;
    stops.push(stop);
  }
  throw new Error(`Tab does not leave the page: ${stops.map(({ words }) => words).join(' | ')}`);
}

interface Walk {
  readonly name: string;
  readonly run: SampleRun;
  readonly diagnosis?: (run: SampleRun) => ToView;
  /** Beginnings of what is met, in this order; more may lie between. */
  readonly stops: readonly string[];
}

const walks = (diagnosisOf: (run: SampleRun) => ToView): readonly Walk[] => [
  {
    name: 'failed, with what was collected',
    run: rolledBackRun(),
    diagnosis: diagnosisOf,
    stops: [
      ...['Resume', 'Run again', 'history', 'Evidence', 'Deploy another version…', 'Diagnose', 'Log of', 'tab Run'],
      ...['step Build api', 'Filter the log', 'Open as document', 'Lines'],
    ],
  },
  {
    name: 'ready',
    run: succeededRun(),
    stops: ['Roll back…', 'Run again', 'history', 'link http', 'step Build api', 'Filter the log', 'Lines', 'report'],
  },
  { name: 'running', run: runningRun(), stops: ['Cancel run', 'history', 'step Build api', 'Filter the log', 'Lines'] },
];

export async function pageKeyboard(
  report: Report,
  browser: Browser,
  diagnosisOf: (run: SampleRun) => ToView,
): Promise<void> {
  for (const { name, run, diagnosis, stops } of walks(diagnosisOf)) {
    await report.test(`by Tab, ${name}: in the order of the page and always to be seen; Escape goes back`, async () => {
      const harness = await PageHarness.open(browser, { theme: 'dark' });
      const { page } = harness;
      await harness.show(stateOf(run, { focus: 'build:api', isLive: name === 'running' }));
      if (diagnosis !== undefined) await harness.deliver(diagnosis(run));
      const lines = linesOf(run, 'build:api');
      await harness.deliver({ kind: 'log', run: run.id, step: 'build:api', isFirst: true, dropped: 0, lines });
      await page.locator('.log-line').first().waitFor();
      const walked = await tabThrough(page);
      const unseen = walked.filter(({ isSeen }) => !isSeen).map(({ words }) => words);
      assert.deepEqual(unseen, [], 'the focus can be seen everywhere');
      const met = walked.map(({ words }) => words);
      let at = -1;
      for (const stop of stops) {
        at = met.findIndex((words, index) => index > at && words.startsWith(stop));
        assert.notEqual(at, -1, `${stop} in its place of ${stops.join(', ')}; met: ${met.join(' | ')}`);
      }
      // One stop for all steps, one for the whole history.
      for (const list of ['step', 'history']) {
        assert.equal(met.filter((words) => words.startsWith(`${list} `)).length, 1, met.join(' | '));
      }
      const filter = page.locator('.log vscode-textfield').locator('input');
      await filter.fill('arm64');
      await eventually(
        'only lines with the word',
        () => page.locator('.log-line').allInnerTexts(),
        (texts) => texts.length > 0 && texts.every((text) => text.includes('arm64')),
      );
      await filter.press('Escape');
      await eventually(
        'an empty filter',
        () => filter.inputValue(),
        (text) => text === '',
      );
      await filter.press('Escape');
      await page.locator('.section.log').waitFor({ state: 'detached' });
      assert.match((await focusOf(page)).words, /^step Build api/);
      assert.deepEqual((await harness.posted()).at(-1), { kind: 'followLog' });
      await harness.close();
    });
  }
}
