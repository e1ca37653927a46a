// The window of the action tests, and how one waits for a run that was started in it.
import type { Browser, FrameLocator, Locator } from 'playwright-core';
import type { RunView } from '../../../src/engine/run/projection.ts';
import type { Depot } from '../samples/depot.ts';
import type { EditorServer } from '../server.ts';
import { eventually } from '../suite.ts';
import { EditorWindow } from '../window.ts';

/** Runs of this app take seconds; on a machine that does nine other things, more. */
const RUN_MS = 180_000;

export class Stage {
  readonly depot: Depot;
  readonly window: EditorWindow;

  constructor(depot: Depot, window: EditorWindow) {
    this.depot = depot;
    this.window = window;
  }

  static async open(browser: Browser, server: EditorServer, depot: Depot): Promise<Stage> {
    const window = await EditorWindow.open(browser, server, { open: depot.path, size: { width: 1500, height: 950 } });
    await window.activity('Slipway');
    await window.row('dev').waitFor();
    for (const view of ['Runs', 'Images & Policies', 'CI']) await window.collapse(view);
    return new Stage(depot, window);
  }

  get page(): FrameLocator {
    return this.window.webview();
  }

  get status(): Locator {
    return this.window.page.locator('.statusbar-item[id="slipway.slipway.slipway.environment"]');
  }

  /** Does what starts a run, and gives its id as soon as the journal has it. */
  async starts(act: () => Promise<void>): Promise<string> {
    const known = new Set(this.depot.runIds());
    const [run = ''] = await this.#seen(act, () =>
      eventually(
        'a new run',
        () => this.depot.runIds().filter((id) => !known.has(id) && this.depot.view(id) !== undefined),
        (found) => found.length === 1,
      ),
    );
    return run;
  }

  /** Waits for the end of a run in the journal. */
  async ends(run: string): Promise<RunView> {
    const view = await eventually(
      `the end of run ${run}`,
      () => this.depot.view(run),
      (found) => found !== undefined && found.state !== 'running',
      RUN_MS,
    );
    if (view === undefined) throw new Error(`run ${run} has no journal`);
    return view;
  }

  async runs(act: () => Promise<void>): Promise<RunView> {
    return this.ends(await this.starts(act));
  }

  /** The page shows this run, in this condition. */
  async shows(run: string, condition: string): Promise<void> {
    await this.page.locator(`main[data-run="${run}"][data-condition="${condition}"]`).waitFor();
  }

  /** The words of a row of the Pipelines view, once they are right. */
  async rowSays(label: string, words: RegExp): Promise<string> {
    const row = this.window.sectionRow('Pipelines', label);
    return eventually(
      `row of ${label}`,
      async () => (await row.textContent()) ?? '',
      (text) => words.test(text),
    );
  }

  /** A button of the page. */
  button(label: string): Locator {
    return this.page.locator('vscode-button', { hasText: label });
  }

  /** Clicks a button of the page and gives what `effect` waits for. */
  clicks<T>(label: string, effect: () => Promise<T>): Promise<T> {
    return this.#seen(() => this.button(label).click(), effect);
  }

  /** What counts is what is seen of a click: the browser of a busy machine may be late to say that it was made. */
  async #seen<T>(act: () => Promise<void>, effect: () => Promise<T>): Promise<T> {
    const [acted, seen] = await Promise.allSettled([act(), effect()]);
    if (seen.status === 'fulfilled') return seen.value;
    throw acted.status === 'rejected' ? acted.reason : seen.reason;
  }

  /** A run that goes on after it was cancelled or failed ends well. */
  resumes(run: string): Promise<unknown> {
    return eventually(
      `the end of the resumed run ${run}`,
      () => this.depot.view(run)?.state,
      (state) => state === 'succeeded',
      RUN_MS,
    );
  }

  /** Runs dev by its keybinding to a success; the fixture of the cases after it. */
  async ship(): Promise<RunView> {
    return this.runs(() => this.press('Control+Alt+d'));
  }

  /** A keybinding, pressed where no page swallows it. */
  async press(keys: string): Promise<void> {
    await this.window.sectionRow('Pipelines', 'depot').click();
    await this.window.page.keyboard.press(keys);
  }
}

/** What ran, without the steps that were skipped or not reached. */
export const ran = (view: RunView): readonly string[] =>
  view.steps.flatMap(({ id, state }) => (state === 'succeeded' || state === 'failed' ? [id] : []));
