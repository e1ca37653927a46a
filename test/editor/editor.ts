// A VS Code for a suite: server and browser, for as long as its work takes.
import type { Browser } from 'playwright-core';
import { noteCommands } from './commandUse.ts';
import { keepEvidence } from './evidence.ts';
import { type EditorServer, type ServerOptions, startServer } from './server.ts';
import { EditorWindow, launchBrowser, type WindowOptions } from './window.ts';

export interface Editor {
  readonly server: EditorServer;
  readonly browser: Browser;
  readonly open: (options: WindowOptions) => Promise<EditorWindow>;
}

export interface EditorOptions extends ServerOptions {
  /** Of a suite that has several servers one after the other; otherwise it has a browser of its own. */
  readonly browser?: Browser;
  /** What the suite made for it, taken away when all windows are gone; also when nothing could be started. */
  readonly remove?: () => Promise<void> | void;
}

/** What most suites want: a trusted window in the dark theme. */
export const trusted = { 'security.workspace.trust.enabled': false, 'workbench.colorTheme': 'Dark 2026' } as const;

/** Starts server and browser, does the work, and leaves nothing but evidence when the work fails. */
export async function withEditor(options: EditorOptions, work: (editor: Editor) => Promise<void>): Promise<void> {
  const { browser: given, remove, ...forServer } = options;
  let server: EditorServer | undefined;
  let browser: Browser | undefined;
  try {
    const running = await startServer(forServer);
    server = running;
    const own = given ?? (await launchBrowser());
    browser = own;
    await work({ server: running, browser: own, open: (window) => EditorWindow.open(own, running, window) });
  } catch (error) {
    // While the server still runs.
    console.log(await keepEvidence('a window that was given up'));
    throw error;
  } finally {
    if (given === undefined) await browser?.close();
    if (server !== undefined) noteCommands(server.data);
    await server?.stop();
    await remove?.();
  }
}
