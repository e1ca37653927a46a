// The rollout page by itself: how it looks in four themes, what it says and asks, and that it keeps its own rules.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseDiagnosis } from '../../src/extension/rollout/diagnosis.ts';
import type { ToView } from '../../src/extension/rollout/protocol.ts';
import { axeViolations } from './axe.ts';
import { linesOf, PageHarness, stateOf } from './pageHarness.ts';
import { pageKeyboard } from './pageKeyboard.ts';
import { crashDiagnosis } from './samples/diagnosis.ts';
import {
  cancelledRun,
  gatedRun,
  missingTag,
  rolledBackRun,
  runningRun,
  type SampleRun,
  succeededRun,
  unknownRun,
} from './samples/runs.ts';
import type { Suite } from './suite.ts';
import { themes } from './themes/index.ts';
import { launchBrowser, screenshots } from './window.ts';

interface Sample {
  readonly name: string;
  readonly run: SampleRun;
  readonly log?: string;
  readonly isDiagnosed?: true;
}

const samples: readonly Sample[] = [
  { name: 'succeeded', run: succeededRun(), log: 'build:api' },
  { name: 'rolled-back', run: rolledBackRun() },
  { name: 'diagnosis', run: rolledBackRun(), isDiagnosed: true },
  { name: 'gated', run: gatedRun() },
  { name: 'running', run: runningRun() },
];

type DiagnosisMessage = Extract<ToView, { readonly kind: 'diagnosis' }>;

/** As the host reads it from the file of the engine. */
function diagnosisOf(run: SampleRun, how?: 'asked'): DiagnosisMessage {
  const data = parseDiagnosis(JSON.stringify(crashDiagnosis));
  if (data === undefined) throw new Error('the sample is no diagnosis');
  return { kind: 'diagnosis', run: run.id, origin: 'run', isAsked: how === 'asked', data };
}

/** Elements that stand out of the page sideways. */
const cutOff = (harness: PageHarness): Promise<readonly string[]> =>
  harness.page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((element) => element.closest('.table-scroll table') === null)
      .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth)
      .map((element) => `${element.tagName} ${element.className}`),
  );

export const pageSuite: Suite = {
  name: 'page',
  run: async (report) => {
    mkdirSync(screenshots, { recursive: true });
    const browser = await launchBrowser();
    try {
      for (const theme of themes) {
        for (const sample of samples) {
          await report.test(`${sample.name} in ${theme.name}: no axe violation, no breach of the policy`, async () => {
            const harness = await PageHarness.open(browser, { theme: theme.name });
            try {
              await harness.show(stateOf(sample.run, sample.log === undefined ? {} : { focus: sample.log }));
              if (sample.log !== undefined) {
                await harness.deliver({
                  kind: 'log',
                  run: sample.run.id,
                  step: sample.log,
                  isFirst: true,
                  dropped: 0,
                  lines: linesOf(sample.run, sample.log),
                });
                await harness.page.locator('.log-line').first().waitFor();
              }
              if (sample.isDiagnosed === true) {
                await harness.deliver(diagnosisOf(sample.run, 'asked'));
                await harness.page.getByRole('heading', { name: 'Recognised' }).waitFor();
              }
              await harness.page.evaluate(() => document.fonts.ready);
              // Before the screenshot: to stop animations the driver adds styles of its own, against the policy.
              assert.deepEqual(await harness.violations(), []);
              await harness.page.screenshot({
                path: join(screenshots, `page-${sample.name}-${theme.name}.png`),
                animations: 'disabled',
                fullPage: true,
              });
              assert.deepEqual(await axeViolations(harness.page), []);
            } finally {
              await harness.close();
            }
          });
        }
      }

      for (const [name, run, more] of [
        ['interrupted', runningRun(), { isLive: false }],
        ['cancelled', cancelledRun(), {}],
        ['unknown', unknownRun(), {}],
      ] as const) {
        for (const theme of ['light', 'hc-dark'] as const) {
          await report.test(`${name} in ${theme}: no axe violation, and a way on`, async () => {
            const harness = await PageHarness.open(browser, { theme });
            await harness.show(stateOf(run, more));
            await harness.page.evaluate(() => document.fonts.ready);
            assert.match(await harness.page.locator('.pill').innerText(), new RegExp(name, 'i'));
            await harness.page.getByRole('button', { name: 'Resume' }).waitFor();
            assert.deepEqual(await axeViolations(harness.page), []);
            await harness.page.screenshot({ path: join(screenshots, `page-${name}-${theme}.png`), fullPage: true });
            await harness.close();
          });
        }
      }

      await report.test('before there is anything to show, and when it is gone: no axe violation', async () => {
        const harness = await PageHarness.open(browser, { theme: 'dark' });
        assert.deepEqual(await axeViolations(harness.page), []);
        await harness.show(stateOf(succeededRun()));
        await harness.deliver({ kind: 'gone', message: 'This run is not in the journal any more.' });
        await harness.page.getByText('not in the journal any more').waitFor();
        assert.deepEqual(await axeViolations(harness.page), []);
        await harness.close();
      });

      await report.test(
        "in the colours of the person's system what is selected and what failed can be told",
        async () => {
          const harness = await PageHarness.open(browser, { theme: 'hc-light', forcedColors: 'active' });
          const run = rolledBackRun();
          const { page } = harness;
          await harness.show(stateOf(run, { focus: 'build:api' }));
          await page.evaluate(() => document.fonts.ready);
          const outlineOf = (selector: string) =>
            page
              .locator(selector)
              .first()
              .evaluate((element) => {
                const { outlineStyle, outlineWidth } = getComputedStyle(element);
                return `${outlineStyle} ${outlineWidth}`;
              });
          assert.equal(await outlineOf('.step[aria-selected=true]'), 'solid 2px');
          assert.notEqual(await outlineOf('.step[aria-selected=false]'), 'solid 2px');
          assert.equal(await outlineOf('.history-run[aria-selected=true]'), 'solid 2px');
          // Not by colour alone: each state has its icon and its word.
          assert.equal(await page.locator('.pill .codicon').count(), 1);
          assert.match(await page.locator('.state-failed').first().innerText(), /failed/);
          const bars = page.locator('.bar .fill');
          const [fill, canvas] = await bars
            .first()
            .evaluate((bar) => [getComputedStyle(bar).fill, getComputedStyle(document.body).backgroundColor]);
          assert.notEqual(fill, canvas, 'the bars stand out');
          await page.screenshot({ path: join(screenshots, 'page-forced-colors.png'), fullPage: true });
          assert.deepEqual(await axeViolations(harness.page), []);
          await harness.close();
        },
      );

      await report.test('narrow: nothing is cut off sideways', async () => {
        const harness = await PageHarness.open(browser, { theme: 'dark', size: { width: 420, height: 900 } });
        await harness.show(stateOf(rolledBackRun()));
        assert.deepEqual(await cutOff(harness), []);
        await harness.page.screenshot({ path: join(screenshots, 'page-narrow.png'), fullPage: true });
        await harness.close();
      });

      await report.test(
        'diagnosis: a tab by itself, by keyboard, folded logs, events on demand, what it asks',
        async () => {
          const harness = await PageHarness.open(browser, { theme: 'dark' });
          const run = rolledBackRun();
          const { page } = harness;
          const state = stateOf(run);
          const { verdict } = state.run;
          assert.ok(verdict);
          const second = { ...missingTag, message: 'The quota of the namespace is used up.' };
          await harness.show({
            ...state,
            run: { ...state.run, verdict: { ...verdict, causes: [missingTag, second] } },
          });
          assert.equal(await page.getByRole('tab').count(), 0, 'no tabs without a diagnosis');
          await harness.deliver(diagnosisOf(run));
          await page.getByRole('tab', { name: 'Run', selected: true }).focus();
          await page.keyboard.press('ArrowRight');
          await page.getByRole('tab', { name: 'Diagnosis', selected: true }).waitFor();
          assert.equal(((await harness.remembered()) as { tab?: string }).tab, 'diagnosis');
          for (const heading of [
            'Causes',
            'Recognised',
            'Logs',
            'Events',
            'Pods',
            'History',
            'Nodes',
            'Could not be read',
          ]) {
            await page.getByRole('heading', { name: heading, exact: true }).waitFor();
          }
          // The words of the container before its restart are open, the others folded.
          assert.deepEqual(
            await page
              .locator('.logs details')
              .evaluateAll((all) => all.map((one) => (one as HTMLDetailsElement).open)),
            [true, false],
          );
          assert.match(await page.locator('.logs pre').first().innerText(), /could not translate host name "postgres"/);
          assert.equal(await page.locator('.event').count(), 1);
          await page.getByRole('button', { name: 'show 1 more' }).press('Enter');
          assert.equal(await page.locator('.event').count(), 2);
          await page.locator('vscode-button', { hasText: 'Open as document' }).focus();
          await page.keyboard.press('Enter');
          assert.deepEqual((await harness.posted()).at(-1), { kind: 'openDiagnosis' });
          await page.locator('vscode-button', { hasText: 'Collect again' }).focus();
          await page.keyboard.press('Enter');
          assert.deepEqual((await harness.posted()).at(-1), { kind: 'do', offer: 'diagnose' });
          // Another run has its own; this one is gone with the run.
          await harness.show(stateOf(succeededRun()));
          assert.equal(await page.getByRole('tab').count(), 0);
          await harness.deliver(diagnosisOf(run));
          assert.equal(await page.getByRole('tab').count(), 0, 'of a run that is not shown');
          await harness.close();
        },
      );

      await report.test('diagnosis: narrow, nothing is cut off sideways; text of a cluster stays text', async () => {
        const harness = await PageHarness.open(browser, { theme: 'light', size: { width: 420, height: 900 } });
        const run = rolledBackRun();
        await harness.show(stateOf(run));
        const evil = '<img src=x onerror="document.title=1"><b>bold</b>';
        const sent = diagnosisOf(run, 'asked');
        const text = JSON.stringify(sent).replaceAll('reading settings', JSON.stringify(evil).slice(1, -1));
        await harness.deliver(JSON.parse(text));
        assert.deepEqual(await cutOff(harness), []);
        assert.equal(await harness.page.locator('main img, main b').count(), 0);
        assert.match(await harness.page.locator('.logs pre').first().innerText(), /<b>bold<\/b>/);
        await harness.page.screenshot({ path: join(screenshots, 'page-diagnosis-narrow.png'), fullPage: true });
        await harness.close();
      });

      await report.test("says ready first, and nothing of what it showed: that is the host's to know", async () => {
        const harness = await PageHarness.open(browser, {
          theme: 'dark',
          remembered: { folder: '/work/shop', environment: 'dev', run: 'r1', step: 'build:api' },
        });
        assert.deepEqual(await harness.posted(), [{ kind: 'ready', version: 1 }]);
        await harness.close();
      });

      await report.test('an older snapshot does not replace a newer one', async () => {
        const harness = await PageHarness.open(browser, { theme: 'dark' });
        await harness.deliver({ kind: 'snapshot', seq: 5, state: stateOf(succeededRun()) });
        await harness.deliver({ kind: 'snapshot', seq: 4, state: stateOf(rolledBackRun()) });
        assert.match(await harness.page.locator('.pill').innerText(), /Succeeded/);
        await harness.close();
      });

      await report.test('by keyboard alone: steps, log, history, buttons', async () => {
        const run = rolledBackRun();
        const harness = await PageHarness.open(browser, { theme: 'dark' });
        await harness.show(stateOf(run));
        const { page } = harness;
        await page.locator('.step-list [role=option]').first().focus();
        await page.keyboard.press('ArrowDown');
        await page.keyboard.press('Enter');
        const followed = (await harness.posted()).filter(({ kind }) => kind === 'followLog');
        assert.deepEqual(followed, [{ kind: 'followLog', step: 'build:api' }]);
        assert.deepEqual(await harness.remembered(), {
          folder: '/work/shop',
          environment: 'dev',
          run: run.id,
          step: 'build:api',
        });
        await page.locator('.history [aria-selected=true]').focus();
        await page.keyboard.press('ArrowLeft');
        assert.deepEqual((await harness.posted()).at(-1), { kind: 'showRun', run: '20261121T081502Z-11aa22' });
        await page.locator('vscode-button', { hasText: 'Run again' }).focus();
        await page.keyboard.press('Enter');
        assert.deepEqual((await harness.posted()).at(-1), { kind: 'do', offer: 'runAgain' });
        // One tab stop for all steps: Tab leaves the list.
        await page.locator('.step-list [role=option][tabindex="0"]').focus();
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement?.closest('.step-list') === null), true);
        await harness.close();
      });

      await pageKeyboard(report, browser, diagnosisOf);

      await report.test('tells a screen reader of a failure at once', async () => {
        const harness = await PageHarness.open(browser, { theme: 'dark' });
        const failed = rolledBackRun();
        const running: SampleRun = { ...failed, events: failed.events.filter(({ type }) => type !== 'run.finished') };
        await harness.show(stateOf(running, { isLive: true }));
        assert.equal((await harness.page.locator('[role=alert]').innerText()).trim(), '');
        await harness.show(stateOf(failed));
        assert.match(await harness.page.locator('[role=alert]').innerText(), /rolled back.*does not exist/);
        await harness.close();
      });

      await report.test(
        '10,000 log lines: only what is seen is in the document, and every place can be reached',
        async () => {
          const run = succeededRun(undefined, undefined, 10_000);
          const harness = await PageHarness.open(browser, { theme: 'dark' });
          await harness.show(stateOf(run, { focus: 'build:api' }));
          const lines = linesOf(run, 'build:api');
          await harness.deliver({ kind: 'log', run: run.id, step: 'build:api', isFirst: true, dropped: 0, lines });
          const { page } = harness;
          await page.locator('.log-line').first().waitFor();
          // At the end first, as a terminal would be.
          await page.getByText('package-9999 ', { exact: false }).waitFor();
          const frames = await page.evaluate(async () => {
            const log = document.querySelector('slipway-log') as HTMLElement;
            const seen: number[] = [];
            let most = 0;
            for (let at = 0; at < log.scrollHeight; at += 6000) {
              log.scrollTop = at;
              const from = performance.now();
              await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
              seen.push(performance.now() - from);
              most = Math.max(most, log.querySelectorAll('.log-line').length);
            }
            log.scrollTop = 0;
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
            return { most, worst: Math.max(...seen), first: log.querySelector('.log-line')?.textContent ?? '' };
          });
          assert.ok(frames.most < 200, `${frames.most} rows in the document`);
          assert.equal(frames.first, lines[0]?.text);
          console.log(`     worst pair of frames while scrolling: ${frames.worst.toFixed(0)} ms, ${frames.most} rows`);
          await page.locator('vscode-textfield').locator('input').fill('linux/arm64');
          await page.waitForFunction(
            () => !(document.querySelector('slipway-log')?.textContent ?? '').includes('Collecting'),
          );
          await harness.close();
        },
      );

      await report.test('text of a cluster is text: markup in a message stays a message', async () => {
        const run = rolledBackRun();
        const evil = '<img src=x onerror="document.title=1"><b>bold</b>';
        const events = JSON.parse(
          JSON.stringify(run.events).replaceAll('Revision 6 serves again, alone', JSON.stringify(evil).slice(1, -1)),
        );
        const harness = await PageHarness.open(browser, { theme: 'dark' });
        await harness.show(stateOf({ ...run, events }));
        assert.equal(await harness.page.locator('main img, main b').count(), 0);
        assert.match(await harness.page.locator('.rollback').innerText(), /<b>bold<\/b>/);
        await harness.close();
      });

      await report.test('does not move for who wants no motion', async () => {
        const harness = await PageHarness.open(browser, { theme: 'dark', reducedMotion: 'reduce' });
        await harness.show(stateOf(runningRun()));
        const moving = await harness.page.evaluate(() => document.getAnimations().length);
        assert.equal(moving, 0);
        await harness.close();
      });
    } finally {
      await browser.close();
    }
  },
};
