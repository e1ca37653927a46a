// The rollout page in a plain browser: the very files and frame that the extension ships, with its content security policy,
// and this test as its host.
import { readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { project } from '../../src/engine/run/projection.ts';
import { rolloutHtml } from '../../src/extension/rollout/html.ts';
import { offersOf } from '../../src/extension/rollout/offers.ts';
import type { HistoryEntry, LogLine, RolloutState, ToHost, ToView } from '../../src/extension/rollout/protocol.ts';
import { parseToHost, parseToView } from '../../src/extension/rollout/protocol.ts';
import { conditionOf } from '../../src/extension/words.ts';
import { watchPage } from './evidence.ts';
import type { SampleRun } from './samples/runs.ts';
import { type ThemeName, themeColors } from './themes/index.ts';

const origin = 'http://rollout.example';
const dist = join(import.meta.dirname, '..', '..', 'dist', 'webview');
const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.css': 'text/css', '.ttf': 'font/ttf' };

interface HarnessWindow {
  slipwayPosted: unknown[];
  slipwayDeliver: ((message: unknown) => void) | undefined;
  slipwayViolations: string[];
  slipwayRemembered: unknown;
}

export interface HarnessOptions {
  readonly theme: ThemeName;
  readonly size?: { readonly width: number; readonly height: number };
  readonly remembered?: unknown;
  readonly reducedMotion?: 'reduce' | 'no-preference';
  /** The person's system sets the colours, as Windows does in its contrast themes. */
  readonly forcedColors?: 'active';
}

export class PageHarness {
  readonly page: Page;
  #seq = 0;

  private constructor(page: Page) {
    this.page = page;
  }

  static async open(browser: Browser, options: HarnessOptions): Promise<PageHarness> {
    const context = await browser.newContext({
      viewport: options.size ?? { width: 1280, height: 900 },
      reducedMotion: options.reducedMotion ?? 'no-preference',
      forcedColors: options.forcedColors ?? 'none',
    });
    const page = await context.newPage();
    watchPage(page);
    const html = rolloutHtml({
      cspSource: origin,
      nonce: 'dGhpcyBpcyBhIHRlc3Q',
      script: `${origin}/rollout.js`,
      styles: [`${origin}/rollout-page.css`],
      codicons: `${origin}/codicon.css`,
      title: 'Rollout',
    });
    await page.route(`${origin}/**`, (route) => {
      const name = basename(new URL(route.request().url()).pathname);
      if (name === '') return route.fulfill({ contentType: 'text/html', body: html });
      return route.fulfill({
        contentType: types[extname(name)] ?? 'application/octet-stream',
        body: readFileSync(join(dist, name)),
      });
    });
    await page.addInitScript(
      ({ colors, remembered }) => {
        const own = window as unknown as HarnessWindow;
        own.slipwayPosted = [];
        own.slipwayViolations = [];
        own.slipwayRemembered = remembered;
        document.addEventListener('securitypolicyviolation', (event) => {
          own.slipwayViolations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
        });
        Object.assign(window, {
          slipwayTestHost: {
            post: (message: unknown) => own.slipwayPosted.push(message),
            listen: (onMessage: (message: unknown) => void) => {
              own.slipwayDeliver = onMessage;
            },
            recall: () => own.slipwayRemembered,
            remember: (state: unknown) => {
              own.slipwayRemembered = state;
            },
          },
        });
        // Not before: the element that is there now is replaced when the document is parsed.
        document.addEventListener('DOMContentLoaded', () => {
          document.body.className = colors.kind;
          for (const [name, value] of Object.entries(colors.variables)) {
            document.documentElement.style.setProperty(name, value);
          }
        });
      },
      { colors: themeColors(options.theme), remembered: options.remembered },
    );
    await page.goto(`${origin}/`);
    await page.waitForFunction(() => (window as unknown as HarnessWindow).slipwayDeliver !== undefined);
    return new PageHarness(page);
  }

  /** Sends what a host would send; an invalid message is a mistake of the test. */
  async deliver(message: ToView): Promise<void> {
    if (parseToView(structuredClone(message)) === undefined) throw new Error('not a message of the protocol');
    await this.page.evaluate(
      (sent) => (window as unknown as HarnessWindow).slipwayDeliver?.(JSON.parse(sent)),
      JSON.stringify(message),
    );
    await this.page.evaluate(
      () =>
        (document.querySelector('slipway-rollout') as { readonly updateComplete?: Promise<unknown> } | null)
          ?.updateComplete,
    );
  }

  async show(state: RolloutState): Promise<void> {
    this.#seq += 1;
    await this.deliver({ kind: 'snapshot', seq: this.#seq, state });
  }

  /** What the page asked for; each is checked to be a message the host accepts. */
  async posted(): Promise<readonly ToHost[]> {
    const messages = await this.page.evaluate(() => (window as unknown as HarnessWindow).slipwayPosted);
    return messages.map((message) => {
      const parsed = parseToHost(message);
      if (parsed === undefined) throw new Error(`the host would drop ${JSON.stringify(message)}`);
      return parsed;
    });
  }

  async remembered(): Promise<unknown> {
    return this.page.evaluate(() => (window as unknown as HarnessWindow).slipwayRemembered);
  }

  async violations(): Promise<readonly string[]> {
    return this.page.evaluate(() => (window as unknown as HarnessWindow).slipwayViolations);
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

const history: readonly HistoryEntry[] = [
  ['20261120T081100Z-000001', 'succeeded', 41_000],
  ['20261120T094500Z-000002', 'succeeded', 38_000],
  ['20261120T101000Z-000003', 'failed', 19_000],
  ['20261120T103000Z-000004', 'succeeded', 40_000],
  ['20261120T150200Z-000005', 'succeeded', 36_000],
  ['20261121T081502Z-11aa22', 'cancelled', 9_000],
].map(([run, condition, durationMs]) => ({
  run: String(run),
  condition: String(condition),
  startedAt: `2026-11-2${String(run).startsWith('20261121') ? 1 : 0}T08:11:00Z`,
  durationMs: Number(durationMs),
  tag: 'main-0c0ffee',
}));

export function stateOf(run: SampleRun, more: Partial<RolloutState> = {}): RolloutState {
  const view = project(run.events);
  if (view === undefined) throw new Error('the sample has no start');
  const isLive = more.isLive ?? view.state === 'running';
  const ended = Date.parse(view.finishedAt ?? run.events.at(-1)?.time ?? view.startedAt);
  const condition = conditionOf(view, isLive);
  return {
    project: 'shop',
    folder: '/work/shop',
    run: view,
    isLive,
    ...offersOf(view, isLive),
    history: [
      ...history,
      {
        run: view.id,
        condition,
        startedAt: view.startedAt,
        ...(view.durationMs !== undefined && { durationMs: view.durationMs }),
      },
    ],
    now: new Date(ended + (isLive ? 800 : 3 * 60_000)).toISOString(),
    ...more,
  };
}

export const linesOf = (run: SampleRun, step: string): LogLine[] =>
  (run.logs.get(step) ?? []).map((text, index) => ({
    seq: index + 1,
    time: run.events[0]?.time ?? '',
    stream: index % 60 === 59 ? 'err' : 'out',
    text,
  }));
