import { performance } from 'node:perf_hooks';
import * as vscode from 'vscode';
import type { ObjectRef, PodView } from '../../engine/events/index.ts';
import type { LiveState, LiveWorkloadView } from '../../engine/main.ts';
import type { EnvironmentConfig } from '../../engine/project/model.ts';
import { liveUri } from '../drift/decorations.ts';
import type { DriftStore } from '../drift/driftStore.ts';
import { driftOfObject } from '../drift/driftWords.ts';
import { Owner } from '../events.ts';
import { viewIds } from '../ids.ts';
import type { Item } from '../views/pipelineItems.ts';
import { toTreeItem } from '../views/treeRow.ts';
import type { Root, Workspace } from '../workspace.ts';
import type { ScaleUndo } from './scaleUndo.ts';
import { changedRows, type ShownRows, shownRows } from './shownRows.ts';
import { liveEnvironmentItem, noteItem, podItem, troubled, workloadItem } from './workloadItems.ts';
import type { EnvironmentKey, WorkloadStore } from './workloadStore.ts';

export type WorkloadNode =
  | { readonly kind: 'environment'; readonly root: Root; readonly environment: string }
  | { readonly kind: 'workload'; readonly root: Root; readonly environment: string; readonly ref: ObjectRef }
  | {
      readonly kind: 'pod';
      readonly root: Root;
      readonly environment: string;
      readonly ref: ObjectRef;
      readonly pod: string;
    }
  | {
      readonly kind: 'note';
      readonly root: Root;
      readonly environment: string;
      readonly text: string;
      readonly tone: 'info' | 'error';
    };

/** Watches of what nobody sees any more end after this: of a hidden view, of an environment that was collapsed. */
const LINGER_MS = 60_000;
/** Ages on screen. */
const TICK_MS = 30_000;

interface TreeParts {
  readonly workspace: Workspace;
  readonly store: WorkloadStore;
  readonly scaled: ScaleUndo;
  readonly drift: DriftStore;
  readonly log: vscode.LogOutputChannel;
}

/** Environments → workloads → pods, live. An environment is asked when it is expanded, and not before. */
export class WorkloadsTree extends Owner implements vscode.TreeDataProvider<WorkloadNode> {
  readonly #workspace: Workspace;
  readonly #store: WorkloadStore;
  readonly #scaled: ScaleUndo;
  readonly #drift: DriftStore;
  readonly #log: vscode.LogOutputChannel;
  readonly #changed = this.own(new vscode.EventEmitter<WorkloadNode | WorkloadNode[] | undefined>());
  readonly onDidChangeTreeData = this.#changed.event;
  readonly #view: vscode.TreeView<WorkloadNode>;
  readonly #nodes = new Map<string, WorkloadNode>();
  /** Rows ask for their workload one by one; a thousand must not look through a thousand each. */
  readonly #index = new WeakMap<LiveState, ReadonlyMap<string, LiveWorkloadView>>();
  readonly #expanded = new Map<string, EnvironmentKey>();
  readonly #collapsed = new Map<string, NodeJS.Timeout>();
  readonly #shown = new Map<string, ShownRows>();
  /** Rows that VS Code has not asked for since it expanded an environment. */
  #expansion:
    | { readonly environment: string; readonly rows: number; readonly started: number; left: number }
    | undefined;
  #linger: NodeJS.Timeout | undefined;
  #ticker: NodeJS.Timeout | undefined;

  constructor({ workspace, store, scaled, drift, log }: TreeParts) {
    super();
    this.#drift = drift;
    this.#log = log;
    this.#workspace = workspace;
    this.#store = store;
    this.#scaled = scaled;
    this.#view = this.own(
      vscode.window.createTreeView<WorkloadNode>(viewIds.workloads, { treeDataProvider: this, showCollapseAll: true }),
    );
    this.own(this.#view.onDidChangeVisibility(() => this.#onVisibility()));
    this.own(
      this.#view.onDidExpandElement(({ element }) => {
        if (element.kind !== 'environment') return;
        clearTimeout(this.#collapsed.get(this.#id(element)));
        this.#expanded.set(this.#id(element), keyOf(element));
      }),
    );
    this.own(
      this.#view.onDidCollapseElement(({ element }) => {
        if (element.kind !== 'environment') return;
        const id = this.#id(element);
        this.#expanded.delete(id);
        // Who opens it again at once need not wait for the cluster again.
        const timer = setTimeout(() => this.#store.close(keyOf(element)), LINGER_MS);
        timer.unref();
        clearTimeout(this.#collapsed.get(id));
        this.#collapsed.set(id, timer);
      }),
    );
    this.own(store.onDidChange((key) => this.#refresh(key)));
    this.own(scaled.onDidChange((key) => this.#refresh(key)));
    this.own(drift.onDidChange((key) => this.#refresh(key)));
    this.own(
      workspace.onDidChange((change) => {
        if (change.kind === 'runs') {
          for (const run of change.runs) {
            const view = change.root.runs.get(run)?.view;
            // A deploy may have changed which objects the environment consists of.
            if (view !== undefined && view.state !== 'running' && view.environment !== null) {
              void this.#store.reopen({ folder: change.root.path, environment: view.environment });
            }
          }
          return;
        }
        this.#nodes.clear();
        this.#shown.clear();
        this.#changed.fire(undefined);
      }),
    );
    this.own({
      dispose: () => {
        clearTimeout(this.#linger);
        clearInterval(this.#ticker);
        for (const timer of this.#collapsed.values()) clearTimeout(timer);
      },
    });
    this.#onVisibility();
  }

  async getChildren(node?: WorkloadNode): Promise<WorkloadNode[]> {
    if (node === undefined) {
      return this.#workspace.roots.flatMap((root) =>
        (root.project?.environments ?? []).map(({ name }) =>
          this.#node({ kind: 'environment', root, environment: name }),
        ),
      );
    }
    const { root, environment } = node;
    if (node.kind === 'environment') {
      await this.#store.open(keyOf(node));
      const started = performance.now();
      const rows = this.#childrenOf(node);
      this.#expansion = { environment, rows: rows.length, started, left: rows.length };
      return rows;
    }
    if (node.kind !== 'workload') return [];
    return (this.#workload(node)?.pods ?? []).map((pod) =>
      this.#node({ kind: 'pod', root, environment, ref: node.ref, pod: pod.name }),
    );
  }

  getParent(node: WorkloadNode): WorkloadNode | undefined {
    const { root, environment } = node;
    if (node.kind === 'environment') return undefined;
    if (node.kind === 'pod') return this.#node({ kind: 'workload', root, environment, ref: node.ref });
    return this.#node({ kind: 'environment', root, environment });
  }

  getTreeItem(node: WorkloadNode): vscode.TreeItem {
    const now = Date.now();
    const { None, Collapsed } = vscode.TreeItemCollapsibleState;
    switch (node.kind) {
      case 'environment': {
        const environment = this.#environment(node);
        if (environment === undefined) return new vscode.TreeItem(node.environment);
        const project = this.#workspace.roots.length > 1 ? node.root.project?.name : undefined;
        return toTreeItem(
          liveEnvironmentItem(environment, this.#store.get(keyOf(node)), {
            drifts: this.#drift.get(keyOf(node)),
            project,
          }),
          this.#id(node),
          Collapsed,
        );
      }
      case 'workload': {
        const workload = this.#workload(node);
        this.#measure(node.environment);
        if (workload === undefined) return new vscode.TreeItem(node.ref.name);
        const item = this.#item(keyOf(node), workload, now);
        const row = toTreeItem(item, this.#id(node), workload.pods.length === 0 ? None : Collapsed);
        row.resourceUri = liveUri(keyOf(node), node.ref);
        return row;
      }
      case 'pod': {
        const pod = this.#pod(node);
        return pod === undefined ? new vscode.TreeItem(node.pod) : toTreeItem(podItem(pod, now), this.#id(node), None);
      }
      case 'note':
        return toTreeItem(noteItem(node.text, node.tone), this.#id(node), None);
    }
  }

  #childrenOf(node: Extract<WorkloadNode, { kind: 'environment' }>): WorkloadNode[] {
    const { root, environment } = node;
    const note = (text: string, tone: 'info' | 'error'): WorkloadNode[] => [
      { kind: 'note', root, environment, text, tone },
    ];
    const standing = this.#store.get(keyOf(node));
    if (standing.kind === 'failed') {
      const { message, fix } = standing.failure;
      return [...note(message, 'error'), ...(fix === undefined ? [] : note(fix, 'info'))];
    }
    if (standing.kind !== 'live') return [];
    if (standing.state.workloads.length === 0)
      return note(vscode.l10n.t('Nothing of this environment is deployed.'), 'info');
    return standing.state.workloads.map(({ ref }) => this.#node({ kind: 'workload', root, environment, ref }));
  }

  #item(key: EnvironmentKey, workload: LiveWorkloadView, now: number): Item {
    const { kind, name } = workload.ref;
    const undo = this.#scaled.offer({ ...key, named: `${kind.toLowerCase()}/${name}` }, workload.desired);
    return workloadItem(workload, now, { undo, drift: driftOfObject(this.#drift.get(key), workload.ref) });
  }

  #environment(node: { readonly root: Root; readonly environment: string }): EnvironmentConfig | undefined {
    return node.root.project?.environments.find(({ name }) => name === node.environment);
  }

  #workload(node: Extract<WorkloadNode, { kind: 'workload' | 'pod' }>): LiveWorkloadView | undefined {
    const standing = this.#store.get(keyOf(node));
    if (standing.kind !== 'live') return undefined;
    let index = this.#index.get(standing.state);
    if (index === undefined) {
      index = new Map(standing.state.workloads.map((workload) => [refId(workload.ref), workload]));
      this.#index.set(standing.state, index);
    }
    return index.get(refId(node.ref));
  }

  #pod(node: Extract<WorkloadNode, { kind: 'pod' }>): PodView | undefined {
    return this.#workload(node)?.pods.find(({ name }) => name === node.pod);
  }

  /** Draws anew what says something else than before. */
  #refresh(key: EnvironmentKey): void {
    const root = this.#workspace.roots.find(({ path }) => path === key.folder);
    if (root === undefined) return;
    const id = this.#id({ kind: 'environment', root, environment: key.environment });
    const known = this.#nodes.get(id);
    const standing = this.#store.get(key);
    const environment = this.#environment({ root, environment: key.environment });
    if (known !== undefined && standing.kind === 'live' && environment !== undefined) {
      const now = Date.now();
      const shown = shownRows(
        liveEnvironmentItem(environment, standing, { drifts: this.#drift.get(key) }),
        standing.state.workloads,
        {
          idOf: ({ ref }) => this.#id({ kind: 'workload', root, environment: key.environment, ref }),
          rowOf: (workload) => this.#item(key, workload, now),
          now,
        },
      );
      const changed = changedRows(this.#shown.get(id), shown);
      this.#shown.set(id, shown);
      if (changed === 'all') this.#changed.fire(known);
      else if (changed.length > 0) this.#changed.fire(changed.flatMap((row) => this.#nodes.get(row) ?? []));
    } else {
      this.#shown.delete(id);
      if (known !== undefined) this.#changed.fire(known);
    }
    this.#badge();
  }

  /** Says how long the extension took for the rows of an environment, once VS Code has asked for all of them. */
  #measure(environment: string): void {
    const expansion = this.#expansion;
    if (expansion?.environment !== environment) return;
    expansion.left -= 1;
    if (expansion.left > 0) return;
    this.#expansion = undefined;
    const ms = performance.now() - expansion.started;
    this.#log.debug(`Workloads of ${environment}: ${expansion.rows} rows in ${ms.toFixed(1)} ms`);
  }

  #badge(): void {
    const count = this.#store.openKeys.reduce((sum, key) => {
      const standing = this.#store.get(key);
      return sum + (standing.kind === 'live' ? troubled(standing.state.workloads) : 0);
    }, 0);
    this.#view.badge =
      count === 0
        ? undefined
        : {
            value: count,
            tooltip:
              count === 1
                ? vscode.l10n.t('1 workload is not ready')
                : vscode.l10n.t('{0} workloads are not ready', count),
          };
  }

  #onVisibility(): void {
    clearTimeout(this.#linger);
    clearInterval(this.#ticker);
    if (this.#view.visible) {
      void this.#workspace.show();
      for (const key of this.#expanded.values()) if (this.#store.get(key).kind === 'closed') this.#refresh(key);
      this.#ticker = setInterval(() => {
        for (const key of this.#store.openKeys) this.#refresh(key);
      }, TICK_MS);
      this.#ticker.unref();
      return;
    }
    this.#linger = setTimeout(() => {
      for (const key of this.#store.openKeys) this.#store.close(key);
    }, LINGER_MS);
    this.#linger.unref();
  }

  #node<T extends WorkloadNode>(node: T): T {
    const id = this.#id(node);
    const known = this.#nodes.get(id);
    if (known !== undefined) return known as T;
    this.#nodes.set(id, node);
    return node;
  }

  #id(node: WorkloadNode): string {
    const base = `${node.root.folder.uri.toString()}#live/${node.environment}`;
    switch (node.kind) {
      case 'environment':
        return base;
      case 'workload':
        return `${base}/${refId(node.ref)}`;
      case 'pod':
        return `${base}/${refId(node.ref)}/${node.pod}`;
      case 'note':
        return `${base}/note/${node.text}`;
    }
  }
}

const keyOf = ({ root, environment }: { readonly root: Root; readonly environment: string }): EnvironmentKey => ({
  folder: root.path,
  environment,
});

const refId = ({ kind, namespace, name }: ObjectRef): string => `${kind}/${namespace ?? ''}/${name}`;
