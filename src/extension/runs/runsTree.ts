import * as vscode from 'vscode';
import type { RunId, StepId } from '../../engine/events/index.ts';
import { Owner } from '../events.ts';
import { viewIds } from '../ids.ts';
import type { RunEntry } from '../run/runStore.ts';
import { plural, stepItem } from '../views/pipelineItems.ts';
import { toTreeItem } from '../views/treeRow.ts';
import type { Root, Workspace } from '../workspace.ts';
import { runItem } from './runItems.ts';

export type RunsNode =
  | { readonly kind: 'folder'; readonly root: Root }
  | { readonly kind: 'run'; readonly root: Root; readonly run: RunId; readonly environment: string | null }
  | {
      readonly kind: 'step';
      readonly root: Root;
      readonly run: RunId;
      readonly environment: string | null;
      readonly step: StepId;
    };

const TICK_RUNNING_MS = 1_000;
const TICK_IDLE_MS = 30_000;

/** The history of all environments, newest first, whoever ran it. Renders the journal; asks nobody. */
export class RunsTree extends Owner implements vscode.TreeDataProvider<RunsNode> {
  readonly #workspace: Workspace;
  readonly #changed = this.own(new vscode.EventEmitter<RunsNode | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<RunsNode>;
  readonly #nodes = new Map<string, RunsNode>();
  #timer: NodeJS.Timeout | undefined;

  constructor(workspace: Workspace) {
    super();
    this.#workspace = workspace;
    this.#view = this.own(
      vscode.window.createTreeView<RunsNode>(viewIds.runs, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'runs') this.#refresh(change.root, change.runs);
        else {
          this.#nodes.clear();
          this.#changed.fire(undefined);
        }
        this.#tick();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.#onVisibility();
  }

  getChildren(node?: RunsNode): RunsNode[] {
    if (node === undefined) {
      const roots = this.#workspace.roots.filter(({ runs }) => runs.list().length > 0);
      // With one folder its name says nothing.
      if (roots.length > 1) return roots.map((root) => this.#node({ kind: 'folder', root }));
      return roots.flatMap((root) => this.#runs(root));
    }
    if (node.kind === 'folder') return this.#runs(node.root);
    if (node.kind === 'step') return [];
    const { root, run, environment } = node;
    return (root.runs.get(run)?.view.steps ?? []).map((step) =>
      this.#node({ kind: 'step', root, run, environment, step: step.id }),
    );
  }

  getParent(node: RunsNode): RunsNode | undefined {
    if (node.kind === 'step') {
      const { root, run, environment } = node;
      return this.#node({ kind: 'run', root, run, environment });
    }
    return undefined;
  }

  getTreeItem(node: RunsNode): vscode.TreeItem {
    const { root } = node;
    if (node.kind === 'folder') {
      const row = new vscode.TreeItem(root.folder.name, vscode.TreeItemCollapsibleState.Expanded);
      row.id = this.#id(node);
      row.description = plural(root.runs.list().length, 'run');
      row.contextValue = 'folder';
      return row;
    }
    const entry = root.runs.get(node.run);
    if (entry === undefined) return new vscode.TreeItem(node.run);
    return node.kind === 'run' ? this.#runRow(node, entry) : this.#stepRow(node, entry);
  }

  #runRow(node: Extract<RunsNode, { kind: 'run' }>, entry: RunEntry): vscode.TreeItem {
    const row = toTreeItem(runItem(entry, Date.now()), this.#id(node), vscode.TreeItemCollapsibleState.Collapsed);
    row.command = { command: 'slipway.showRollout', title: vscode.l10n.t('Show Rollout'), arguments: [node] };
    return row;
  }

  #stepRow(node: Extract<RunsNode, { kind: 'step' }>, entry: RunEntry): vscode.TreeItem {
    const step = entry.view.steps.find(({ id }) => id === node.step);
    if (step === undefined) return new vscode.TreeItem(node.step);
    const item = stepItem(step, entry.view, entry.isLive, Date.now());
    const row = toTreeItem(item, this.#id(node), vscode.TreeItemCollapsibleState.None);
    row.command = { command: 'slipway.showRollout', title: vscode.l10n.t('Show Rollout'), arguments: [node] };
    return row;
  }

  #runs(root: Root): RunsNode[] {
    return root.runs
      .list()
      .map(({ view }) => this.#node({ kind: 'run', root, run: view.id, environment: view.environment }));
  }

  /** A run that is known refreshes its row; a new one, the list. */
  #refresh(root: Root, runs: readonly RunId[]): void {
    for (const run of runs) {
      const known = this.#nodes.get(`${root.folder.uri.toString()}#${run}`);
      if (known === undefined) {
        this.#changed.fire(undefined);
        return;
      }
      this.#changed.fire(known);
    }
  }

  #node(node: RunsNode): RunsNode {
    const id = this.#id(node);
    const known = this.#nodes.get(id);
    if (known !== undefined) return known;
    this.#nodes.set(id, node);
    return node;
  }

  #id(node: RunsNode): string {
    const base = node.root.folder.uri.toString();
    if (node.kind === 'folder') return base;
    return node.kind === 'run' ? `${base}#${node.run}` : `${base}#${node.run}/${node.step}`;
  }

  #onVisibility(): void {
    if (this.#view.visible) void this.#workspace.show();
    this.#tick();
  }

  #tick(): void {
    clearTimeout(this.#timer);
    if (!this.#view.visible || this.isDisposed) return;
    const live = this.#workspace.roots.flatMap((root) =>
      root.runs
        .list()
        .filter(({ isLive }) => isLive)
        .map(({ view }) => ({ root, run: view.id })),
    );
    this.#timer = setTimeout(
      () => {
        for (const { root, run } of live) this.#refresh(root, [run]);
        if (live.length === 0) {
          for (const node of this.#nodes.values()) if (node.kind === 'run') this.#changed.fire(node);
        }
        this.#tick();
      },
      live.length > 0 ? TICK_RUNNING_MS : TICK_IDLE_MS,
    );
    this.#timer.unref();
  }
}
