import * as v from 'valibot';
import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import { rolloutViewType } from '../ids.ts';
import type { Root, Workspace } from '../workspace.ts';
import { createPanel, memoryKey, type PanelContext, RolloutPanel } from './panel.ts';

/** What the page remembers over a reload of the window. */
const remembered = v.object({
  folder: v.string(),
  environment: v.nullable(v.string()),
  run: v.string(),
});

/** What the page's host wrote down; see `ShownLast`. */
const shownLast = v.object({ run: v.string(), step: v.optional(v.string()) });

/** The open rollout pages, one per environment; restores them after a reload. */
export class RolloutPanels extends Owner implements vscode.WebviewPanelSerializer {
  readonly #workspace: Workspace;
  readonly #context: PanelContext;
  readonly #panels = new Set<RolloutPanel>();

  constructor(workspace: Workspace, context: PanelContext) {
    super();
    this.#workspace = workspace;
    this.#context = context;
    this.own(vscode.window.registerWebviewPanelSerializer(rolloutViewType, this));
    this.own({
      dispose: () => {
        for (const panel of [...this.#panels]) panel.dispose();
      },
    });
  }

  show(root: Root, run: string, step?: string): void {
    const environment = root.runs.get(run)?.view.environment ?? null;
    const open = this.#find(root, environment);
    if (open !== undefined) open.show(run, step, 'reveal');
    else this.#add(createPanel(), { root, environment, run, ...(step !== undefined && { step }) });
  }

  /** A page that is open for the environment goes over to the new run; none is opened. */
  follow(root: Root, run: string): void {
    const environment = root.runs.get(run)?.view.environment ?? null;
    this.#find(root, environment)?.show(run, undefined, 'stay');
  }

  isShowing(run: string): boolean {
    return [...this.#panels].some((panel) => panel.run === run && panel.isVisible);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    await this.#workspace.show();
    const known = v.safeParse(remembered, state);
    const root = known.success
      ? this.#workspace.roots.find(({ path }) => path === known.output.folder)
      : this.#workspace.roots[0];
    if (!known.success || root === undefined) {
      panel.dispose();
      return;
    }
    const { environment } = known.output;
    // The editor saves a page's own state every few seconds; what its host wrote down is never older.
    const written = v.safeParse(shownLast, this.#context.memory.get(memoryKey(root.path, environment)));
    const { run, step } = written.success ? written.output : { run: known.output.run, step: undefined };
    const isThere = root.runs.get(run) !== undefined;
    this.#add(panel, {
      root,
      environment,
      run: isThere ? run : known.output.run,
      ...(step !== undefined && { step }),
    });
  }

  #find(root: Root, environment: string | null): RolloutPanel | undefined {
    return [...this.#panels].find((panel) => panel.root === root && panel.environment === environment);
  }

  #add(
    panel: vscode.WebviewPanel,
    shown: { readonly root: Root; readonly environment: string | null; readonly run: string; readonly step?: string },
  ): void {
    const page = new RolloutPanel(panel, this.#context, shown);
    this.#panels.add(page);
    page.own({ dispose: () => this.#panels.delete(page) });
  }
}
