import * as vscode from 'vscode';
import type { StepId } from '../../engine/events/index.ts';
import type { EnvironmentConfig, Project } from '../../engine/project/model.ts';
import { Owner } from '../events.ts';
import { viewIds } from '../ids.ts';
import type { RunEntry } from '../run/runStore.ts';
import type { Root, Workspace } from '../workspace.ts';
import { environmentItem, plannedStepItem, projectItem, stepItem } from './pipelineItems.ts';
import { toTreeItem } from './treeRow.ts';

export type PipelineNode =
  | { readonly kind: 'project'; readonly root: Root }
  | { readonly kind: 'environment'; readonly root: Root; readonly environment: string | null }
  | { readonly kind: 'step'; readonly root: Root; readonly environment: string | null; readonly step: StepId };

/** Running rows show a time that grows; at rest only ages change. */
const TICK_RUNNING_MS = 1_000;
const TICK_IDLE_MS = 30_000;

/** Project → environments → steps of the newest run. Renders the models; asks nobody. */
export class PipelinesTree extends Owner implements vscode.TreeDataProvider<PipelineNode> {
  readonly #workspace: Workspace;
  readonly #changed = this.own(new vscode.EventEmitter<PipelineNode | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<PipelineNode>;
  // VS Code refreshes a row only when it gets the very object it was given before.
  readonly #nodes = new Map<string, PipelineNode>();
  #timer: NodeJS.Timeout | undefined;

  constructor(workspace: Workspace) {
    super();
    this.#workspace = workspace;
    this.#view = this.own(
      vscode.window.createTreeView<PipelineNode>(viewIds.pipelines, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'roots' || change.kind === 'project') {
          this.#nodes.clear();
          this.#changed.fire(undefined);
        } else {
          for (const run of change.runs) this.#refreshRun(change.root, run);
        }
        this.#badge();
        this.#tick();
      }),
    );
    this.own({ dispose: () => clearTimeout(this.#timer) });
    this.#onVisibility();
  }

  get isVisible(): boolean {
    return this.#view.visible;
  }

  getChildren(node?: PipelineNode): PipelineNode[] {
    if (node === undefined) {
      return this.#workspace.roots.flatMap((root) =>
        root.project === undefined ? [] : [this.#node({ kind: 'project', root })],
      );
    }
    const { root } = node;
    if (node.kind === 'project') {
      const environments = (root.project?.environments ?? []).map(({ name }) =>
        this.#node({ kind: 'environment', root, environment: name }),
      );
      const images =
        (root.project?.images.length ?? 0) > 0 ? [this.#node({ kind: 'environment', root, environment: null })] : [];
      return [...environments, ...images];
    }
    if (node.kind === 'environment') {
      const run = root.runs.latest(node.environment);
      const steps = run?.view.steps ?? root.outline(node.environment) ?? [];
      return steps.map((step) => this.#node({ kind: 'step', root, environment: node.environment, step: step.id }));
    }
    return [];
  }

  getParent(node: PipelineNode): PipelineNode | undefined {
    if (node.kind === 'project') return undefined;
    if (node.kind === 'environment') return this.#node({ kind: 'project', root: node.root });
    return this.#node({ kind: 'environment', root: node.root, environment: node.environment });
  }

  getTreeItem(node: PipelineNode): vscode.TreeItem {
    const now = Date.now();
    if (node.kind === 'project') {
      const project = node.root.project as Project;
      return toTreeItem(projectItem(project), this.#id(node), vscode.TreeItemCollapsibleState.Expanded);
    }
    const entry = node.root.runs.latest(node.environment);
    if (node.kind === 'environment') {
      const item = environmentItem(this.#environment(node), entry, now);
      const isOfInterest = entry !== undefined && entry.view.state !== 'succeeded';
      return toTreeItem(
        item,
        this.#id(node),
        isOfInterest ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed,
      );
    }
    return this.#stepItem(node, entry, now);
  }

  /** Shows the environment's row without taking the focus. */
  async reveal(root: Root, environment: string | null): Promise<void> {
    await this.#view.reveal(this.#node({ kind: 'environment', root, environment }), { expand: true, focus: false });
  }

  #stepItem(node: Extract<PipelineNode, { kind: 'step' }>, entry: RunEntry | undefined, now: number): vscode.TreeItem {
    const step = entry?.view.steps.find(({ id }) => id === node.step);
    if (entry === undefined || step === undefined) {
      const planned = node.root.outline(node.environment)?.find(({ id }) => id === node.step);
      return toTreeItem(
        plannedStepItem(planned?.title ?? node.step),
        this.#id(node),
        vscode.TreeItemCollapsibleState.None,
      );
    }
    const item = stepItem(step, entry.view, entry.isLive, now);
    const row = toTreeItem(item, this.#id(node), vscode.TreeItemCollapsibleState.None);
    row.command = { command: 'slipway.showRollout', title: vscode.l10n.t('Show Rollout'), arguments: [node] };
    return row;
  }

  #environment(node: { readonly root: Root; readonly environment: string | null }): EnvironmentConfig | null {
    if (node.environment === null) return null;
    return node.root.project?.environments.find(({ name }) => name === node.environment) ?? null;
  }

  #refreshRun(root: Root, run: string): void {
    const view = root.runs.get(run)?.view;
    if (view === undefined || root.runs.latest(view.environment)?.view.id !== run) return;
    const known = this.#nodes.get(this.#id({ kind: 'environment', root, environment: view.environment }));
    if (known !== undefined) this.#changed.fire(known);
  }

  #node(node: PipelineNode): PipelineNode {
    const id = this.#id(node);
    const known = this.#nodes.get(id);
    if (known !== undefined) return known;
    this.#nodes.set(id, node);
    return node;
  }

  #id(node: PipelineNode): string {
    const base = node.root.folder.uri.toString();
    if (node.kind === 'project') return base;
    const environment = `${base}#${node.environment === null ? 'images' : `environment/${node.environment}`}`;
    return node.kind === 'environment' ? environment : `${environment}/${node.step}`;
  }

  #onVisibility(): void {
    if (this.#view.visible) void this.#workspace.show();
    this.#tick();
  }

  #badge(): void {
    const running = this.#workspace.roots.flatMap((root) => root.runs.list().filter(({ isLive }) => isLive)).length;
    this.#view.badge =
      running === 0
        ? undefined
        : {
            value: running,
            tooltip:
              running === 1 ? vscode.l10n.t('1 run in progress') : vscode.l10n.t('{0} runs in progress', running),
          };
  }

  /** Times grow only while somebody looks. */
  #tick(): void {
    clearTimeout(this.#timer);
    if (!this.#view.visible || this.isDisposed) return;
    const running = this.#workspace.roots.flatMap((root) =>
      root.runs
        .list()
        .filter(({ view }) => view.state === 'running')
        .map((entry) => ({ root, entry })),
    );
    this.#timer = setTimeout(
      () => {
        for (const { root, entry } of running) this.#refreshRun(root, entry.view.id);
        if (running.length === 0) {
          for (const node of this.#nodes.values()) if (node.kind === 'environment') this.#changed.fire(node);
        }
        // A run of another process may die without a word.
        for (const root of new Set(
          running.filter(({ entry, root }) => !root.runs.isOwn(entry.view.id)).map(({ root }) => root),
        )) {
          void root.runs.checkLiveness();
        }
        this.#tick();
      },
      running.length > 0 ? TICK_RUNNING_MS : TICK_IDLE_MS,
    );
    this.#timer.unref();
  }
}
