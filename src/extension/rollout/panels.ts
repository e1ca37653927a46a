import * as vscode from 'vscode';
import { Owner } from '../events.ts';
import { rolloutViewType } from '../ids.ts';
import type { Root, Workspace } from '../workspace.ts';
import { createPanel, type PanelContext, RolloutPanel } from './panel.ts';

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

  /** Shows what was collected now on the page of the environment; `false` when it has no run to show a page of. */
  showDiagnosis(root: Root, environment: string, folder: string): boolean {
    const run = root.runs.latest(environment)?.view.id;
    if (run === undefined) return false;
    if (this.#find(root, environment) === undefined) this.show(root, run);
    this.#find(root, environment)?.showDiagnosis(folder);
    return true;
  }

  isShowing(run: string): boolean {
    return [...this.#panels].some((panel) => panel.run === run && panel.isVisible);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    await this.#workspace.show();
    const page = this.#context.memory.find(state, (other) =>
      [...this.#panels].some(
        ({ root, environment }) => root.path === other.folder && environment === other.environment,
      ),
    );
    const root = this.#workspace.roots.find(({ path }) => path === page?.folder);
    if (page === undefined || root === undefined) {
      panel.dispose();
      return;
    }
    const { environment, run, step } = page;
    this.#add(panel, { root, environment, run, ...(step !== undefined && { step }) });
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
