// A window of the VS Code server in Chromium, driven from outside as a person would: keys, clicks and what is on screen.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Browser,
  type BrowserContext,
  chromium,
  type Frame,
  type FrameLocator,
  type Locator,
  type Page,
} from 'playwright-core';
import { quietDevices } from '../lab/network.ts';
import { keepEvidence, watchPage } from './evidence.ts';
import { type EditorServer, editorTools } from './server.ts';
import type { ThemeName } from './themes/index.ts';

/** For what a person would see at once, on a machine that does ten other things. */
const WAIT_MS = 60_000;

export interface WindowOptions {
  /** Absolute folder, a .code-workspace file, or the address of a folder that is not on a disk. */
  readonly open: string;
  readonly extensionDevelopmentPath?: string;
  readonly extensionTestsPath?: string;
  /** Called with the exit code when the extension host has run its tests. */
  readonly onTestsEnd?: (code: number) => void;
  readonly size?: { readonly width: number; readonly height: number };
  /** Called with the browser's context before the page is loaded. */
  readonly prepare?: (context: BrowserContext) => Promise<void>;
}

export async function launchBrowser(): Promise<Browser> {
  quietDevices();
  return chromium.launch({
    executablePath: editorTools().chromium,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--font-render-hinting=none',
    ],
  });
}

/** The address at which the workbench opens a folder with an extension under development. */
export function windowUrl(server: EditorServer, options: WindowOptions): string {
  const remote = (path: string) => `vscode-remote://${server.authority}${path}`;
  const payload = [
    ...(options.extensionDevelopmentPath === undefined
      ? []
      : [['extensionDevelopmentPath', remote(options.extensionDevelopmentPath)]]),
    ...(options.extensionTestsPath === undefined ? [] : [['extensionTestsPath', remote(options.extensionTestsPath)]]),
    // The commands that were started are in the log then.
    ['logLevel', 'slipway.slipway=debug'],
    ['skipWelcome', 'true'],
  ];
  const query = new URLSearchParams({
    [options.open.endsWith('.code-workspace') ? 'workspace' : 'folder']: options.open,
    payload: JSON.stringify(payload),
  });
  return `${server.url}/?${query}`;
}

export const screenshots: string = join(import.meta.dirname, '..', '..', 'test-results', 'screenshots');

export class EditorWindow {
  readonly page: Page;
  readonly #console: readonly string[];

  constructor(page: Page) {
    this.page = page;
    this.#console = watchPage(page);
  }

  static async open(browser: Browser, server: EditorServer, options: WindowOptions): Promise<EditorWindow> {
    const context = await browser.newContext({ viewport: options.size ?? { width: 1280, height: 800 } });
    await options.prepare?.(context);
    const page = await context.newPage();
    // Only there to end a hopeless wait.
    page.setDefaultTimeout(WAIT_MS);
    const window = new EditorWindow(page);
    const { onTestsEnd } = options;
    // The workbench calls this by name when it is there: its own way to tell a test driver of the end.
    if (onTestsEnd !== undefined) await page.exposeFunction('codeAutomationExit', (code: number) => onTestsEnd(code));
    try {
      await page.goto(windowUrl(server, options));
      await page.locator('.monaco-workbench').waitFor();
      if (options.open.endsWith('.code-workspace')) await window.#untilFolders();
      return window;
    } catch (error) {
      console.log(await keepEvidence('a window that did not open'));
      throw error;
    }
  }

  /**
   * A VS Code in the browser (1.139) now and then opens a remote .code-workspace without its folders: the file is read before the
   * connection serves files, and the second reading does not come. Its own Explorer says so then, and a reload mends it.
   */
  async #untilFolders(): Promise<void> {
    const folders = this.page.locator('.explorer-folders-view .monaco-list-row');
    for (let attempt = 1; ; attempt += 1) {
      await this.activity('Explorer');
      try {
        await folders.first().waitFor({ timeout: 15_000 });
        return;
      } catch (error) {
        if (attempt === 4) throw error;
        await this.page.reload();
        await this.page.locator('.monaco-workbench').waitFor();
      }
    }
  }

  /** What the workbench and the extension host wrote to the console. */
  get console(): readonly string[] {
    return this.#console;
  }

  /** As one who closes the tab of a browser: the workbench says goodbye to its server, which ends the extension host at once. */
  async leave(): Promise<void> {
    await this.page.goto('about:blank');
    await this.close();
  }

  /** Without a goodbye, as a machine that is switched off. */
  async close(): Promise<void> {
    await this.page.context().close();
  }

  /** Ends the page with its extension host and loads it anew in the same browser: what is left is what VS Code keeps. */
  async restart(): Promise<void> {
    const address = this.page.url();
    await this.page.goto('about:blank');
    await this.page.goto(address);
    await this.page.locator('.monaco-workbench').waitFor({ timeout: 60_000 });
  }

  /** Runs a command of the palette by its title, as soon as the palette knows it. */
  async command(title: string): Promise<void> {
    const row = this.page
      .locator('.quick-input-list .monaco-list-row')
      .filter({ has: this.page.locator('.label-name', { hasText: title }) })
      .first();
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#quickOpen('F1');
        // What takes the focus at this moment closes the palette again.
        await this.quickInput.fill(`>${title}`, { timeout: 3_000 });
        await row.waitFor({ timeout: 2_000 });
        await row.click({ timeout: 3_000 });
        return;
      } catch (error) {
        // A palette opened before the extension's manifest was read does not learn of its commands.
        if (attempt === 10) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
  }

  /** Titles the palette offers for what is typed. */
  async commandsFor(text: string): Promise<readonly string[]> {
    await this.#quickOpen('F1');
    await this.quickInput.fill(`>${text}`);
    const rows = this.page.locator('.quick-input-list .monaco-list-row .quick-input-list-row > .monaco-icon-label');
    await this.page.locator('.quick-input-list .monaco-list-row').first().waitFor();
    const titles = await rows.allInnerTexts();
    await this.page.keyboard.press('Escape');
    return titles.map((title) => title.split('\n')[0] ?? '');
  }

  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget input').first();
  }

  /** Picks the first entry that begins with the text, in its very case: `dev` is not `Developer: …` of a closing palette. */
  async pick(label: string): Promise<void> {
    const name = this.page.locator('.label-name').filter({ hasText: beginning(label) });
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ has: name }).first();
    await row.waitFor();
    for (let attempt = 0; ; attempt += 1) {
      // The hover of the row under a resting pointer lies over the next one.
      await this.page.mouse.move(1, 1);
      try {
        return await row.click({ timeout: 3_000 });
      } catch (error) {
        if (attempt === 20) throw error;
      }
    }
  }

  /**
   * Types the name of an entry and accepts it by keyboard, once it is the one with the focus: for a list that is still being
   * filled, whose rows move under the pointer.
   */
  async accept(label: string): Promise<void> {
    await this.quickInput.fill(label);
    const named = { has: this.page.locator('.label-name').filter({ hasText: beginning(label) }) };
    await this.page.locator('.quick-input-list .monaco-list-row').filter(named).first().waitFor();
    const focused = this.page.locator('.quick-input-list .monaco-list-row.focused').filter(named);
    for (let attempt = 0; ; attempt += 1) {
      try {
        await focused.waitFor({ timeout: 1_000 });
        break;
      } catch (error) {
        // Entries that come after the typing are shown, but none of them has the focus.
        if (attempt === 20) throw error;
        await this.quickInput.press('ArrowDown');
      }
    }
    await this.quickInput.press('Enter');
  }

  /** In a pick of several: takes the mark off an entry. */
  async untick(label: string): Promise<void> {
    const name = this.page.locator('.label-name').filter({ hasText: beginning(label) });
    const row = this.page.locator('.quick-input-list .monaco-list-row').filter({ has: name }).first();
    await row.click();
    await row.locator('[role=checkbox][aria-checked=false], input[type=checkbox]:not(:checked)').waitFor();
  }

  /** Fills the input box of this title and accepts; or accepts a pick of several with what is marked. */
  async answer(title: string, text?: string): Promise<void> {
    await this.page.locator('.quick-input-titlebar', { hasText: title }).waitFor();
    if (text !== undefined) await this.quickInput.fill(text);
    await this.quickInput.press('Enter');
  }

  /** Clicks an action that a row shows when the pointer is on it. A row that is drawn anew meanwhile is pointed at again. */
  async rowAction(row: Locator, title: string): Promise<void> {
    const action = row.locator(`.action-label[aria-label^="${title}"]`);
    for (let attempt = 0; ; attempt += 1) {
      try {
        await row.hover({ timeout: 5_000 });
        await action.click({ timeout: 4_000 });
        return;
      } catch (error) {
        if (attempt === 5) throw error;
      }
    }
  }

  /** Chooses from the context menu of a row. A menu takes no click in its first moments, so that the opening one is none. */
  async contextMenu(row: Locator, title: string): Promise<void> {
    await this.#fromMenu(() => row.click({ button: 'right' }), title);
  }

  async #fromMenu(open: () => Promise<void>, title: string): Promise<void> {
    const item = this.page.locator(`.monaco-menu .action-label[aria-label="${title}"]`);
    await open();
    await item.waitFor();
    // Once it is gone it was taken, whatever the browser of a busy machine had to say of the click.
    for (let attempt = 0; await item.isVisible(); attempt += 1) {
      try {
        await item.click({ timeout: 3_000 });
        await item.waitFor({ state: 'hidden', timeout: 2_000 });
      } catch (error) {
        if (attempt === 10) throw error;
      }
    }
  }

  /** What an act would open outside of the editor, in the words of VS Code's question. It is not opened. */
  async outside(act: () => Promise<void>): Promise<string> {
    await act();
    const dialog = this.page.locator('.monaco-dialog-box', { hasText: 'external website' });
    await dialog.waitFor();
    const words = await dialog.innerText();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    return words;
  }

  /** Clicks a button in the title of the editor that is open. */
  async editorAction(title: string): Promise<void> {
    await this.page
      .locator(`.editor-group-container.active .editor-actions .action-label[aria-label^="${title}"]`)
      .click();
  }

  /** Clicks a CodeLens of the editor that is open. Lenses that are drawn anew meanwhile are aimed at again. */
  async lens(words: string | RegExp): Promise<void> {
    await this.page.locator('.editor-instance .codelens-decoration a', { hasText: words }).first().click();
  }

  /** Unfolds a row, if it is folded. */
  async expand(row: Locator): Promise<void> {
    if ((await row.getAttribute('aria-expanded')) === 'false') await row.locator('.monaco-tl-twistie').click();
    await row.and(this.page.locator('[aria-expanded=true]')).waitFor();
  }

  /** Clicks a button in the title of a view of the side bar, which shows when the pointer is on it. */
  async viewAction(view: string, title: string): Promise<void> {
    await this.rowAction(this.section(view), title);
  }

  /** Chooses from the `…` of a view's title. */
  async viewMenu(view: string, title: string): Promise<void> {
    await this.#fromMenu(() => this.viewAction(view, 'More Actions'), title);
  }

  async openFile(path: string): Promise<void> {
    await this.#quickOpen('Control+p');
    await this.quickInput.fill(path);
    // The rows of what was opened before stand there until the search has its answer.
    const name = path.split('/').at(-1) ?? path;
    await this.page.locator(`.quick-input-list .monaco-list-row.focused[aria-label^="${name}"]`).waitFor();
    await this.page.keyboard.press('Enter');
    await this.page.locator(`.tab[data-resource-name="${name}"]`).waitFor();
  }

  /** Opens a view container by its title in the activity bar. */
  async activity(title: string): Promise<void> {
    const item = this.page.locator('.activitybar .action-item').filter({
      has: this.page.locator(`.action-label[aria-label^="${title}"]`),
    });
    await item.waitFor();
    if ((await item.getAttribute('class'))?.includes('checked') !== true) await item.click();
  }

  /** The row of a tree with this label; its description follows in the same row. */
  row(label: string): Locator {
    const name = this.page.locator('.label-name').getByText(label, { exact: true });
    return this.page.locator('.sidebar .monaco-list-row').filter({ has: name }).first();
  }

  /** The header of a view of the side bar. */
  section(title: string): Locator {
    return this.page.locator('.sidebar .pane-header').filter({ hasText: startingWith(title) });
  }

  /** Folds a view of the side bar; one that is not there is left alone. */
  async collapse(title: string): Promise<void> {
    const header = this.section(title);
    if ((await header.count()) > 0 && (await header.getAttribute('aria-expanded')) === 'true') await header.click();
  }

  /** The rows of a view that are in the document: those on screen. */
  rows(view: string): Locator {
    const header = this.page.locator('.pane-header').filter({ hasText: startingWith(view) });
    return this.page.locator('.sidebar .pane').filter({ has: header }).locator('.monaco-list-row');
  }

  /** What the rows of a view say: label, description and state as a screen reader has it. */
  async sectionRows(title: string): Promise<readonly string[]> {
    // All at one moment: rows asked one by one are gone when the list is redrawn in between.
    return this.rows(title).evaluateAll((rows) => rows.map((row) => row.getAttribute('aria-label') ?? ''));
  }

  /** A row of one view by its label. */
  sectionRow(title: string, label: string): Locator {
    const name = this.page.locator('.label-name').getByText(label, { exact: true });
    return this.rows(title).filter({ has: name }).first();
  }

  /** The document inside a webview panel: VS Code nests two frames. */
  webview(): FrameLocator {
    return this.page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
  }

  /** The same document for what needs a whole frame. */
  async webviewFrame(): Promise<Frame> {
    const frame = await (await this.webview().locator('html').elementHandle())?.ownerFrame();
    if (frame === null || frame === undefined) throw new Error('the page of the webview has no frame');
    return frame;
  }

  /** Until the workbench has the colours of a theme that was set. */
  async waitForTheme(name: ThemeName): Promise<void> {
    const kind = { light: 'vs', dark: 'vs-dark', 'hc-dark': 'hc-black', 'hc-light': 'hc-light' }[name];
    await this.page.locator(`.monaco-workbench.${kind}`).first().waitFor();
  }

  async notifications(): Promise<readonly string[]> {
    return this.page.locator('.notifications-toasts .notification-list-item-message').allInnerTexts();
  }

  async screenshot(name: string): Promise<string> {
    mkdirSync(screenshots, { recursive: true });
    const path = join(screenshots, `${name}.png`);
    // The caret blinks and the pointer hovers; neither says anything.
    await this.page.mouse.move(640, 5);
    await this.page.screenshot({ path, animations: 'disabled', caret: 'hide' });
    return path;
  }

  async #quickOpen(key: string): Promise<void> {
    // A workbench that still restores swallows keys: press until the input is there.
    await this.page.locator('.statusbar').waitFor();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      await this.page.keyboard.press(key);
      try {
        await this.quickInput.waitFor({ state: 'visible', timeout: 1_000 });
        return;
      } catch {
        // Not yet.
      }
    }
    throw new Error('The quick input did not open.');
  }
}

/** Text filters match anywhere and in any case: `CI` would be found in `Policies`. */
const startingWith = (title: string): RegExp => new RegExp(`^\\s*${title.replace(/[^\w ]/g, '.')}\\b`);

export const beginning = (text: string): RegExp => new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);
